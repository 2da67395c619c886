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

func (h *queued) CancelWrite() { h.cancels++ }
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
