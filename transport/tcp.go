package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// keepAlive finds a peer that has gone without a word in 15 seconds, if there
// is nothing under way to it.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}

// tune sets the options of a TCP connection of ours. Package net has set
// TCP_NODELAY.
func tune(c *net.TCPConn) *net.TCPConn {
	c.SetKeepAliveConfig(keepAlive) // the system's own will do too
	return c
}

// dialTCP connects to the first of the addresses of a that answers.
func dialTCP(ctx context.Context, a Addr, addrs ...string) (*net.TCPConn, error) {
	if len(addrs) == 0 {
		addrs = []string{a.Address}
	}
	var last error
	for _, addr := range addrs {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return tune(c.(*net.TCPConn)), nil
		}
		last = err
	}
	return nil, dialError(a, last)
}

func (d Dialer) dialTCP(ctx context.Context, a Addr) (net.Conn, error) {
	addrs, err := resolve(ctx, a, d.Insecure)
	if err != nil {
		return nil, err
	}
	c, err := dialTCP(ctx, a, addrs...)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// A tcpListener tunes what it accepts.
type tcpListener struct{ *net.TCPListener }

func (l tcpListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	hangUpDeaf(c, lookEvery, deafTime)
	return tune(c), nil
}

func listenTCP(ctx context.Context, a Addr, o ListenOptions) (net.Listener, error) {
	addrs, err := resolve(ctx, a, o.Insecure)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addrs[0])
	if err != nil {
		return nil, listenError(a, err)
	}
	return tcpListener{l.(*net.TCPListener)}, nil
}

func listenError(a Addr, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &opError{text: fmt.Sprintf("somebody listens at %s already", a), kind: ErrInUse}
	}
	return fmt.Errorf("listen at %s: %w", a, err)
}

// errBeyond is the error for plain TCP that would leave the machine.
func errBeyond(a Addr, what string) error {
	return &opError{
		text: fmt.Sprintf("%s: refused: %s is not on the loopback interface, and plain TCP can be read and altered on its way", a, what),
		kind: ErrRefused,
	}
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
	if host == "" {
		if !insecure {
			return nil, errBeyond(a, "every interface of this machine")
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
			return nil, errBeyond(a, describe(host, ip))
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
