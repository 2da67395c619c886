package p9

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// TestHangUpFreesEverything: every open is closed and every piece freed, also
// those of reads and writes that wait. That no goroutine is left the bubble
// itself checks.
func TestHangUpFreesEverything(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		stream := m.root.kids["stream"].(*memStream)
		stream.append([]byte("some bytes"))
		for i := range 100 {
			fid := uint32(i + 10)
			c.open(fid, "stream", tree.OpenRDWR)
			c.must(tread(uint16(fid), fid, 100))
			c.send(tread(uint16(fid), fid, 100))
			c.send(tread(uint16(fid)+1000, fid, 100))
		}
		stream.set(func() { stream.shut = true })
		for i := range 100 {
			fid := uint32(i + 10)
			c.send(twrite(uint16(fid)+2000, fid, strings.Repeat("x", i*1000)))
		}
		synctest.Wait()
		if n := stream.waits(); n != 200 {
			t.Errorf("%d wait, want 200", n)
		}
		c.open(1, "excl", tree.OpenRead)
		c.conn.Close()
		synctest.Wait()
		if n := stream.waits(); n != 0 {
			t.Errorf("%d still wait", n)
		}
		d := dial(t, s, Peer{}).login("")
		d.open(1, "excl", tree.OpenRead) // is free again
		d.hangUp()
	})
}

// TestSilentPeerStallsAlone: a peer asks for more than it reads. What is
// queued for it stays within the limit, its reads take nothing more from the
// stream, others go on; when it reads at last, all is there, in order.
func TestSilentPeerStallsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root, Limits: Limits{Replies: 100_000}}
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), far, Peer{}) }()
		login := func(m wire.Msg) {
			near.Write(encode(t, m))
			if r, err := readMsg(near); err != nil || r.Type != m.Type+1 {
				t.Fatalf("%v: %v", &r, err)
			}
		}
		login(wire.Msg{Type: wire.Tversion, Msize: wire.MaxMsize, Version: wire.Version})
		login(wire.Msg{Type: wire.Tattach, Afid: wire.NoFid, Uname: "silent"})
		login(wire.Msg{Type: wire.Twalk, Newfid: 1, Wname: []string{"stream"}})
		login(wire.Msg{Type: wire.Topen, Fid: 1})
		login(wire.Msg{Type: wire.Twalk, Newfid: 2, Wname: []string{"stream"}})
		login(wire.Msg{Type: wire.Topen, Fid: 2})

		const reads, size = 100, 10_000
		asked := make(chan struct{})
		near.Write(encode(t, tread(1000, 2, size))) // waits before all that
		go func() {                                 // ends when the server has read all of it
			defer close(asked)
			for i := range reads {
				near.Write(encode(t, tread(uint16(i), 1, size)))
			}
		}()
		synctest.Wait()
		stream := m.root.kids["stream"].(*memStream)
		want := make([]byte, reads*size)
		for i := range want {
			want[i] = byte(i / 7)
		}
		stream.append(want)
		synctest.Wait()

		c := onlyConn(s)
		c.mu.Lock()
		queued := c.out.bytes
		c.mu.Unlock()
		if queued < 100_000 || queued > 100_000+2*size+100 {
			t.Errorf("%d bytes are queued", queued)
		}
		d := dial(t, s, Peer{}).login("")
		d.open(1, "stream", tree.OpenRead)
		if r := d.must(tread(1, 1, size)); len(r.Data) != size {
			t.Errorf("the other peer got %v", &r)
		}
		d.hangUp()

		var got []byte
		for range reads + 1 {
			r, err := readMsg(near)
			if err != nil || r.Type != wire.Rread {
				t.Fatalf("%v: %v", &r, err)
			}
			if r.Tag != 1000 {
				got = append(got, r.Data...)
			}
		}
		if !bytes.Equal(got, want) {
			t.Error("bytes are missing or out of order")
		}
		<-asked
		near.Close()
		<-done
		m.checkFreed(t)
	})
}

// TestSilentPeerIsNotRead: requests that are cheap to make and dear to answer
// are not read either, once the limit is reached.
func TestSilentPeerIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root, Limits: Limits{Replies: 10_000}}
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), far, Peer{}) }()
		go func() { // ends at hang-up, for the server does not read all that
			near.Write(encode(t, wire.Msg{Type: wire.Tversion, Msize: 8192, Version: wire.Version}))
			near.Write(encode(t, wire.Msg{Type: wire.Tattach, Afid: wire.NoFid, Uname: "silent"}))
			for range 100_000 {
				if _, err := near.Write(encode(t, wire.Msg{Type: wire.Tstat})); err != nil {
					return
				}
			}
			t.Error("the server has read everything")
		}()
		synctest.Wait()
		c := onlyConn(s)
		c.mu.Lock()
		queued := c.out.bytes
		c.mu.Unlock()
		if queued < 10_000 || queued > 10_200 {
			t.Errorf("%d bytes are queued", queued)
		}
		near.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func onlyConn(s *Server) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		return c
	}
	return nil
}

// TestStalledPeerIsHungUp: who reads nothing for too long is let go.
func TestStalledPeerIsHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root, Limits: Limits{Stall: time.Minute}}
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), far, Peer{}) }()
		start := time.Now()
		near.Write(encode(t, wire.Msg{Type: wire.Tversion, Msize: 8192, Version: wire.Version}))
		err := <-done
		if took := time.Since(start); err == nil || took < time.Minute || took > 2*time.Minute {
			t.Errorf("ended with %v after %v", err, took)
		}
		near.Close()
	})
}

// TestHelloDeadline: a connection that says nothing is let go; one that has
// said Tversion is not.
func TestHelloDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root}
		silent := dial(t, s, Peer{})
		spoke := dial(t, s, Peer{}).login("")
		time.Sleep(time.Hour) // of the bubble
		if err := <-silent.done; !errors.Is(err, errHello) {
			t.Errorf("ended with %v", err)
		}
		spoke.must(wire.Msg{Type: wire.Tstat, Tag: 1, Fid: 0})
		spoke.hangUp()
	})
}

// TestLimits asks for more than it may: a clear error each time, and the
// connection goes on.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root, Limits: Limits{Fids: 5, Requests: 4, Kept: 1000, Conns: 2, Msize: 4096}}
		c := dial(t, s, Peer{})
		r := c.must(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 1 << 20, Version: wire.Version})
		if r.Msize != 4096 {
			t.Errorf("msize %d", r.Msize)
		}
		c.must(wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid})
		for fid := uint32(1); fid <= 4; fid++ {
			c.open(fid, "stream", tree.OpenRDWR)
		}
		c.send(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: 5})
		c.expect(`Rerror tag 1 ename "too many fids (5): limit reached"`)

		stream := m.root.kids["stream"].(*memStream)
		for i := range 4 {
			c.send(tread(uint16(i+10), uint32(i%2+1), 10))
		}
		c.send(tread(20, 1, 10)) // behind others
		c.expect(`Rerror tag 20 ename "too many requests wait (4): limit reached"`)
		c.send(tread(20, 3, 10)) // would be the first
		c.expect(`Rerror tag 20 ename "too many requests wait (4): limit reached"`)
		if n := stream.waits(); n != 2 {
			t.Errorf("%d wait, want 2", n)
		}
		c.send(twrite(20, 4, "a write that need not wait may pass"))
		for range 4 {
			if r, _ := c.take(); r.Type != wire.Rread {
				t.Errorf("got %v", &r)
			}
		}
		c.expect("Rwrite tag 20 count 35")
		stream.set(func() { stream.shut = true })
		big := strings.Repeat("x", 600)
		c.send(twrite(1, 1, big))
		c.send(twrite(2, 1, big))
		c.expect(`Rerror tag 2 ename "too many bytes wait to be written (600): limit reached"`)
		c.send(twrite(2, 2, big))
		c.expect(`Rerror tag 2 ename "too many bytes wait to be written (600): limit reached"`)
		stream.set(func() { stream.shut = false })
		c.expect("Rwrite tag 1 count 600")
		c.must(twrite(2, 2, big))

		// A listing counts too; it can be had once there is room.
		for i := range 30 {
			m.root.kids[fmt.Sprintf("file%d", i)] = m.file(fmt.Sprintf("file%d", i), "", 0o666)
		}
		c.must(wire.Msg{Type: wire.Tclunk, Tag: 1, Fid: 4})
		c.must(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: 4})
		c.must(wire.Msg{Type: wire.Topen, Tag: 1, Fid: 4})
		c.send(tread(1, 4, 4000))
		c.expect(`Rerror tag 1 ename "too many bytes of listings (1000): limit reached"`)

		d := dial(t, s, Peer{}).login("")
		e := dial(t, s, Peer{})
		e.expect(`Rerror tag NOTAG ename "too many connections (2): limit reached"`)
		if err := e.hangUp(); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("ended with %v", err)
		}
		if n := len(s.Conns()); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		d.hangUp()
		if n := onlyConn(s).kept; n != 0 {
			t.Errorf("%d bytes are kept for nothing", n)
		}
		c.hangUp()
		m.checkFreed(t)
	})
}

// TestReplyTooLong: a stat that the peer's msize cannot hold is an error.
func TestReplyTooLong(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		name := strings.Repeat("n", 250)
		m.root.kids[name] = m.file(name, "", 0o666)
		c.must(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 256, Version: wire.Version})
		c.must(wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid})
		c.must(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: 0, Wname: []string{"sub"}})
		c.must(wire.Msg{Type: wire.Tstat, Tag: 1, Fid: 0})
		// The name does not even fit a Twalk; put the fid there by hand.
		synctest.Wait()
		onlyConn(s).fids[0].at = &place{node: m.root.kids[name], up: &place{node: m.root}}
		c.send(wire.Msg{Type: wire.Tstat, Tag: 1, Fid: 0})
		c.expect(`Rerror tag 1 ename "reply is longer than msize"`)
	})
}

// A bomb is a handle that panics where it is told to.
type bomb struct {
	m     *mem
	where string
	tries int
	wake  func()
}

func (b *bomb) at(where string) {
	if b.where == where {
		panic("bomb in " + where)
	}
}

func (b *bomb) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	b.at("ReadStream")
	if b.tries++; b.tries > 1 {
		b.at("wake")
	}
	b.wake = wake
	return dst, false, nil
}
func (b *bomb) WriteAt(p []byte, off int64) (int, error) { b.at("WriteAt"); return len(p), nil }
func (b *bomb) CancelRead()                              { b.at("CancelRead") }
func (b *bomb) Close() error                             { b.at("Close"); return nil }

type bombDir struct{ memNode }

func (d *bombDir) Lookup(*tree.Caller, string) (tree.Node, error) { panic("bomb in Lookup") }
func (d *bombDir) List(*tree.Caller) ([]tree.Info, error)         { panic("bomb in List") }

// TestPanicEndsItsConnection: a panic of a handler, wherever it is called
// from, ends that connection with the stack in the log, and nothing else.
func TestPanicEndsItsConnection(t *testing.T) {
	for _, where := range []string{"ReadStream", "wake", "WriteAt", "CancelRead", "Close", "Lookup", "List"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMem()
				var log bytes.Buffer
				s := &Server{Root: m.root, Log: slog.New(slog.NewTextHandler(&log, nil))}
				b := &bomb{m: m, where: where}
				m.fn("bomb", func() tree.Handle { return b })
				m.root.kids["dir"] = &bombDir{m.node("dir", 0o777|tree.ModeDir)}
				bystander := dial(t, s, Peer{}).login("")
				bystander.open(1, "stream", tree.OpenRead)
				bystander.send(tread(1, 1, 100))

				c := dial(t, s, Peer{}).login("")
				c.open(2, "stream", tree.OpenRead)
				c.send(tread(2, 2, 100))
				switch where {
				case "Lookup":
					c.send(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: 1, Wname: []string{"dir", "x"}})
				case "List":
					c.open(1, "dir", tree.OpenRead)
					c.send(tread(1, 1, 1000))
				default:
					c.open(1, "bomb", tree.OpenRDWR)
					c.send(tread(1, 1, 100))
					c.send(tread(3, 1, 100))
				}
				switch where {
				case "WriteAt":
					c.send(twrite(4, 1, "x"))
				case "wake":
					synctest.Wait()
					b.wake() // must not panic here
				case "CancelRead":
					c.send(tflush(4, 1))
				case "Close":
					c.send(wire.Msg{Type: wire.Tclunk, Tag: 4, Fid: 1})
				}
				if err := <-c.done; !errors.Is(err, errPanic) {
					t.Errorf("ended with %v", err)
				}
				c.conn.Close()
				if out := log.String(); !strings.Contains(out, "bomb in "+where) && where != "wake" || !strings.Contains(out, "stack=") {
					t.Errorf("log has no stack: %s", out)
				}
				bystander.send(wire.Msg{Type: wire.Tstat, Tag: 2, Fid: 9})
				bystander.expect(`Rerror tag 2 ename "fid unknown or out of range"`)
				bystander.hangUp()
				if n := m.root.kids["stream"].(*memStream).waits(); n != 0 {
					t.Errorf("%d still wait", n)
				}
			})
		})
	}
}

// TestASocketEndsWithContext: when the context of a connection over a socket is
// done, it is over when ServeConn returns, and what was queued has been sent.
func TestASocketEndsWithContext(t *testing.T) {
	m := newMem()
	s := &Server{Root: m.root}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { // ends with the connection
		nc, err := l.Accept()
		if err == nil {
			err = s.ServeConn(ctx, nc, Peer{User: "glenda", Addr: "here"})
		}
		served <- err
	}()
	nc, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(m wire.Msg) wire.Msg {
		t.Helper()
		if _, err := nc.Write(encode(t, m)); err != nil {
			t.Fatal(err)
		}
		r, err := readMsg(nc)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ask(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: wire.Version})
	ask(wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid, Uname: "ignored"})
	ask(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: 1, Wname: []string{"stream"}})
	ask(wire.Msg{Type: wire.Topen, Tag: 1, Fid: 1})
	infos := s.Conns()
	if len(infos) != 1 || infos[0].User != "glenda" || infos[0].Addr != "here" || infos[0].Fids != 2 || infos[0].ID == 0 {
		t.Errorf("Conns: %+v", infos)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := readMsg(nc); err == nil {
		t.Error("still served")
	}
	nc.Close()
	m.checkFreed(t)
	if n := len(s.Conns()); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// TestSocketsTakeLargeReplies reads much more than a socket holds, so that
// replies are written in parts and by the writer's goroutine.
func TestSocketsTakeLargeReplies(t *testing.T) {
	m := newMem()
	s := &Server{Root: m.root}
	near, far := socketPair(t)
	c, replies := plainOver(t, s, near, far)
	c.open(t, 1, "stream", tree.OpenRead)
	want := make([]byte, 16<<20)
	for i := range want {
		want[i] = byte(i * 7 >> 8)
	}
	m.root.kids["stream"].(*memStream).append(want)
	var ask []byte
	sizes := []uint32{1 << 20, 100, 40_000, 32 << 10, 200_000}
	for i := range 60 {
		ask = append(ask, encode(t, tread(uint16(i+10), 1, sizes[i%len(sizes)]))...)
	}
	if _, err := c.Write(ask); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for i := range 60 {
		r := <-replies
		if r.Type != wire.Rread || r.Tag != uint16(i+10) {
			t.Fatalf("reply %d is %v", i, &r)
		}
		got = append(got, r.Data...)
	}
	if !bytes.Equal(got, want[:len(got)]) {
		t.Error("the bytes are not those of the stream")
	}
	c.Close()
	for range replies {
	}
	if err := <-c.done; err != nil {
		t.Error(err)
	}
	m.checkFreed(t)
}

// socketPair returns two ends of a unix socket.
func socketPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// TestTrace: a line for each message.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMem()
		s := &Server{Root: m.root, Trace: slog.New(slog.NewTextHandler(&out, nil))}
		c := dial(t, s, Peer{}).login("")
		c.open(1, "file", tree.OpenRead)
		c.must(tread(5, 1, 5))
		c.hangUp()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 10 {
			t.Errorf("%d lines, want 10", len(lines))
		}
		if last := lines[len(lines)-1]; !strings.Contains(last, `<- Rread tag 5 count 5 \"hello\"`) {
			t.Errorf("last line: %s", last)
		}
	})
}
