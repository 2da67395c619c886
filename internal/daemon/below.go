package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"hubfs/client"
	"hubfs/internal/uplink"
	"hubfs/p9"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/transport"
	"hubfs/tree"
)

// back is below whoever has dialed out to be: it asks back over the connection
// on which c has attached. The connection ends with the link.
func (s *server) back(ctx context.Context, c *tree.Caller, rwc io.ReadWriteCloser) {
	conn, err := client.New(ctx, rwc, client.Options{Uname: ownUser(), Ordered: true})
	if err == nil {
		err = uplink.Below(ctx, conn, c.Addr, func() {}, func(ctx context.Context, l frame.Link) error {
			if c.Level("remote") < tree.LevelWrite {
				return s.node.Cluster().Refuse(ctx, l, fmt.Sprintf("%s may not join: expected the role write for remote", c.User))
			}
			return s.node.Cluster().Below(ctx, l, "")
		})
	}
	switch {
	case errors.Is(err, uplink.ErrNoNode):
		return // it goes both ways for something else
	case errors.Is(err, cluster.ErrRefused):
		s.spare.write(slog.LevelWarn, "node refused", "user", c.User, "addr", c.Addr, "err", err)
	}
	s.p9.Hangup(func(i p9.ConnInfo) bool { return i.ID == c.Conn })
}

// addNode dials a node and has it below this one until it is removed, or stop is
// called: it dials again when the link has ended. It returns when the node is
// there, or cannot be reached.
func (s *server) addNode(addr, name string) (stop func(), err error) {
	n, err := parseNode(addr)
	if err != nil {
		return nil, err
	}
	if name != "" {
		if err := checkNodeName(name); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	there := make(chan error, 1) // what came of the first try
	tell := func(err error) {
		select {
		case there <- err:
		default: // it is known
		}
	}
	s.count(1)            // a reason to stay
	s.joining.Go(func() { // ends with ctx, or when the node leaves
		defer s.count(-1)
		was := false // below us
		err := uplink.Keep(ctx, func(ctx context.Context, up func()) error {
			err := s.below(ctx, n, name, func() {
				up()
				was = true
				tell(nil)
			})
			if !was || s.ending() {
				err = uplink.Final(err)
			}
			return err
		}, func(err error, pause time.Duration) {
			s.spare.write(slog.LevelWarn, "no link to the node below", "err", err, "again", pause.Round(time.Millisecond))
		})
		tell(err)
	})
	select {
	case err = <-there:
	case <-s.ctx.Done():
		err = s.ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return cancel, nil
}

// below dials a node and has it below this one until the link ends.
func (s *server) below(ctx context.Context, n transport.Link, name string, up func()) error {
	rwc, err := s.dialNode(ctx, n, true)
	if err != nil {
		return err
	}
	conn, err := client.New(ctx, rwc, s.nodeOptions(n))
	if err != nil {
		return fmt.Errorf("%s: %w", n.Addr, err)
	}
	return uplink.Below(ctx, conn, n.Addr.String(), up, func(ctx context.Context, l frame.Link) error {
		err := s.node.Cluster().Below(ctx, l, name)
		if errors.Is(err, cluster.ErrRemoved) {
			return uplink.Final(err)
		}
		return err
	})
}
