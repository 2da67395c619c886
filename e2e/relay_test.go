package e2e

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// A relay is a way to a server that can be cut.
type relay struct {
	tb     testing.TB
	path   string // of its socket
	server string // of the server's socket
	l      net.Listener
	work   sync.WaitGroup

	mu    sync.Mutex
	most  int64      // guarded by mu: bytes that a connection may carry up; 0: any number
	pairs []net.Conn // guarded by mu
}

// relay makes a relay to the server called name.
func (w *world) relay(name string) *relay {
	w.tb.Helper()
	r := &relay{tb: w.tb, path: filepath.Join(w.dir, "relay.sock"), server: w.socket(name)}
	var err error
	if r.l, err = net.Listen("unix", r.path); err != nil {
		w.tb.Fatal(err)
	}
	r.work.Go(r.accept) // ends with the listener
	w.tb.Cleanup(func() {
		r.l.Close()
		r.cut()
		r.work.Wait()
	})
	return r
}

// addr is the relay as hub -s takes it.
func (r *relay) addr() string { return "unix:" + r.path }

func (r *relay) accept() {
	for {
		here, err := r.l.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("unix", r.server)
		if err != nil {
			here.Close()
			continue
		}
		r.mu.Lock()
		most := r.most
		r.pairs = append(r.pairs, here, there)
		r.mu.Unlock()
		carry := func(dst, src net.Conn, most int64) {
			if most > 0 {
				io.CopyN(dst, src, most)
			} else {
				io.Copy(dst, src)
			}
			dst.Close()
			src.Close()
		}
		r.work.Go(func() { carry(there, here, most) }) // these end with the connection
		r.work.Go(func() { carry(here, there, 0) })
	}
}

// cut ends the connections that there are.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.pairs {
		c.Close()
	}
	r.pairs = nil
}

// carries limits what each connection to come carries up to the server.
func (r *relay) carries(most int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = most
}
