package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// A link is what a view has on one connection: its attachment and the files of
// its shell. When the connection is lost the view gets another.
type link struct {
	// Immutable.
	srv        *server.Server
	st         server.ShellStatus // of the shell, when we came
	rows, cols int                // our vote, as it came along
	ctl        *client.File       // our attachment; its reads are notices
	in         *client.File       // the input under the view's key; nil if we only watch
	out        *client.File       // NAME1@
	errs       *client.File       // NAME2@; nil for a shell on a terminal
	told       chan string        // lines from ctl; closed at their end

	mu    sync.Mutex
	lines []string // guarded by mu: for ctl
	busy  bool     // guarded by mu: a goroutine writes them
}

// errOther says that a shell is not the one that we were attached to.
var errOther = errors.New("another shell")

// openLink opens a view's files on a connection, and attaches. All requests but
// those that need another's answer are under way at once. past gets what there
// is to show of the output before st, if it is not nil.
func (v *view) openLink(ctx context.Context, srv *server.Server, rows, cols int, past func(ctx context.Context, l *link) error) (*link, error) {
	l := &link{srv: srv, rows: rows, cols: cols, told: make(chan string, 16)}
	err := together(
		func() error {
			err := together(
				func() (err error) {
					l.st, err = srv.ShellStatus(ctx, v.name)
					return err
				},
				func() (err error) {
					l.out, err = srv.Open(ctx, "/"+v.name+"1@", client.OREAD)
					return err
				},
			)
			if err == nil && past != nil {
				err = past(ctx, l)
			}
			return err
		},
		func() (err error) {
			l.ctl, err = srv.OpenWrite(ctx, "/shell/"+v.name+"/ctl", client.ORDWR, []byte(v.attachLine(rows, cols)))
			return err
		},
		func() error {
			err := l.openInput(ctx, v)
			if errors.Is(err, client.ErrPermission) || errors.Is(err, client.ErrNotExist) {
				return nil // until the shell's owner has said yes: see notice; a missing shell misses the rest
			}
			return err
		},
	)
	if err == nil && !l.pty() {
		if l.errs, err = srv.Open(ctx, "/"+v.name+"2@", client.OREAD); err != nil {
			err = fmt.Errorf("open %s2: %w", v.name, err)
		}
	}
	if err != nil {
		go l.close() // ends with the server's answers, or with the connection
		return nil, srv.ShellError(ctx, v.name, err)
	}
	return l, nil
}

// openInput opens the input, unless we only watch.
func (l *link) openInput(ctx context.Context, v *view) (err error) {
	if !v.ro {
		l.in, err = l.srv.Open(ctx, "/shell/"+v.name+"/input@"+v.key, client.OWRITE)
	}
	return err
}

// pty reports whether the shell is on a terminal.
func (l *link) pty() bool { return l.st.Shell.Rows > 0 }

// same reports whether it is the same shell that two links lead to. A shell
// keeps the hub of its output to its end, and no other hub of one run of the
// server ever has its number.
func (l *link) same(other *link) bool {
	return l.st.Run != "" && l.st.Run == other.st.Run && l.out.QidPath() == other.out.QidPath()
}

// attachLine is what makes our attachment.
func (v *view) attachLine(rows, cols int) string {
	mode := "rw"
	if v.ro {
		mode = "ro"
	}
	term := v.s.cfg.Terminal.Name
	if term == "" {
		term = "dumb"
	}
	return server.Line("attach", mode, strconv.Itoa(rows), strconv.Itoa(cols), term)
}

// say writes a line to the fid of our attachment, and does not wait. What the
// server has against it is about a shell that has just ended: the notice of
// that is on its way.
func (l *link) say(ctx context.Context, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	if !l.busy {
		l.busy = true
		go l.write(ctx) // ends when all is said, or with the connection, or with ctx
	}
}

func (l *link) write(ctx context.Context) {
	for {
		l.mu.Lock()
		if len(l.lines) == 0 {
			l.busy = false
			l.mu.Unlock()
			return
		}
		line := l.lines[0]
		l.lines = l.lines[1:]
		l.mu.Unlock()
		if _, err := l.ctl.WriteContext(ctx, []byte(line)); errors.Is(err, client.ErrLost) || ctx.Err() != nil {
			return
		}
	}
}

// listen reads what the server tells about our attachment, until its end.
func (l *link) listen(ctx context.Context) {
	defer close(l.told)
	for lines := server.Lines(reader{ctx, l.ctl}); lines.Scan(); {
		if lines.Text() == "" {
			continue
		}
		select {
		case l.told <- lines.Text():
		case <-ctx.Done():
			return
		}
	}
}

// reader is a file for packages that know no context.
type reader struct {
	ctx context.Context
	f   *client.File
}

func (r reader) Read(p []byte) (int, error) { return r.f.ReadContext(r.ctx, p) }

// close gives the files up.
func (l *link) close() {
	var closes []func() error
	for _, f := range []*client.File{l.ctl, l.in, l.out, l.errs} {
		if f != nil {
			closes = append(closes, f.Close)
		}
	}
	together(closes...)
}

// last returns the last lines of the output of hub i before off.
func (l *link) last(ctx context.Context, f *client.File, i int, off int64, lines int) ([]byte, error) {
	h := l.st.Hubs[i]
	h.Next = off
	return server.LastLines(ctx, f, h, lines)
}

// lost reports whether an error is that of a connection that is gone.
func lost(err error) bool { return errors.Is(err, client.ErrLost) }

// windowFor is how much of the output is asked for ahead. Behind a long way
// some reads wait at the server at any time, small ones, so that no answer to a
// key waits for the next question.
func windowFor(srv *server.Server) client.Window {
	if srv.Addr.Network == "unix" {
		return client.Window{Reads: 1, Bytes: 64 << 10}
	}
	return client.Window{Reads: 4, Bytes: 16 << 10, MostReads: 64, MostOne: 256 << 10}
}
