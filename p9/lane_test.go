package p9

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// session starts a server for a fresh tree and logs a client in, all in a
// bubble; when f returns nothing must be left.
func session(t *testing.T, f func(m *mem, s *Server, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root}
		c := dial(t, s, Peer{}).login("")
		f(m, s, c)
		c.hangUp()
		m.checkFreed(t)
		if n := len(s.Conns()); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// TestPipelinedWritesKeepOrder sends 1,000 keystrokes without waiting for an
// answer, the second half of them while the stream has no room.
func TestPipelinedWritesKeepOrder(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		c.open(1, "stream", tree.OpenWrite)
		stream := m.root.kids["stream"].(*memStream)
		var all []byte
		var want strings.Builder
		for i := range 1000 {
			text := fmt.Sprintf("%d,", i)
			all = append(all, encode(t, twrite(uint16(i), 1, text))...)
			want.WriteString(text)
		}
		half := len(all) / 2
		c.raw(all[:half])
		synctest.Wait()
		stream.set(func() { stream.shut = true })
		c.raw(all[half:])
		synctest.Wait()
		stream.set(func() { stream.shut = false })
		for i := range 1000 {
			r, ok := c.take()
			if !ok || r.Type != wire.Rwrite || r.Tag != uint16(i) {
				t.Fatalf("reply %d is %v", i, &r)
			}
		}
		if got := stream.text(); got != want.String() {
			t.Errorf("the stream has them in another order: %.80s...", got)
		}
	})
}

// TestWaitingReadsStopNobody has 300 reads wait on one connection, each on a
// fid of its own; a write and a stat pass, and one write answers them all.
func TestWaitingReadsStopNobody(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		const readers = 300
		for i := range readers {
			c.open(uint32(i+10), "stream", tree.OpenRead)
			c.send(tread(uint16(i+10), uint32(i+10), 100))
		}
		c.open(1, "other", tree.OpenWrite)
		c.must(twrite(1, 1, "passes"))
		c.must(wire.Msg{Type: wire.Tstat, Tag: 1, Fid: 0})
		if n := s.Conns()[0].Waiting; n != readers {
			t.Errorf("%d requests wait, want %d", n, readers)
		}
		c.open(2, "stream", tree.OpenWrite)
		c.send(twrite(1, 2, "all"))
		seen := make(map[uint16]bool)
		for range readers + 1 {
			r, _ := c.take()
			if r.Type == wire.Rread && string(r.Data) != "all" {
				t.Fatalf("got %v", &r)
			}
			seen[r.Tag] = true
		}
		if len(seen) != readers+1 {
			t.Errorf("%d requests answered, want %d", len(seen), readers+1)
		}
	})
}

// TestFlushLosesNothing flushes reads while bytes arrive: each byte comes
// exactly once, in order, and the reply of a read never comes after the Rflush.
func TestFlushLosesNothing(t *testing.T) {
	m := newMem()
	s := &Server{Root: m.root}
	stream := m.root.kids["stream"].(*memStream)
	conn, replies := plainSession(t, s)
	conn.open(t, 1, "stream", tree.OpenRead)

	const rounds = 5000
	const total = rounds * 5
	// The bytes of a round are on their way when its read and its flush are.
	start := make(chan int)
	var wg sync.WaitGroup
	wg.Go(func() { // ends when start is closed
		for i := range start {
			for range 5 {
				stream.append([]byte{byte(i)})
				i++
			}
		}
		stream.set(func() { stream.ended = true })
	})

	var got []byte
	flushed := 0
	for round, ended := 0, false; !ended; round++ {
		switch {
		case round < rounds:
			start <- 5 * round
		case round == rounds:
			close(start)
		}
		both := append(encode(t, tread(1, 1, 7)), encode(t, tflush(2, 1))...)
		if _, err := conn.Write(both); err != nil {
			t.Fatal(err)
		}
		answered := false
		for r := range replies {
			if r.Type == wire.Rread {
				if answered {
					t.Fatal("a read was answered twice")
				}
				answered = true
				ended = len(r.Data) == 0
				got = append(got, r.Data...)
				continue
			}
			if r.Type != wire.Rflush || r.Tag != 2 {
				t.Fatalf("got %v", &r)
			}
			break
		}
		if !answered {
			flushed++
		}
	}
	wg.Wait()
	t.Logf("%d reads were flushed", flushed)
	if len(got) != total {
		t.Fatalf("%d bytes arrived, want %d", len(got), total)
	}
	for i, b := range got {
		if b != byte(i) {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
	conn.Close()
	for range replies {
	}
	<-conn.done
	m.checkFreed(t)
}

// A plainConn is a connection outside of any bubble.
type plainConn struct {
	net.Conn
	replies <-chan wire.Msg
	done    chan error
}

// plainSession logs in over a pipe. The channel of replies is closed at
// hang-up.
func plainSession(t testing.TB, s *Server) (*plainConn, <-chan wire.Msg) {
	near, far := net.Pipe()
	return plainOver(t, s, near, far)
}

func plainOver(t testing.TB, s *Server, near, far net.Conn) (*plainConn, <-chan wire.Msg) {
	replies := make(chan wire.Msg, 16)
	c := &plainConn{Conn: near, replies: replies, done: make(chan error, 1)}
	go func() { c.done <- s.ServeConn(t.Context(), far, Peer{}) }()
	go func() { // ends at hang-up
		defer close(replies)
		for {
			m, err := readMsg(near)
			if err != nil {
				return
			}
			replies <- m
		}
	}()
	c.must(t, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.Version})
	c.must(t, wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid, Uname: "glenda"})
	return c, replies
}

func (c *plainConn) must(t testing.TB, m wire.Msg) wire.Msg {
	t.Helper()
	if _, err := c.Write(encode(t, m)); err != nil {
		t.Fatal(err)
	}
	r := <-c.replies
	if r.Type != m.Type+1 || r.Tag != m.Tag {
		t.Fatalf("reply to %v is %v", &m, &r)
	}
	return r
}

func (c *plainConn) open(t testing.TB, fid uint32, name string, mode uint8) {
	t.Helper()
	c.must(t, wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: fid, Wname: []string{name}})
	c.must(t, wire.Msg{Type: wire.Topen, Tag: 1, Fid: fid, Mode: mode})
}

// A slow handle does plain reads and writes that take until somebody says so.
type slow struct {
	m     *mem
	begun chan struct{}
	goOn  chan struct{}
}

func (m *mem) slow(name string) *slow {
	h := &slow{m: m, begun: make(chan struct{}, 10), goOn: make(chan struct{})}
	m.fn(name, func() tree.Handle { return h })
	return h
}

func (h *slow) ReadAt(p []byte, off int64) (int, error) {
	h.begun <- struct{}{}
	<-h.goOn
	return copy(p, "slow"), io.EOF
}

func (h *slow) WriteAt(p []byte, off int64) (int, error) {
	h.begun <- struct{}{}
	<-h.goOn
	return len(p), nil
}

func (h *slow) Close() error { return h.m.closed() }

// TestRflushFollowsReply flushes, twice, a read that is being done, and
// flushes a flush: the reply comes first, then the Rflushes in order.
func TestRflushFollowsReply(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		h := m.slow("slow")
		c.open(1, "slow", tree.OpenRDWR)
		c.send(tread(1, 1, 100))
		<-h.begun
		c.send(tread(2, 1, 100))
		c.send(tflush(3, 1))
		c.send(tflush(4, 2)) // only queued: gone at once
		c.send(tflush(5, 1))
		c.send(tflush(6, 3))
		c.expect("Rflush tag 4")
		c.expect("nothing")
		// The connection goes on meanwhile; so does the other lane.
		c.must(wire.Msg{Type: wire.Tstat, Tag: 7, Fid: 0})
		c.send(twrite(8, 1, "x"))
		synctest.Wait()
		close(h.goOn)
		replies := make(map[string]int)
		for i := range 5 {
			r, _ := c.take()
			replies[r.String()] = i
		}
		for i, want := range []string{`Rread tag 1 count 4 "slow"`, "Rflush tag 3", "Rflush tag 5", "Rflush tag 6"} {
			at, ok := replies[want]
			if !ok || i > 0 && at < replies[`Rread tag 1 count 4 "slow"`] {
				t.Errorf("%s: %v", want, replies)
			}
		}
		if len(h.begun) != 1 {
			t.Errorf("%d calls more of the handle, want 1", len(h.begun))
		}
	})
}

// TestClunkWaitsForCalls clunks a fid while a read is being done: Close comes
// after it, Rclunk last, and the rest of the connection goes on.
func TestClunkWaitsForCalls(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		h := m.slow("slow")
		c.open(1, "slow", tree.OpenRDWR)
		c.send(tread(1, 1, 100))
		<-h.begun
		c.send(tread(2, 1, 100))
		c.send(wire.Msg{Type: wire.Tclunk, Tag: 3, Fid: 1})
		c.send(tflush(4, 3)) // a clunk cannot be taken back
		c.expect(`Rerror tag 2 ename "fid was clunked"`)
		c.expect("nothing")
		c.must(wire.Msg{Type: wire.Tstat, Tag: 7, Fid: 0})
		if m.closes.Load() != 0 {
			t.Error("closed in the middle of a read")
		}
		close(h.goOn)
		c.expect(`Rread tag 1 count 4 "slow"`)
		c.expect("Rclunk tag 3")
		c.expect("Rflush tag 4")
	})
}

// TestHangUpWaitsForCalls hangs up while a write is being done: ServeConn
// returns when it is over and the handle closed.
func TestHangUpWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		c := dial(t, &Server{Root: m.root}, Peer{}).login("")
		h := m.slow("slow")
		c.open(1, "slow", tree.OpenRDWR)
		c.send(twrite(1, 1, "x"))
		c.send(tread(2, 1, 100))
		<-h.begun
		<-h.begun
		c.conn.Close()
		synctest.Wait()
		select {
		case <-c.done:
			t.Fatal("over before the calls were")
		default:
		}
		close(h.goOn)
		if err := <-c.done; err != nil {
			t.Error(err)
		}
		m.checkFreed(t)
	})
}

// TestVersionWaitsForCalls: Tversion drops the reply of what is being done.
func TestVersionWaitsForCalls(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		h := m.slow("slow")
		c.open(1, "slow", tree.OpenRDWR)
		c.send(tread(1, 1, 100))
		<-h.begun
		c.send(wire.Msg{Type: wire.Tclunk, Tag: 2, Fid: 1})
		c.send(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: wire.Version})
		c.expect("nothing")
		close(h.goOn)
		c.expect(`Rversion tag NOTAG msize 8192 version "9P2000"`)
		m.checkFreed(t)
	})
}

// A loose handle wakes as the contract allows and as no good stream would.
type loose struct {
	m      *mem
	mu     sync.Mutex
	wake   func() // guarded by mu; the last one
	tries  int    // guarded by mu
	ready  int    // guarded by mu; the try that is answered
	inside bool   // wake before ReadStream returns
}

func (h *loose) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries++
	if h.tries >= h.ready {
		return append(dst, tree.Piece{Data: []byte("at last")}), true, nil
	}
	h.wake = wake
	if h.inside {
		wake()
	}
	return dst, false, nil
}

func (h *loose) CancelRead()  {}
func (h *loose) Close() error { return h.m.closed() }

// TestWakeInsideRead wakes from within ReadStream: tried again, without a
// deadlock.
func TestWakeInsideRead(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		m.fn("loose", func() tree.Handle { return &loose{m: m, ready: 5, inside: true} })
		c.open(1, "loose", tree.OpenRead)
		c.send(tread(1, 1, 100))
		c.expect(`Rread tag 1 count 7 "at last"`)
	})
}

// TestStaleWakeFindsNothing: a wake that comes after its wait was withdrawn
// does not try the next read, which has a wait of its own.
func TestStaleWakeFindsNothing(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		h := &loose{m: m, ready: 3}
		m.fn("loose", func() tree.Handle { return h })
		c.open(1, "loose", tree.OpenRead)
		c.send(tread(1, 1, 100))
		synctest.Wait()
		stale := h.wake
		c.send(tread(2, 1, 100))
		c.send(tflush(3, 1))
		c.expect("Rflush tag 3")
		c.expect("nothing")
		stale()
		c.expect("nothing")
		if h.tries != 2 {
			t.Errorf("%d tries, want 2", h.tries)
		}
		h.wake()
		c.expect(`Rread tag 2 count 7 "at last"`)
		h.wake() // too often: nobody waits
		c.expect("nothing")
	})
}

// TestShortWritesAreRefused: what takes nothing must not say that it took
// zero bytes, for clients would try for ever.
func TestShortWritesAreRefused(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		m.fn("none", func() tree.Handle { return none{m} })
		c.open(1, "none", tree.OpenRDWR)
		c.send(twrite(1, 1, "x"))
		c.expect(`Rerror tag 1 ename "i/o error"`)
		c.send(tread(1, 1, 10)) // no Reader
		c.expect(`Rerror tag 1 ename "permission denied"`)
	})
}

type none struct{ m *mem }

func (n none) WriteAt(p []byte, off int64) (int, error) { return 0, nil }
func (n none) Close() error                             { return n.m.closed() }

// TestLargeWritesWait: large writes go to buffers of their own, wait in order
// with small ones, and change nothing on the way.
func TestLargeWritesWait(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		c.open(1, "stream", tree.OpenWrite)
		stream := m.root.kids["stream"].(*memStream)
		stream.set(func() { stream.shut = true })
		var want []byte
		for i, size := range []int{100_000, 1, largeData, largeData - 1, largeData + 1, 1 << 20, 3} {
			data := bytes.Repeat([]byte{byte('a' + i)}, size)
			want = append(want, data...)
			c.send(twrite(uint16(i), 1, string(data)))
		}
		c.expect("nothing")
		stream.set(func() { stream.shut = false })
		for i := range 7 {
			if r, _ := c.take(); r.Type != wire.Rwrite || r.Tag != uint16(i) {
				t.Fatalf("reply %d is %v", i, &r)
			}
		}
		if stream.text() != string(want) {
			t.Error("the bytes are not those that were sent")
		}
	})
}
