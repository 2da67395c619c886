package hubfs

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
	"hubfs/p9"
	"hubfs/tree"
)

// A peer speaks 9P to a server under test, over a connection in memory and in a
// synctest bubble, one message at a time.
type peer struct {
	t    *testing.T
	conn net.Conn
	tag  uint16
	over chan struct{} // closed when the server is done with the connection

	mu  sync.Mutex
	got []byte // guarded by mu; whole and half frames that have come
}

// dial connects as c and attaches: fid 0 is the root.
func (s *server) dial(c *tree.Caller) *peer {
	s.t.Helper()
	here, there := net.Pipe()
	p := &peer{t: s.t, conn: here, over: make(chan struct{})}
	srv := &p9.Server{Root: s.Root(), Trace: s.trace}
	go func() { // ends with the connection
		defer close(p.over)
		srv.ServeConn(s.t.Context(), there, p9.Peer{User: c.User, Addr: c.Addr, Admin: c.Admin, Rights: c.Rights})
	}()
	go func() { // ends with the connection
		buf := make([]byte, 64<<10)
		for {
			n, err := here.Read(buf)
			p.mu.Lock()
			p.got = append(p.got, buf[:n]...)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	p.must(wire.Msg{Type: wire.Tversion, Msize: 64 << 10, Version: wire.Version})
	p.must(wire.Msg{Type: wire.Tattach, Afid: wire.NoFid})
	return p
}

// close hangs up, and waits until the server has noticed.
func (p *peer) close() {
	p.conn.Close()
	<-p.over
}

// send sends a message and returns what the server has sent by the time when it
// does nothing more.
func (p *peer) send(m wire.Msg) []byte {
	p.t.Helper()
	if m.Type == wire.Tversion {
		m.Tag = wire.NoTag
	}
	frame, err := wire.Append(nil, &m)
	if err != nil {
		return nil // no message
	}
	if _, err := p.conn.Write(frame); err != nil {
		return nil // hung up
	}
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// ask sends a request and returns its reply; there is none if it waits.
func (p *peer) ask(m wire.Msg) (reply wire.Msg, answered bool) {
	p.t.Helper()
	p.tag++
	m.Tag = p.tag
	got := p.send(m)
	if len(got) == 0 {
		return wire.Msg{}, false
	}
	var d wire.Decoder
	if err := d.Decode(got, &reply); err != nil {
		p.t.Fatalf("%v: %v", m.Type, err)
	}
	return reply, true
}

// must is ask of what must succeed.
func (p *peer) must(m wire.Msg) wire.Msg {
	p.t.Helper()
	r, answered := p.ask(m)
	if !answered || r.Type == wire.Rerror {
		p.t.Fatalf("%v: %v, answered %v", &m, &r, answered)
	}
	return r
}
