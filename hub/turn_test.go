package hub

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestTurnIsPassedOnFlat: those who write again inside their wake, as a server
// does, are not called one inside another, however many wait.
func TestTurnIsPassedOnFlat(t *testing.T) { synctest.Test(t, turnIsPassedOnFlat) }

func turnIsPassedOnFlat(t *testing.T) {
	h := New(Options{})
	h.Freeze()
	depth, deepest, done := 0, 0, 0
	const writers = 1000
	for range writers {
		w := h.NewWriter(false)
		var wake func()
		try := func() (ready bool) {
			_, ready, err := w.TryWrite(Piece{Data: []byte("x")}, 0, wake)
			if err != nil {
				t.Error(err)
			}
			return ready
		}
		wake = func() {
			depth++
			deepest = max(deepest, depth)
			if try() {
				done++
			}
			depth--
		}
		if try() {
			t.Fatal("a frozen hub took a write")
		}
	}
	h.Melt()
	synctest.Wait()
	if done != writers || deepest != 1 {
		t.Errorf("%d of %d writes done, %d deep", done, writers, deepest)
	}
}

// TestClosedWriterHearsOfItInItsTurn closes a writer whose wake is due and not
// called yet, for another one's is running.
func TestClosedWriterHearsOfItInItsTurn(t *testing.T) {
	h := New(Options{})
	h.Freeze()
	first, second, third := h.NewWriter(false), h.NewWriter(false), h.NewWriter(false)
	woken := 0
	first.TryWrite(Piece{Data: []byte("1")}, 0, func() {
		if _, ready, err := first.TryWrite(Piece{Data: []byte("1")}, 0, nil); !ready || err != nil {
			t.Error(ready, err)
		}
		second.Close()
	})
	second.TryWrite(Piece{Data: []byte("2")}, 0, func() { woken++ })
	last := putWaits(t, third, "3")
	h.Melt()
	if woken != 1 {
		t.Errorf("woken %d times", woken)
	}
	wantWakes(t, last, 1)
}

// TestWritersWhoNeverRestHoldNobody melts a hub for writers who write again as
// soon as they have written.
func TestWritersWhoNeverRestHoldNobody(t *testing.T) {
	h := New(Options{})
	h.Freeze()
	var stop atomic.Bool
	for range 3 {
		w := h.NewWriter(false)
		var try func()
		try = func() {
			for !stop.Load() {
				_, ready, err := w.TryWrite(Piece{Data: []byte("x")}, 0, try)
				if !ready || err != nil {
					return
				}
			}
			w.Close()
		}
		try()
	}
	h.Melt()
	stop.Store(true)
}
