package hub

import (
	"errors"
	"strings"
	"testing"
)

func wantUsed(t *testing.T, b *Budget, want int64) {
	t.Helper()
	if used, _ := b.Used(); used != want {
		t.Fatalf("%d bytes are charged, want %d", used, want)
	}
}

func TestBudgetCountsWhatIsRetained(t *testing.T) {
	b := NewBudget(100)
	h := New(Options{Size: 30, Budget: b})
	w := h.NewWriter(false)
	put(t, w, strings.Repeat("x", 20))
	wantUsed(t, b, 20)
	put(t, w, strings.Repeat("x", 20))
	wantUsed(t, b, 30)
	put(t, w, strings.Repeat("x", 70))
	wantUsed(t, b, 30)
	h.SetSize(10)
	wantUsed(t, b, 10)
	h.Clear()
	wantUsed(t, b, 0)
	put(t, w, "xx")
	h.Close()
	wantUsed(t, b, 0)
}

func TestHubWithoutRoomDropsItsOwn(t *testing.T) {
	b := NewBudget(100)
	other := New(Options{Budget: b})
	put(t, other.NewWriter(false), strings.Repeat("o", 70))
	h := New(Options{Budget: b})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, strings.Repeat("x", 20))
	put(t, w, strings.Repeat("y", 20))
	if s := h.Status(); s.First != 10 || s.Next != 40 {
		t.Fatalf("holds %d to %d, want 10 to 40", s.First, s.Next)
	}
	if s := other.Status(); s.First != 0 {
		t.Fatal("another hub paid")
	}
	if s := r.Status(); s.Lost != 10 {
		t.Fatalf("lost %d, want 10", s.Lost)
	}
	n, ready, err := w.TryWrite(Piece{Data: make([]byte, 31)}, 0, nil)
	if n != 0 || ready || !errors.Is(err, ErrNoSpace) {
		t.Fatalf("a write beyond all room = %d, %v, %v", n, ready, err)
	}
	if s := h.Status(); s.First != 10 || s.Next != 40 {
		t.Fatal("a refused write has dropped bytes")
	}
	wantUsed(t, b, 100)
}

// In fear nobody loses a byte: the writer waits as long as its readers can
// make room, and is refused when that is not enough.
func TestFearWithoutRoomWaitsForItsReaders(t *testing.T) {
	b := NewBudget(20)
	other := New(Options{Budget: b})
	put(t, other.NewWriter(false), strings.Repeat("o", 10))
	h := New(Options{Budget: b, Fear: true})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, "0123456789")
	wakes := putWaits(t, w, "abc")
	want(t, get(t, r, 0, 4), "0123")
	wantWakes(t, wakes, 1)
	put(t, w, "abc")
	putWaits(t, w, "ABCDEFGHIJK")
	want(t, get(t, r, 0, 100), "456789abc")
	if _, _, err := w.TryWrite(Piece{Data: []byte("ABCDEFGHIJK")}, 0, nil); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("write: %v", err)
	}
	put(t, w, "ABCDEFGHIJ")
	want(t, get(t, r, 0, 100), "ABCDEFGHIJ")
}

func TestInputWithoutRoomRefuses(t *testing.T) {
	h := New(Options{Budget: NewBudget(5), Input: true})
	w := h.NewWriter(false)
	put(t, w, "typed")
	if _, _, err := w.TryWrite(Piece{Data: []byte("!")}, 0, nil); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("write: %v", err)
	}
	want(t, get(t, reader(h, FromOldest), 0, 100), "typed")
}

func TestNoBudgetIsNoLimit(t *testing.T) {
	b := NewBudget(0)
	if used, max := b.Used(); b != nil || used != 0 || max != 0 {
		t.Fatalf("%v, %d of %d", b, used, max)
	}
	h := New(Options{Budget: b})
	put(t, h.NewWriter(false), "x")
	h.Close()
}

// A Store may come with a history: it is charged, even beyond the Budget.
func TestHistoryIsCharged(t *testing.T) {
	m := NewMemory()
	m.Append(Piece{Data: []byte("0123456789")})
	m.Discard(4)
	b := NewBudget(5)
	h := New(Options{Store: m, Budget: b})
	wantUsed(t, b, 6)
	w := h.NewWriter(false)
	put(t, w, "a") // the hub does not grow
	wantUsed(t, b, 6)
	want(t, get(t, reader(h, FromOldest), 0, 100), "56789a")
}

func TestShareOfABudgetCountsForBoth(t *testing.T) {
	b := NewBudget(100)
	share := b.Share(50)
	mine := New(Options{Budget: share})
	other := New(Options{Budget: b})
	put(t, mine.NewWriter(false), strings.Repeat("m", 40))
	put(t, mine.NewWriter(false), strings.Repeat("m", 40)) // the share has room for 50
	wantUsed(t, share, 50)
	wantUsed(t, b, 50)
	put(t, other.NewWriter(false), strings.Repeat("o", 50))
	put(t, other.NewWriter(false), strings.Repeat("o", 10)) // drops its own
	wantUsed(t, b, 100)
	put(t, mine.NewWriter(false), strings.Repeat("m", 10))
	wantUsed(t, share, 50)
	wantUsed(t, b, 100)
	mine.Close()
	wantUsed(t, share, 0)
	wantUsed(t, b, 50)
}
