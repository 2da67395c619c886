package lend

import (
	"context"
	"errors"
	"io"
	"strings"

	"hubfs/client"
	"hubfs/cmd/hub/internal/feed"
	"hubfs/cmd/hub/internal/server"
)

// An input is what is typed to the shell, on whatever connection it comes. It
// is a Source, and used by one goroutine.
type input struct {
	h   *Host
	at  *seat
	off int64 // of the next byte
}

// ReadContext reads on. What a lost connection was bringing is asked for again
// at the same offset on the next.
func (in *input) ReadContext(ctx context.Context, p []byte) (int, error) {
	for {
		s, changed := in.h.current()
		if s != in.at {
			if !s.sameShell(in.at) {
				in.off = 0 // another shell, on another server
			}
			in.at = s
		}
		n, err := s.in.ReadAtContext(ctx, p, in.off)
		if errors.Is(err, io.EOF) {
			err = in.end(ctx, s)
		}
		first, gone := server.Discarded(err)
		switch {
		case n > 0:
			in.off += int64(n)
			return n, nil
		case err == errAgain:
		case gone:
			in.h.log.Warn("input was discarded before we came back", "bytes", first-in.off)
			in.off = first
		case server.Lost(err) || s.left.Load() && ctx.Err() == nil:
			select {
			case <-changed:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		default:
			return 0, err
		}
	}
}

// errAgain says that reading again makes sense.
var errAgain = errors.New("read again")

// end says what an end of file of the input hub means. A hub that has ended
// gives it for ever, one that stands still until it flows again, and a mark
// gives it once.
func (in *input) end(ctx context.Context, s *seat) error {
	name := in.h.cfg.Name + "0"
	hub, ok, err := s.srv.Hub(ctx, name)
	switch {
	case err != nil:
		return err
	case !ok || hub.Is("ended"):
		return inputEnded{}
	case hub.Is("frozen"):
		if err := s.srv.Melted(ctx, name); err != nil {
			return err
		}
		return errAgain
	}
	return io.EOF
}

// inputEnded says that nothing more will be typed.
type inputEnded struct{}

func (inputEnded) Error() string        { return "the hub has ended" }
func (inputEnded) Is(target error) bool { return target == io.EOF }
func (inputEnded) Ended() bool          { return true }

// An output is a feed as a Sink. It is used by one goroutine.
type output struct{ in *feed.Intake }

// WriteContext takes all of p. It waits only while the backlog is full.
func (o *output) WriteContext(_ context.Context, p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		m := copy(o.in.Room(), p)
		o.in.Add(m)
		p = p[m:]
	}
	return n, nil
}

// A link is where the output goes. Its end is that of the shell.
type link struct {
	feed.Link
	h *Host
	s *seat
}

func (h *Host) link(s *seat, out *feed.Feed) feed.Link {
	return &link{out.LinkTo(s.srv, s.name+"1", s.out), h, s}
}

func (l *link) Write(ctx context.Context, p []byte, off int64) error {
	return l.err(l.Link.Write(ctx, p, off))
}

func (l *link) Flush(ctx context.Context) error { return l.err(l.Link.Flush(ctx)) }

func (l *link) Append(ctx context.Context) (feed.Link, error) {
	next, err := l.Link.Append(ctx)
	if err != nil {
		return nil, l.err(err)
	}
	return &link{next, l.h, l.s}, nil
}

// err makes whatever failed on a seat that we have left a connection lost.
func (l *link) err(err error) error {
	if err != nil && l.s.left.Load() {
		return client.ErrLost
	}
	return err
}

// End tells the server how the process ended, and ends what guests may do with
// the shell.
func (l *link) End(ctx context.Context, status string, complete bool) error {
	if err := l.s.say(ctx, strings.Fields(status)...); err != nil {
		return l.err(err)
	}
	l.h.mu.Lock()
	shared := l.h.shared
	l.h.mu.Unlock()
	if shared {
		if err := l.s.srv.RevokeAll(ctx, l.s.name); err != nil {
			l.h.log.Warn("revoke the invitations", "err", err)
		}
	}
	return nil
}
