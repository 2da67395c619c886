package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Dial connects to the server at a. Plain TCP that would leave the machine is
// refused; a Dialer can insist.
func Dial(ctx context.Context, a Addr) (net.Conn, error) {
	return Dialer{}.Dial(ctx, a)
}

// A Dialer connects to servers. The zero value is ready for use.
type Dialer struct {
	// Insecure permits plain TCP beyond the loopback interface.
	Insecure bool
}

// Dial connects to the server at a. The error is ErrNotRunning when nobody
// listens there.
func (d Dialer) Dial(ctx context.Context, a Addr) (net.Conn, error) {
	switch a.Network {
	case "unix":
		return dialUnix(ctx, a)
	case "tcp":
		addrs, err := resolve(ctx, a, d.Insecure)
		if err != nil {
			return nil, err
		}
		var c net.Conn
		for _, addr := range addrs {
			if c, err = new(net.Dialer).DialContext(ctx, "tcp", addr); err == nil {
				return c, nil
			}
		}
		return nil, dialError(a, err)
	}
	return nil, fmt.Errorf("network %q: expected unix or tcp", a.Network)
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
	uid, _, err := peerCred(c)
	if err == nil && !trusted(uid, os.Geteuid()) {
		err = &opError{fmt.Sprintf("%s belongs to %s: refused", a.server(), who(uid)), ErrRefused}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func dialError(a Addr, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return &opError{a.server() + " is not running", ErrNotRunning}
	}
	return fmt.Errorf("dial %s: %w", a, err)
}
