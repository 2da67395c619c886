package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ListenOptions say how to listen.
type ListenOptions struct {
	// Insecure permits plain TCP beyond the loopback interface.
	Insecure bool
}

// Listen makes a the address of a server: of this one alone. It is ErrInUse if
// another is there. Closing the listener of a Unix socket removes the socket,
// if it is still ours.
//
// On a Unix socket Accept gives whoever could open the socket; call PeerOf on
// every connection before serving it.
func Listen(ctx context.Context, a Addr, o ListenOptions) (net.Listener, error) {
	switch a.Network {
	case "unix":
		return listenUnix(ctx, a)
	case "tcp":
		return listenTCP(ctx, a, o)
	}
	return nil, fmt.Errorf("network %q: expected unix or tcp", a.Network)
}

func listenTCP(ctx context.Context, a Addr, o ListenOptions) (net.Listener, error) {
	addrs, err := resolve(ctx, a, o.Insecure)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addrs[0])
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &opError{fmt.Sprintf("a server is already running at %s", a), ErrInUse}
	} else if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", a, err)
	}
	return l, nil
}

// resolve returns the addresses of a, in the order to try them. Unless
// insecure, every one is on the loopback interface: a name with one address
// there and one elsewhere is refused. What is returned are numbers, so that
// the name is not looked up a second time, with another answer.
func resolve(ctx context.Context, a Addr, insecure bool) ([]string, error) {
	host, port, err := net.SplitHostPort(a.Address)
	if err != nil {
		return nil, fmt.Errorf("address %s: %w", a, err)
	}
	beyond := func(what string) error {
		return &opError{fmt.Sprintf(
			"%s: refused: %s is not on the loopback interface, and plain TCP can be read and altered on its way",
			a, what), ErrRefused}
	}
	if host == "" {
		if !insecure {
			return nil, beyond("every interface of this machine")
		}
		return []string{a.Address}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	var v4, v6 []string
	for _, ip := range ips {
		if ip = ip.Unmap(); !insecure && !ip.IsLoopback() {
			return nil, beyond(describe(host, ip))
		}
		if addr := net.JoinHostPort(ip.String(), port); ip.Is4() {
			v4 = append(v4, addr)
		} else {
			v6 = append(v6, addr)
		}
	}
	// IPv4 first, for Listen and Dial alike: a server at localhost is where
	// its clients look first, whatever order the resolver has today.
	if v4 = append(v4, v6...); len(v4) == 0 {
		return nil, fmt.Errorf("look up %s: no address", host)
	}
	return v4, nil
}

func describe(host string, ip netip.Addr) string {
	if host == ip.String() {
		return host
	}
	return fmt.Sprintf("%s (%s)", host, ip)
}
