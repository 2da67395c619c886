package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"hubfs/cmd/hub/internal/feed"
	"hubfs/cmd/hub/internal/follow"
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
	link, err := parseServer(to)
	if err != nil {
		return &usageError{err: err, hint: "--to says which server"}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	c := &carrier{
		app: a, pipe: p, retry: retry,
		from: func(ctx context.Context) (*server.Server, error) { return a.connect(ctx, false) },
		to:   func(ctx context.Context, start bool) (*server.Server, error) { return a.connectTo(ctx, link, start) },
	}
	return cause(ctx, c.run(ctx))
}

func (c *carrier) run(ctx context.Context) error {
	src, off, err := c.openSource(ctx)
	if err != nil {
		return err
	}
	defer src.line.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f, err := c.openTarget(ctx, cancel)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, f.Hurry)() // waits for nobody then
	in := f.Intake()
	err = src.Copy(ctx, off, func(b follow.Block) error {
		for p := b.Data; len(p) > 0; {
			n := copy(in.Room(), p)
			in.Add(n)
			p = p[n:]
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	finish := f.Leave
	if err == nil && c.pipe.Ends {
		finish = func() error { return f.Finish(src.Hub.End) }
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
					fmt.Fprintf(c.app.stderr, "hub: end hub %s: %s\n", name, printableLines(n.Err.Error()))
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

// A source is FROM, which is followed over one connection after the other.
type source struct {
	*follow.Stream
	line *follow.Line
}

// openSource opens FROM, and says where the pipe begins.
func (c *carrier) openSource(ctx context.Context) (src source, off int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, carryPatience)
	defer cancel()
	srv, err := c.from(ctx)
	if err != nil {
		return source{}, 0, err
	}
	addr, retry := srv.Addr, c.retry
	if retry < 0 {
		retry = math.MaxInt64
	}
	src.line = follow.NewLine(srv, c.from, retry, func() { c.app.sayLost(addr) })
	src.line.Name, src.line.Patience = fmt.Sprintf("server %s", addr), carryPatience
	_, at, err := parsePosition(c.pipe.From + c.pipe.At)
	var name string
	if err == nil {
		name, err = srv.Output(ctx, c.pipe.From)
	}
	if err == nil {
		if src.Stream, err = src.line.Open(ctx, name, false); err != nil {
			err = srv.HubError(ctx, name, err)
		}
	}
	if err != nil {
		srv.Close()
		return source{}, 0, err
	}
	src.Asked = true // what is gone before we read it is missed in TO
	src.Skipped = func(n int64) { fmt.Fprintf(c.app.stderr, "hub: skipped %d bytes of %s\n", n, name) }
	src.Back = func(off int64) { c.app.sayBack(addr, name, off) }
	return src, at.offset(src.Hub), nil
}
