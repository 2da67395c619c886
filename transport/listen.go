package transport

import (
	"context"
	"fmt"
	"net"
)

// ListenOptions say how to listen.
type ListenOptions struct {
	Insecure bool // plain TCP may leave the machine
	Key      *Key // the server's; tls needs it

	// Sockets are those that systemd has handed to this process; nil: none. One
	// that lies where a Unix socket was asked for is taken for it.
	Sockets *Sockets
}

// Listen makes a the address of a server: of this one alone. It is ErrInUse if
// another is there. Closing the listener of a Unix socket removes the socket,
// if it is still ours.
//
// Accept gives whoever could connect; call Handshake, then PeerOf on every
// connection before serving it.
func Listen(ctx context.Context, a Addr, o ListenOptions) (net.Listener, error) {
	switch a.Network {
	case "unix":
		if f := o.Sockets.at(a.Address); f != nil {
			return listenFile(a, f, o)
		}
		return listenUnix(ctx, a)
	case "tcp":
		return listenTCP(ctx, a, o)
	case "tls":
		return listenTLS(ctx, a, o.Key)
	case "fd":
		return listenFD(a, o)
	case "systemd":
		f, err := o.Sockets.named(a.Address)
		if err != nil {
			return nil, fmt.Errorf("listen at %s: %w", a, err)
		}
		return listenFile(a, f, o)
	}
	return nil, fmt.Errorf("listen at %s: %w", a, errNotListened)
}

// Bound is the address at which l, which Listen has made for a, is to be
// found: with its real port, and the path of a socket that was handed over.
func Bound(l net.Listener, a Addr) Addr {
	switch at := l.Addr().(type) {
	case *net.TCPAddr:
		host, _, err := net.SplitHostPort(a.Address)
		if a.Network == "fd" || a.Network == "systemd" || err != nil {
			host = ""
			if !at.IP.IsUnspecified() {
				host = at.IP.String()
			}
		}
		b := Addr{Network: "tcp", Address: net.JoinHostPort(host, fmt.Sprint(at.Port))}
		if _, ok := l.(*tlsListener); ok {
			b.Network = "tls"
		}
		return b
	case *net.UnixAddr:
		if a.Network != "unix" && at.Name != "" {
			return Addr{Network: "unix", Address: at.Name}
		}
	}
	return a
}
