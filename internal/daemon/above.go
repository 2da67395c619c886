package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"hubfs/client"
	"hubfs/internal/uplink"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/transport"
)

// sshKeepalive is how long a connection over ssh may be silent until we say
// something: the other end gives up who is silent for long (aliveTime).
const sshKeepalive = 5 * time.Second

// dialTime is how long it may take to reach a node.
const dialTime = 30 * time.Second

// join begins to be below the nodes that the flags name.
func (s *server) join() {
	for _, n := range s.cfg.Node.Join {
		s.count(1)            // a reason to stay
		s.joining.Go(func() { // ends with ctx, or when the node does not want us
			defer s.count(-1)
			if err := s.joinOne(n); !s.ending() {
				s.log.Error("is not below this node any more", "addr", n.Addr.String(), "why", err)
			}
		})
	}
}

// joinOne is below a node for as long as that may be.
func (s *server) joinOne(n transport.Link) error {
	j := uplink.Joiner{
		User: ownUser(), Addr: n.Addr.String(), Log: s.log,
		Dial:    func(ctx context.Context) (io.ReadWriteCloser, error) { return s.dialNode(ctx, n, false) },
		Options: s.nodeOptions(n),
		Open:    cluster.NewUplink,
		Above:   s.above,
	}
	return uplink.Keep(s.ctx, func(ctx context.Context, up func()) error {
		err := j.Join(ctx, func() {
			up()
			s.log.Info("below a node", "addr", n.Addr.String())
		})
		if s.ending() {
			err = uplink.Final(err)
		}
		return err
	}, func(err error, pause time.Duration) {
		s.spare.write(slog.LevelWarn, "no link to the node above", "err", err, "again", pause.Round(time.Millisecond))
	})
}

// above serves a link to a node above. After some of its ends there is nothing to
// dial for.
func (s *server) above(ctx context.Context, l frame.Link) error {
	err := s.node.Cluster().Above(ctx, l)
	if errors.Is(err, cluster.ErrRemoved) || errors.Is(err, cluster.ErrLoop) {
		return uplink.Final(err)
	}
	return err
}

// dialNode connects to another node. What nobody can answer is not asked.
// With ends a server that there is no node but for this connection.
func (s *server) dialNode(ctx context.Context, n transport.Link, own bool) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	d := transport.Dialer{Insecure: s.cfg.Insecure, Batch: true, Node: own}
	if n.Addr.Network == "tls" {
		dir, err := transport.KeyDir()
		if err != nil {
			return nil, uplink.Final(err)
		}
		if d.Key, err = transport.LoadKey(filepath.Join(dir, "client.pem")); err != nil {
			return nil, uplink.Final(err)
		}
	}
	c, err := d.Dial(ctx, n.Addr)
	for _, never := range []error{transport.ErrRefused, transport.ErrUnknownServer, transport.ErrNoProgram} {
		if errors.Is(err, never) {
			return nil, uplink.Final(err)
		}
	}
	return c, err
}

// nodeOptions say how to attach to another node.
func (s *server) nodeOptions(n transport.Link) client.Options {
	o := client.Options{Uname: ownUser(), Token: n.Token, Ordered: true}
	if n.Addr.Network == "ssh" {
		o.Keepalive = sshKeepalive
	}
	return o
}
