package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Dial connects to the server at a, as the zero Dialer does.
func Dial(ctx context.Context, a Addr) (net.Conn, error) {
	return Dialer{}.Dial(ctx, a)
}

// A Dialer connects to servers. The zero value is ready for use.
type Dialer struct {
	// Insecure permits plain TCP beyond the loopback interface.
	Insecure bool

	// Key is what we are known by to tls servers; nil: they see none.
	Key *Key

	// SSH is the program in ssh's place, with its first arguments; nil:
	// $HUB_SSH, split at blanks, or else ssh.
	SSH []string

	// Stderr gets what ssh says while it connects; nil: only the error has it,
	// and that the last line alone.
	Stderr io.Writer

	// Node has ssh find a server that is gone with the connection, if none of
	// that NAME runs there: a node of a tree. It starts none that stays.
	Node bool

	// Batch forbids ssh to ask for anything on the terminal: the caller is
	// using it.
	Batch bool
}

// Dial connects to the server at a. The error is ErrNotRunning when nobody
// listens there.
//
// The connection is a *net.UnixConn or *net.TCPConn, or has one as its Socket
// method's result, if bytes go to a plain socket; with tls it is a *tls.Conn.
func (d Dialer) Dial(ctx context.Context, a Addr) (net.Conn, error) {
	switch a.Network {
	case "unix":
		return dialUnix(ctx, a)
	case "tcp":
		return d.dialTCP(ctx, a)
	case "tls":
		return d.dialTLS(ctx, a)
	case "ssh":
		return d.dialSSH(ctx, a)
	case "fd":
		return dialFD(a, d.Insecure)
	}
	return nil, fmt.Errorf("dial %s: %w", a, errNotDialed)
}

func dialUnix(ctx context.Context, a Addr) (net.Conn, error) {
	if a.Local() {
		err := checkPrivateDir(filepath.Dir(a.Address))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, dialError(a, err)
		} else if err != nil {
			return nil, err
		}
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", a.Address)
	if err != nil {
		return nil, dialError(a, err)
	}
	// The credentials are those of the process that called listen: nobody can
	// pose as our server by a socket in our server's place.
	uid, _, err := peerCred(c.(*net.UnixConn))
	if err == nil && !trusted(uid, os.Geteuid()) {
		err = &opError{text: fmt.Sprintf("%s belongs to %s: refused", a.server(), who(uid)), kind: ErrRefused}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func dialError(a Addr, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return &opError{text: a.server() + " is not running", kind: ErrNotRunning}
	}
	return fmt.Errorf("dial %s: %w", a.server(), err)
}
