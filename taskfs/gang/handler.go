package gang

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
)

// A handler is the Node as its links call it.
type handler Node

// maxGuests bounds the sessions that run here for nodes above.
const maxGuests = 16 << 10

// above is what a Node has of one node above.
type above struct {
	ctx    context.Context // done when the node above is gone
	cancel context.CancelFunc
	asks   sync.WaitGroup // answers to Offer that are being made
	guests map[uint64]*guest
}

// aboveLocked returns what there is of p. n.mu is held.
func (n *Node) aboveLocked(p *cluster.Parent) *above {
	a := n.above[p]
	if a == nil {
		a = &above{guests: map[uint64]*guest{}}
		a.ctx, a.cancel = context.WithCancel(context.Background())
		n.above[p] = a
	}
	return a
}

// Joined is told of a node below. It gets tasks when the next session is divided.
func (h *handler) Joined(c *cluster.Child) {}

// FromBelow takes a frame of a session of ours.
func (h *handler) FromBelow(c *cluster.Child, f frame.Frame) {
	n := (*Node)(h)
	n.mu.Lock()
	r := n.remotes[f.Session]
	n.mu.Unlock()
	if r != nil && r.child == c {
		r.from(f)
	}
}

// Lost is told that a node below is given up.
func (h *handler) Lost(c *cluster.Child) {
	for _, r := range (*Node)(h).with(c) {
		r.lose()
	}
}

// Fenced is told that nothing of a node below runs any more.
func (h *handler) Fenced(c *cluster.Child) {
	for _, r := range (*Node)(h).with(c) {
		r.lose()
		r.fence()
	}
}

// with returns the sessions that a child has part in.
func (n *Node) with(c *cluster.Child) []*remote {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []*remote
	for _, r := range n.remotes {
		if r.child == c {
			list = append(list, r)
		}
	}
	return list
}

// FromAbove takes a frame of a session that is a node's above.
func (h *handler) FromAbove(p *cluster.Parent, f frame.Frame) {
	n := (*Node)(h)
	n.mu.Lock()
	a := n.aboveLocked(p)
	g := a.guests[f.Session]
	refused := error(nil)
	if f.Kind == frame.Reserve && g == nil {
		switch {
		case n.closed:
			refused = errClosing
		case n.hosted >= maxGuests:
			refused = fmt.Errorf("%w: the node has %d sessions", ErrInsufficient, n.hosted)
		default:
			g = newGuest(n, p, a, f.Session)
			a.guests[f.Session] = g
			n.hosted++
		}
	}
	n.mu.Unlock()
	switch {
	case refused != nil:
		n.answer(a, p, f.Session, func() (frame.Kind, []byte) { return frame.Failed, failedBody(refused) })
	case f.Kind == frame.Offer:
		n.answer(a, p, f.Session, func() (frame.Kind, []byte) { return n.offer(a.ctx, p, f.Body) })
	case g != nil:
		g.from(f)
	case f.Kind == frame.Release:
		// What is to be ended has ended, or has never begun.
		n.answer(a, p, f.Session, func() (frame.Kind, []byte) { return frame.Released, nil })
	}
}

// answer sends what f returns, in a goroutine of its own: to find out may take
// time, and so may sending.
func (n *Node) answer(a *above, p *cluster.Parent, id uint64, f func() (frame.Kind, []byte)) {
	a.asks.Add(1)
	n.wg.Go(func() { // ends with the answer, or when the node above is gone
		defer a.asks.Done()
		k, body := f()
		// An error means that the link has ended; ParentLost is called then.
		_ = p.Send(a.ctx, frame.Frame{Kind: k, Session: id, Body: body})
	})
}

// offer says what this node and those below it have.
func (n *Node) offer(ctx context.Context, p *cluster.Parent, b []byte) (frame.Kind, []byte) {
	var r request
	err := decode(b, &r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return frame.Failed, failedBody(err)
	}
	bids, err := n.bids(ctx, &r)
	if err != nil && !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrNoRemote) {
		return frame.Failed, failedBody(err)
	}
	forget(bids)
	var o offered
	for _, b := range bids {
		o.Slots += bounded(b.slots)
		o.Free += bounded(b.free)
		o.Nodes += bounded(b.nodes)
		o.Found = o.Found.Union(b.found)
	}
	return frame.Offered, body(o)
}

// Heard is told that a node above is there: leases begin anew.
func (h *handler) Heard(p *cluster.Parent) {
	for _, g := range (*Node)(h).guestsOf(p) {
		g.renew()
	}
}

// ParentLost is told that a node above is gone. It returns when nothing runs for
// it any more.
func (h *handler) ParentLost(p *cluster.Parent) {
	n := (*Node)(h)
	n.mu.Lock()
	a := n.above[p]
	n.mu.Unlock()
	if a == nil {
		return
	}
	a.cancel()
	guests := n.guestsOf(p)
	for _, g := range guests {
		g.abandon()
	}
	for _, g := range guests {
		<-g.ended
	}
	a.asks.Wait()
	n.mu.Lock()
	delete(n.above, p)
	n.mu.Unlock()
}

func (n *Node) guestsOf(p *cluster.Parent) []*guest {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.above[p]
	if a == nil {
		return nil
	}
	list := make([]*guest, 0, len(a.guests))
	for _, g := range a.guests {
		list = append(list, g)
	}
	return list
}
