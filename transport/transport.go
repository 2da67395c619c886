// Package transport turns the address of a server into a connection, and into
// a listener. It knows how to reach a server and who is at the other end; what
// is said over the connection is not its concern.
//
// # Addresses
//
// A server is named by
//
//	NAME                              a socket of the user's own: $XDG_RUNTIME_DIR/hub/NAME.sock,
//	                                  or /tmp/hub-UID/NAME.sock without that variable
//	unix!PATH       unix:PATH         a Unix socket anywhere
//	tcp!HOST!PORT   tcp://HOST:PORT   plain TCP
//
// # Who may talk
//
// A Unix socket is for one user. Its directory is private to that user, the
// socket has mode 0600 from the moment it has a name, and both ends check the
// uid of the other: a server serves its own user and root, a client trusts its
// own user and root.
//
// Plain TCP has no such check and no secrecy. It stays on the loopback
// interface, for servers and for clients, unless the caller insists.
//
// # Blocking
//
// Dial and Listen wait for name lookup and connection, until ctx is done.
// Nothing else blocks.
package transport

import (
	"errors"
	"io"
)

var (
	// ErrNotRunning is wrapped by Dial's error when nobody listens at an
	// address: there is no socket, or the connection was refused.
	ErrNotRunning = errors.New("not running")

	// ErrInUse is wrapped by Listen's error when a live server has the address.
	ErrInUse = errors.New("already running")

	// ErrRefused is wrapped by the error of Dial and PeerOf when the other
	// end belongs to somebody we do not deal with, and by that of Dial and
	// Listen when plain TCP would leave the machine.
	ErrRefused = errors.New("refused")
)

// An opError is a sentence for people that is one of the sentinels above for
// programs.
type opError struct {
	text string
	kind error
}

func (e *opError) Error() string { return e.text }
func (e *opError) Unwrap() error { return e.kind }

// Stdio makes a connection of a reader and a writer, as a server does with
// its standard input and output. Close closes both.
func Stdio(r io.ReadCloser, w io.WriteCloser) io.ReadWriteCloser {
	return &stdio{r, w}
}

type stdio struct {
	io.ReadCloser
	w io.WriteCloser
}

func (s *stdio) Write(p []byte) (int, error) { return s.w.Write(p) }

// Close closes the writer first: the peer sees the end of the stream even if
// closing a reader that is blocked in a read takes its time.
func (s *stdio) Close() error {
	return errors.Join(s.w.Close(), s.ReadCloser.Close())
}
