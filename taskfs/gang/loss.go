package gang

import (
	"fmt"

	"hubfs/taskfs/ranks"
)

// What becomes of a remote that does not end as it is to.

// broken ends the session with a child that says what cannot be.
func (r *remote) broken(err error) {
	r.node.log.Error("a node breaks the rules; its part of the session is ended", "node", r.child.Name(), "err", err)
	r.release()
}

// lose is told that the child is lost. What it was given it has taken.
func (r *remote) lose() {
	r.mu.Lock()
	if r.lost {
		r.mu.Unlock()
		return
	}
	r.lost = true
	p, inputs := r.p, r.inputs
	r.inputs, r.queue = nil, nil
	if !r.reserved {
		r.fenced = true
	}
	r.mu.Unlock()
	close(r.dead)
	for _, t := range inputs {
		t.takenBy(fmt.Errorf("node %s is lost", r.child.Name()))
	}
	if p != nil {
		r.tellLost(p)
	}
}

func (r *remote) tellLost(p *part) {
	g := r.g
	g.mu.Lock()
	p.lost = true
	g.mu.Unlock()
	g.post(func() { g.lose(p, ranks.Span(0, p.set.Len()), r.child.Name()) })
}

// fence is told that nothing of the child runs any more.
func (r *remote) fence() {
	r.mu.Lock()
	r.fenced = true
	p := r.p
	r.mu.Unlock()
	r.leave()
	if p != nil {
		r.tellFenced(p)
	}
}

func (r *remote) tellFenced(p *part) {
	r.g.post(func() { r.over(r.g, p) })
}

// over says that nothing of the part runs any more: what had not ended was lost.
func (r *remote) over(g *Gang, p *part) {
	all := ranks.Span(0, p.set.Len())
	g.lose(p, all, r.child.Name())
	g.fenced(p, all, r.child.Name())
	g.gone(p)
}
