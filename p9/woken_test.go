package p9

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// A queued is a writer whose place in the stream's queue is kept when it is
// woken, as a hub's is: those behind wait for its next try, or for CancelWrite.
type queued struct {
	m       *mem
	wake    func()
	again   chan struct{} // lets the second try go on
	tries   int
	cancels int
}

func (h *queued) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	h.wake = wake
	if h.tries++; h.tries > 1 {
		<-h.again
		wake() // by somebody else, before we are back
	}
	return 0, false, nil
}

func (h *queued) CancelWrite() int {
	h.cancels++
	return 0
}

func (h *queued) Close() error { return h.m.closed() }

// TestFlushOfAWokenWriteGivesUpItsPlace: a flush comes while a write that was
// woken is tried again, and it is woken once more. It must not keep the turn.
func TestFlushOfAWokenWriteGivesUpItsPlace(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		h := &queued{m: m, again: make(chan struct{})}
		m.fn("queued", func() tree.Handle { return h })
		c.open(1, "queued", tree.OpenWrite)
		c.send(twrite(1, 1, "x"))
		c.expect("nothing")
		go h.wake()
		synctest.Wait()
		c.send(tflush(2, 1))
		c.expect("nothing")
		close(h.again)
		c.expect("Rflush tag 2")
		if h.tries != 2 || h.cancels != 1 {
			t.Errorf("%d tries and %d cancels, want 2 and 1", h.tries, h.cancels)
		}
	})
}

// TestFlushBehindAnotherIsAnswered flushes a write of a file when the one
// before it has just ended: the Rflush goes out though nothing follows.
func TestFlushBehindAnotherIsAnswered(t *testing.T) {
	m := newMem()
	near, far := socketPair(t)
	defer near.Close()
	go (&Server{Root: m.root}).ServeConn(t.Context(), far, Peer{})
	call := func(n int, frames ...[]byte) {
		t.Helper()
		if _, err := near.Write(bytes.Join(frames, nil)); err != nil {
			t.Fatal(err)
		}
		near.SetReadDeadline(time.Now().Add(10 * time.Second))
		for last := false; !last; {
			r, err := readMsg(near)
			if err != nil {
				t.Fatalf("no answer to a flush: %v", err)
			}
			last = int(r.Tag) == n
		}
	}
	call(int(wire.NoTag), encode(t, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: wire.Version}))
	call(1, encode(t, wire.Msg{Type: wire.Tattach, Tag: 1, Afid: wire.NoFid, Uname: "glenda"}))
	call(1, encode(t, wire.Msg{Type: wire.Twalk, Tag: 1, Newfid: 1, Wname: []string{"file"}}))
	call(1, encode(t, wire.Msg{Type: wire.Topen, Tag: 1, Fid: 1, Mode: tree.OpenWrite}))
	both := append(encode(t, twrite(1, 1, "a")), encode(t, twrite(2, 1, "b"))...)
	for i := range 20_000 {
		// The flush comes a little later each time.
		if _, err := near.Write(both); err != nil {
			t.Fatal(err)
		}
		for start := time.Now(); time.Since(start) < time.Duration(i%200)*200*time.Nanosecond; {
		}
		call(3, encode(t, tflush(3, 2)))
	}
}

// A keeper takes what is written when the write is withdrawn, and not before.
type keeper struct {
	m *mem
	p tree.Piece
}

func (h *keeper) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	h.p = p
	return 0, false, nil
}

func (h *keeper) CancelWrite() int {
	h.p.Free()
	return len(h.p.Data)
}

func (h *keeper) Close() error { return h.m.closed() }

// TestWriteTakenAtLastIsAnswered: a write that turns out to have taken effect
// when it is withdrawn is answered, and its bytes are not ours any more.
func TestWriteTakenAtLastIsAnswered(t *testing.T) {
	session(t, func(m *mem, s *Server, c *client) {
		m.fn("keeper", func() tree.Handle { return &keeper{m: m} })
		c.open(1, "keeper", tree.OpenWrite)
		large := string(bytes.Repeat([]byte("x"), 2*largeData))
		c.send(twrite(1, 1, large))
		c.expect("nothing")
		c.send(tflush(2, 1))
		c.expect("Rwrite tag 1 count 32768")
		c.expect("Rflush tag 2")
		c.send(twrite(1, 1, large))
		c.expect("nothing")
	})
}

// TestTakenWriteIsNotRefused: what the stream has taken is not refused for a
// limit on what waits, and does not count in it.
func TestTakenWriteIsNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		stream := m.root.kids["stream"].(*memStream)
		c := dial(t, &Server{Root: m.root, Limits: Limits{Kept: 10, Requests: 1}}, Peer{}).login("")
		c.open(1, "stream", tree.OpenWrite)
		c.open(2, "stream", tree.OpenWrite)
		stream.set(func() { stream.slow = true })
		c.send(twrite(1, 1, "more than ten bytes"))
		c.send(twrite(2, 2, "more than ten bytes"))
		c.expect("nothing")
		stream.set(func() { stream.slow = false })
		c.expect("Rwrite tag 1 count 19")
		c.expect("Rwrite tag 2 count 19")
		c.hangUp()
	})
}
