package client

import (
	"context"
	"errors"
	"strings"

	"hubfs/internal/wire"
)

// walk walks a new fid to the file with the names and makes the request m of
// it, which becomes the reply. It returns the fid; after an error the server
// knows none, or will not for long.
func (c *Conn) walk(ctx context.Context, names []string, m *wire.Msg) (uint32, error) {
	// A server that does not keep to the order could remove the fid before it
	// has walked it, and no one would know whether it is there.
	if len(names) <= wire.MaxWalk && m.Type != wire.Tremove {
		fid, outrun, err := c.walkAtOnce(ctx, names, m)
		if !outrun {
			return fid, err
		}
	}
	return c.walkInSteps(ctx, names, m)
}

// walkAtOnce sends the walk and the request back to back. Should the walk
// fail, the server does not know the fid, so that the request fails too and
// has no effect. That would not be so for a way of several walks, where the
// fid stands halfway between them.
//
// It reports outrun if the request failed for want of a fid although the walk
// arrived: the server does not serve requests in the order in which they come,
// as it may, and should be asked again in steps.
func (c *Conn) walkAtOnce(ctx context.Context, names []string, m *wire.Msg) (fid uint32, outrun bool, err error) {
	if fid, err = c.newFid(); err != nil {
		return 0, false, err
	}
	w, op := c.newWalk(c.root, fid, names), c.newOp(fid, m)
	if err = c.together(ctx, fid, false, w, op); err == nil {
		*m = op.m
		c.freeCall(w)
		c.freeCall(op)
		return fid, false, nil
	}
	// If it is the server that said no, both calls are ours again.
	var said *Error
	outrun = errors.As(err, &said) && w.failure() == nil && strings.Contains(said.Text, "fid")
	return 0, outrun, err
}

// walkInSteps sends nothing before the answer to what went before has come.
func (c *Conn) walkInSteps(ctx context.Context, names []string, m *wire.Msg) (uint32, error) {
	fid, err := c.newFid()
	if err != nil {
		return 0, err
	}
	for from := c.root; from == c.root || len(names) > 0; from = fid {
		n := min(len(names), wire.MaxWalk)
		w := c.newWalk(from, fid, names[:n])
		if err := c.together(ctx, fid, from == fid, w); err != nil {
			return 0, err
		}
		names = names[n:]
	}
	op := c.newOp(fid, m)
	if err := c.together(ctx, fid, true, op); err != nil {
		return 0, err
	}
	*m = op.m
	return fid, nil
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
