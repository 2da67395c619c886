package soak

import (
	"io"
	"net"
	"sync"
)

// A leash is a connection that can be cut in mid-message, or not read for a
// while. It is no plain socket any more, so that a client takes it in its plain
// way.
type leash struct {
	net.Conn

	mu   sync.Mutex
	cut  int           // guarded by mu: bytes that may still be written; negative: any number
	gate chan struct{} // guarded by mu: nobody reads until it is closed; nil: open
	end  chan struct{} // closed by Close
	once sync.Once
}

func newLeash(c net.Conn) *leash { return &leash{Conn: c, cut: -1, end: make(chan struct{})} }

// cutAfter has the connection end when n more bytes are written.
func (l *leash) cutAfter(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = n
}

// stall has nobody read until open is called.
func (l *leash) stall() (open func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = gate
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.gate = nil
		close(gate)
	}
}

func (l *leash) Write(p []byte) (int, error) {
	l.mu.Lock()
	cut := l.cut
	if cut > len(p) {
		l.cut -= len(p)
	}
	l.mu.Unlock()
	if cut < 0 || cut > len(p) {
		return l.Conn.Write(p)
	}
	n, _ := l.Conn.Write(p[:cut])
	l.Close()
	return n, io.ErrClosedPipe
}

func (l *leash) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-l.end:
		}
	}
	return n, err
}

func (l *leash) Close() error {
	l.once.Do(func() { close(l.end) })
	return l.Conn.Close()
}

// isCut reports whether the connection was cut, or is to be.
func (l *leash) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut >= 0
}
