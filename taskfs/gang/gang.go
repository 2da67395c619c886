// Package gang runs one command on many nodes: it divides the tasks of a session
// among the nodes below, or runs them here, and brings their input down and their
// output and ends up.
//
// A Gang is the tasks of one session as one node sees them, of ranks [0, Size).
// It has parts: a crew of this very machine, or a node below, which makes a Gang
// of its own of it and numbers its tasks from 0. At the node where the session
// was made the Gang reports to an Above of the user; at every other to a guest,
// which sends what it is told up the link.
//
// # Ordering
//
// Of each task an Above is told that it has started, then what it puts out, byte
// for byte in order, then that it has ended. What is given to tasks with Input
// comes to each of them in the order of the calls that have returned.
//
// A task that is lost has no later output: when Lost has been called nothing of
// that try comes any more. Only after Fenced may it be run again, so that there
// are never two living copies of one task.
//
// # Blocking
//
// The calls of an Above come one at a time, and while one waits all tasks of the
// gang do that put anything out. So an Above may hold tasks back, and must not
// wait for one of them: to give output to another task, give it to a stream that
// somebody reads and calls Input.
//
// Output comes up a link as long as it is taken: up to window bytes of a session
// are on their way, and then its tasks wait; other sessions do not. Input goes
// down as long as tasks take it. No more than window bytes of it are on their way
// in a session, except that a task which has taken all of its own may always be
// given one piece: a task that reads nothing holds up nobody who is given
// something else. Nodes between pass input on at once and keep none.
//
// # Ownership
//
// What an Above is given belongs to the caller again when it returns. Release
// ends a Gang; who holds one releases it.
package gang

import (
	"errors"
	"io/fs"
	"strconv"
	"sync"

	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// Above is told what becomes of a gang's tasks. The calls come one at a time, in
// the order of each task, with no lock held. They may wait, and then the tasks
// do.
type Above interface {
	Output(set ranks.Set, s gather.Stream, p []byte)
	Started(set ranks.Set)
	Exited(node string, epoch uint64, e []task.Exit) // after their last output
	Lost(set ranks.Set, node string)                 // the node is lost, and with it the tasks
	Fenced(set ranks.Set, node string)               // they run no more: they may be replaced
	Ready(set ranks.Set)                             // each asks for a record
}

// A Gang is reserved tasks, of ranks [0, Size).
type Gang struct {
	node  *Node
	above Above
	req   *request // what was asked for, with N as it was decided
	visit visit
	input *admission
	done  chan struct{} // closed when nothing runs any more and Above was told all
	turn  chan struct{} // who has put something in may call above

	mu       sync.Mutex
	parts    []*part     // guarded by mu; those that were replaced stay
	tasks    []taskState // guarded by mu
	pushed   []fs.FS     // guarded by mu; what new parts need, too
	released bool        // guarded by mu
	over     func()      // guarded by mu; called when done is closed

	events  sync.Mutex
	queue   []func() // guarded by events: what is to be told
	telling bool     // guarded by events: a goroutine does
}

// A part is some tasks of a gang that somebody runs: this machine, or a node
// below.
type part struct {
	branch
	set   ranks.Set // the gang's ranks that are the part's own [0, n)
	child string    // name of the node below; "": this machine

	live  ranks.Set // those that were not replaced; guarded by Gang.mu
	place place     // where they are, in the part's numbering; guarded by Gang.mu
	lost  bool      // guarded by Gang.mu
	gone  bool      // nothing of it runs any more; guarded by Gang.mu
}

// A branch is who runs a part. Sets are in the part's numbering. None of the calls
// waits for a task; those of give, closeInput and push come with Gang.mu held.
type branch interface {
	exec(set ranks.Set, s *Spec)
	give(set ranks.Set, in *input)
	closeInput(set ranks.Set)
	signal(set ranks.Set, name string)
	push(p *piece)
	release() // then Gang.gone is called
}

// A taskState is what a Gang knows of one task.
type taskState struct {
	state State
	tries int
	dir   string // where the last try was told to start; "": where its node says
	part  *part
	exit  task.Exit
}

// newGang returns a Gang without parts.
func newGang(n *Node, r *request, a Above, by visit) *Gang {
	g := &Gang{
		node: n, above: a, req: r, visit: by,
		done:  make(chan struct{}),
		turn:  make(chan struct{}, 1),
		tasks: make([]taskState, r.N),
	}
	if r.Session == "" {
		r.Session = strconv.Itoa(r.number)
	}
	g.input = newAdmission(r.N, g.dispatch)
	for i := range g.tasks {
		g.tasks[i].state = Reserved
	}
	return g
}

// attach makes these parts of the gang, which have the ranks of their sets from
// now on, unless it was released meanwhile.
func (g *Gang) attach(parts []*part) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.released {
		return ErrReleased
	}
	for _, p := range parts {
		for _, old := range g.parts {
			old.live = old.live.Minus(p.set)
		}
		p.live = p.set
		for r := range p.set.All() {
			g.tasks[r].part, g.tasks[r].state = p, Reserved
		}
	}
	g.parts = append(g.parts, parts...)
	return nil
}

// Size returns how many tasks there are.
func (g *Gang) Size() int { return g.req.N }

// Done is closed when nothing of the gang runs any more, anywhere, and its Above
// has been told all there is. It is never closed before Release. Tasks of a node
// that is lost run until it is fenced.
func (g *Gang) Done() <-chan struct{} { return g.done }

// Release ends all tasks. It does not wait.
func (g *Gang) Release() {
	g.mu.Lock()
	if g.released {
		g.mu.Unlock()
		return
	}
	g.released = true
	parts := g.parts
	g.mu.Unlock()
	g.input.close()
	for _, p := range parts {
		p.release()
	}
	g.finish()
}

// gone says that nothing of a part runs any more.
func (g *Gang) gone(p *part) {
	g.mu.Lock()
	p.gone = true
	g.mu.Unlock()
	g.finish()
}

// finish closes done, behind all that is still to be told, if nothing runs any
// more.
func (g *Gang) finish() {
	g.post(func() {
		g.mu.Lock()
		ended := g.released
		for _, p := range g.parts {
			ended = ended && p.gone
		}
		select {
		case <-g.done:
			ended = false
		default:
		}
		if ended {
			close(g.done)
		}
		over := g.over
		g.mu.Unlock()
		if ended {
			g.node.forget(g)
			if over != nil {
				over()
			}
		}
	})
}

// post has f called in its turn. What is posted is done in order.
func (g *Gang) post(f func()) {
	g.events.Lock()
	defer g.events.Unlock()
	g.queue = append(g.queue, f)
	if !g.telling {
		g.telling = true
		g.node.wg.Go(g.tell) // ends when nothing is left to tell
	}
}

func (g *Gang) tell() {
	for {
		g.events.Lock()
		batch := g.queue
		g.queue = nil
		g.telling = len(batch) > 0
		g.events.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, f := range batch {
			g.turn <- struct{}{}
			f()
			<-g.turn
		}
	}
}

// eachLocked calls f for each part that has some of set, with those of its own
// numbering. g.mu is held.
func (g *Gang) eachLocked(set ranks.Set, f func(p *part, own ranks.Set)) {
	for _, p := range g.parts {
		if some := set.Intersect(p.live); !some.Empty() {
			f(p, p.set.Positions(some))
		}
	}
}

// within checks a set that a user gave.
func (g *Gang) within(set ranks.Set) error {
	if set.Min() < 0 {
		return errors.New("no task was named")
	}
	if set.Max() >= g.req.N {
		return errors.New("task " + ranks.Of(set.Max()).String() + " was named, but the highest is " + ranks.Of(g.req.N-1).String())
	}
	return nil
}
