package gang

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"hubfs/taskfs/ranks"
)

const (
	// window is how many bytes of a session may be on their way, each way.
	window = 1 << 20
	// pieceSize is the longest piece of input, and about the longest of output.
	pieceSize = 64 << 10
	// overhead is what a piece counts besides its bytes: it costs memory, too.
	overhead = 64
)

// An input is a piece of what tasks read. All who have it share its bytes.
type input struct {
	set  ranks.Set // where the session was made
	p    []byte
	more bool // the record goes on

	left  atomic.Int32 // who has not taken it yet
	taken func()       // called by the last who takes it, with no lock held
}

// take says that n more have taken it.
func (in *input) take(n int) {
	if in.left.Add(-int32(n)) == 0 {
		in.taken()
	}
}

func (in *input) cost() int { return len(in.p) + overhead }

// Input gives bytes to the stdin of tasks. It waits until each of them has room.
// Tasks that have ended take everything. If Spec.Records was said, a call is a
// record. An error says that the rest was given to nobody.
func (g *Gang) Input(ctx context.Context, set ranks.Set, p []byte) error {
	if err := g.within(set); err != nil {
		return err
	}
	for len(p) > 0 {
		n := min(len(p), pieceSize)
		in := &input{set: set, p: bytes.Clone(p[:n]), more: n < len(p)}
		if err := g.input.admit(ctx, in); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// CloseInput ends the stdin of tasks, behind what they were given.
func (g *Gang) CloseInput(ctx context.Context, set ranks.Set) error {
	if err := g.within(set); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.released {
		return ErrReleased
	}
	g.eachLocked(set, func(p *part, own ranks.Set) { p.closeInput(own) })
	return nil
}

// dispatch gives an input to all who are to have it. It counts as one of them
// until it has, so that nobody is the last before.
func (g *Gang) dispatch(in *input) {
	in.left.Store(1)
	g.mu.Lock()
	g.eachLocked(in.set, func(p *part, own ranks.Set) { p.give(own, in) })
	g.mu.Unlock()
	in.take(1)
}

// An admission lets input into a session, at the node where that was made: in
// the order of each task, and no more than there is room for.
type admission struct {
	dispatch func(*input)

	mu      sync.Mutex
	closed  bool        // guarded by mu
	out     []int32     // guarded by mu: bytes of each task that are on their way
	total   int         // guarded by mu: bytes of the session that are
	waiting []*admittee // guarded by mu: in order of arrival
	serving bool        // guarded by mu: somebody gives out what has room
}

// An admittee is an input that has no room yet.
type admittee struct {
	in  *input
	ok  chan struct{} // closed when it was let in, or never will be
	err error         // written before ok is closed
}

func newAdmission(tasks int, dispatch func(*input)) *admission {
	return &admission{dispatch: dispatch, out: make([]int32, tasks)}
}

// admit waits until there is room for in, and gives it to the tasks.
func (a *admission) admit(ctx context.Context, in *input) error {
	in.taken = func() { a.took(in) }
	w := &admittee{in: in, ok: make(chan struct{})}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return ErrReleased
	}
	a.waiting = append(a.waiting, w)
	a.mu.Unlock()
	a.serve()
	select {
	case <-w.ok:
		return w.err
	case <-ctx.Done():
	}
	a.mu.Lock()
	i := slices.Index(a.waiting, w)
	if i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
	}
	a.mu.Unlock()
	if i < 0 { // it was let in meanwhile
		<-w.ok
		return w.err
	}
	a.serve() // what waited behind it may go
	return ctx.Err()
}

// took counts an input that all of its tasks have taken.
func (a *admission) took(in *input) {
	a.mu.Lock()
	a.total -= in.cost()
	for r := range in.set.All() {
		a.out[r] -= int32(in.cost())
	}
	a.mu.Unlock()
	a.serve()
}

// serve lets in what has room. Only one does at a time, so that what was let in
// first is given first; who comes meanwhile leaves it to that one.
func (a *admission) serve() {
	a.mu.Lock()
	if a.serving {
		a.mu.Unlock()
		return
	}
	a.serving = true
	for {
		w := a.nextLocked()
		if w == nil {
			break
		}
		a.mu.Unlock()
		a.dispatch(w.in)
		close(w.ok)
		a.mu.Lock()
	}
	a.serving = false
	a.mu.Unlock()
}

// nextLocked takes the first who has room and nobody of the same tasks before
// him, and counts what he brings.
func (a *admission) nextLocked() *admittee {
	var before ranks.Set // tasks of those who have to wait
	for i, w := range a.waiting {
		if before.Intersect(w.in.set).Empty() && a.roomLocked(w.in) {
			a.waiting = slices.Delete(a.waiting, i, i+1)
			a.total += w.in.cost()
			for r := range w.in.set.All() {
				a.out[r] += int32(w.in.cost())
			}
			return w
		}
		before = before.Union(w.in.set)
	}
	return nil
}

// roomLocked reports whether in may go on its way: there is room in the window,
// or each task has taken all it was given.
func (a *admission) roomLocked(in *input) bool {
	if a.total+in.cost() <= window {
		return true
	}
	for r := range in.set.All() {
		if a.out[r] > 0 {
			return false
		}
	}
	return true
}

// close refuses what waits and what comes.
func (a *admission) close() {
	a.mu.Lock()
	waiting := a.waiting
	a.waiting, a.closed = nil, true
	a.mu.Unlock()
	for _, w := range waiting {
		w.err = ErrReleased
		close(w.ok)
	}
}
