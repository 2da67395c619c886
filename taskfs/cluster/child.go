package cluster

import (
	"context"
	"fmt"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// A Child is one epoch of a node right below.
type Child struct {
	// Immutable.
	n     *Node
	m     *member
	info  Info
	epoch uint64
	hello uint64 // the number of its hello
	link  frame.Link
	ctx   context.Context // done when the link is given up
	end   context.CancelCauseFunc
	over  chan struct{} // closed when the handler knows that it is lost
	calls pump          // of the handler
	beats errand        // answers beats
	timer *time.Timer

	// guarded by n.mu
	joined   bool // it has been welcomed
	state    State
	heard    time.Time
	seq      uint64 // of its latest beat
	lineage  uint64 // n.lineage as it was told last
	load     Load
	below    int                // nodes right below it, in whatever state
	after    time.Duration      // what is below it may run so much longer than it
	word     string             // how it is known that nothing of it runs; "": it is not
	told     bool               // to go
	left     bool               // it went in order
	unfence  context.CancelFunc // ends the fencing that goes on; nil: none does
	sessions map[uint64]bool    // those that have been reserved there and have not ended: whether it said so
	asked    map[uint64]*asking // questions that are not answered
}

// live reports whether a node in this state has a link.
func (s State) live() bool { return s == Up || s == Torpid }

// Name returns what the node is called here.
func (c *Child) Name() string { return c.m.name }

// Info returns what the node said of itself when it joined.
func (c *Child) Info() Info { return c.info }

// Epoch returns the number of this epoch.
func (c *Child) Epoch() uint64 { return c.epoch }

// Addr says where the node is, for people.
func (c *Child) Addr() string { return OneLine(c.link.Addr()) }

// Done is closed when the node is given up, before the handler is told.
func (c *Child) Done() <-chan struct{} { return c.ctx.Done() }

// State returns the state of this epoch.
func (c *Child) State() State {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	return c.stateLocked()
}

func (c *Child) stateLocked() State {
	if c.state.live() && c.n.drains[c.m.name] {
		return Drained
	}
	return c.state
}

// Load returns what its last beat said.
func (c *Child) Load() Load {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	return c.load
}

// Send sends a frame of a session. It waits as frame.Link says.
func (c *Child) Send(ctx context.Context, f frame.Frame) error {
	if f.Kind.OfLink() {
		return errNotOfSession(f.Kind)
	}
	if c.ctx.Err() != nil {
		return c.lostError()
	}
	if f.Kind == frame.Reserve {
		c.n.mu.Lock()
		if _, had := c.sessions[f.Session]; !had {
			c.sessions[f.Session] = false
		}
		c.n.mu.Unlock()
	}
	err := c.link.Send(ctx, f)
	if err != nil && c.ctx.Err() != nil {
		return c.lostError()
	}
	return err
}

func (c *Child) lostError() error {
	return fmt.Errorf("%w: %s (%w)", ErrLost, c.m.name, context.Cause(c.ctx))
}

// hearLocked notes that the node was heard.
func (c *Child) hearLocked() {
	c.heard = time.Now()
	if c.state == Torpid {
		c.state = Up
		c.n.sayLocked("node up %s", c.m.name)
	}
}

// watch looks how long the node has not been heard, and comes again when that may
// have made a difference.
func (c *Child) watch() {
	n := c.n
	n.mu.Lock()
	if !c.state.live() {
		n.mu.Unlock()
		return
	}
	silent := time.Since(c.heard)
	torpid, lost := n.o.Period+n.o.Period/4, time.Duration(n.o.Missed)*n.o.Period
	switch {
	case silent >= lost:
		n.mu.Unlock()
		c.lose(fmt.Errorf("not heard for %v", silent.Round(time.Millisecond)))
		return
	case silent >= torpid:
		if c.state == Up {
			c.state = Torpid
			n.sayLocked("node torpid %s", c.m.name)
		}
		c.timer.Reset(lost - silent)
	default:
		c.timer.Reset(min(torpid, lost) - silent)
	}
	n.mu.Unlock()
}

// lose gives the node up. The handler is told when it has been given all that
// came before.
func (c *Child) lose(why error) {
	n := c.n
	n.mu.Lock()
	if !c.state.live() {
		n.mu.Unlock()
		return
	}
	c.timer.Stop()
	c.end(why)
	if c.joined {
		c.state = Suspect
		c.calls.tell(func() { c.gone(why) })
	} else { // nobody has heard of it
		c.state = Fenced
		c.m.leaveLocked(n, c)
		close(c.over)
	}
	n.mu.Unlock()
	c.link.Close()
}

// gone says that the node is lost, and goes about it that it is fenced.
func (c *Child) gone(why error) {
	n := c.n
	n.mu.Lock()
	c.state = Lost
	n.upLocked()
	if c.left {
		n.sayLocked("node leave %s", c.m.name)
	} else {
		n.sayLocked("node lost %s %d %s", c.m.name, c.epoch, OneLine(why.Error()))
	}
	n.mu.Unlock()
	n.o.Handler.Lost(c)
	close(c.over)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c.word != "":
		c.fencedLocked()
	case n.closing:
	default:
		c.fenceLocked()
	}
}

// target describes the node to who is to fence it.
func (c *Child) target() fence.Target {
	return fence.Target{
		Name:  c.m.name,
		Addr:  c.Addr(),
		Epoch: c.epoch,
		Heard: c.heard, // it does not change any more
		Self:  quiet(c.n.o.Period, c.n.o.Missed, c.after),
		Ask:   c.askOtherwise,
	}
}
