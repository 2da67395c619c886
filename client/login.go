package client

import (
	"context"
	"io"

	"hubfs/internal/wire"
)

// login writes the token to an afid, which the attach is to name then
// (attach(5)). It returns NoFid where there is no token. After an error the
// connection is of no use any more.
func (c *Conn) login(ctx context.Context, o Options) (afid uint32, err error) {
	if o.Token == "" {
		return wire.NoFid, nil
	}
	if afid, err = c.newFid(); err != nil {
		return 0, err
	}
	auth := c.newCall(wire.Tauth)
	auth.m.Afid, auth.m.Uname, auth.m.Aname = afid, o.Uname, o.Aname
	if err := c.ask(ctx, auth); err != nil {
		return 0, err
	}
	w := c.newCall(wire.Twrite)
	w.m.Fid, w.m.Data = afid, []byte("token "+o.Token)
	w.most = len(w.m.Data)
	err = c.ask(ctx, w)
	if err == nil && int(w.m.Count) < w.most {
		err = io.ErrShortWrite
	}
	return afid, err
}

// ask makes a request and waits for its answer. The call is not used again: it
// may be under way still when ctx is done.
func (c *Conn) ask(ctx context.Context, cl *call) error {
	c.send(ctx, cl)
	if !cl.wait(ctx) {
		return ctx.Err()
	}
	return cl.err
}
