package p9

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
)

// A client speaks to a server that it has started, one message at a time. In
// a synctest bubble it knows when the server has nothing more to say.
type client struct {
	t    testing.TB
	conn io.ReadWriteCloser
	done chan error // what ServeConn returned

	mu      sync.Mutex
	replies []wire.Msg // guarded by mu; not yet taken
	closed  bool       // guarded by mu; the server hung up
}

// dial starts a server on one end of a pipe and returns a client at the other.
func dial(t testing.TB, s *Server, p Peer) *client {
	return dialContext(context.Background(), t, s, p)
}

func dialContext(ctx context.Context, t testing.TB, s *Server, p Peer) *client {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	c := &client{t: t, conn: near, done: make(chan error, 1)}
	go func() { c.done <- s.ServeConn(ctx, far, p) }()
	go c.receive()
	return c
}

func (c *client) receive() {
	for {
		m, err := readMsg(c.conn)
		c.mu.Lock()
		if err != nil {
			c.closed = true
			c.mu.Unlock()
			return
		}
		c.replies = append(c.replies, m)
		c.mu.Unlock()
	}
}

func readMsg(r io.Reader) (m wire.Msg, err error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return m, err
	}
	size, err := wire.FrameSize(frame, wire.MaxMsize)
	if err != nil {
		return m, err
	}
	frame = append(frame, make([]byte, size-4)...)
	if _, err := io.ReadFull(r, frame[4:]); err != nil {
		return m, err
	}
	var d wire.Decoder
	err = d.Decode(frame, &m)
	return m, err
}

func encode(t testing.TB, m wire.Msg) []byte {
	frame, err := wire.Append(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// send sends a request.
func (c *client) send(m wire.Msg) {
	c.t.Helper()
	c.raw(encode(c.t, m))
}

func (c *client) raw(frame []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Logf("send: %v", err)
	}
}

// take returns the next reply, once the server has come to rest; false if
// there is none.
func (c *client) take() (wire.Msg, bool) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.replies) == 0 {
		return wire.Msg{}, false
	}
	m := c.replies[0]
	c.replies = c.replies[1:]
	return m, true
}

// rpc sends a request and returns its answer.
func (c *client) rpc(m wire.Msg) wire.Msg {
	c.t.Helper()
	c.send(m)
	r, ok := c.take()
	if !ok {
		c.t.Fatalf("no reply to %v", &m)
	}
	if r.Tag != m.Tag {
		c.t.Fatalf("reply to %v is %v", &m, &r)
	}
	return r
}

// must is rpc for requests that succeed.
func (c *client) must(m wire.Msg) wire.Msg {
	c.t.Helper()
	r := c.rpc(m)
	if r.Type != m.Type+1 {
		c.t.Fatalf("reply to %v is %v", &m, &r)
	}
	return r
}

// expect takes a reply and compares it.
func (c *client) expect(want string) {
	c.t.Helper()
	m, ok := c.take()
	got := m.String()
	if !ok {
		got = "nothing"
	}
	if got != want {
		c.t.Fatalf("got %s, want %s", got, want)
	}
}

func (c *client) hungUp() bool {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// login does Tversion and attaches fid 0.
func (c *client) login(aname string) *client {
	c.t.Helper()
	c.must(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.Version})
	c.must(wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid, Uname: "glenda", Aname: aname})
	return c
}

// open walks fid to name and opens it.
func (c *client) open(fid uint32, name string, mode uint8) {
	c.t.Helper()
	c.must(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: fid, Wname: []string{name}})
	c.must(wire.Msg{Type: wire.Topen, Tag: 1, Fid: fid, Mode: mode})
}

// hangUp closes the connection and returns what ServeConn did.
func (c *client) hangUp() error {
	c.conn.Close()
	return <-c.done
}

func tread(tag uint16, fid uint32, count uint32) wire.Msg {
	return wire.Msg{Type: wire.Tread, Tag: tag, Fid: fid, Count: count}
}

func twrite(tag uint16, fid uint32, data string) wire.Msg {
	return wire.Msg{Type: wire.Twrite, Tag: tag, Fid: fid, Data: []byte(data)}
}

func tflush(tag, oldtag uint16) wire.Msg {
	return wire.Msg{Type: wire.Tflush, Tag: tag, Oldtag: oldtag}
}

// checkFreed fails if the server holds something of a tree.
func (m *mem) checkFreed(t testing.TB) {
	t.Helper()
	if n := m.opens.Load(); n != 0 {
		t.Errorf("%d handles are still open", n)
	}
	if n := m.pieces.Load(); n != 0 {
		t.Errorf("%d pieces were not freed", n)
	}
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
