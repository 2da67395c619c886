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
	"os/user"
	"path/filepath"
	"strconv"
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

// Options say how to connect.
type Options struct {
	// Start starts a local server that does not run: the arguments that make
	// this program that server. nil: it is an error.
	Start []string

	// Token is the secret of a link, "" if we have none. A tls server gives the
	// role to our key for it, and is one that we know from then on.
	Token string

	// Batch says that nobody is there who could be asked for a password.
	Batch bool

	// Stderr gets what ssh says while it connects, as that a key wants to be
	// touched. nil: the last line is in the error, and no more.
	Stderr io.Writer
}

// Connect connects to the server at a.
func Connect(ctx context.Context, a transport.Addr, o Options) (*Server, error) {
	var known Known
	var key *transport.Key
	if a.Network == "tls" {
		var err error
		if a, known, key, err = identify(a); err != nil {
			return nil, err
		}
	}
	if alive := keepalive(a); o.Batch && alive > 0 {
		// As long as it may be silent later.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 3*alive)
		defer cancel()
	}
	// A server that is about to end when we come takes the connection and
	// drops it. Then the name is free, and the second try starts another.
	const tries = 3
	for n := 1; ; n++ {
		c, err := o.dial(ctx, a, key)
		if err != nil {
			return nil, connectError(a, o.Start, err)
		}
		conn, err := client.New(ctx, c, client.Options{Ordered: true, Uname: userName(), Token: o.Token, Keepalive: keepalive(a)})
		if err == nil {
			srv := &Server{conn, a}
			if o.Token != "" && a.Network == "tls" {
				if err := known.Remember(ctx, a.Address, a.Pin); err != nil {
					srv.Close()
					return nil, err
				}
			}
			return srv, nil
		}
		c.Close()
		switch {
		case errors.Is(err, client.ErrPermission):
			return nil, tokenError(a, o.Token, err)
		case n == tries || o.Start == nil || ctx.Err() != nil || !hungUp(err):
			return nil, &Error{Text: fmt.Sprintf("server %s does not answer: %v", a, err), Err: errors.Join(ErrUnreachable, err)}
		}
	}
}

// identify says by which key the server at a is known, and by which we are.
func identify(a transport.Addr) (transport.Addr, Known, *transport.Key, error) {
	known, err := KnownServers()
	if err != nil {
		return a, known, nil, err
	}
	if a, err = known.pinned(a); err != nil {
		return a, known, nil, err
	}
	dir, err := transport.KeyDir()
	if err != nil {
		return a, known, nil, err
	}
	key, err := transport.LoadKey(filepath.Join(dir, "client.pem"))
	return a, known, key, err
}

func (o Options) dial(ctx context.Context, a transport.Addr, key *transport.Key) (net.Conn, error) {
	if o.Start == nil || !a.Local() {
		return transport.Dialer{Key: key, Batch: o.Batch, Stderr: o.Stderr}.Dial(ctx, a)
	}
	return daemon.Dial(ctx, a, o.Start)
}

// tokenError is what it means that a server does not let us in.
func tokenError(a transport.Addr, token string, err error) error {
	e := &Error{Text: fmt.Sprintf("server %s: %s", a, refusedText(err)), Err: errors.Join(ErrUnreachable, err)}
	if token != "" {
		e.Hint = "a link works once, unless it was made for more, and until it ends: ask for another"
	} else if a.Network == "tls" {
		e.Hint = "a link from its owner's hub invite lets you in"
	}
	return e
}

func refusedText(err error) string {
	if e := (*client.Error)(nil); errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}

func hungUp(err error) bool {
	return errors.Is(err, client.ErrLost) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func connectError(a transport.Addr, start []string, err error) error {
	e := &Error{Text: err.Error(), Hint: transport.Hint(err), Err: errors.Join(ErrUnreachable, err)}
	switch {
	case !errors.Is(err, transport.ErrNotRunning):
	case a.Network == "tls": // somebody else's, as a rule
		e.Text = fmt.Sprintf("no server is running at %s", a.Address)
		e.Hint = "it has ended, or listens elsewhere now: who runs it has another link"
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
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid" + id
}

// Ctl writes a line of these words to /ctl. What the server has against it is
// the error, without a word on how it was asked.
func (s *Server) Ctl(ctx context.Context, words ...string) error {
	return Said(s.CtlError(s.WriteFile(ctx, "/ctl", []byte(Line(words...)))))
}

// CtlError makes err, which came of opening /ctl, say what it means that there
// is none.
func (s *Server) CtlError(err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "open /ctl: ") || !errors.Is(err, client.ErrNotExist) {
		return err
	}
	return &Error{
		Text: fmt.Sprintf("permission denied: server %s lets only those do that who may do more than watch", s.Addr),
		Err:  errors.Join(client.ErrPermission, errors.Unwrap(err)),
	}
}

// Said is what the server has against a request, without a word on how it
// was asked.
func Said(err error) error {
	if e := (*client.Error)(nil); errors.As(err, &e) && !Lost(err) && !Refused(err) {
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
