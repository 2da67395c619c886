package hub

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestAddressedWriteIsIdempotent(t *testing.T) {
	for _, c := range []struct {
		name string
		off  int64
		text string
		want string // what the hub holds then
		gap  bool
	}{
		{"at the end", 10, "abc", "0123456789abc", false},
		{"all there", 4, "456", "0123456789", false},
		{"all there, to the end", 7, "789", "0123456789", false},
		{"from the start", 0, "01", "0123456789", false},
		{"overlap", 8, "89abc", "0123456789abc", false},
		{"nothing", 10, "", "0123456789", false},
		{"nothing, earlier", 3, "", "0123456789", false},
		{"gap", 11, "abc", "0123456789", true},
		{"nothing, later", 11, "", "0123456789", false},
		{"far away", 1<<63 - 2, "abc", "0123456789", true},
	} {
		h := New(Options{})
		put(t, h.NewWriter(false), "0123456789")
		w := h.NewWriter(true)
		o := new(countedOwner)
		for range 2 { // the second time, all is there
			n, ready, err := w.TryWrite(Piece{Data: []byte(c.text), Owner: o}, c.off, nil)
			var gap *GapError
			if c.gap {
				if n != 0 || ready || !errors.As(err, &gap) || gap.Next != 10 {
					t.Errorf("%s: %d, %v, %v; want a gap", c.name, n, ready, err)
				}
			} else if n != len(c.text) || !ready || err != nil {
				t.Errorf("%s: %d, %v, %v", c.name, n, ready, err)
			}
		}
		if got := get(t, reader(h, FromOldest), 0, 100); got != c.want {
			t.Errorf("%s: hub holds %q, want %q", c.name, got, c.want)
		}
		if freed := o.freed.Load(); !c.gap && freed != 2 || c.gap && freed != 0 {
			t.Errorf("%s: freed %d times", c.name, freed)
		}
	}
	w := New(Options{}).NewWriter(true)
	if _, _, err := w.TryWrite(Piece{}, -1, nil); !errors.Is(err, ErrOffset) {
		t.Errorf("write at -1: %v", err)
	}
}

// Bytes that are there already are compared as far as they are retained.
func TestAddressedWriteOfOtherBytesIsRefused(t *testing.T) {
	for _, c := range []struct {
		off  int64
		text string
		at   int64 // where it differs; -1: it does not
	}{
		{10, "x", -1},
		{4, "x56", 4},
		{4, "4567x", 8},
		{8, "89x", -1},
		{8, "8xabc", 9},
		{9, "xabc", 9},
		{0, "xxxx", -1}, // gone: nobody knows
		{0, "xxxx4567", -1},
		{0, "xxxx4y", 5},
		{2, strings.Repeat("y", 100), 4},
	} {
		h := New(Options{})
		put(t, h.NewWriter(false), "0123456789")
		h.SetSize(6)
		h.SetSize(100)
		w := h.NewWriter(true)
		before := h.Status()
		o := new(countedOwner)
		n, ready, err := w.TryWrite(Piece{Data: []byte(c.text), Owner: o}, c.off, nil)
		var conflict *ConflictError
		switch {
		case c.at < 0:
			if n != len(c.text) || !ready || err != nil {
				t.Errorf("%q at %d: %d, %v, %v", c.text, c.off, n, ready, err)
			}
		case n != 0 || ready || !errors.As(err, &conflict) || conflict.Offset != c.at:
			t.Errorf("%q at %d: %d, %v, %v; want a conflict at %d", c.text, c.off, n, ready, err, c.at)
		case o.freed.Load() != 0 || h.Status() != before:
			t.Errorf("%q at %d: something was taken", c.text, c.off)
		}
	}
}

// Where addressed bytes belong is judged when they are written, not when they
// came: those who wait before them may fill the gap, or make them known.
func TestAddressIsJudgedAtItsTurn(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	plain, a, b, c := h.NewWriter(false), h.NewWriter(true), h.NewWriter(true), h.NewWriter(true)
	r := reader(h, FromOldest)
	put(t, plain, "0123")
	wakes := func(w *Writer, s string, off int64) *atomic.Int32 {
		n := new(atomic.Int32)
		if _, ready, err := w.TryWrite(Piece{Data: []byte(s)}, off, func() { n.Add(1) }); ready || err != nil {
			t.Fatalf("write at %d does not wait: %v", off, err)
		}
		return n
	}
	w0 := putWaits(t, plain, "45")
	w1 := wakes(a, "67", 6)   // a gap now
	w2 := wakes(b, "4567", 4) // new now
	w3 := wakes(c, "x", 99)   // a gap in any case
	want(t, get(t, r, 0, 100), "0123")
	wantWakes(t, w0, 1)
	put(t, plain, "45")
	wantWakes(t, w1, 1)
	if n, ready, err := a.TryWrite(Piece{Data: []byte("67")}, 6, nil); n != 2 || !ready || err != nil {
		t.Fatalf("write at 6 = %d, %v, %v", n, ready, err)
	}
	wantWakes(t, w2, 1) // no room, but nothing is new
	if n, ready, err := b.TryWrite(Piece{Data: []byte("4567")}, 4, nil); n != 4 || !ready || err != nil {
		t.Fatalf("write at 4 = %d, %v, %v", n, ready, err)
	}
	wantWakes(t, w3, 1)
	var gap *GapError
	if _, _, err := c.TryWrite(Piece{Data: []byte("x")}, 99, nil); !errors.As(err, &gap) {
		t.Fatalf("write at 99: %v", err)
	}
	want(t, get(t, r, 0, 100), "4567")
	if s := h.Status(); s.WaitingWriters != 0 {
		t.Fatalf("%d writers wait", s.WaitingWriters)
	}
}

func TestEmptyWriteNeverWaits(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w, late := h.NewWriter(false), h.NewWriter(false)
	reader(h, FromOldest)
	put(t, w, "0123")
	putWaits(t, w, "4")
	put(t, late, "")
	h.Freeze()
	put(t, late, "")
	h.End("")
	if _, _, err := late.TryWrite(Piece{}, 0, nil); !errors.Is(err, ErrEnded) {
		t.Fatalf("write: %v", err)
	}
}

func TestNilWakeDoesNotWait(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w, r := h.NewWriter(false), reader(h, FromOldest)
	if _, ready, err := r.TryRead(nil, 0, 1, nil); ready || err != nil {
		t.Fatalf("read = %v, %v", ready, err)
	}
	put(t, w, "0123")
	if _, ready, err := w.TryWrite(Piece{Data: []byte("4")}, 0, nil); ready || err != nil {
		t.Fatalf("write = %v, %v", ready, err)
	}
	// One that waits and then tries without waiting gives up its place.
	next := h.NewWriter(false)
	putWaits(t, w, "45678")
	wakes := putWaits(t, next, "4")
	want(t, get(t, r, 0, 1), "0")
	wantWakes(t, wakes, 0)
	w.TryWrite(Piece{Data: []byte("45678")}, 0, nil)
	wantWakes(t, wakes, 1)
	put(t, next, "4")
	if s := h.Status(); s.WaitingReaders != 0 || s.WaitingWriters != 0 {
		t.Fatalf("somebody waits: %+v", s)
	}
}

// A brokenStore fails when it is told to.
type brokenStore struct {
	*Memory
	broken error
}

func (s *brokenStore) Append(p Piece) (int64, error) {
	if s.broken != nil {
		return 0, s.broken
	}
	return s.Memory.Append(p)
}

func (s *brokenStore) Read(dst []Piece, off int64, max int) ([]Piece, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	return s.Memory.Read(dst, off, max)
}

func TestStoreErrorTakesNothing(t *testing.T) {
	s := &brokenStore{Memory: NewMemory()}
	b := NewBudget(100)
	h := New(Options{Store: s, Budget: b})
	w, r, addressed := h.NewWriter(false), reader(h, FromOldest), reader(h, Addressed)
	put(t, w, "0123")
	s.broken = errors.New("disk is full")
	o := new(countedOwner)
	n, ready, err := w.TryWrite(Piece{Data: []byte("45"), Owner: o}, 0, nil)
	if n != 0 || ready || !errors.Is(err, s.broken) || o.freed.Load() != 0 {
		t.Fatalf("write = %d, %v, %v, freed %d times", n, ready, err, o.freed.Load())
	}
	wantUsed(t, b, 4)
	before := []Piece{{Data: []byte("dst")}}
	for _, r := range []*Reader{r, addressed} {
		pieces, ready, err := r.TryRead(before, 0, 100, nil)
		if len(pieces) != 1 || ready || !errors.Is(err, s.broken) {
			t.Fatalf("read = %d pieces, %v, %v", len(pieces), ready, err)
		}
	}
	s.broken = nil
	put(t, w, "45")
	want(t, get(t, r, 0, 100), "012345")
	want(t, get(t, addressed, 0, 100), "012345")
}

func TestWritesAreWhole(t *testing.T) {
	h := New(Options{})
	var writing sync.WaitGroup
	for i := range 4 {
		w := h.NewWriter(false)
		writing.Go(func() {
			line := strings.Repeat(fmt.Sprint(i), 700) + "\n"
			for range 50 {
				w.TryWrite(Piece{Data: []byte(line)}, 0, nil)
			}
		})
	}
	writing.Wait()
	lines := strings.Split(get(t, reader(h, FromOldest), 0, 1<<20), "\n")
	if len(lines) != 4*50+1 {
		t.Fatalf("%d lines, want 200", len(lines)-1)
	}
	for _, line := range lines[:200] {
		if line != strings.Repeat(line[:1], 700) {
			t.Fatalf("two writes are mixed: %q", line)
		}
	}
}

func TestLargeWriteIsAdopted(t *testing.T) {
	for _, c := range []struct {
		name    string
		data    []byte
		owner   bool
		adopted bool
	}{
		{"large", make([]byte, adoptMin), true, true},
		{"half of its buffer", make([]byte, adoptMin, 2*adoptMin), true, true},
		{"little of its buffer", make([]byte, adoptMin, 2*adoptMin+2), true, false},
		{"small", make([]byte, adoptMin-1), true, false},
		{"without owner", make([]byte, adoptMin), false, false},
	} {
		h := New(Options{})
		o := new(countedOwner)
		p := Piece{Data: c.data}
		if c.owner {
			p.Owner = o
		}
		h.NewWriter(false).TryWrite(p, 0, nil)
		pieces, _, _ := reader(h, FromOldest).TryRead(nil, 0, 1, nil)
		if same := &pieces[0].Data[0] == &c.data[0]; same != c.adopted {
			t.Errorf("%s: adopted %v, want %v", c.name, same, c.adopted)
		}
		if freed := o.freed.Load() == 1; freed != (c.owner && !c.adopted) {
			t.Errorf("%s: freed %v after the write", c.name, freed)
		}
		h.Close()
		freeAll(pieces)
		if n := o.freed.Load(); c.owner && n != 1 {
			t.Errorf("%s: freed %d times in the end", c.name, n)
		}
	}
}

func TestClearShowsNoStaleBytes(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	behind, waiting := reader(h, FromOldest), reader(h, FromEnd)
	put(t, w, "stale")
	want(t, get(t, waiting, 0, 100), "stale")
	wakes := getWaits(t, waiting, 0)
	h.Clear()
	wantWakes(t, wakes, 0)
	getWaits(t, behind, 0)
	getWaits(t, reader(h, FromOldest), 0)
	put(t, w, "new")
	want(t, get(t, behind, 0, 100), "new")
	want(t, get(t, waiting, 0, 100), "new")
	if s := behind.Status(); s.Lost != 5 || s.Offset != 8 {
		t.Fatalf("%+v; want 5 lost, at 8", s)
	}
}

func TestSizeIsAtLeastOne(t *testing.T) {
	h := New(Options{Size: 10})
	w := h.NewWriter(false)
	put(t, w, "0123456789")
	for _, n := range []int64{0, -1} {
		if err := h.SetSize(n); err == nil {
			t.Errorf("size %d is accepted", n)
		}
	}
	if err := h.SetSize(3); err != nil {
		t.Fatal(err)
	}
	want(t, get(t, reader(h, FromOldest), 0, 100), "789")
}

func TestCloseWakesEverybody(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w1, w2 := h.NewWriter(false), h.NewWriter(false)
	stuck, r := reader(h, FromOldest), reader(h, FromOldest)
	put(t, w1, "0123")
	want(t, get(t, r, 0, 100), "0123")
	held, _, _ := stuck.TryRead(nil, 0, 2, nil)
	all := []*atomic.Int32{getWaits(t, r, 0), putWaits(t, w1, "456"), putWaits(t, w2, "789")}
	h.Close()
	h.Close()
	for _, wakes := range all {
		wantWakes(t, wakes, 1)
	}
	want(t, string(joined(held)), "01")
	freeAll(held)
	if _, _, err := stuck.TryRead(nil, 0, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, _, err := w2.TryWrite(Piece{Data: []byte("x")}, 0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if _, _, err := reader(h, FromOldest).TryRead(nil, 0, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("read by a new reader: %v", err)
	}
	w1.Close()
	w2.Close()
	stuck.Close()
	r.Close()
	h.NewWriter(false).Close()
	h.EOF()
	h.Clear()
	h.Melt()
	if s := h.Status(); s.Readers != 0 || s.Writers != 0 {
		t.Errorf("after Close: %+v", s)
	}
}
