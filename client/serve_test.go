package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/internal/wire"
)

// dialBoth is dial with a server that asks, too. Serve hands rwc to the test and
// returns when the connection ends.
func dialBoth(t *testing.T, version string) (*client.Conn, *script, <-chan io.ReadWriteCloser) {
	t.Helper()
	ours, theirs := net.Pipe()
	s := &script{t: t, conn: theirs}
	greeted := make(chan struct{})
	go func() { // until the handshake is over
		defer close(greeted)
		m := s.want(wire.Tversion)
		if m.Version != wire.VersionBoth {
			t.Errorf("the client offers %q", m.Version)
		}
		s.say(wire.Msg{Type: wire.Rversion, Tag: m.Tag, Msize: wire.MaxMsize, Version: version})
		m = s.want(wire.Tattach)
		s.say(wire.Msg{Type: wire.Rattach, Tag: m.Tag, Qid: wire.Qid{Type: wire.QTDIR, Path: 1}})
	}()
	rwcs := make(chan io.ReadWriteCloser, 1)
	c, err := client.New(t.Context(), ours, client.Options{Ordered: true, Serve: func(ctx context.Context, rwc io.ReadWriteCloser) {
		rwcs <- rwc
		<-ctx.Done()
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-greeted
	t.Cleanup(func() {
		c.Close()
		theirs.Close()
	})
	return c, s, rwcs
}

// TestServeGetsTheRequests, short and long, between replies that are short and
// long, under tags that the client uses as well; and sends the replies.
func TestServeGetsTheRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, rwcs := dialBoth(t, wire.VersionBoth)
		if !c.Both() {
			t.Fatal("one way")
		}
		rwc := <-rwcs
		f := s.open(c, client.ORDWR)
		asked := script{t: t, conn: wayConn{rwc: rwc}}
		for _, size := range []int{1, 5000, 500_000} {
			data := strings.Repeat("x", size)
			got := async(func() result { return read(t.Context(), f, wire.MaxMsize) })
			m := s.want(wire.Tread)
			s.say(wire.Msg{Type: wire.Twrite, Tag: m.Tag, Data: []byte(data)})
			s.say(wire.Msg{Type: wire.Tclunk, Tag: 7})
			s.data(m, data)
			if r := <-got; r.data != data || r.err != nil {
				t.Errorf("%d bytes read, %v", r.n, r.err)
			}
			w := asked.want(wire.Twrite)
			if string(w.Data) != data {
				t.Errorf("%d bytes asked to write, want %d", len(w.Data), size)
			}
			asked.want(wire.Tclunk)
			go asked.reply(w, wire.Msg{Count: w.Count}) // until it is read
			if r := s.next(); r.Type != wire.Rwrite || r.Tag != m.Tag {
				t.Errorf("the server got %v", &r)
			}
		}
	})
}

// A wayConn makes of a direction what a script takes.
type wayConn struct {
	net.Conn // nil: there are no addresses and no deadlines
	rwc      io.ReadWriteCloser
}

func (c wayConn) Read(p []byte) (int, error)  { return c.rwc.Read(p) }
func (c wayConn) Write(p []byte) (int, error) { return c.rwc.Write(p) }

// TestServerThatKnowsNoOtherDirection is one that has never heard of it: Serve is
// not called, and a request from there breaks the protocol.
func TestServerThatKnowsNoOtherDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, rwcs := dialBoth(t, wire.Version)
		if c.Both() {
			t.Error("both ways")
		}
		s.say(wire.Msg{Type: wire.Tclunk, Tag: 7})
		<-c.Done()
		if err := c.Err(); !errors.Is(err, client.ErrLost) || !strings.Contains(err.Error(), "Tclunk") {
			t.Error(err)
		}
		if len(rwcs) > 0 {
			t.Error("there was somebody to serve")
		}
	})
}

// TestVersionThatWasNotOffered ends the connection.
func TestVersionThatWasNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &script{t: t, conn: theirs}
		go func() { // until the handshake is over
			m := s.want(wire.Tversion)
			s.say(wire.Msg{Type: wire.Rversion, Tag: m.Tag, Msize: 8192, Version: wire.VersionBoth})
		}()
		if _, err := client.New(t.Context(), ours, client.Options{}); err == nil {
			t.Error("taken")
		}
	})
}
