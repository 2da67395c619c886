// Package servertest is a server in the test's own process, and connections to
// it that can be cut after any byte. It works in a bubble of testing/synctest.
package servertest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/hubfs"
	"hubfs/p9"
	"hubfs/transport"
)

// A Server is a server and the way to it.
type Server struct {
	tb  testing.TB
	ctx context.Context // the test's; ends the connections

	mu    sync.Mutex
	fs    *hubfs.FS  // guarded by mu
	down  bool       // guarded by mu: no connection is taken
	cuts  []Cut      // guarded by mu: of the connections to come
	conns []net.Conn // guarded by mu: the server's ends
}

// A Cut says where a connection is cut: when so many bytes have gone up to the
// server, or down from it. 0 is never.
type Cut struct{ Up, Down int }

// New starts a server, which ends with the test.
func New(tb testing.TB) *Server {
	s := &Server{tb: tb, ctx: context.Background()}
	s.start()
	tb.Cleanup(s.stop)
	return s
}

func (s *Server) start() {
	s.fs = hubfs.New(hubfs.Config{Name: "test", Owner: "u", Grace: time.Second})
}

func (s *Server) stop() {
	s.HangUp()
	if err := s.fs.Shutdown(s.ctx); err != nil {
		s.tb.Error(err)
	}
}

// Restart ends the server, with everything that is on it, and starts another.
func (s *Server) Restart() {
	time.Sleep(time.Millisecond) // no two runs begin at the same time
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUpLocked()
	if err := s.fs.Shutdown(s.ctx); err != nil {
		s.tb.Error(err)
	}
	s.start()
}

// Down says whether the server can be reached from now on.
func (s *Server) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// HangUp ends the connections that there are.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUpLocked()
}

// HangUpLast ends the connection that was made last.
func (s *Server) HangUpLast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[len(s.conns)-1].Close()
}

func (s *Server) hangUpLocked() {
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// Cut has the connections to come cut, the first of them where the first says.
func (s *Server) Cut(cuts ...Cut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts = cuts
}

// Connect connects to the server.
func (s *Server) Connect(ctx context.Context) (*server.Server, error) {
	s.mu.Lock()
	down, root, cut := s.down, s.fs.Root(), Cut{}
	if len(s.cuts) > 0 {
		cut, s.cuts = s.cuts[0], s.cuts[1:]
	}
	here, there := net.Pipe()
	if !down {
		s.conns = append(s.conns, there)
	}
	s.mu.Unlock()
	if down {
		return nil, fmt.Errorf("%w: %w", server.ErrUnreachable, syscall.ECONNREFUSED)
	}
	srv := &p9.Server{Root: root}
	go srv.ServeConn(s.ctx, there, p9.Peer{User: "u", Addr: "here", Admin: true}) // ends with the connection
	c, err := client.New(ctx, &cutConn{Conn: here, up: cut.Up, down: cut.Down}, client.Options{Uname: "u", Ordered: true})
	if err != nil {
		return nil, errors.Join(server.ErrUnreachable, err)
	}
	addr, err := transport.Parse("test")
	if err != nil {
		return nil, err
	}
	return &server.Server{Conn: c, Addr: addr}, nil
}

// Server is Connect of a test that is over without it. The connection lives
// until the end of the test.
func (s *Server) Server() *server.Server {
	s.tb.Helper()
	srv, err := s.Connect(s.ctx)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { srv.Close() })
	return srv
}

// A cutConn is cut after so many bytes.
type cutConn struct {
	net.Conn
	up, down int // guarded by who writes, and by who reads
}

func (c *cutConn) Write(p []byte) (int, error) {
	if c.up == 0 {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:min(len(p), c.up)])
	if c.up -= n; c.up == 0 && err == nil {
		c.Close()
		err = net.ErrClosed
	}
	return n, err
}

func (c *cutConn) Read(p []byte) (int, error) {
	if c.down == 0 {
		return c.Conn.Read(p)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.down)])
	if c.down -= n; c.down == 0 {
		c.Close()
	}
	return n, err
}
