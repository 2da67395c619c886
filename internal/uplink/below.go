package uplink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"hubfs/client"
	"hubfs/taskfs/frame"
)

// ErrNoNode is the error of Below when nobody at the other end of the connection
// would be below us: there is no such file.
var ErrNoNode = errors.New("no node of a tree")

// Below opens the file of the node at the other end of c and has serve serve the
// link, as cluster.Node.Below does, until it ends. addr says where that node is,
// for people. up is called when the node has been welcomed. c is closed in the end, and not
// the file alone: a node that has stopped would not answer that.
func Below(ctx context.Context, c *client.Conn, addr string, up func(), serve func(ctx context.Context, l frame.Link) error) error {
	defer c.Close()
	f, err := c.Open(ctx, Path, client.ORDWR)
	switch {
	case errors.Is(err, client.ErrNotExist):
		return fmt.Errorf("%s: %w", addr, ErrNoNode)
	case err != nil:
		return fmt.Errorf("%s: %w", addr, err)
	}
	l := &greeting{Link: frame.NewStream(ahead{f.Reader(depth), f.Writer(depth), f}, addr), up: sync.OnceFunc(up)}
	defer l.Close()
	err = serve(ctx, l)
	c.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return nil
}

// depth is how many reads, and how many writes, are under way at a time, so that a
// link to a node far away is as fast as its connection.
const depth = 16

// An ahead is an open file that is read and written without waiting for answers.
type ahead struct {
	r *client.PipeReader
	w *client.PipeWriter
	f *client.File
}

func (a ahead) ReadContext(ctx context.Context, p []byte) (int, error) {
	return a.r.ReadContext(ctx, p)
}

func (a ahead) WriteContext(ctx context.Context, p []byte) (int, error) {
	return a.w.WriteContext(ctx, p)
}

// Close gives the file up. Reads that wait end with it.
func (a ahead) Close() error { return a.f.Close() }

// A greeting is a link that says when the upper node has said Hello: it welcomes
// the lower one with that, and refuses it with something else.
type greeting struct {
	frame.Link
	up func()
}

// Send tells of what the upper node says.
func (g *greeting) Send(ctx context.Context, f frame.Frame) error {
	err := g.Link.Send(ctx, f)
	if err == nil && f.Kind == frame.Hello {
		g.up()
	}
	return err
}

// A greeted is the other end of that link.
type greeted struct {
	frame.Link
	up func()
}

// Recv tells of what the upper node has said.
func (g *greeted) Recv(ctx context.Context) (frame.Frame, error) {
	f, err := g.Link.Recv(ctx)
	if err == nil && f.Kind == frame.Hello {
		g.up()
	}
	return f, err
}
