package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Drain gives a node no new tasks, whoever has its name, until Undrain. Remove
// lets it go when it has ended its tasks; one that is not there any more is
// forgotten when it is fenced. Ack is a person's word that a node which is lost
// runs nothing. Fence gives a node up and fences it now; one that nobody could
// fence is tried again.
//
// The name is that of a node right below, or a path: then the node between is
// asked, and has a period's time to answer.
func (n *Node) Drain(name string) error   { return n.change(n.life, "drain", name) }
func (n *Node) Undrain(name string) error { return n.change(n.life, "undrain", name) }
func (n *Node) Remove(name string) error  { return n.change(n.life, "rm", name) }
func (n *Node) Ack(name string) error     { return n.change(n.life, "ack", name) }
func (n *Node) Fence(name string) error   { return n.change(n.life, "fence", name) }

// change does what a person wants of a node.
func (n *Node) change(ctx context.Context, op, path string) error {
	n.running.add()
	defer n.running.done()
	name, rest, deeper := strings.Cut(path, "/")
	if deeper {
		return n.changeBelow(ctx, op, name, rest)
	}
	n.mu.Lock()
	m := n.members[name]
	if m == nil || m.now != nil && !m.now.joined && len(m.past) == 0 {
		defer n.mu.Unlock()
		if op == "undrain" && n.drains[name] {
			delete(n.drains, name)
			return nil
		}
		return n.unknown(name)
	}
	defer n.mu.Unlock()
	switch op {
	case "drain":
		if !n.drains[name] {
			n.drains[name] = true
			n.sayLocked("node drain %s", name)
			n.upLocked()
		}
		return nil
	case "undrain":
		if m.removing {
			return fmt.Errorf("node %s is being removed", name)
		}
		if n.drains[name] {
			delete(n.drains, name)
			n.sayLocked("node undrain %s", name)
			n.upLocked()
		}
		return nil
	case "rm":
		return m.removeLocked(n)
	case "ack":
		return m.ackLocked()
	case "fence":
		return m.fenceLocked(n)
	}
	return fmt.Errorf("nodes know no %q", OneLine(op))
}

func (n *Node) unknown(name string) error {
	return fmt.Errorf("%w right below %s: %q", ErrUnknown, n.o.Info.Name, OneLine(name))
}

// changeBelow has a node right below do it.
func (n *Node) changeBelow(ctx context.Context, op, name, rest string) error {
	n.mu.Lock()
	m := n.members[name]
	var c *Child
	if m != nil && m.now != nil && m.now.joined {
		c = m.now
	}
	n.mu.Unlock()
	if c == nil {
		return n.unknown(name)
	}
	if s := c.State(); c.ctx.Err() != nil {
		return fmt.Errorf("node %s is %s: nobody can ask it", name, s)
	}
	ctx, cancel := context.WithTimeout(ctx, n.within(ctx))
	defer cancel()
	_, err := c.ask(ctx, question{Op: op, Path: rest})
	return err
}

// removeLocked lets the node go as soon as that can be.
func (m *member) removeLocked(n *Node) error {
	for _, c := range m.allLocked() {
		if c.state == Unfenced {
			return fmt.Errorf("node %s is unfenced: somebody has to make sure that it runs nothing, and acknowledge that", m.name)
		}
	}
	if m.removing {
		return nil
	}
	m.removing = true
	n.drains[m.name] = true
	if c := m.now; c != nil {
		if c.state == Fenced {
			m.leaveLocked(n, c)
			return nil
		}
		c.removeLocked()
	}
	return nil
}

// ackLocked takes a person's word for it that nothing of the node runs.
func (m *member) ackLocked() error {
	acked := false
	for _, c := range m.allLocked() {
		if !c.state.live() {
			c.settleLocked("ack")
			acked = true
		}
	}
	if acked || m.now == nil || m.now.state == Fenced { // it is known already
		return nil
	}
	return fmt.Errorf("node %s is %s: there is nothing to acknowledge", m.name, m.now.stateLocked())
}

// fenceLocked gives the node up, and sees to it that it is fenced.
func (m *member) fenceLocked(n *Node) error {
	begun := false
	for _, c := range m.allLocked() {
		switch {
		case c.state.live():
			n.running.Go(func() { c.lose(errors.New("a person wants it fenced")) }) // at once
			begun = true
		case c.state == Unfenced:
			c.fenceLocked()
			begun = true
		default:
			begun = true // it is about to
		}
	}
	if !begun {
		return fmt.Errorf("node %s is fenced already", m.name)
	}
	return nil
}

// askOtherwise asks the node, which is lost, over another link that it has to this
// one, to end what ran for the one that is lost.
func (c *Child) askOtherwise(ctx context.Context) error {
	n := c.n
	n.mu.Lock()
	var other *Child
	for _, m := range n.members {
		if o := m.now; o != nil && o.joined && o.state.live() && o.info.Instance == c.info.Instance {
			other = o
		}
	}
	n.mu.Unlock()
	if other == nil {
		return fmt.Errorf("there is no other connection to node %s", c.m.name)
	}
	_, err := other.ask(ctx, question{Op: "end", Epoch: c.epoch})
	return err
}
