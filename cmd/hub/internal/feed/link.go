package feed

import (
	"context"
	"errors"
	"fmt"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// bytesAhead and writesAhead are how much may be without an answer. A server
// lets so many bytes wait that have to, and no more.
const (
	bytesAhead  = 8 << 20
	writesAhead = 32
)

// Begin returns a feed of hub name, which the caller has claimed on srv.
// connect makes another connection to the same server; the feed owns srv and
// what connect returns.
func Begin(ctx context.Context, srv *server.Server, name string, connect func(context.Context) (*server.Server, error), cfg Config) (*Feed, error) {
	file, h, id, err := open(ctx, srv, name)
	if err != nil {
		return nil, err
	}
	unit := UnitFor(h)
	var f *Feed
	cfg.Dial = func(ctx context.Context, at int64) (Link, int64, error) {
		srv, err := connect(ctx)
		if err != nil {
			return nil, 0, err
		}
		file, h, now, err := open(ctx, srv, name)
		if err == nil && !id.Same(now) {
			err = client.ErrNotExist
		}
		if errors.Is(err, client.ErrNotExist) {
			err = fmt.Errorf("server is back without hub %s", name)
		}
		if err != nil {
			srv.Close()
			return nil, 0, err
		}
		return newLink(srv, name, file, unit, f.Answered), h.Next, nil
	}
	f = New(cfg, h.Next, unit)
	f.Start(newLink(srv, name, file, unit, f.Answered))
	return f, nil
}

// UnitFor returns how many bytes are best written to a hub at a time.
func UnitFor(h server.Hub) int {
	if h.Is("spool") {
		return spooledSegment
	}
	return segmentFor(h.Size)
}

// LinkTo returns a Link to hub name, of which file is an addressed open on srv.
// The Link owns srv.
func (f *Feed) LinkTo(srv *server.Server, name string, file *client.File) Link {
	return newLink(srv, name, file, f.queue.unit, f.Answered)
}

// open opens a hub to be written at offsets.
func open(ctx context.Context, srv *server.Server, name string) (*client.File, server.Hub, server.Identity, error) {
	file, err := srv.Open(ctx, "/"+name+"@", client.OWRITE)
	if err != nil {
		return nil, server.Hub{}, server.Identity{}, err
	}
	h, id, err := srv.Identify(ctx, file)
	return file, h, id, err
}

// Server returns the connection to the server, nil while it is lost.
func (f *Feed) Server() *server.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l, ok := f.link.(*link); ok && f.connected {
		return l.srv
	}
	return nil
}

// A link is a Link to a hub of a server.
type link struct {
	srv      *server.Server
	name     string
	file     *client.File
	unit     int // most bytes of a write
	w        *client.PipeWriter
	answered func(off int64, n int)
}

func newLink(srv *server.Server, name string, file *client.File, unit int, answered func(int64, int)) *link {
	depth := min(bytesAhead/unit, writesAhead)
	l := &link{srv: srv, name: name, file: file, unit: unit, w: file.Writer(depth), answered: answered}
	l.w.Answered(answered)
	return l
}

// Write sends p. Segments that do not fit into a message go in several, which
// may mix with what others write.
func (l *link) Write(ctx context.Context, p []byte, off int64) error {
	if l.file.Offset() != off {
		l.file.SetOffset(off)
	}
	_, err := l.w.WriteContext(ctx, p)
	return err
}

func (l *link) Flush(ctx context.Context) error { return l.w.Flush(ctx) }

func (l *link) Append(ctx context.Context) (Link, error) {
	file, err := l.srv.Open(ctx, "/"+l.name, client.OWRITE)
	if err != nil {
		return nil, err
	}
	_ = l.file.Close() // so that we are one writer, not two
	return newLink(l.srv, l.name, file, l.unit, l.answered), nil
}

// End ends the hub, and no other that has its name by now.
func (l *link) End(ctx context.Context, status string, complete bool) error {
	_, _, err := l.srv.Identify(ctx, l.file)
	if errors.Is(err, client.ErrNotExist) {
		return &server.Error{Text: "it was removed", Err: err}
	}
	if err != nil {
		return err
	}
	return l.srv.End(ctx, l.name, status, complete)
}

func (l *link) Done() <-chan struct{} { return l.srv.Done() }
func (l *link) Err() error            { return l.srv.Err() }
func (l *link) Close()                { l.srv.Close() }
