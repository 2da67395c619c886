package hub

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpooledHubHoldsNobodyAndKeepsAll(t *testing.T) {
	budget := NewBudget(4)
	h, f := spooled(t, Options{Size: 4, Fear: true, Budget: budget})
	r := reader(h, FromOldest)
	w := h.NewWriter(false)
	for range 3 {
		stage(t, w, text("0123456789"), 0)
		f.settle()
		put(t, w, "0123456789")
	}
	if used, _ := budget.Used(); used != 0 {
		t.Fatalf("%d bytes are charged", used)
	}
	if s := h.Readers()[0]; s.Slowest {
		t.Fatal("a reader is said to hold up writers")
	}
	want(t, get(t, r, 0, 100), "012345678901234567890123456789")
	h.Clear()
	if s := h.Status(); s.First != 30 || f.first != 30 {
		t.Fatalf("first is %d, of the store %d", s.First, f.first)
	}
}

func TestReaderWaitsForBytesToBeFetched(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	w.TryWrite(text("0123456789"), 0, nil)
	f.settle()
	f.evict(5)
	a, b, addressed := reader(h, FromOldest), reader(h, FromOldest), reader(h, Addressed)
	gone := reader(h, FromOldest)
	aWakes, bWakes, addressedWakes, goneWakes := getWaits(t, a, 0), getWaits(t, b, 0), getWaits(t, addressed, 3), getWaits(t, gone, 0)
	want(t, get(t, reader(h, Back(3)), 0, 100), "789")
	if s := h.Status(); s.WaitingReaders != 4 || f.asked != 0 {
		t.Fatalf("%d readers wait, for %d", s.WaitingReaders, f.asked)
	}
	if _, ready, err := reader(h, FromOldest).TryRead(nil, 0, 10, nil); ready || err != nil {
		t.Fatal(ready, err)
	}
	b.CancelRead()
	gone.Close()
	wantWakes(t, goneWakes, 1)
	f.settle() // nothing that they wait for
	f.evict(2)
	w.TryWrite(text("ab"), 0, nil)
	f.settle()
	wantWakes(t, aWakes, 0)
	wantWakes(t, addressedWakes, 1)
	want(t, get(t, addressed, 3, 100), "3456789ab")
	f.load()
	wantWakes(t, aWakes, 1)
	wantWakes(t, bWakes, 0)
	want(t, get(t, a, 0, 100), "0123456789ab")
	h.Close()
}

func TestFrozenHubFetchesToo(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	stage(t, w, text("0123456789"), 0)
	f.evict(5)
	stream := reader(h, FromOldest)
	streamWakes := getWaits(t, stream, 0)
	h.Freeze()
	file := reader(h, FromEnd)
	wakes := getWaits(t, file, 3)
	f.settle()
	put(t, w, "0123456789") // was staged before, and is stable
	f.load()
	wantWakes(t, wakes, 1)
	wantWakes(t, streamWakes, 1)
	want(t, get(t, file, 3, 4), "3456")
	want(t, get(t, file, 0, 4), "0123")
	want(t, get(t, stream, 7, 4), "0123") // it waited since before the freeze
	want(t, get(t, stream, 7, 4), "789")
	if s := file.Status(); s.Offset != 10 {
		t.Fatalf("the reader moved to %d", s.Offset)
	}

	f.evict(5)
	wakes = getWaits(t, file, 3)
	f.retire(2) // offsets of a file count from where it starts
	wantWakes(t, wakes, 1)
	want(t, get(t, file, 3, 100), "56789")
}

// The store's own limits say where the stream starts.
func TestSpooledHubStartsWhereItsStoreDoes(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	w.TryWrite(text("0123456789"), 0, nil)
	f.settle()
	r, addressed := reader(h, FromOldest), reader(h, Addressed)
	f.evict(4)
	wakes := getWaits(t, r, 0)
	f.retire(6)
	wantWakes(t, wakes, 1)
	want(t, get(t, r, 0, 100), "6789")
	if s := h.Status(); s.First != 6 || s.Lost != 6 {
		t.Fatalf("%+v", s)
	}
	// In the moment between, before the hub has heard.
	late := reader(h, FromOldest)
	f.first = 8
	var discarded *DiscardedError
	if _, _, err := addressed.TryRead(nil, 7, 10, nothing); !errors.As(err, &discarded) || discarded.First != 8 {
		t.Fatal(err)
	}
	want(t, get(t, late, 0, 100), "89")
	f.first = 9
	if s := reader(h, FromOldest).Status(); s.Offset != 9 || s.Lost != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestHubGoesOnWithTheHistoryOfAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		time.Sleep(time.Hour)
		f := fakeHistory(100, "0123456789")
		f.moments = []Moment{{104, start}, {107, start.Add(time.Minute)}}
		budget := NewBudget(1)
		h := New(Options{Store: f, Budget: budget})
		defer h.Close()
		if s := h.Status(); s.First != 100 || s.Next != 110 || !s.Modified.Equal(start.Add(time.Minute)) {
			t.Fatalf("%+v", s)
		}
		want(t, get(t, reader(h, FromOldest), 0, 100), "0123456789")
		time.Sleep(time.Minute)
		w := h.NewWriter(true)
		stage(t, w, text("89ab"), 108)
		got := moments(h, start)
		if want := []string{"104@0", "107@60", "110@60", "112@3660"}; !slices.Equal(got, want) {
			t.Fatalf("moments %v, want %v", got, want)
		}
	})
}

func TestSpoolTakesWhatTheHubRetains(t *testing.T) {
	budget := NewBudget(100)
	h := New(Options{Size: 20, Budget: budget, Fear: true})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	put(t, w, "abcdefghij")
	want(t, get(t, r, 0, 3), "abc")
	h.SetSize(5)
	wakes := putWaits(t, w, "klm")
	f := newFakeSpool()
	if err := h.Spool(f); err != nil {
		t.Fatal(err)
	}
	wantWakes(t, wakes, 1)
	stage(t, w, text("klm"), 0)
	if used, _ := budget.Used(); used != 0 || f.first != 3 {
		t.Fatalf("%d bytes are charged, store starts at %d", used, f.first)
	}
	f.settle()
	want(t, get(t, r, 0, 100), "defghijklm")
	if err := h.Spool(newFakeSpool()); err == nil {
		t.Fatal("spooled twice")
	}
	f.settle()
	put(t, w, "klm")
	h.Close()
	f.wantClosed(t, true)
	if err := h.Spool(newFakeSpool()); err != ErrClosed {
		t.Fatal(err)
	}
}

func TestSpoolThatFailsChangesNothing(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	put(t, w, "abc")
	before := h.Status()
	f := newFakeSpool()
	f.broken = errors.New("no")
	if err := h.Spool(f); !errors.Is(err, f.broken) {
		t.Fatal(err)
	}
	f.wantClosed(t, false)
	f.changed() // it may still say so
	if err := h.Spool(fakeHistory(0, "x")); err == nil {
		t.Fatal("spooled to a store that holds something")
	}
	if err := h.Spool(fakeHistory(7, "")); err == nil {
		t.Fatal("spooled to a store that begins elsewhere")
	}
	if err := New(Options{Input: true}).Spool(newFakeSpool()); err == nil {
		t.Fatal("an input hub was spooled")
	}
	if s := h.Status(); s != before {
		t.Fatalf("%+v", s)
	}
	want(t, get(t, reader(h, FromOldest), 0, 100), "abc")
	h.Close()
}

func TestUnspool(t *testing.T) {
	budget := NewBudget(100)
	h, f := spooled(t, Options{Size: 4, Budget: budget})
	w := h.NewWriter(false)
	r, late := reader(h, FromOldest), reader(h, FromOldest)
	wakes := stage(t, w, text("0123456789"), 0)
	f.evict(5)
	waits := getWaits(t, late, 0)
	if s := h.Unspool(); s != Spool(f) {
		t.Fatalf("Unspool returns %v", s)
	}
	if h.Unspool() != nil {
		t.Fatal("unspooled twice")
	}
	wantWakes(t, wakes, 1)
	put(t, w, "0123456789") // done, though not stable
	put(t, w, "ab")
	put(t, w, "cd")
	if used, _ := budget.Used(); used != 4 {
		t.Fatalf("%d bytes are charged", used)
	}
	f.load()
	wantWakes(t, waits, 1)
	want(t, get(t, r, 0, 4), "0123")
	want(t, get(t, r, 0, 100), "456789")
	want(t, get(t, r, 0, 100), "abcd")
	if s := h.Status(); s.First != 0 || s.Spooled || s.SpoolErr != nil {
		t.Fatalf("%+v", s)
	}
	f.wantClosed(t, false)
	put(t, w, "e") // more than size in memory
	f.wantClosed(t, true)
	f.changed() // on its way when it was closed
	want(t, get(t, late, 0, 100), "bcde")
	if s := h.Status(); s.Lost != 11 || s.First != 11 {
		t.Fatalf("%+v", s)
	}
	// And to disk again, where what is in memory goes.
	again := newFakeSpool()
	if err := h.Spool(again); err != nil || again.first != 11 {
		t.Fatal(err, again.first)
	}
}

// A store whose limits have left nothing is not kept.
func TestUnspoolOfAnEmptyStore(t *testing.T) {
	h, f := spooled(t, Options{})
	h.Unspool()
	f.wantClosed(t, true)

	h, f = spooled(t, Options{})
	h.NewWriter(false).TryWrite(text("abc"), 0, nil)
	h.Unspool()
	f.wantClosed(t, false)
	f.retire(3)
	f.wantClosed(t, true)
	if s := h.Status(); s.First != 3 {
		t.Fatalf("%+v", s)
	}
}

func TestDiskThatFailsLosesNobody(t *testing.T) {
	full := errors.New("no space left on device")
	for _, c := range []struct {
		name string
		fail func(f *fakeSpool)
	}{
		{"by itself", func(f *fakeSpool) { f.fail(full) }},
		{"at the next append", func(f *fakeSpool) { f.err = full }},
		{"in the append", func(f *fakeSpool) { f.broken = full }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h *Hub
			var told []error
			f := newFakeSpool()
			h = New(Options{Store: f, Size: 100, OnSpoolFail: func(err error) {
				told = append(told, err)
				h.Status() // no lock is held
			}})
			defer h.Close()
			a, b := h.NewWriter(false), h.NewWriter(false)
			r := reader(h, FromOldest)
			wakes := stage(t, a, text("one"), 0)
			c.fail(f)
			put(t, b, "two")
			wantWakes(t, wakes, 1)
			put(t, a, "one") // done: the hub has it
			put(t, a, "three")
			f.changed()
			if len(told) != 1 || !errors.Is(told[0], full) {
				t.Fatalf("told of %v", told)
			}
			if s := h.Status(); s.Spooled || !errors.Is(s.SpoolErr, full) || s.First != 0 {
				t.Fatalf("%+v", s)
			}
			want(t, get(t, r, 0, 100)+get(t, r, 0, 100), "onetwothree")
			if err := h.Spool(newFakeSpool()); err != nil || h.Status().SpoolErr != nil {
				t.Fatal(err)
			}
			f.wantClosed(t, true)
			if s := h.Status(); s.First != 3 { // what only the old one had
				t.Fatalf("%+v", s)
			}
		})
	}
}

// In fear a hub that has fallen is a hub in fear: nobody loses a byte.
func TestFallInFear(t *testing.T) {
	h, f := spooled(t, Options{Size: 4, Fear: true})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	stage(t, w, text("0123456789"), 0)
	f.fail(errors.New("broken"))
	put(t, w, "0123456789")
	wakes := putWaits(t, w, "ab")
	want(t, get(t, r, 0, 8), "01234567")
	wantWakes(t, wakes, 1)
	put(t, w, "ab")
	f.wantClosed(t, false)
	wakes = putWaits(t, w, "cdef")
	want(t, get(t, r, 0, 100), "89")
	want(t, get(t, r, 0, 100), "ab")
	wantWakes(t, wakes, 1)
	put(t, w, "cdef")
	f.wantClosed(t, true)
	want(t, get(t, r, 0, 100), "cdef")
	if s := h.Status(); s.Lost != 0 {
		t.Fatalf("%d bytes were lost in fear", s.Lost)
	}
}

// When the budget has no room, what is on disk is of no use any more.
func TestFallWithASmallBudget(t *testing.T) {
	budget := NewBudget(4)
	h, f := spooled(t, Options{Size: 100, Budget: budget})
	w := h.NewWriter(false)
	w.TryWrite(text("0123456789"), 0, nil)
	h.Unspool()
	put(t, w, "abcd")
	f.wantClosed(t, false)
	put(t, w, "e")
	f.wantClosed(t, true)
	if used, _ := budget.Used(); used != 4 || h.Status().First != 11 {
		t.Fatalf("%d bytes are charged, first is %d", used, h.Status().First)
	}
}
