package gang

import (
	"context"
	"fmt"
	"slices"

	"hubfs/taskfs/ranks"
)

// Replace finds other nodes for tasks that are fenced, or have ended; Exec runs
// them there. Where names of nodes were asked for it is the same names again.
// All are replaced, or none. A task that may still run is not: that there are
// never two living copies of one task holds here.
func (g *Gang) Replace(ctx context.Context, set ranks.Set) error {
	if err := g.within(set); err != nil {
		return err
	}
	g.mu.Lock()
	if g.released {
		g.mu.Unlock()
		return ErrReleased
	}
	for r := range set.All() {
		if s := g.tasks[r].state; s != Fenced && !s.over() {
			g.mu.Unlock()
			return fmt.Errorf("task %d is not to be replaced: its state is %s", r, s)
		}
	}
	files := slices.Clone(g.pushed)
	g.mu.Unlock()
	parts, err := g.again(ctx, set)
	if err != nil {
		return err
	}
	// New nodes need what the others were given.
	for _, p := range parts {
		for _, f := range files {
			if err := g.pushTo(ctx, f, p); err != nil {
				g.takeBack(set)
				return err
			}
		}
	}
	g.letGo()
	return nil
}

// again reserves tasks once more, and makes them parts of the gang.
func (g *Gang) again(ctx context.Context, set ranks.Set) ([]*part, error) {
	n := g.node
	r := g.req.part(set)
	r.own, r.remote, r.local, r.number = g.req.own, g.req.remote, g.req.local, g.req.number
	r.here, r.min = g.req.here, 0
	var err error
	for range 2 {
		var shares []share
		d := *r
		if shares, err = n.shares(ctx, &d); err != nil {
			return nil, err
		}
		// Their numbers here are those of the gang.
		for i := range shares {
			shares[i].set = set.At(shares[i].set)
		}
		var parts []*part
		if parts, err = n.take(ctx, g, shares); err == nil || ctx.Err() != nil {
			return parts, err
		}
	}
	return nil, err
}

// takeBack says of tasks that were replaced in vain that they run nowhere, as
// they did not before.
func (g *Gang) takeBack(set ranks.Set) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for r := range set.All() {
		if t := &g.tasks[r]; t.state == Reserved {
			t.state = Fenced
		}
	}
}

// letGo releases parts of which all tasks were replaced.
func (g *Gang) letGo() {
	var empty []*part
	g.mu.Lock()
	for _, p := range g.parts {
		if p.live.Empty() && !p.gone {
			empty = append(empty, p)
		}
	}
	g.mu.Unlock()
	for _, p := range empty {
		p.release()
	}
}
