package uplink

import (
	"context"
	"errors"
	"fmt"

	"hubfs/client"
	"hubfs/taskfs/frame"
)

// ErrNoNode is the error of Below when nobody at the other end of the connection
// would be below us: there is no such file.
var ErrNoNode = errors.New("no node of a tree")

// Below opens the file of the node at the other end of c and has serve serve the
// link, as cluster.Node.Below does, until it ends. addr says where that node is,
// for people. up is called when the file is open. c is closed in the end, and not
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
	up()
	l := frame.NewStream(f, addr)
	defer l.Close()
	err = serve(ctx, l)
	c.Close()
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	return nil
}
