package client_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"hubfs/client"
	"hubfs/internal/wire"
)

// A script is the server's end of a connection: it expects requests and sends
// replies as the test says. Its methods fail the test if something else
// happens.
type script struct {
	t    *testing.T
	conn net.Conn
	d    wire.Decoder
}

// dial attaches a client to a script that keeps to the order. The fid of the
// attach is 0, and most data of a message are 8192 bytes.
func dial(t *testing.T) (*client.Conn, *script) {
	t.Helper()
	return dialWith(t, client.Options{Uname: "rob", Ordered: true})
}

func dialWith(t *testing.T, o client.Options) (*client.Conn, *script) {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &script{t: t, conn: theirs}
	greeted := make(chan struct{})
	go func() { // until the handshake is over
		defer close(greeted)
		m := s.next()
		s.say(wire.Msg{Type: wire.Rversion, Tag: m.Tag, Msize: 8192 + wire.IOHDRSZ, Version: wire.Version})
		m = s.next()
		s.say(wire.Msg{Type: wire.Rattach, Tag: m.Tag, Qid: wire.Qid{Type: wire.QTDIR, Path: 1}})
	}()
	c, err := client.New(t.Context(), ours, o)
	if err != nil {
		t.Fatal(err)
	}
	<-greeted
	t.Cleanup(func() {
		c.Close()
		theirs.Close()
	})
	return c, s
}

// frame reads a frame, or returns nil at the end of the connection.
func (s *script) frame() []byte {
	size := make([]byte, 4)
	if _, err := io.ReadFull(s.conn, size); err != nil {
		return nil
	}
	b := make([]byte, binary.LittleEndian.Uint32(size))
	copy(b, size)
	if _, err := io.ReadFull(s.conn, b[4:]); err != nil {
		return nil
	}
	return b
}

// next returns the next request; its Type is 0 at the end of the connection.
func (s *script) next() wire.Msg {
	var m wire.Msg
	b := s.frame()
	if b == nil {
		return m
	}
	if err := s.d.Decode(b, &m); err != nil {
		s.t.Errorf("the client sent %x: %v", b, err)
	}
	return m
}

// want returns the next request, which must be of the type.
func (s *script) want(t wire.Type) wire.Msg {
	s.t.Helper()
	m := s.next()
	if m.Type != t {
		s.t.Errorf("the client sent %v where %v was expected", &m, t)
	}
	return m
}

// say sends a message.
func (s *script) say(m wire.Msg) {
	s.t.Helper()
	b, err := wire.Append(nil, &m)
	if err != nil {
		s.t.Errorf("the test's server says what cannot be said: %v", err)
		return
	}
	s.raw(b)
}

func (s *script) raw(b []byte) {
	s.t.Helper()
	if _, err := s.conn.Write(b); err != nil {
		s.t.Errorf("the client has hung up: %v", err)
	}
}

// reply answers a request: the tag and the type are put in.
func (s *script) reply(to, m wire.Msg) {
	s.t.Helper()
	m.Tag = to.Tag
	if m.Type == 0 {
		m.Type = to.Type + 1
	}
	s.say(m)
}

// data answers a Tread.
func (s *script) data(to wire.Msg, data string) {
	s.t.Helper()
	s.reply(to, wire.Msg{Type: wire.Rread, Data: []byte(data)})
}

func (s *script) error(to wire.Msg, text string) {
	s.t.Helper()
	s.reply(to, wire.Msg{Type: wire.Rerror, Ename: text})
}

// walked answers a Twalk that has come all the way.
func (s *script) walked(to wire.Msg) {
	s.t.Helper()
	s.reply(to, wire.Msg{Wqid: make([]wire.Qid, len(to.Wname))})
}

// open opens a file and answers for the server.
func (s *script) open(c *client.Conn, mode uint8) *client.File {
	s.t.Helper()
	go func() { // until the open is answered
		w := s.want(wire.Twalk)
		o := s.want(wire.Topen)
		s.walked(w)
		s.reply(o, wire.Msg{})
	}()
	f, err := c.Open(context.Background(), "io", mode)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// async runs f and returns where its result will be.
func async[T any](f func() T) <-chan T {
	ch := make(chan T, 1)
	go func() { ch <- f() }() // until f returns
	return ch
}

// A result is what a read or a write returned.
type result struct {
	n    int
	data string
	err  error
}

func read(ctx context.Context, r interface {
	ReadContext(context.Context, []byte) (int, error)
}, size int) result {
	p := make([]byte, size)
	n, err := r.ReadContext(ctx, p)
	return result{n, string(p[:n]), err}
}

func write(ctx context.Context, w interface {
	WriteContext(context.Context, []byte) (int, error)
}, data string) result {
	n, err := w.WriteContext(ctx, []byte(data))
	return result{n: n, err: err}
}
