package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/follow"
	"hubfs/cmd/hub/internal/server"
)

func (a *app) readCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "read HUB[@POS]",
		Short: "copy a hub to stdout until it ends",
		Long: `Copy a hub to standard output until it ends, or somebody sets an eof mark.

It begins with the oldest byte that the hub retains; HUB@end begins at the end,
HUB@-N with the last N bytes, and HUB@N at byte N of the stream. If the writers
are faster than we are, "hub: skipped N bytes" says what was missed.

Any other file of hubfs(4) can be read too, as "hub read status", "hub read
events", which waits for what happens, or "hub read HUB@times".`,
		Args:              a.exactly(1, "the name of a HUB"),
		ValidArgsFunction: a.completeHubs,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, pos, err := parsePosition(args[0])
			if err != nil {
				return err
			}
			return a.withKept(cmd.Context(), func(ctx context.Context, srv *server.Server) error {
				return a.read(ctx, srv, name, pos)
			})
		},
	}
}

// A position is where in a hub to begin: at its oldest byte, at its end, so
// many bytes before that, or at an offset.
type position struct {
	kind string // "oldest", "end", "back", "at"
	n    int64
}

func parsePosition(s string) (name string, p position, err error) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return s, position{kind: "oldest"}, nil
	}
	name, at := s[:i], s[i+1:]
	switch at {
	case "end":
		return name, position{kind: "end"}, nil
	case "times": // a file beside the hub
		return s, position{kind: "oldest"}, nil
	}
	kind := "at"
	if strings.HasPrefix(at, "-") {
		kind, at = "back", at[1:]
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || n < 0 || at[0] == '+' {
		return "", p, usagef("%s: expected HUB, HUB@end, HUB@-N or HUB@N", s)
	}
	return name, position{kind, n}, nil
}

// offset is the position's offset in hub h.
func (p position) offset(h server.Hub) int64 {
	switch {
	case p.kind == "end", p.kind == "oldest" && h.Is("trunc"):
		return h.Next
	case p.kind == "back":
		return max(h.First, h.Next-p.n)
	case p.kind == "at":
		return p.n
	}
	return h.First
}

// read copies a hub to standard output. It reads by the offset in the stream,
// and so knows what it has missed.
func (a *app) read(ctx context.Context, srv *server.Server, name string, pos position) error {
	h, ok, err := srv.Hub(ctx, name)
	if err != nil {
		return err
	}
	if !ok && pos.kind == "oldest" {
		return a.readFile(ctx, srv, name)
	}
	if !ok {
		return srv.HubError(ctx, name, client.ErrNotExist)
	}
	s, err := follow.NewLine(srv, nil, 0, nil).Open(ctx, name, false)
	if err != nil {
		return srv.HubError(ctx, name, err)
	}
	s.Asked = pos.kind == "at"
	s.Skipped = func(n int64) { fmt.Fprintf(a.stderr, "hub: skipped %d bytes\n", n) }
	s.Ended = func(context.Context, int64) (bool, error) { return true, nil }
	next := pos.offset(h)
	err = s.Copy(ctx, next, func(b follow.Block) error {
		next = b.Off + int64(len(b.Data))
		_, err := a.stdout.Write(b.Data)
		return err
	})
	if server.Lost(err) {
		return &server.Error{
			Text: fmt.Sprintf("connection to server %s lost at byte %d of hub %s: %s", srv.Addr, next, name, lostReason(err)),
			Hint: fmt.Sprintf("hub read %s@%d goes on there; hub watch does so by itself", name, next),
			Err:  err,
		}
	}
	return err
}

// lostReason is why a connection was lost.
func lostReason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, client.ErrLost.Error()+": "); i >= 0 {
		return text[i+len(client.ErrLost.Error()+": "):]
	}
	return text
}

// readFile copies a file that is no hub.
func (a *app) readFile(ctx context.Context, srv *server.Server, name string) error {
	f, err := srv.Open(ctx, "/"+name, client.OREAD)
	if err != nil {
		return srv.HubError(ctx, name, err)
	}
	info, err := f.Stat(ctx)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return &server.Error{Text: fmt.Sprintf("%q is a directory on server %s", name, srv.Addr), Hint: "hub ls shows what is there"}
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.ReadContext(ctx, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(buf[:n]); err != nil {
			return err
		}
	}
}

func (a *app) writeCmd() *cobra.Command {
	return &cobra.Command{
		Use:               "write HUB",
		Short:             "copy stdin into a hub, which is made if there is none",
		Args:              a.exactly(1, "the name of a HUB"),
		ValidArgsFunction: a.completeHubs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), true, func(ctx context.Context, srv *server.Server) error {
				return a.write(ctx, srv, args[0])
			})
		},
	}
}

// writesAhead is how many writes of hub write may be without an answer.
const writesAhead = 32

// write copies standard input into a hub.
func (a *app) write(ctx context.Context, srv *server.Server, name string) error {
	f, err := openOrCreate(ctx, srv, "/"+name)
	if err != nil {
		return err
	}
	w := f.Writer(writesAhead)
	var given, taken atomic.Int64
	w.Answered(func(_ int64, n int) { taken.Add(int64(n)) })
	copied := make(chan error, 1)
	go func() { // ends with standard input, or with this process
		copied <- copyIn(ctx, w, a.stdin, &given)
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		return ctx.Err()
	case <-srv.Done():
		err = srv.Err()
	}
	if err == nil {
		err = f.Close()
	}
	if server.Lost(err) {
		n := taken.Load()
		text := fmt.Sprintf("connection to server %s lost: hub %s has taken the first %d bytes of the input", srv.Addr, name, n)
		if more := given.Load() - n; more > 0 {
			text += fmt.Sprintf(", and perhaps %d more", more)
		}
		return &server.Error{
			Text: text + ": " + lostReason(err),
			Hint: fmt.Sprintf("hub tee %s tries a lost server again, and repeats nothing", name),
			Err:  err,
		}
	}
	return err
}

// copyIn counts in given what it gives to w.
func copyIn(ctx context.Context, w *client.PipeWriter, r io.Reader, given *atomic.Int64) error {
	// A write takes effect whole, and what it holds does not mix with others'.
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			given.Add(int64(n))
			if _, err := w.WriteContext(ctx, buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return w.Flush(ctx)
		}
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
	}
}

// openOrCreate opens a hub for writing, and makes it if there is none.
func openOrCreate(ctx context.Context, srv *server.Server, path string) (*client.File, error) {
	f, err := srv.Open(ctx, path, client.OWRITE)
	if !errors.Is(err, client.ErrNotExist) {
		return f, err
	}
	f, err = srv.Create(ctx, path, 0o666, client.OWRITE)
	if errors.Is(err, client.ErrExist) { // made just now
		return srv.Open(ctx, path, client.OWRITE)
	}
	return f, err
}
