package session

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hubfs/hub"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/scatter"
)

// A Part is some tasks of a session: all, or those of a folder below it.
type Part struct {
	s    *Session
	path []int     // of numbers, as folders have them; none: the whole
	set  ranks.Set // its tasks; of the whole see ranksLocked

	// guarded by s.mu
	settings settings
	mode     scatter.Mode
	framing  scatter.Framing
	input    *input // nil: nobody has asked for it yet
	opens    int
}

// settings are what is said before exec. What a part has no word on is as the whole
// has it.
type settings struct {
	argv  []string
	dir   string
	env   []string
	umask int // negative: nothing was said
	nice  int
}

// Session returns the part's session.
func (p *Part) Session() *Session { return p.s }

// IsWhole reports whether the part is all tasks.
func (p *Part) IsWhole() bool { return len(p.path) == 0 }

// Parts returns how many parts it has: they are numbered from 0.
func (p *Part) Parts() int {
	at, err := p.place()
	if err != nil {
		return 0
	}
	return len(at.Parts)
}

// Sub returns part n of p.
func (p *Part) Sub(n int) (*Part, error) {
	at, err := p.place()
	if err != nil {
		return nil, err
	}
	if n < 0 || n >= len(at.Parts) {
		return nil, fmt.Errorf("no part %d of %d", n, len(at.Parts))
	}
	path := append(slices.Clone(p.path), n)
	key := keyOf(path)
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.parts[key]
	if sub == nil || !sub.set.Equal(at.Parts[n].Ranks) {
		// Another set of tasks, since some were replaced, is another part.
		sub = &Part{s: s, path: path, set: at.Parts[n].Ranks, settings: settings{umask: -1}}
		s.parts[key] = sub
	}
	return sub, nil
}

// Key is a name of the part within its session; "": the whole.
func (p *Part) Key() string { return keyOf(p.path) }

func keyOf(path []int) string {
	var b strings.Builder
	for i, n := range path {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// place is where the tasks of the part are.
func (p *Part) place() (gang.Place, error) {
	g, err := p.s.reserved()
	if err != nil {
		return gang.Place{}, err
	}
	at := g.Place()
	for _, n := range p.path {
		if n >= len(at.Parts) {
			return gang.Place{}, gang.ErrReleased
		}
		at = at.Parts[n]
	}
	return at, nil
}

// ranksLocked are the part's tasks.
func (p *Part) ranksLocked() ranks.Set {
	if p.IsWhole() {
		return ranks.Span(0, p.s.size)
	}
	return p.set
}

// reserved returns the gang, if there is one.
func (s *Session) reserved() (Gang, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.released:
		return nil, gang.ErrReleased
	case s.gang == nil:
		return nil, ErrNoReservation
	}
	return s.gang, nil
}

// View returns the hub of one stream of the part's tasks alone; release it once.
func (p *Part) View(st gather.Stream) (h *hub.Hub, release func(), err error) {
	s := p.s
	s.mu.Lock()
	store, set, released := s.store, p.ranksLocked(), s.released
	s.mu.Unlock()
	return view(store, set, st, released)
}

// ViewOf is View of one task, by its rank, or of all on a node, by its name.
func (s *Session) ViewOf(name string, st gather.Stream) (h *hub.Hub, release func(), err error) {
	s.mu.Lock()
	store, released := s.store, s.released
	s.mu.Unlock()
	set, err := s.named(name)
	if err != nil {
		return nil, nil, err
	}
	return view(store, set, st, released)
}

func view(store *gather.Store, set ranks.Set, st gather.Stream, released bool) (*hub.Hub, func(), error) {
	switch {
	case released:
		return nil, nil, gang.ErrReleased
	case store == nil:
		return nil, nil, ErrNoReservation
	}
	h, release := store.View(set, st)
	return h, release, nil
}

// named are the tasks that a name means: a rank, or a node.
func (s *Session) named(name string) (ranks.Set, error) {
	s.mu.Lock()
	size := s.size
	s.mu.Unlock()
	if r, err := strconv.Atoi(name); err == nil && r >= 0 && r < size && strconv.Itoa(r) == name {
		return ranks.Of(r), nil
	}
	var on []int
	for r := range size {
		if s.nodeOf(r) == name {
			on = append(on, r)
		}
	}
	if len(on) == 0 {
		return ranks.Set{}, fmt.Errorf("no task and no node %.40q", name)
	}
	return ranks.Of(on...), nil
}

// Has reports whether name is that of a task or a node of the session.
func (s *Session) Has(name string) bool {
	_, err := s.named(name)
	return err == nil
}

// Size is how many tasks there are.
func (s *Session) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// nodeOf is the name of the node that a task is on.
func (s *Session) nodeOf(r int) string {
	if names := s.nodes.Load(); names != nil && r < len(*names) {
		return (*names)[r]
	}
	return s.cfg.Node
}

// noteNodes remembers where tasks are.
func (s *Session) noteNodes(g Gang) {
	names := make([]string, g.Size())
	for _, t := range g.Tasks() {
		if t.Rank >= 0 && t.Rank < len(names) {
			names[t.Rank] = s.nameOf(t.Node)
		}
	}
	s.nodes.Store(&names)
}

// nameOf is what people call the node at a path.
func (s *Session) nameOf(path string) string {
	if path == "" {
		return s.cfg.Node
	}
	return path
}

// live are those of the part's tasks that have been started and have not ended.
func (p *Part) live() ranks.Set {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.liveLocked()
}

func (p *Part) liveLocked() ranks.Set {
	var live []int
	for r := range p.ranksLocked().All() {
		if t := &p.s.tasks[r]; t.run != nil && !t.ended {
			live = append(live, r)
		}
	}
	return ranks.Of(live...)
}

// Signal sends a signal to the tasks that run.
func (p *Part) Signal(name string) error { return p.signal(p.s.ctx, name) }

func (p *Part) signal(ctx context.Context, name string) error {
	g, err := p.s.reserved()
	if err != nil {
		return err
	}
	p.s.mu.Lock()
	started := false
	for r := range p.ranksLocked().All() {
		started = started || p.s.tasks[r].run != nil
	}
	live := p.liveLocked()
	if name == "KILL" { // those too that are lost, and would be run anew
		for r := range live.All() {
			p.s.tasks[r].dying = true
		}
	}
	p.s.mu.Unlock()
	switch {
	case !started:
		return gang.ErrNotStarted
	case live.Empty():
		return nil
	}
	return g.Signal(ctx, live, name)
}
