package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"hubfs/transport"
)

// StdioNode is Stdio for who wants a node of a tree: with the server at c.Addr if
// it runs, and else with one that is this very process, has no other connection
// and keeps nothing. It is gone with the connection, and with it all that ran on
// it.
func StdioNode(ctx context.Context, c Config, alive bool) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := transport.Dial(dial, c.Addr)
	switch {
	case err == nil:
		return stdioWith(ctx, conn, alive)
	case !errors.Is(err, transport.ErrNotRunning):
		return err
	}
	c.State, c.Access, c.Idle = NoState, NoAccess, 0
	return serveAlone(ctx, c, newStdio(os.Stdin, os.Stdout), alive)
}

// serveAlone serves one connection, of this user.
func serveAlone(ctx context.Context, c Config, rwc io.ReadWriteCloser, alive bool) error {
	s := newServer(c)
	defer s.hangup()
	if err := s.makeTree(); err != nil {
		rwc.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if alive {
		if _, err := io.WriteString(rwc, transport.Greeting); err != nil {
			cancel()
		}
		silence := time.AfterFunc(aliveTime, cancel)
		defer silence.Stop()
		rwc = &heardConn{rwc, func() { silence.Reset(aliveTime) }}
	}
	served := s.servePeer(ctx, rwc, transport.Peer{UID: os.Geteuid(), User: ownUser(), Addr: "stdio", Admin: true})
	return errors.Join(served, s.end(context.WithoutCancel(ctx)))
}

// heardConn is a connection that says so whenever something has come.
type heardConn struct {
	io.ReadWriteCloser
	note func()
}

func (h *heardConn) Read(p []byte) (int, error) {
	n, err := h.ReadWriteCloser.Read(p)
	if n > 0 {
		h.note()
	}
	return n, err
}

// stdio is standard input and output as a connection, whose Close ends a Read and a
// Write that wait if they are pipes or sockets, as those of sshd are.
type stdio struct {
	io.Reader
	io.Writer
	files []io.Closer
	once  sync.Once
}

func newStdio(r, w *os.File) io.ReadWriteCloser {
	s := &stdio{Reader: r, Writer: w, files: []io.Closer{r, w}}
	if passing(r) && passing(w) {
		if in, err := pollable(r); err == nil {
			s.Reader, s.files[0] = in, in
		}
		if out, err := pollable(w); err == nil {
			s.Writer, s.files[1] = out, out
		}
	}
	return s
}

// Close closes both.
func (s *stdio) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		err = nil
		for _, f := range s.files {
			err = errors.Join(err, f.Close())
		}
	})
	return err
}
