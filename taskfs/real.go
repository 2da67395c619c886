package taskfs

import (
	"context"

	"hubfs/taskfs/frame"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/session"
)

// A realNode is a gang.Node with the interfaces that this package names.
type realNode struct{ n *gang.Node }

func (r *realNode) Number() int    { return r.n.Number() }
func (r *realNode) Free(num int)   { r.n.Free(num) }
func (r *realNode) Cluster() nodes { return r.n.Cluster() }

func (r *realNode) Above(ctx context.Context, l frame.Link) error { return r.n.Cluster().Above(ctx, l) }

func (r *realNode) Guests() map[int]guest {
	out := map[int]guest{}
	for n, g := range r.n.Guests() {
		out[n] = g
	}
	return out
}

func (r *realNode) Reserve(ctx context.Context, w gang.Want, a gang.Above) (session.Gang, error) {
	g, err := r.n.Reserve(ctx, w, a)
	if err != nil {
		return nil, err
	}
	return g, nil
}
