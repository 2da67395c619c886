package daemon

import (
	"context"
	"fmt"
	"net"
	"strings"

	"hubfs/internal/lobby"
	"hubfs/internal/metrics"
)

// listenMetrics listens where the metrics are to be had over HTTP, which has
// neither users nor secrets: on the loopback only.
func listenMetrics(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("metrics on %q: expected HOST:PORT", addr)
	}
	if host == "" || strings.Contains(host, "%") {
		return nil, fmt.Errorf("metrics on %q: expected a host of the loopback, as 127.0.0.1 or localhost", addr)
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("metrics on %s: %w", addr, err)
	}
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return nil, fmt.Errorf("metrics on %s: %s is not of the loopback, and who reads metrics is not asked for a name", addr, ip)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("metrics on %s: %w", addr, err)
	}
	return l, nil
}

// scrapers is how many connections for metrics there may be: everybody on this
// machine may come, and the descriptors are those of the server.
var scrapers = lobby.Limits{All: 64, Each: 64}

// A fewListener has a limit to its connections: a new one takes the place of the
// oldest.
type fewListener struct {
	net.Listener
	lobby lobby.Lobby
}

func (l *fewListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &placedConn{c, l.lobby.Enter("", scrapers, func() { c.Close() })}, nil
}

// A placedConn gives its place back.
type placedConn struct {
	net.Conn
	place *lobby.Place
}

func (c *placedConn) Close() error {
	c.place.Leave()
	return c.Conn.Close()
}

// serveMetrics serves the metrics until the function that it returns is
// called.
func (s *server) serveMetrics(ctx context.Context) (stop func(), err error) {
	if s.cfg.Metrics == "" {
		return func() {}, nil
	}
	l, err := listenMetrics(ctx, s.cfg.Metrics)
	if err != nil {
		return nil, err
	}
	s.log.Info("serving metrics", "addr", l.Addr().String())
	ended := make(chan struct{})
	go func() { // ends with the listener; stop waits
		defer close(ended)
		if err := metrics.Serve(&fewListener{Listener: l}, s.fs.Stats); err != nil {
			s.log.Error("metrics", "err", err)
		}
	}()
	return func() { l.Close(); <-ended }, nil
}
