package client

import (
	"context"
	"errors"

	"hubfs/internal/wire"
)

// walk walks a new fid to the file with the names and makes the request m of
// it, which becomes the reply. It returns the fid; after an error the server
// knows none, or will not for long.
//
// Where the server keeps to the order, the request goes out with the walk.
// Should the walk fail, the server does not know the fid, so that the request
// fails too and has no effect. That would not be so for a way of several
// walks, where the fid stands halfway in between.
//
// What is in more is requested of the fid after that: a request that fails
// makes those behind it fail, for they need an open fid.
func (c *Conn) walk(ctx context.Context, names []string, m *wire.Msg, more ...*call) (uint32, error) {
	fid, err := c.newFid()
	if err != nil {
		return 0, err
	}
	op := c.newOp(fid, m)
	for _, cl := range more {
		cl.m.Fid = fid
	}
	if c.ordered && len(names) <= wire.MaxWalk {
		err = c.together(ctx, fid, false, append([]*call{c.newWalk(c.root, fid, names), op}, more...)...)
	} else if err = c.walkInSteps(ctx, fid, names); err == nil {
		err = c.together(ctx, fid, true, op)
		for i := 0; i < len(more) && err == nil; i++ {
			err = c.together(ctx, fid, true, more[i])
		}
	}
	if err != nil {
		return 0, err
	}
	*m = op.m
	c.freeCall(op)
	return fid, nil
}

// walkInSteps walks the fid, waiting for each answer before the next step.
func (c *Conn) walkInSteps(ctx context.Context, fid uint32, names []string) error {
	for from := c.root; from == c.root || len(names) > 0; from = fid {
		n := min(len(names), wire.MaxWalk)
		if err := c.together(ctx, fid, from == fid, c.newWalk(from, fid, names[:n])); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// newWalk returns a call that walks from one fid to another.
func (c *Conn) newWalk(from, to uint32, names []string) *call {
	w := c.newCall(wire.Twalk)
	w.m.Fid, w.m.Newfid, w.m.Wname, w.most = from, to, names, len(names)
	return w
}

// newOp returns a call that makes the request m of the fid.
func (c *Conn) newOp(fid uint32, m *wire.Msg) *call {
	op := c.newCall(m.Type)
	op.m = *m
	op.m.Fid = fid
	return op
}

// together makes requests of one fid, which the server knows already or not,
// and waits until all are answered. If one fails, or ctx is done, the fid is
// given up, in the latter case when the answers have come. The error is that
// of the first that failed.
func (c *Conn) together(ctx context.Context, fid uint32, known bool, calls ...*call) error {
	c.send(ctx, calls...)
	for _, cl := range calls {
		if !cl.wait(ctx) {
			c.abandon(func() { c.drop(fid, known, calls) }, calls...)
			return ctx.Err()
		}
	}
	for _, cl := range calls {
		if err := cl.failure(); err != nil {
			c.drop(fid, known, calls)
			return err
		}
	}
	return nil
}

// drop gives up a fid of which the calls, now finished, were made.
func (c *Conn) drop(fid uint32, known bool, calls []*call) {
	for _, cl := range calls {
		var said *Error
		switch {
		case cl.want == wire.Rwalk && cl.failure() == nil:
			known = true
		case cl.want == wire.Rremove && (cl.err == nil || errors.As(cl.err, &said)):
			known = false // remove(5): the fid is gone, even after an error
		}
	}
	if known {
		c.clunk(fid)
	} else {
		c.freeFid(fid)
	}
}

// failure is why a finished call did not do what was asked. A walk that came
// less than the whole way has walked nowhere (walk(5)).
func (cl *call) failure() error {
	if cl.err == nil && cl.want == wire.Rwalk && len(cl.m.Wqid) < cl.most {
		return &Error{"file does not exist"} // what a server says of the first step
	}
	return cl.err
}
