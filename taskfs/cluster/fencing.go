package cluster

import (
	"context"
	"fmt"
	"slices"
)

// fenceLocked begins to make sure that nothing of c runs.
func (c *Child) fenceLocked() {
	c.state = Fencing
	ctx, cancel := context.WithCancel(c.n.life)
	c.unfence = cancel
	c.n.running.Go(func() { // until the policy is done, or ctx is; Close waits
		defer cancel()
		c.fence(ctx)
	})
}

// fence runs the policy, and says what came of it.
func (c *Child) fence(ctx context.Context) {
	n := c.n
	method, err := n.policy.Run(ctx, c.target(), func(method string, err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		switch {
		case c.state != Fencing:
		case err == nil:
			n.sayLocked("node fencing %s %s", c.m.name, OneLine(method))
		default:
			n.o.Log.Warn("fencing failed", "node", c.m.name, "epoch", c.epoch, "method", method, "err", err)
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	c.unfence = nil
	switch {
	case c.state != Fencing: // it was settled otherwise
	case err == nil:
		c.word = method
		c.fencedLocked()
	default:
		c.state = Unfenced
		if !n.closing {
			n.sayLocked("node unfenced %s %s", c.m.name, OneLine(err.Error()))
		}
	}
}

// settleLocked notes that nothing of c runs, and how that is known. It is fenced
// as soon as it is lost.
func (c *Child) settleLocked(word string) {
	if c.word != "" {
		return
	}
	c.word = word
	if c.state == Fencing || c.state == Unfenced {
		c.stopFencingLocked()
		c.fencedLocked()
	}
}

func (c *Child) stopFencingLocked() {
	if c.unfence != nil {
		c.unfence()
	}
}

// fencedLocked says that nothing of c runs any more.
func (c *Child) fencedLocked() {
	n, m := c.n, c.m
	c.state = Fenced
	if !c.left {
		n.sayLocked("node fenced %s %d %s", m.name, c.epoch, OneLine(c.word))
	}
	c.calls.tell(func() { n.o.Handler.Fenced(c) })
	defer n.upLocked()
	m.past = slices.DeleteFunc(m.past, func(p *Child) bool { return p == c })
	if c.left || m.removing {
		m.leaveLocked(n, c)
	}
}

// leaveLocked takes c out of the list of nodes, and the name if nothing else has
// it.
func (m *member) leaveLocked(n *Node, c *Child) {
	if m.now == c {
		m.now = nil
	}
	if m.now == nil && len(m.past) == 0 {
		if m.removing {
			delete(n.drains, m.name)
		}
		delete(n.members, m.name)
	}
}

// keep is how many nodes that are fenced stay in the list, for people to see.
const keep = 1000

// forgetLocked makes room for another name: of those that are fenced and have not
// come back the oldest goes.
func (n *Node) forgetLocked() {
	var oldest *Child
	fenced := 0
	for _, m := range n.members {
		if c := m.now; c != nil && c.state == Fenced && len(m.past) == 0 {
			if fenced++; oldest == nil || c.epoch < oldest.epoch {
				oldest = c
			}
		}
	}
	if fenced >= keep {
		oldest.m.leaveLocked(n, oldest)
	}
}

// removeLocked lets a node go that is to be removed, if it has no session.
func (c *Child) removeLocked() {
	if c.m.removing && c.joined && len(c.sessions) == 0 {
		c.dismissLocked(leave{Reason: fmt.Sprintf("%s has no place for %s any more", c.n.o.Info.Name, c.m.name), Gone: true})
	}
}
