package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/feed"
	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

const (
	// carryAhead is how much of FROM may wait for the server of TO.
	carryAhead = 1 << 20
	// carryPatience is how long a server may take to answer when it is asked
	// for a hub, or for the last bytes.
	carryPatience = 10 * time.Second
)

// A carrier is hub pipe between two servers.
type carrier struct {
	app   *app
	pipe  server.PipeSpec
	retry time.Duration // how long to try a lost server; < 0: for ever

	from func(context.Context) (*server.Server, error)
	to   func(ctx context.Context, start bool) (*server.Server, error)
}

// carry carries FROM into TO on another server until FROM has ended.
func (a *app) carry(ctx context.Context, p server.PipeSpec, to string, retry time.Duration) error {
	addr, err := transport.Parse(to)
	if err != nil {
		return &usageError{err: err, hint: "--to says which server"}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c := &carrier{
		app: a, pipe: p, retry: retry,
		from: func(ctx context.Context) (*server.Server, error) { return a.connect(ctx, false) },
		to:   func(ctx context.Context, start bool) (*server.Server, error) { return connectTo(ctx, addr, start) },
	}
	return cause(ctx, c.run(ctx))
}

func (c *carrier) run(ctx context.Context) error {
	src, err := c.openSource(ctx)
	if err != nil {
		return err
	}
	defer func() { src.srv.Close() }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f, err := c.openTarget(ctx, cancel)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, f.Hurry)() // waits for nobody then
	status, err := src.copyTo(ctx, f.Intake())
	finish := f.Leave
	if err == nil && c.pipe.Ends {
		finish = func() error { return f.Finish(status) }
	}
	if lack := finish(); lack != nil {
		err = fmt.Errorf("hub %s did not get all: %w", c.pipe.To, lack)
	}
	return err
}

// openTarget makes the way to TO. failed is called when that gets no more.
func (c *carrier) openTarget(ctx context.Context, failed func(error)) (*feed.Feed, error) {
	ctx, cancel := context.WithTimeout(ctx, carryPatience)
	defer cancel()
	srv, err := c.to(ctx, true)
	if err != nil {
		return nil, err
	}
	name, err := pipeInto(ctx, srv, c.pipe.To)
	if err != nil {
		srv.Close()
		return nil, err
	}
	f, err := feed.Begin(ctx, srv, name,
		func(ctx context.Context) (*server.Server, error) { return c.to(ctx, false) },
		feed.Config{
			Wait: true, Backlog: carryAhead, Patience: carryPatience, Retry: c.retry,
			Say: func(n feed.Note) {
				switch n.Kind {
				case feed.Lost:
					c.app.sayLost(srv.Addr)
				case feed.Back:
					c.app.sayBack(srv.Addr, name, n.At)
				case feed.Alone:
					failed(n.Err)
				case feed.NotEnded:
					fmt.Fprintf(c.app.stderr, "hub: end hub %s: %v\n", name, n.Err)
				}
			},
		})
	if err != nil {
		srv.Close()
		return nil, err
	}
	return f, nil
}

func (a *app) sayLost(addr transport.Addr) {
	fmt.Fprintf(a.stderr, "hub: server %s lost, trying again\n", addr)
}

func (a *app) sayBack(addr transport.Addr, name string, at int64) {
	fmt.Fprintf(a.stderr, "hub: server %s is back, hub %s goes on at byte %d\n", addr, name, at)
}

// A source is a hub that is read by the offset in its stream, on one connection
// after the other.
type source struct {
	*carrier
	name string

	srv *server.Server
	f   *client.File // an addressed open
	id  server.Identity
	off int64
}

// openSource opens FROM.
func (c *carrier) openSource(ctx context.Context) (*source, error) {
	ctx, cancel := context.WithTimeout(ctx, carryPatience)
	defer cancel()
	srv, err := c.from(ctx)
	if err != nil {
		return nil, err
	}
	s := &source{carrier: c, srv: srv}
	if err := s.find(ctx); err != nil {
		srv.Close()
		return nil, err
	}
	return s, nil
}

// find opens the hub that FROM is, where the pipe is to begin.
func (s *source) find(ctx context.Context) error {
	_, at, err := parsePosition(s.pipe.From + s.pipe.At)
	if err != nil {
		return err
	}
	if s.name, err = s.srv.Output(ctx, s.pipe.From); err != nil {
		return err
	}
	h, err := s.open(ctx)
	if err != nil {
		return s.srv.HubError(ctx, s.name, err)
	}
	s.off = at.offset(h)
	return nil
}

// open opens the hub on the connection that there is.
func (s *source) open(ctx context.Context) (server.Hub, error) {
	f, err := s.srv.Open(ctx, "/"+s.name+"@", client.OREAD)
	if err != nil {
		return server.Hub{}, err
	}
	h, id, err := s.srv.Identify(ctx, f)
	switch {
	case err != nil:
	case s.id != (server.Identity{}) && !s.id.Same(id):
		err = client.ErrNotExist
	default:
		s.f, s.id = f, id
	}
	return h, err
}

// again reaches the very hub again after its connection was lost.
func (s *source) again(ctx context.Context, lost error) error {
	if s.srv.Close(); s.retry == 0 {
		return lost
	}
	s.app.sayLost(s.srv.Addr)
	limit := s.retry
	if limit < 0 {
		limit = math.MaxInt64
	}
	err := server.Again(ctx, limit, func(ctx context.Context) error {
		soon, cancel := context.WithTimeout(ctx, carryPatience)
		defer cancel()
		srv, err := s.from(soon)
		if err == nil {
			s.srv = srv
			if _, err = s.open(soon); err != nil {
				srv.Close()
			}
		}
		if err != nil && soon.Err() != nil && ctx.Err() == nil { // it does not answer
			err = errors.Join(server.ErrUnreachable, err)
		}
		return err
	})
	if errors.Is(err, client.ErrNotExist) {
		err = fmt.Errorf("server %s is back without hub %s", s.srv.Addr, s.name)
	}
	if err == nil {
		s.app.sayBack(s.srv.Addr, s.name, s.off)
	}
	return err
}

// copyTo gives what the hub has to in, until it has ended, and returns its
// status.
func (s *source) copyTo(ctx context.Context, in *feed.Intake) (status string, err error) {
	for {
		n, err := s.f.ReadAtContext(ctx, in.Room(), s.off)
		first, gone := server.Discarded(err)
		switch {
		case err == nil:
			in.Add(n)
			s.off += int64(n)
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case gone:
			fmt.Fprintf(s.app.stderr, "hub: skipped %d bytes of %s\n", first-s.off, s.name)
			s.off = first
		case errors.Is(err, io.EOF):
			h, _, lerr := s.srv.Identify(ctx, s.f)
			switch {
			case lerr != nil:
				err = lerr
			case h.Ended() && h.Next <= s.off:
				return h.End, nil
			case h.Is("frozen") && h.Next <= s.off:
				err = s.srv.Melted(ctx, s.name)
			default: // a mark
				err = nil
			}
			if server.Lost(err) {
				err = s.again(ctx, err)
			}
			if err != nil {
				return "", err
			}
		case server.Lost(err):
			if err := s.again(ctx, err); err != nil {
				return "", err
			}
		default:
			return "", err
		}
	}
}
