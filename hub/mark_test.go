package hub

import (
	"errors"
	"io"
	"testing"
)

func TestEOFIsForReadersOpenNow(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	at, behind := reader(h, FromOldest), reader(h, FromOldest)
	getWaits(t, at, 0)
	put(t, w, "before")
	want(t, get(t, at, 0, 100), "before")
	wakes := getWaits(t, at, 0)
	h.EOF()
	late := reader(h, FromOldest)
	put(t, w, "after")

	wantWakes(t, wakes, 1)
	want(t, get(t, at, 0, 100), "")
	want(t, get(t, at, 0, 100), "after")
	getWaits(t, at, 0)

	want(t, get(t, behind, 0, 100), "before") // a read ends at the mark
	want(t, get(t, behind, 0, 100), "")
	want(t, get(t, behind, 0, 100), "after")

	want(t, get(t, late, 0, 100), "beforeafter")
	getWaits(t, late, 0)
}

func TestEachEOFIsMetOnce(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	h.EOF()
	h.EOF()
	put(t, w, "x")
	h.EOF()
	for _, s := range []string{"", "", "x", ""} {
		want(t, get(t, r, 0, 100), s)
	}
	getWaits(t, r, 0)
	h.EOF()
	want(t, get(t, r, 0, 100), "")
	getWaits(t, r, 0)
}

func TestOvertakenReaderMeetsItsMarks(t *testing.T) {
	h := New(Options{Size: 2})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, "a")
	h.EOF()
	put(t, w, "b")
	h.EOF()
	put(t, w, "cdef")
	for _, s := range []string{"", "", "ef"} {
		want(t, get(t, r, 0, 100), s)
	}
	if s := r.Status(); s.Lost != 4 {
		t.Fatalf("lost %d, want 4", s.Lost)
	}
}

func TestAddressedReaderPassesMarksBy(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, Addressed)
	put(t, w, "ab")
	h.EOF()
	put(t, w, "cd")
	h.EOF()
	put(t, w, "ef")
	want(t, get(t, r, 0, 100), "ab")
	want(t, get(t, r, 2, 100), "")
	want(t, get(t, r, 2, 100), "cd")
	want(t, get(t, r, 0, 100), "abcd") // a mark that was met is gone
	want(t, get(t, r, 5, 100), "f")    // one that is passed by, too
	want(t, get(t, r, 4, 100), "ef")
}

// A reader that never reads must not make a hub grow.
func TestMarksAreBounded(t *testing.T) {
	h := New(Options{Size: 8})
	w := h.NewWriter(false)
	idle, busy := reader(h, FromOldest), reader(h, FromOldest)
	for range 1000 {
		put(t, w, "x")
		h.EOF()
		h.EOF()
	}
	if n := len(h.marks); n > 10 {
		t.Fatalf("%d marks are held for 8 bytes", n)
	}
	marks, got := 0, 0
	for {
		pieces, ready, err := idle.TryRead(nil, 0, 100, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ready {
			break
		}
		if len(pieces) == 0 {
			marks++
		}
		got += len(joined(pieces))
		freeAll(pieces)
	}
	if marks != 2000 || got != 8 {
		t.Fatalf("the idle reader met %d marks and %d bytes, want 2000 and 8", marks, got)
	}
	idle.Close()
	busy.Close()
	if n := len(h.marks); n != 0 {
		t.Fatalf("%d marks are held for nobody", n)
	}
}

func TestEndedStreamGivesHistoryThenEOFForGood(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, "all")
	want(t, get(t, r, 0, 100), "all")
	wakes := getWaits(t, r, 0)
	h.End("exit 3")
	wantWakes(t, wakes, 1)
	late := reader(h, FromOldest)
	want(t, get(t, late, 0, 100), "all")
	addressed := reader(h, Addressed)
	for range 3 {
		want(t, get(t, r, 0, 100), "")
		want(t, get(t, late, 0, 100), "")
		want(t, get(t, addressed, 3, 100), "")
		want(t, get(t, addressed, 30, 100), "")
	}
	if status, ok := h.Ended(); status != "exit 3" || !ok {
		t.Fatalf("Ended = %q, %v", status, ok)
	}
	if n, ready, err := w.TryWrite(Piece{Data: []byte("x")}, 0, nil); n != 0 || ready || !errors.Is(err, ErrEnded) {
		t.Fatalf("write = %d, %v, %v", n, ready, err)
	}

	h.Reopen()
	wakes = getWaits(t, r, 0)
	put(t, w, "more")
	wantWakes(t, wakes, 1)
	want(t, get(t, late, 0, 100), "more")
}

func TestErrEndedIsAnEOF(t *testing.T) {
	var ended interface{ Ended() bool }
	if !errors.Is(ErrEnded, io.EOF) || !errors.As(ErrEnded, &ended) || !ended.Ended() {
		t.Fatal("ErrEnded does not say that it is one")
	}
}
