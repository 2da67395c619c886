package gang

import (
	"context"
	"strings"
	"sync"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
)

// A guest is a session of a node above that has tasks here or below. What comes
// from above is done in order by one pump, what goes up is sent by another; the
// link itself never waits for a session.
type guest struct {
	node   *Node
	parent *cluster.Parent
	above  *above
	id     uint64          // of the session on the link
	ctx    context.Context // done when the session is to end
	cancel context.CancelFunc
	ended  chan struct{} // closed when it is forgotten
	down   pump          // does what came from above
	up     pump          // sends what is to go up
	relay  *gather.Relay

	mu      sync.Mutex
	queue   []frame.Frame // guarded by mu: from above, not done yet
	coming  int           // guarded by mu: bytes of queue
	gang    *Gang         // guarded by mu; nil until it is reserved
	number  int           // guarded by mu; of the session here, negative: none
	orphan  bool          // guarded by mu: nobody above wants to know any more
	refused bool          // guarded by mu: there is no gang, and Failed is the last word
	over    bool          // guarded by mu: nothing of it runs any more
	outbox
}

func newGuest(n *Node, p *cluster.Parent, a *above, id uint64) *guest {
	g := &guest{node: n, parent: p, above: a, id: id, number: -1, ended: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancel(a.ctx)
	g.down = pump{run: n.wg.Go, step: g.work}
	g.up = pump{run: n.wg.Go, step: g.send}
	g.relay = gather.NewRelay(g.up.kick)
	g.credit = window
	return g
}

// from takes a frame from above. It does not wait.
func (g *guest) from(f frame.Frame) {
	switch f.Kind {
	case frame.Credit:
		if nums, err := uvarints(f.Body); err == nil && len(nums) == 1 && nums[0] <= 2*window {
			g.mu.Lock()
			g.credit += int(nums[0])
			g.mu.Unlock()
			g.up.kick()
		}
		return
	case frame.Release:
		g.cancel() // if it is still being reserved
	}
	g.mu.Lock()
	g.queue = append(g.queue, f)
	g.coming += len(f.Body) + overhead
	much := g.coming > 64*window
	g.mu.Unlock()
	if much {
		g.node.log.Error("a node sends more than it may; its session is ended", "node", g.parent.Name())
		g.abandon()
	}
	g.down.kick()
}

// work does what came from above, in order. Only the pump calls it.
func (g *guest) work() {
	for {
		g.mu.Lock()
		if len(g.queue) == 0 {
			g.mu.Unlock()
			return
		}
		f := g.queue[0]
		g.queue = g.queue[1:]
		g.coming -= len(f.Body) + overhead
		gang, refused := g.gang, g.refused
		g.mu.Unlock()
		if gang == nil && !refused && f.Kind == frame.Reserve {
			g.reserve(f.Body)
			continue
		}
		if err := g.do(gang, f); err != nil {
			g.node.log.Error("a node says what cannot be understood; its session is ended", "node", g.parent.Name(), "kind", f.Kind, "err", err)
			g.abandon()
		}
	}
}

// do does what one frame says.
func (g *guest) do(gang *Gang, f frame.Frame) error {
	if gang == nil {
		return nil // it was refused, or was ended before it began
	}
	switch f.Kind {
	case frame.Exec:
		var x execution
		if err := decode(f.Body, &x); err != nil {
			return err
		}
		return gang.execute(x.Set, x.spec())
	case frame.Input:
		num, more, set, p, err := parseInput(f.Body)
		if err != nil {
			return err
		}
		gang.dispatch(&input{set: set, p: p, more: more, taken: func() { g.took(num) }})
	case frame.CloseInput:
		set, err := ranks.Parse(string(f.Body))
		if err != nil {
			return err
		}
		gang.mu.Lock()
		gang.eachLocked(set, func(p *part, own ranks.Set) { p.closeInput(own) })
		gang.mu.Unlock()
	case frame.Signal:
		name, text, _ := strings.Cut(string(f.Body), " ")
		set, err := ranks.Parse(text)
		if err != nil {
			return err
		}
		gang.send(set, name)
	case frame.Push:
		num, c, err := parsePiece(f.Body)
		if err != nil {
			return err
		}
		c.done = func(err error) { g.pushed(num, err) }
		gang.pass(c, nil)
	case frame.Release:
		gang.Release()
	}
	return nil
}

// reserve reserves what the node above asks for, and answers.
func (g *guest) reserve(b []byte) {
	var r request
	err := decode(b, &r)
	if err == nil {
		err = r.check()
	}
	var gang *Gang
	num := -1
	if err == nil {
		num = g.node.Number()
		r.number = num
		gang, err = g.node.reserve(g.ctx, &r, g, visit{g.parent.Epoch(), g.parent.Self()})
	}
	if err != nil {
		if num >= 0 {
			g.node.Free(num)
		}
		g.mu.Lock()
		g.refused = true
		g.answers = append(g.answers, frame.Frame{Kind: frame.Failed, Session: g.id, Body: failedBody(err)})
		g.mu.Unlock()
		g.up.kick()
		return
	}
	if gang.Size() == 1 {
		g.relay.Alone()
	}
	// Before anybody can find the gang and release it.
	gang.mu.Lock()
	gang.over = func() {
		g.mu.Lock()
		g.over = true
		g.mu.Unlock()
		g.up.kick()
	}
	gang.mu.Unlock()
	at := split(body(gang.wire()))
	g.mu.Lock()
	g.gang, g.number = gang, num
	for _, b := range at {
		g.answers = append(g.answers, frame.Frame{Kind: frame.Reserved, Session: g.id, Body: b})
	}
	orphan := g.orphan
	g.mu.Unlock()
	g.up.kick()
	if orphan {
		gang.Release()
	}
}

// abandon ends the session and tells nobody. Forgotten it is when nothing runs
// any more.
func (g *guest) abandon() {
	g.cancel()
	g.mu.Lock()
	g.orphan = true
	gang := g.gang
	g.roomLocked()
	g.mu.Unlock()
	if gang != nil {
		gang.Release()
	}
	g.up.kick()
}

// renew begins the leases of its tasks anew.
func (g *guest) renew() {
	g.mu.Lock()
	gang := g.gang
	g.mu.Unlock()
	if gang != nil {
		gang.renew()
	}
}

// forget ends the guest. Only its sender calls it.
func (g *guest) forget() {
	n := g.node
	g.mu.Lock()
	number := g.number
	g.mu.Unlock()
	n.mu.Lock()
	if g.above.guests[g.id] != g {
		n.mu.Unlock()
		return
	}
	delete(g.above.guests, g.id)
	n.hosted--
	if number >= 0 {
		n.numbers.free(number)
	}
	n.mu.Unlock()
	g.cancel()
	close(g.ended)
}

// A Guest is a session, or one task of it, that runs here for a node above.
type Guest struct {
	gang *Gang
	set  ranks.Set
}

// Guests are the sessions and tasks that run here for nodes above, by their
// numbers, for listings.
func (n *Node) Guests() map[int]*Guest {
	n.mu.Lock()
	var guests []*guest
	for _, a := range n.above {
		for _, g := range a.guests {
			guests = append(guests, g)
		}
	}
	n.mu.Unlock()
	list := map[int]*Guest{}
	for _, g := range guests {
		g.mu.Lock()
		gang, number := g.gang, g.number
		g.mu.Unlock()
		if gang == nil {
			continue
		}
		gang.mu.Lock()
		for _, p := range gang.parts {
			if p.child != "" {
				continue
			}
			list[p.place.Number] = &Guest{gang, p.set}
			i := 0
			for num := range p.place.Tasks.All() {
				r := p.set.Nth(i)
				list[num] = &Guest{gang, ranks.Span(r, r+1)}
				i++
			}
		}
		gang.mu.Unlock()
		list[number] = &Guest{gang, ranks.Span(0, gang.Size())}
	}
	return list
}

// Status returns the status of the guest's tasks. Ranks are those of the session
// as this node knows it.
func (g *Guest) Status() []TaskStatus {
	var list []TaskStatus
	for _, t := range g.gang.Tasks() {
		if g.set.Contains(t.Rank) {
			list = append(list, t)
		}
	}
	return list
}

// Kill kills the guest's tasks. Their session goes on at the node that it is of.
func (g *Guest) Kill() { g.gang.send(g.set, "KILL") }
