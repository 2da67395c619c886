package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hubfs/taskfs/frame"
)

// Below serves a link to a node that is to be below this one, until it ends.
// name is what it is called here; "": what it calls itself. The error is nil if
// the node went in order, and wraps ErrRemoved if it was removed.
func (n *Node) Below(ctx context.Context, l frame.Link, name string) error {
	n.running.add()
	defer n.running.done()
	defer l.Close()
	defer context.AfterFunc(n.life, func() { l.Close() })()
	shaking, cancel := n.shaking(ctx)
	defer cancel()
	h, err := meet(shaking, l)
	if err != nil {
		return fmt.Errorf("node at %s: %w", OneLine(l.Addr()), err)
	}
	if name != "" {
		h.Info.Name = name
	}
	c, err := n.admit(l, h)
	if err != nil {
		no := leave{Reason: n.o.Info.Name + ": " + err.Error(), Refused: true, Gone: errors.Is(err, ErrRemoved)}
		n.part(shaking, l, no)
		return fmt.Errorf("node at %s: %w: %w", OneLine(l.Addr()), ErrRefused, err)
	}
	defer context.AfterFunc(ctx, func() { c.lose(context.Cause(ctx)) })()
	if err := c.welcome(); err != nil {
		c.lose(err)
	}
	err = c.serve()
	<-c.over
	switch left, removed := c.wentInOrder(); {
	case removed:
		return fmt.Errorf("node %s: %w", c.m.name, ErrRemoved)
	case left:
		return nil
	}
	return fmt.Errorf("node %s: %w", c.m.name, err)
}

// Refuse answers a node that wants to be below this one, and may not be, with the
// reason. Its error is the reason, too.
func (n *Node) Refuse(ctx context.Context, l frame.Link, reason string) error {
	n.running.add()
	defer n.running.done()
	defer l.Close()
	defer context.AfterFunc(n.life, func() { l.Close() })()
	shaking, cancel := n.shaking(ctx)
	defer cancel()
	if _, err := meet(shaking, l); err != nil {
		return fmt.Errorf("node at %s: %w", OneLine(l.Addr()), err)
	}
	n.part(shaking, l, leave{Reason: n.o.Info.Name + ": " + reason, Refused: true})
	return fmt.Errorf("node at %s: %w: %s", OneLine(l.Addr()), ErrRefused, reason)
}

// meet receives the first word of a lower node.
func meet(ctx context.Context, l frame.Link) (h hello, err error) {
	f, err := l.Recv(ctx)
	if err != nil {
		return hello{}, fmt.Errorf("no hello: %w", err)
	}
	if f.Kind != frame.Hello {
		return hello{}, fmt.Errorf("%v came first: want Hello", f.Kind)
	}
	return h, decode("hello", f.Body, &h)
}

// admit makes a node a child, in a new epoch.
func (n *Node) admit(l frame.Link, h hello) (c *Child, err error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		return nil, errClosing
	}
	if err := n.noLoopLocked(h.Info); err != nil {
		return nil, err
	}
	if err := n.onceLocked(h.Info); err != nil {
		return nil, err
	}
	m := n.members[h.Info.Name]
	if m == nil {
		n.forgetLocked()
		m = &member{name: h.Info.Name}
	}
	if m.removing {
		return nil, fmt.Errorf("node %s: %w", m.name, ErrRemoved)
	}
	if err := m.agreeLocked(n, h); err != nil {
		return nil, err
	}
	n.epoch = max(n.epoch+1, uint64(time.Now().UnixMilli()))
	c = &Child{
		n: n, m: m, info: h.Info, epoch: n.epoch, hello: h.Seq, link: l,
		state: Up, heard: time.Now(), lineage: n.lineage, over: make(chan struct{}), load: h.Load, below: h.Below, after: h.After,
		sessions: make(map[uint64]bool), asked: make(map[uint64]*asking),
	}
	c.ctx, c.end = context.WithCancelCause(n.life)
	c.calls.running = &n.running
	c.beats = errand{running: &n.running, do: c.beat}
	c.timer = time.AfterFunc(n.o.Period, c.watch)
	if m.now != nil && m.now.state != Fenced {
		m.past = append(m.past, m.now)
	}
	m.now = c
	n.members[m.name] = m
	return c, nil
}

// noLoopLocked refuses a node that is above this one, or is this one.
func (n *Node) noLoopLocked(i Info) error {
	if i.Instance == n.o.Info.Instance {
		return fmt.Errorf("%w: %s is this very node", ErrLoop, i.Name)
	}
	path := n.o.Info.Name
	for _, a := range n.ancestorsLocked() {
		path += ", " + a.Name
		if a.Instance == i.Instance {
			return fmt.Errorf("%w: %s is above already: %s", ErrLoop, i.Name, path)
		}
	}
	return nil
}

// onceLocked refuses a node that is here under another name: its slots would
// be counted twice, and to take the one away would not take the other.
func (n *Node) onceLocked(i Info) error {
	for name, m := range n.members {
		if c := m.now; name != i.Name && c != nil && c.state.live() && c.info.Instance == i.Instance {
			return fmt.Errorf("this node is here already, as %s, at %s: remove that first to call it %s", name, c.Addr(), i.Name)
		}
	}
	return nil
}

// agreeLocked looks at what has the name already: it may have to go for a node
// that says who it is, and what of it still runs. A process may say hello over
// several links at once, so that its words may come in another order.
func (m *member) agreeLocked(n *Node, h hello) error {
	runs := func(c *Child) (live, ending bool) {
		for _, p := range h.Runs {
			if p.Seq == c.hello {
				return !p.Ending, p.Ending
			}
		}
		return false, false
	}
	if c := m.now; c != nil && c.state.live() && c.info.Instance != h.Info.Instance {
		return fmt.Errorf("another node is called %s here, at %s: give this one another name", m.name, c.Addr())
	}
	var same []*Child
	for _, c := range m.allLocked() {
		if c.info.Instance != h.Info.Instance {
			continue
		}
		live, _ := runs(c)
		if c.hello >= h.Seq || live && c.state.live() {
			return fmt.Errorf("node %s is here already, at %s", m.name, c.Addr())
		}
		same = append(same, c)
	}
	for _, c := range same {
		if live, ending := runs(c); !live && !ending {
			c.settleLocked("itself")
		}
		n.running.Go(func() { c.lose(errors.New("it has come back")) }) // at once
	}
	return nil
}

// allLocked returns the epochs that are not fenced, oldest first.
func (m *member) allLocked() []*Child {
	all := slices.Clone(m.past)
	if m.now != nil && m.now.state != Fenced {
		all = append(all, m.now)
	}
	return all
}

// welcome tells the node that it is a child, and then everybody else.
func (c *Child) welcome() error {
	n := c.n
	n.mu.Lock()
	w := welcome{
		Version: version, Side: "above", Name: c.m.name, Epoch: c.epoch, Period: n.o.Period, Missed: n.o.Missed,
		Node: n.o.Info.Name, Instance: n.o.Info.Instance, Above: n.ancestorsLocked(),
	}
	c.lineage = n.lineage
	n.mu.Unlock()
	if err := c.link.Send(c.ctx, frame.Frame{Kind: frame.Hello, Body: encode(w)}); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !c.state.live() {
		return context.Cause(c.ctx)
	}
	c.joined = true
	n.sayLocked("node join %s %d", c.m.name, c.epoch)
	c.calls.tell(func() { n.o.Handler.Joined(c) })
	if c.lineage != n.lineage {
		c.beats.kick()
	}
	n.upLocked()
	return nil
}

// serve takes what the node sends, until its link ends. It returns why.
func (c *Child) serve() error {
	for {
		// Not with c.ctx: what still comes when the node is lost is counted.
		f, err := c.link.Recv(c.n.life)
		if err != nil {
			c.lose(err)
			return context.Cause(c.ctx)
		}
		if err := c.take(f); err != nil {
			c.lose(err)
		}
	}
}

// take takes a frame. An error ends the link.
func (c *Child) take(f frame.Frame) error {
	n := c.n
	n.mu.Lock()
	if !c.state.live() {
		c.m.dropped++
		n.mu.Unlock()
		return nil
	}
	c.hearLocked()
	switch f.Kind {
	case frame.Released:
		delete(c.sessions, f.Session)
		c.removeLocked()
	case frame.Reserved:
		if _, ours := c.sessions[f.Session]; ours {
			c.sessions[f.Session] = true
		}
	case frame.Failed:
		if has, ours := c.sessions[f.Session]; ours && !has {
			delete(c.sessions, f.Session)
			c.removeLocked()
		}
	}
	n.mu.Unlock()
	switch {
	case !f.Kind.OfLink():
		if !c.calls.put(c.ctx, 64+len(f.Body), func() { n.o.Handler.FromBelow(c, f) }) {
			n.mu.Lock()
			c.m.dropped++
			n.mu.Unlock()
		}
		return nil
	case f.Kind == frame.Beat:
		return c.takeBeat(f.Body)
	case f.Kind == frame.Answer:
		return c.takeAnswer(f.Body)
	case f.Kind == frame.Leave:
		return c.takeLeave(f.Body)
	}
	return fmt.Errorf("%v came from below", f.Kind)
}

func (c *Child) takeBeat(p []byte) error {
	var b upBeat
	if err := decode("beat", p, &b); err != nil {
		return err
	}
	if err := b.Load.check(); err != nil {
		return err
	}
	if err := checkBelow(b.Below, b.After); err != nil {
		return err
	}
	n := c.n
	n.mu.Lock()
	defer n.mu.Unlock()
	news := !slices.Equal(b.Load.Census, c.load.Census) || b.Load.Slots != c.load.Slots || b.After != c.after
	c.seq, c.load, c.below, c.after = b.Seq, b.Load, b.Below, b.After
	for _, old := range c.m.past {
		if old.info.Instance == c.info.Instance && slices.Contains(b.Ended, old.epoch) {
			old.settleLocked("itself")
		}
	}
	c.beats.kick()
	if news {
		n.upLocked()
	}
	return nil
}

func (c *Child) takeLeave(p []byte) error {
	var why leave
	if err := decode("leave", p, &why); err != nil {
		return err
	}
	c.n.mu.Lock()
	c.left = true
	c.settleLocked("itself")
	c.n.mu.Unlock()
	return fmt.Errorf("it has left: %s", OneLine(why.Reason))
}

// beat answers the latest beat.
func (c *Child) beat() {
	n := c.n
	n.mu.Lock()
	b := downBeat{Seq: c.seq}
	if c.lineage != n.lineage {
		above := n.ancestorsLocked()
		b.Above, c.lineage = &above, n.lineage
	}
	n.mu.Unlock()
	// If it fails the link has ended, and who receives knows why.
	c.link.Send(c.ctx, frame.Frame{Kind: frame.Beat, Body: encode(b)})
}

// dismissLocked tells the node to go, once, and gives it up if it does not.
func (c *Child) dismissLocked(why leave) {
	if c.told || !c.state.live() {
		return
	}
	c.told = true
	c.n.running.Go(func() { c.dismiss(why) }) // until the node has left, or has not for patience's time
}

func (c *Child) dismiss(why leave) {
	err := c.link.Send(c.ctx, frame.Frame{Kind: frame.Leave, Body: encode(why)})
	if err == nil {
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(patience):
			err = fmt.Errorf("it was told to leave, and did not")
		}
	}
	c.lose(err)
}

func (c *Child) wentInOrder() (left, removed bool) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	return c.left, c.left && c.m.removing
}
