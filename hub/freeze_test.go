package hub

import (
	"errors"
	"testing"
)

func TestFrozenHubIsAPlainFile(t *testing.T) {
	h := New(Options{Size: 10})
	w := h.NewWriter(false)
	put(t, w, "xxxxx0123456789")
	cur, addressed := reader(h, FromOldest), reader(h, Addressed)
	want(t, get(t, cur, 0, 3), "012")
	h.EOF()
	h.Freeze()
	for _, r := range []*Reader{cur, reader(h, FromOldest), reader(h, FromEnd)} {
		for _, c := range []struct {
			off  int64
			max  int
			want string
		}{{0, 4, "0123"}, {4, 100, "456789"}, {9, 1, "9"}, {10, 1, ""}, {1 << 62, 1, ""}, {2, 3, "234"}} {
			want(t, get(t, r, c.off, c.max), c.want)
		}
		if _, _, err := r.TryRead(nil, -1, 1, nil); !errors.Is(err, ErrOffset) {
			t.Fatalf("read at -1: %v", err)
		}
	}
	want(t, get(t, addressed, 5, 4), "0123")
	want(t, get(t, addressed, 14, 4), "9")
	want(t, get(t, addressed, 15, 4), "")
	var discarded *DiscardedError
	if _, _, err := addressed.TryRead(nil, 4, 1, nil); !errors.As(err, &discarded) {
		t.Fatalf("read at 4: %v", err)
	}
	h.Melt()
	want(t, get(t, cur, 0, 100), "3456789") // the reader has not moved
	want(t, get(t, cur, 0, 100), "")
	getWaits(t, cur, 0)
}

func TestReadWaitingBeforeTheFreezeGoesOnWaiting(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	put(t, w, "before")
	r := reader(h, FromEnd)
	wakes := getWaits(t, r, 0)
	h.Freeze()
	wantWakes(t, wakes, 0)
	wakes = getWaits(t, r, 0) // as after a wake that comes for nothing
	h.Melt()
	wantWakes(t, wakes, 1)
	getWaits(t, r, 0)

	h.Freeze()
	r.CancelRead()
	want(t, get(t, r, 0, 100), "before") // another read, after the freeze
}

func TestFrozenWritersWait(t *testing.T) {
	h := New(Options{})
	a, b := h.NewWriter(false), h.NewWriter(false)
	r := reader(h, FromOldest)
	h.Freeze()
	aWakes, bWakes := putWaits(t, a, "a"), putWaits(t, b, "b")
	h.SetSize(100) // no change of another kind lets them go
	h.Fear(true)
	wantWakes(t, aWakes, 0)
	h.Melt()
	wantWakes(t, aWakes, 1)
	put(t, a, "a")
	wantWakes(t, bWakes, 1)
	put(t, b, "b")
	want(t, get(t, r, 0, 100), "ab")
}

func TestEndingAFrozenHubRefusesItsWriters(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	rWakes := getWaits(t, r, 0)
	h.Freeze()
	wWakes := putWaits(t, w, "a")
	h.End("")
	wantWakes(t, rWakes, 1)
	wantWakes(t, wWakes, 1)
	want(t, get(t, r, 0, 100), "")
	if _, _, err := w.TryWrite(Piece{Data: []byte("a")}, 0, nil); !errors.Is(err, ErrEnded) {
		t.Fatalf("write: %v", err)
	}
}

func TestFrozenHubStandsStill(t *testing.T) {
	h := New(Options{Input: true, Size: 100})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, "0123456789")
	want(t, get(t, r, 0, 5), "01234")
	h.Freeze()
	h.SetSize(2)
	want(t, get(t, r, 0, 100), "56789")
	if s := h.Status(); s.First != 5 {
		t.Fatalf("first is %d, want 5", s.First)
	}
	h.Clear() // but for an order to empty it
	want(t, get(t, r, 0, 100), "")
}
