package hub

import (
	"strings"
	"sync/atomic"
	"testing"
)

func TestFearWaitsForTheSlowestReader(t *testing.T) {
	h := New(Options{Size: 10, Fear: true})
	w := h.NewWriter(false)
	fast, slow := reader(h, FromOldest), reader(h, FromOldest)
	put(t, w, "0123456789")
	want(t, get(t, fast, 0, 100), "0123456789")
	wakes := putWaits(t, w, "abc")
	want(t, get(t, slow, 0, 2), "01")
	wantWakes(t, wakes, 0) // 8 behind, and 3 are to come
	want(t, get(t, slow, 0, 1), "2")
	wantWakes(t, wakes, 1)
	put(t, w, "abc")
	want(t, get(t, slow, 0, 100), "3456789abc")
	want(t, get(t, fast, 0, 100), "abc")
	if s := h.Status(); s.Lost != 0 {
		t.Fatalf("%d bytes were lost in fear", s.Lost)
	}
}

func TestWriteLargerThanSizePassesWhenNobodyIsBehind(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, "0123456789") // kept whole, for the reader's sake
	wakes := putWaits(t, w, "abcdefghij")
	want(t, get(t, r, 0, 9), "012345678")
	wantWakes(t, wakes, 0)
	want(t, get(t, r, 0, 9), "9")
	wantWakes(t, wakes, 1)
	if s := h.Status(); s.First != 6 {
		t.Fatalf("first is %d: what was read is kept beyond size", s.First)
	}
	put(t, w, "abcdefghij")
	want(t, get(t, r, 0, 100), "abcdefghij")
}

func TestWithoutReadersNobodyWaits(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w := h.NewWriter(false)
	for range 10 {
		put(t, w, "0123456789")
	}
	if s := h.Status(); s.First != 96 || s.Next != 100 {
		t.Fatalf("holds %d to %d, want 96 to 100", s.First, s.Next)
	}
}

func TestClosingReaderLetsWriterGo(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w := h.NewWriter(false)
	stuck := reader(h, FromOldest)
	put(t, w, "0123")
	wakes := putWaits(t, w, "4567")
	stuck.Close()
	wantWakes(t, wakes, 1)
	put(t, w, "4567")
}

func TestLazyReaderCountsFromItsFirstRead(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w := h.NewWriter(false)
	lazy := h.NewReader(FromOldest, ReaderOptions{Lazy: true})
	put(t, w, "0123")
	put(t, w, "4567")
	want(t, get(t, lazy, 0, 1), "4")
	if s := lazy.Status(); s.Lost != 4 {
		t.Fatalf("lost %d, want 4", s.Lost)
	}
	wakes := putWaits(t, w, "89")
	want(t, get(t, lazy, 0, 1), "5")
	wantWakes(t, wakes, 1)
}

func TestWaitingWritersGoInOrder(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	r := reader(h, FromOldest)
	put(t, h.NewWriter(false), "....")
	texts := []string{"aaa", "b", "c", "dddd"}
	var writers []*Writer
	var wakes []*atomic.Int32
	for _, s := range texts {
		w := h.NewWriter(false)
		writers = append(writers, w)
		wakes = append(wakes, putWaits(t, w, s))
	}
	// A small one that would fit does not overtake, even if it tries again.
	want(t, get(t, r, 0, 1), ".")
	wantWakes(t, wakes[1], 0)
	wakes[1] = putWaits(t, writers[1], texts[1])

	got := get(t, r, 0, 100)
	for i, w := range writers {
		if wakes[i].Load() == 0 { // it did not fit beside the last
			got += get(t, r, 0, 100)
		}
		wantWakes(t, wakes[i], 1)
		for _, later := range wakes[i+1:] {
			wantWakes(t, later, 0)
		}
		put(t, w, texts[i])
	}
	want(t, got+get(t, r, 0, 100), "...aaabcdddd")
}

func TestTheTurnPassesOn(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(*Writer)
	}{
		{"when the first cancels", func(w *Writer) { w.CancelWrite() }},
		{"when the first closes", func(w *Writer) { w.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := New(Options{Size: 4, Fear: true})
			r := reader(h, FromOldest)
			put(t, h.NewWriter(false), "0123")
			a, b := h.NewWriter(false), h.NewWriter(false)
			aWakes, bWakes := putWaits(t, a, "aaaa"), putWaits(t, b, "b")
			want(t, get(t, r, 0, 1), "0")
			wantWakes(t, aWakes, 0)
			wantWakes(t, bWakes, 0)
			c.leave(a)
			wantWakes(t, bWakes, 1)
			put(t, b, "b")
		})
	}
	t.Run("when the first was woken and never comes", func(t *testing.T) {
		h := New(Options{Size: 4, Fear: true})
		r := reader(h, FromOldest)
		put(t, h.NewWriter(false), "0123")
		a, b := h.NewWriter(false), h.NewWriter(false)
		aWakes, bWakes := putWaits(t, a, "a"), putWaits(t, b, "b")
		want(t, get(t, r, 0, 100), "0123")
		wantWakes(t, aWakes, 1)
		wantWakes(t, bWakes, 0)
		a.CancelWrite()
		wantWakes(t, bWakes, 1)
	})
}

func TestCalmLetsWritersGo(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*Hub)
	}{
		{"calm", func(h *Hub) { h.Fear(false) }},
		{"more size", func(h *Hub) { h.SetSize(8) }},
		{"clear", (*Hub).Clear},
	} {
		h := New(Options{Size: 4, Fear: true})
		w := h.NewWriter(false)
		reader(h, FromOldest)
		put(t, w, "0123")
		wakes := putWaits(t, w, "4567")
		c.do(h)
		if n := wakes.Load(); n != 1 {
			t.Errorf("%s: woken %d times, want 1", c.name, n)
		}
		put(t, w, "4567")
	}
}

func TestInputKeepsNothingThatEverybodyHasRead(t *testing.T) {
	h := New(Options{Input: true})
	w := h.NewWriter(false)
	shell, watcher := reader(h, FromOldest), reader(h, FromOldest)
	put(t, w, "secret\n")
	want(t, get(t, shell, 0, 100), "secret\n")
	late := reader(h, FromOldest)
	want(t, get(t, late, 0, 100), "secret\n") // the watcher has not read it yet
	late.Close()
	want(t, get(t, watcher, 0, 100), "secret\n")
	if s := h.Status(); s.First != s.Next {
		t.Fatalf("%d bytes are kept", s.Next-s.First)
	}
	getWaits(t, reader(h, FromOldest), 0)
	if m := h.store.(*Memory); len(m.chunks) != 0 {
		t.Fatal("a chunk is kept")
	}
	h.Fear(false)
	put(t, w, "in calm")
	get(t, shell, 0, 100)
	get(t, watcher, 0, 100)
	if s := h.Status(); s.First == s.Next {
		t.Fatal("a present reader's bytes were dropped") // the third has not read
	}
}

func TestInputWithoutReadersKeepsSizeThenWaits(t *testing.T) {
	h := New(Options{Input: true, Size: 8})
	w := h.NewWriter(false)
	put(t, w, "01234567")
	wakes := putWaits(t, w, "89")
	r := reader(h, FromOldest)
	wantWakes(t, wakes, 0)
	want(t, get(t, r, 0, 100), "01234567")
	wantWakes(t, wakes, 1)
	put(t, w, "89")
	r.Close() // what it has not read is for the next
	want(t, get(t, reader(h, FromOldest), 0, 100), "89")
}

func TestInputWriterGoesWhenAReaderComesAtTheEnd(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		h := New(Options{Input: true, Size: 8})
		w := h.NewWriter(false)
		put(t, w, "01234567")
		wakes := putWaits(t, w, "89")
		r := h.NewReader(FromEnd, ReaderOptions{Lazy: lazy})
		if lazy {
			wantWakes(t, wakes, 0)
			getWaits(t, r, 0)
		}
		wantWakes(t, wakes, 1)
		put(t, w, "89")
		want(t, get(t, r, 0, 100), "89")
	}
}

// A stream without back-pressure never looks for the slowest reader, and one
// with it looks at all of them only when the slowest have moved.
func TestSlowestIsFoundRarely(t *testing.T) {
	h := New(Options{Size: 100, Fear: true})
	w := h.NewWriter(false)
	var readers []*Reader
	for range 50 {
		readers = append(readers, reader(h, FromOldest))
	}
	put(t, w, strings.Repeat("x", 50))
	for _, r := range readers[1:] {
		get(t, r, 0, 100)
	}
	if h.slowest != 0 || h.atSlowest != 1 {
		t.Fatalf("slowest %d, %d of them; want 0, 1", h.slowest, h.atSlowest)
	}
	get(t, readers[0], 0, 100)
	put(t, w, strings.Repeat("x", 50)) // the bound says that there is room
	if h.slowest != 0 || h.atSlowest != 0 {
		t.Fatalf("slowest %d, %d of them; want the old bound", h.slowest, h.atSlowest)
	}
	put(t, w, strings.Repeat("x", 50))
	if h.slowest != 50 || h.atSlowest != 50 {
		t.Fatalf("slowest %d, %d of them; want 50, 50", h.slowest, h.atSlowest)
	}
}

// TestNobodyWaitsForAnOnlooker: it is overtaken, in fear too, and knows by how
// much; it reads what there is, and others count as before.
func TestNobodyWaitsForAnOnlooker(t *testing.T) {
	h := New(Options{Size: 10, Fear: true})
	w := h.NewWriter(false)
	look := h.NewReader(FromOldest, ReaderOptions{Onlooker: true})
	put(t, w, "0123456789")
	put(t, w, "abcde")
	if st := look.Status(); st.Lost != 5 {
		t.Errorf("%+v", st)
	}
	r := h.NewReader(FromOldest, ReaderOptions{})
	pieces, ready, err := look.TryRead(nil, 0, 4, nil)
	if err != nil || !ready || len(pieces) != 1 || string(pieces[0].Data) != "5678" {
		t.Fatalf("%q, %v, %v", pieces, ready, err)
	}
	pieces[0].Free()
	if n, ready, err := w.TryWrite(Piece{Data: []byte("x")}, 0, func() {}); n != 0 || ready || err != nil {
		t.Errorf("a write that has to wait for the other reader: %d, %v, %v", n, ready, err)
	}
	w.CancelWrite()
	r.Close()
	put(t, w, "xyz")
	look.Close()
	put(t, w, "0123456789")
}
