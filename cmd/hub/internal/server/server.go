// Package server is a server as hub's commands see it: shells and hubs by
// name, on top of the files that a 9P client sees. Its errors are sentences
// for people.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"hubfs/client"
	"hubfs/internal/daemon"
	"hubfs/transport"
)

// An Error is what went wrong, for people, with what to do about it where we
// know.
type Error struct {
	Text string
	Hint string // may be empty
	Err  error  // what it is for programs; may be nil
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// ErrUnreachable is wrapped by the errors of Connect.
var ErrUnreachable = errors.New("server unreachable")

// A Server is a connection to a server.
type Server struct {
	*client.Conn
	Addr transport.Addr
}

// Connect connects to the server at a. A local one that does not run is
// started if start says how: with the arguments that make this program that
// server.
func Connect(ctx context.Context, a transport.Addr, start []string) (*Server, error) {
	// A server that is about to end when we come takes the connection and
	// drops it. Then the name is free, and the second try starts another.
	const tries = 3
	for n := 1; ; n++ {
		c, err := dial(ctx, a, start)
		if err != nil {
			return nil, connectError(a, start, err)
		}
		conn, err := client.New(ctx, c, client.Options{Ordered: true, Uname: userName()})
		if err == nil {
			return &Server{conn, a}, nil
		}
		c.Close()
		if n == tries || start == nil || ctx.Err() != nil || !hungUp(err) {
			return nil, &Error{Text: fmt.Sprintf("server %s does not answer: %v", a, err), Err: errors.Join(ErrUnreachable, err)}
		}
	}
}

func dial(ctx context.Context, a transport.Addr, start []string) (net.Conn, error) {
	if start == nil {
		return transport.Dial(ctx, a)
	}
	return daemon.Dial(ctx, a, start)
}

func hungUp(err error) bool {
	return errors.Is(err, client.ErrLost) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func connectError(a transport.Addr, start []string, err error) error {
	e := &Error{Text: err.Error(), Err: errors.Join(ErrUnreachable, err)}
	switch {
	case !errors.Is(err, transport.ErrNotRunning):
	case !a.Local():
		e.Text = fmt.Sprintf("no server is running at %s", a)
		e.Hint = fmt.Sprintf("hubfs -a '%s' serves there", a)
	default:
		e.Text = fmt.Sprintf("no server %s is running", a)
		if start == nil {
			e.Hint = fmt.Sprintf(`"hub -s %s NAME" starts one, with a shell`, a)
		}
	}
	return e
}

// userName is whom we say we are. A server on a Unix socket asks the kernel.
func userName() string {
	if u := os.Getenv("USER"); u != "" {
		return u
	}
	return fmt.Sprintf("uid%d", os.Geteuid())
}

// Ctl writes a line of these words to /ctl. What the server has against it is
// the error, without a word on how it was asked.
func (s *Server) Ctl(ctx context.Context, words ...string) error {
	return refused(s.WriteFile(ctx, "/ctl", []byte(Line(words...))))
}

// refused is what the server has against a request, without a word on how it
// was asked.
func refused(err error) error {
	if e := (*client.Error)(nil); errors.As(err, &e) && !Lost(err) {
		return e
	}
	return err
}

// ShellCtl writes a line of these words to the control file of a shell.
func (s *Server) ShellCtl(ctx context.Context, shell string, words ...string) error {
	err := s.WriteFile(ctx, ctlFile(shell), []byte(Line(words...)))
	return s.ShellError(ctx, shell, ended(shell, err))
}

// ended makes err, which came of asking a shell for something, say what to do
// if it is that the shell has ended.
func ended(shell string, err error) error {
	var e *client.Error
	if !errors.As(err, &e) || !strings.Contains(e.Text, " has ended") {
		return err
	}
	text := e.Text
	if !strings.HasPrefix(text, "shell ") { // its hub has
		text = fmt.Sprintf("shell %s has ended", shell)
	}
	return &Error{Text: text, Hint: fmt.Sprintf("hub %s starts it anew", shell), Err: err}
}

func ctlFile(shell string) string { return "/shell/" + shell + "/ctl" }

// Line joins words to one line of a control file, so that the server splits
// it into these very words.
func Line(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	return strings.Join(quoted, " ") + "\n"
}

// shellQuote quotes a word as a shell wants it.
func shellQuote(w string) string {
	plain := w != "" && !strings.ContainsFunc(w, func(r rune) bool {
		return !strings.ContainsRune("%+,-./:=@_", r) &&
			(r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if plain {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
