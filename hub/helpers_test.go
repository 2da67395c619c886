package hub

import (
	"strings"
	"sync/atomic"
	"testing"
)

// put writes s, which must not have to wait.
func put(t testing.TB, w *Writer, s string) {
	t.Helper()
	n, ready, err := w.TryWrite(Piece{Data: []byte(s)}, 0, func() { t.Errorf("woken by a write of %q that did not wait", s) })
	if n != len(s) || !ready || err != nil {
		t.Fatalf("write %q = %d, ready %v, %v", s, n, ready, err)
	}
}

// putWaits tries to write s, which must have to wait, and counts its wakes.
func putWaits(t testing.TB, w *Writer, s string) (wakes *atomic.Int32) {
	t.Helper()
	wakes = new(atomic.Int32)
	n, ready, err := w.TryWrite(Piece{Data: []byte(s)}, 0, func() { wakes.Add(1) })
	if n != 0 || ready || err != nil {
		t.Fatalf("write %q = %d, ready %v, %v; want it to wait", s, n, ready, err)
	}
	return wakes
}

// get reads at most max bytes at off, which must not have to wait.
func get(t testing.TB, r *Reader, off int64, max int) string {
	t.Helper()
	pieces, ready, err := r.TryRead(nil, off, max, func() { t.Error("woken by a read that did not wait") })
	if !ready || err != nil {
		t.Fatalf("read = ready %v, %v", ready, err)
	}
	var b strings.Builder
	for _, p := range pieces {
		b.Write(p.Data)
		p.Free()
	}
	return b.String()
}

// getWaits tries to read at off, which must have to wait, and counts its wakes.
func getWaits(t testing.TB, r *Reader, off int64) (wakes *atomic.Int32) {
	t.Helper()
	wakes = new(atomic.Int32)
	pieces, ready, err := r.TryRead(nil, off, 1000, func() { wakes.Add(1) })
	if len(pieces) != 0 || ready || err != nil {
		t.Fatalf("read at %d = %d pieces, ready %v, %v; want it to wait", off, len(pieces), ready, err)
	}
	return wakes
}

// want checks what get got.
func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// wantWakes checks how often somebody was woken.
func wantWakes(t testing.TB, wakes *atomic.Int32, want int32) {
	t.Helper()
	if got := wakes.Load(); got != want {
		t.Fatalf("woken %d times, want %d", got, want)
	}
}

func reader(h *Hub, at Start) *Reader { return h.NewReader(at, ReaderOptions{}) }
