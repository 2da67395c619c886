package gang

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// A local is the part of a gang that this machine runs.
type local struct {
	g     *Gang
	p     *part
	crew  task.Crew
	epoch uint64   // of this node, for the one above; 0: there is none
	world []string // TASKFS_RANK of each

	mu      sync.Mutex
	tasks   []process
	news    bool          // guarded by mu: tell is posted
	exits   []task.Exit   // guarded by mu: not told yet
	asking  []int         // guarded by mu: who asks for a record, not told yet
	running int           // guarded by mu: whose Exited has not come
	closed  bool          // guarded by mu: nothing is started any more
	idle    chan struct{} // guarded by mu: closed when running is 0 and closed is set
	folder  *folder       // guarded by mu: nil if there are no files
}

// A process is a task as this machine has it.
type process struct {
	set   ranks.Set // it alone, in the gang's numbering
	begun bool      // guarded by local.mu
	runs  bool      // guarded by local.mu
	in    *stdin    // guarded by local.mu
	told  bool      // that it has started; whoever has Gang.turn may touch it
}

// newLocal makes a crew for the part p, whose numbers of sessions are nums: one
// for each task, and one for them all if that is what the place has.
func newLocal(ctx context.Context, g *Gang, p *part) (*local, error) {
	l := &local{
		g: g, p: p, epoch: g.visit.epoch,
		tasks: make([]process, p.set.Len()),
		idle:  make(chan struct{}),
	}
	i := 0
	for r := range p.set.All() {
		l.tasks[i].set = ranks.Span(r, r+1)
		l.tasks[i].in = &stdin{}
		i++
	}
	for r := range g.req.World.At(p.set).All() {
		l.world = append(l.world, strconv.Itoa(r))
	}
	crew, err := g.node.opts.Runner.Crew(ctx, task.CrewOptions{
		Session: g.req.Session,
		Lease:   g.visit.lease,
		Lost:    l.lost,
	})
	if err != nil {
		return nil, fmt.Errorf("make ready to run tasks: %w", err)
	}
	l.crew = crew
	return l, nil
}

// lost is told that the crew has ended by itself. Its tasks have, and say so one
// by one.
func (l *local) lost(err error) {
	l.g.node.log.Warn("the tasks of a session have been ended", "session", l.g.req.number, "reason", err)
}

func (l *local) exec(set ranks.Set, s *Spec) {
	env := l.environ(s)
	dir := s.Dir
	l.mu.Lock()
	if dir == "" && l.folder == nil {
		dir = l.g.node.opts.Dir
	}
	l.mu.Unlock()
	for r := range set.All() {
		if err := l.start(r, s, dir, env); err != nil {
			l.ended(task.Exit{Rank: r, Status: "fail " + err.Error()})
		}
	}
	l.g.post(func() { l.announce(l.alive(set)) })
}

// alive returns those that have not ended. Of the others tell speaks.
func (l *local) alive(set ranks.Set) ranks.Set {
	l.mu.Lock()
	defer l.mu.Unlock()
	var alive []int
	for r := range set.All() {
		if l.tasks[r].runs {
			alive = append(alive, r)
		}
	}
	return ranks.Of(alive...)
}

// start starts a task. If it returns an error nothing else will say that the task
// has ended.
func (l *local) start(r int, s *Spec, dir string, env []string) error {
	t := &l.tasks[r]
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.claim(r)
		return ErrReleased
	}
	if t.begun {
		t.in = &stdin{} // what it was given before it began is for the first try
	}
	t.begun, t.runs = true, true
	in := t.in
	in.mu.Lock()
	in.records, in.ask = s.Records, func() { l.ask(r) }
	in.mu.Unlock()
	l.running++
	l.mu.Unlock()
	job := task.Task{
		Rank: r, Argv: s.Argv, Dir: dir, Umask: s.Umask, Records: s.Records,
		Env:    append(env[:len(env):len(env)], "TASKFS_RANK="+l.world[r]),
		Stdout: &out{l, r, gather.Stdout},
		Stderr: &out{l, r, gather.Stderr},
		Exited: l.ended,
	}
	if s.NoInput {
		in.drop()
	} else {
		job.Stdin = in
	}
	return l.crew.Start(job)
}

// claim counts a task that was not started, as ended expects.
func (l *local) claim(r int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks[r].runs = true
	l.running++
}

// environ returns the environment of all tasks, but for TASKFS_RANK.
func (l *local) environ(s *Spec) []string {
	n := l.g.node
	name := l.g.req.Path
	if name == "" {
		name = n.opts.Cluster.Info.Name
	}
	return merged(n.opts.Env, s.Env, []string{
		"TASKFS_SIZE=" + strconv.Itoa(l.g.req.Total),
		"TASKFS_NODE=" + name,
		"TASKFS_EPOCH=" + strconv.FormatUint(l.epoch, 10),
		"TASKFS_SESSION=" + s.Session,
	}, "TASKFS_RANK")
}

// ended is told that a task has ended: by the crew, when it has given away its
// last byte.
func (l *local) ended(e task.Exit) {
	l.mu.Lock()
	if e.Rank < 0 || e.Rank >= len(l.tasks) || !l.tasks[e.Rank].runs {
		l.mu.Unlock()
		return
	}
	t := &l.tasks[e.Rank]
	t.runs = false
	in := t.in
	l.exits = append(l.exits, e)
	l.newsLocked()
	l.mu.Unlock()
	in.drop()
}

// ask is told that a task wants a record.
func (l *local) ask(r int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = append(l.asking, r)
	l.newsLocked()
}

// newsLocked has tell called, once for all that happens until then.
func (l *local) newsLocked() {
	if !l.news {
		l.news = true
		l.g.post(l.tell)
	}
}

// tell tells the gang what has happened. It is called in its turn.
func (l *local) tell() {
	l.mu.Lock()
	exits, asking := l.exits, l.asking
	l.exits, l.asking, l.news = nil, nil, false
	l.mu.Unlock()
	var began []int
	for _, e := range exits {
		if e.PID != 0 {
			began = append(began, e.Rank)
		}
	}
	l.announce(ranks.Of(append(began, asking...)...))
	if len(asking) > 0 {
		l.g.ready(l.p, ranks.Of(asking...))
	}
	if len(exits) == 0 {
		return
	}
	for _, e := range exits {
		l.tasks[e.Rank].told = false // for its next try
	}
	l.g.exited(l.p, "", l.epoch, exits)
	l.mu.Lock()
	l.running -= len(exits)
	l.idleLocked()
	l.mu.Unlock()
}

func (l *local) idleLocked() {
	if l.closed && l.running == 0 {
		select {
		case <-l.idle:
		default:
			close(l.idle)
		}
	}
}

// announce says of tasks that they have started, unless that was said. Who calls
// it has the gang's turn.
func (l *local) announce(set ranks.Set) {
	var news []int
	for r := range set.All() {
		if t := &l.tasks[r]; !t.told {
			t.told = true
			news = append(news, r)
		}
	}
	if len(news) > 0 {
		l.g.started(l.p, ranks.Of(news...))
	}
}

// An out is a stream that a task writes: a pipes.Sink.
type out struct {
	l    *local
	rank int
	s    gather.Stream
}

func (o *out) WriteContext(ctx context.Context, p []byte) (int, error) {
	g := o.l.g
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-g.turn }()
	t := &o.l.tasks[o.rank]
	if !t.told {
		o.l.announce(ranks.Span(o.rank, o.rank+1))
	}
	g.output(o.l.p, ranks.Span(o.rank, o.rank+1), o.s, p)
	return len(p), nil
}

func (l *local) give(set ranks.Set, in *input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.left.Add(int32(set.Len()))
	for r := range set.All() {
		l.tasks[r].in.give(in)
	}
}

func (l *local) closeInput(set ranks.Set) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range set.All() {
		l.tasks[r].in.close()
	}
}

func (l *local) signal(set ranks.Set, name string) {
	for r := range set.All() {
		if err := l.crew.Signal(r, name); err != nil {
			l.g.node.log.Warn("signal to a task", "session", l.g.req.number, "rank", r, "signal", name, "err", err)
		}
	}
}

// release ends all tasks, and says so to the gang when they have.
func (l *local) release() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.idleLocked()
	l.mu.Unlock()
	if was {
		return
	}
	l.g.node.wg.Go(func() { // ends when no task runs and all of them have said so
		l.g.node.end(l.crew)
		l.mu.Lock()
		folder := l.folder
		l.folder = nil
		l.mu.Unlock()
		if folder != nil {
			folder.close()
		}
		l.g.node.vacate(len(l.tasks))
		<-l.idle
		l.g.node.returned(l.p.place, l.g.req.number)
		l.g.gone(l.p)
	})
}

// push writes a piece of a file. It is called with Gang.mu held, and a disk may
// be slow.
func (l *local) push(c *piece) {
	c.left.Add(1)
	l.mu.Lock()
	if l.folder == nil && !l.closed {
		l.folder = newFolder(l)
	}
	f := l.folder
	l.mu.Unlock()
	if f == nil {
		c.took(ErrReleased)
		return
	}
	f.put(c)
}

// merged returns environments as one: of a name the last value holds. Without
// says which name nobody has.
func merged(a, b, c []string, without string) []string {
	last := map[string]string{}
	var names []string
	for _, kv := range slices.Concat(a, b, c) {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || name == "" || name == without {
			continue
		}
		if _, seen := last[name]; !seen {
			names = append(names, name)
		}
		last[name] = kv
	}
	env := make([]string, len(names), len(names)+1)
	for i, name := range names {
		env[i] = last[name]
	}
	return env
}
