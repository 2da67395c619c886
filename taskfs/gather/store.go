package gather

import (
	"context"
	"slices"
	"sync"

	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// DefaultKeep is how much distinct output a Store keeps if nothing is said.
const DefaultKeep = 16 << 20

// Options are a Store's.
type Options struct {
	Tasks int                   // ranks are [0, Tasks)
	Label func(rank int) string // what stands before a line of the task; nil: nothing
	Keep  int64                 // bytes of distinct output kept for Folded and for streams opened late; 0: DefaultKeep

	// The streams of all tasks, by lines: whoever writes them is the Store. nil:
	// nobody wants it.
	Merged   *hub.Hub // stdout
	Errors   *hub.Hub // stderr
	Labelled *hub.Hub // both, each line with its label

	// View is what the hubs of views start with. Size 0 is Keep.
	View hub.Options
}

// A Store is the output of a session at its top. Its methods may be called from
// any goroutine.
type Store struct {
	// Immutable.
	o      Options
	all    ranks.Set
	ctx    context.Context // of writes that wait
	cancel context.CancelFunc

	// order has the calls of Output, End and Reset take effect one after the
	// other, in what is kept and in the hubs. It is held while a hub makes them
	// wait, and nothing else takes it.
	order    sync.Mutex
	merged   [2]*hub.Writer // guarded by order; of Merged and Errors
	labelled *hub.Writer    // guarded by order
	buf      []byte         // guarded by order; scratch

	// mu guards all that follows. It is held while a view is filled, which has
	// no readers then.
	mu      sync.Mutex
	closed  bool
	said    [2]*history // by stream; nil: nothing
	ended   []bool      // by rank
	over    int         // how many have ended
	views   views
	refused int64
}

// NewStore returns an empty Store.
func NewStore(o Options) *Store {
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.View.Size <= 0 {
		o.View.Size = o.Keep
	}
	s := &Store{o: o, all: ranks.Span(0, o.Tasks), ended: make([]bool, o.Tasks), views: newViews()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	writer := func(h *hub.Hub) *hub.Writer {
		if h == nil {
			return nil
		}
		return h.NewWriter(false)
	}
	s.merged = [2]*hub.Writer{writer(o.Merged), writer(o.Errors)}
	s.labelled = writer(o.Labelled)
	return s
}

// Output takes what tasks have put out. One that has ended begins anew.
func (s *Store) Output(set ranks.Set, st Stream, p []byte) {
	if len(p) == 0 || st != Stdout && st != Stderr {
		return
	}
	set = set.Intersect(s.all)
	s.change(func() (out []write) {
		if s.over > 0 {
			s.resetLocked(set, func(rank int) bool { return s.ended[rank] })
		}
		h := s.said[st-1]
		if h == nil {
			h = newHistory(s.o.Tasks)
			s.said[st-1] = h
		}
		partition(set, h.cursor, func(c cursor, same ranks.Set) {
			var lines []byte // those that are complete now
			cut := int(c.begun) + len(p) - int(unfinished(c.begun, p))
			switch {
			case cut > 0 && c.begun == 0:
				lines = p[:cut]
			case cut > 0:
				lines = append(slices.Clip(h.tail(c)), p...)[:cut]
			}
			h.say(same, c, p)
			out = s.writesLocked(out, same, st, p, lines)
		})
		s.fitLocked()
		return out
	})
}

// End says that nothing more comes of the tasks: what they have begun of a line
// is one. They may begin again (see Reset).
func (s *Store) End(set ranks.Set) {
	set = set.Intersect(s.all)
	s.change(func() []write { return s.endLocked(set) })
}

// Reset forgets what tasks have put out, for folded and per-task output: they are
// run anew. What is in a hub stays there, and a line that is begun is one.
func (s *Store) Reset(set ranks.Set) {
	set = set.Intersect(s.all)
	s.change(func() []write {
		out := s.endLocked(set)
		s.resetLocked(set, func(int) bool { return true })
		return out
	})
}

// Refused returns how many bytes hubs did not take: one that somebody has ended,
// or for which there is no room.
func (s *Store) Refused() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Close ends all views. The hubs of the Options are the caller's. Output that
// comes later goes nowhere; Folded and View know what came before.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.order.Lock() // whoever has it is about to end what it does
	defer s.order.Unlock()
	s.mu.Lock()
	open := s.views.list()
	s.mu.Unlock()
	for _, v := range open {
		v.hub.End("")
	}
}

// change runs f with the lock, then does the writes, and then ends and opens
// views as f has left them.
func (s *Store) change(f func() []write) {
	s.order.Lock()
	defer s.order.Unlock()
	out, turns := s.decide(f)
	for _, t := range turns {
		if t.reopen {
			t.hub.Reopen()
		}
	}
	refused := int64(0)
	for _, w := range out {
		refused += s.write(w)
	}
	for _, t := range turns {
		if t.end {
			t.hub.End("")
		}
	}
	if refused > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused += refused
	}
}

// decide runs f with the lock, unless the Store is closed.
func (s *Store) decide(f func() []write) ([]write, []turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil
	}
	return f(), s.views.turnsLocked()
}

// endLocked ends the lines that tasks have begun.
func (s *Store) endLocked(set ranks.Set) (out []write) {
	for i, h := range s.said {
		if h == nil {
			continue
		}
		partition(set, h.cursor, func(c cursor, same ranks.Set) {
			if line := h.tail(c); len(line) > 0 {
				out = s.writesLocked(out, same, Stream(i+1), nil, line)
				done := c
				done.begun = 0
				h.move(same, c, done)
			}
		})
	}
	for r := range set.All() {
		if !s.ended[r] {
			s.ended[r] = true
			s.over++
			s.views.endedLocked(r, +1)
		}
	}
	return out
}

// resetLocked has those of the tasks that again holds for begin anew. They have
// ended.
func (s *Store) resetLocked(set ranks.Set, again func(rank int) bool) {
	partition(set, again, func(yes bool, these ranks.Set) {
		if !yes {
			return
		}
		for r := range these.All() {
			s.ended[r] = false
			s.over--
			s.views.endedLocked(r, -1)
		}
		for _, h := range s.said {
			if h != nil {
				h.forget(these)
			}
		}
	})
}

// fitLocked keeps what is kept within bounds.
func (s *Store) fitLocked() {
	kept := int64(0)
	var hs []*history
	for _, h := range s.said {
		if h != nil {
			kept += h.kept
			hs = append(hs, h)
		}
	}
	if kept > s.o.Keep {
		trim(s.o.Keep, hs...)
	}
}
