package p9

import (
	"testing"
	"testing/synctest"

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
