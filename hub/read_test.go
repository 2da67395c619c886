package hub

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
)

func TestReaderStarts(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    Start
		trunc bool
		want  int64
	}{
		{"oldest", FromOldest, false, 90},
		{"oldest in trunc mode", FromOldest, true, 100},
		{"end", FromEnd, false, 100},
		{"back 0", Back(0), false, 100},
		{"back 1", Back(1), false, 99},
		{"back all", Back(10), false, 90},
		{"back too far", Back(11), false, 90},
		{"back very far", Back(math.MaxInt64), false, 90},
		{"back below zero", Back(-5), false, 100},
		{"back in trunc mode", Back(3), true, 97},
		{"addressed", Addressed, false, 90},
		{"addressed in trunc mode", Addressed, true, 90},
	} {
		h := New(Options{Size: 10, Trunc: c.trunc})
		put(t, h.NewWriter(false), strings.Repeat("x", 100))
		if got := reader(h, c.at).Status().Offset; got != c.want {
			t.Errorf("%s: starts at %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLateReaderGetsHistory(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	put(t, w, "one ")
	put(t, w, "two ")
	r := reader(h, FromOldest)
	put(t, w, "three")
	want(t, get(t, r, 0, 100), "one two three") // boundaries are not kept
	getWaits(t, r, 0)
}

func TestReadersShareBytes(t *testing.T) {
	h := New(Options{})
	put(t, h.NewWriter(false), "bytes")
	a, _, _ := reader(h, FromOldest).TryRead(nil, 0, 100, nil)
	b, _, _ := reader(h, FromOldest).TryRead(nil, 0, 100, nil)
	if &a[0].Data[0] != &b[0].Data[0] {
		t.Fatal("two readers got two copies")
	}
	if cap(a[0].Data) != len(a[0].Data) {
		t.Fatal("a piece can be appended to")
	}
	a[0].Free()
	b[0].Free()
}

func TestRetentionIsExact(t *testing.T) {
	h := New(Options{Size: 1000})
	w := h.NewWriter(false)
	next := int64(0)
	for n := range 300 {
		put(t, w, strings.Repeat("x", n))
		next += int64(n)
		if s := h.Status(); s.Next != next || s.First != max(0, next-1000) {
			t.Fatalf("hub holds %d to %d, want the last 1000 up to %d", s.First, s.Next, next)
		}
	}
}

func TestOvertakenReaderIsTold(t *testing.T) {
	h := New(Options{Size: 10})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	lazy := h.NewReader(FromOldest, ReaderOptions{Lazy: true})
	put(t, w, "0123456789abcde")
	if s := r.Status(); s.Lost != 5 || s.Offset != 5 {
		t.Fatalf("before it reads: %+v; want 5 lost, at 5", s)
	}
	if s := lazy.Status(); s.Lost != 0 {
		t.Fatalf("a reader that never read has lost %d", s.Lost)
	}
	want(t, get(t, r, 0, 100), "56789abcde")
	put(t, w, "0123456789ABC")
	want(t, get(t, r, 0, 100), "3456789ABC")
	if s := r.Status(); s.Lost != 8 || s.Offset != 28 {
		t.Fatalf("%+v; want 8 lost, at 28", s)
	}
	r.Close()
	if s := h.Status(); s.Lost != 8 {
		t.Fatalf("the hub forgot what a closed reader lost: %d", s.Lost)
	}
	get(t, lazy, 0, 100)
	if s := h.Status(); s.Lost != 8+18 {
		t.Fatalf("hub lost %d, want 26", s.Lost)
	}
}

func TestReadOfNothingNeverWaits(t *testing.T) {
	h := New(Options{})
	r := reader(h, FromOldest)
	want(t, get(t, r, 0, 0), "")
	h.EOF()
	want(t, get(t, r, 0, 0), "")
	want(t, get(t, r, 0, 1), "") // and does not take the mark
	getWaits(t, r, 0)
}

func TestWaitingReaderIsWokenOnce(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	wakes := getWaits(t, r, 0)
	put(t, w, "a")
	put(t, w, "b")
	h.EOF()
	wantWakes(t, wakes, 1)
	want(t, get(t, r, 0, 1), "a")
	put(t, w, "c")
	wantWakes(t, wakes, 1)
}

func TestCancelledReadTakesNothing(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	wakes := getWaits(t, r, 0)
	r.CancelRead()
	r.CancelRead()
	put(t, w, "kept")
	wantWakes(t, wakes, 0)

	want(t, get(t, r, 0, 100), "kept")
	wakes = getWaits(t, r, 0)
	put(t, w, "this too")
	r.CancelRead() // woken already, and flushed before it tried again
	wantWakes(t, wakes, 1)
	want(t, get(t, r, 0, 100), "this too")
}

// A wake may do whatever it likes: no lock of the hub is held.
func TestWakeIsCalledWithoutLocks(t *testing.T) {
	h := New(Options{Size: 4, Fear: true})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	var got string
	_, ready, _ := r.TryRead(nil, 0, 10, func() {
		h.Status()
		got = get(t, r, 0, 10)
	})
	if ready {
		t.Fatal("read of an empty hub is ready")
	}
	put(t, w, "1234")
	want(t, got, "1234")

	put(t, w, "5678")
	woken := false
	w.TryWrite(Piece{Data: []byte("9")}, 0, func() { woken = true; put(t, w, "9") })
	want(t, get(t, r, 0, 10), "5678")
	want(t, get(t, r, 0, 10), "9")
	if !woken {
		t.Fatal("writer was not woken")
	}
}

// A wake on its way may meet a CancelRead: no byte is lost or comes twice.
func TestWakeRacingWithCancelIsHarmless(t *testing.T) {
	const total = 1 << 16
	h := New(Options{Size: total})
	w := h.NewWriter(false)
	r := reader(h, FromOldest)
	var writing sync.WaitGroup
	writing.Go(func() {
		b := make([]byte, 64)
		for at := 0; at < total; at += len(b) {
			for i := range b {
				b[i] = byte((at + i) ^ (at+i)>>8)
			}
			w.TryWrite(Piece{Data: b}, 0, nil)
		}
	})
	woken := make(chan struct{}, 1)
	for at := 0; at < total; {
		pieces, ready, err := r.TryRead(nil, 0, 100, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		switch {
		case err != nil:
			t.Fatal(err)
		case !ready && at%3 == 0:
			r.CancelRead()
		case !ready:
			<-woken
		}
		for _, b := range joined(pieces) {
			if b != byte(at^at>>8) {
				t.Fatalf("byte %d is wrong", at)
			}
			at++
		}
		freeAll(pieces)
	}
	writing.Wait()
}

func TestAddressedReadIsIdempotent(t *testing.T) {
	h := New(Options{Size: 10})
	w := h.NewWriter(false)
	put(t, w, "0123456789abcde")
	r := reader(h, Addressed)
	for range 3 {
		want(t, get(t, r, 7, 4), "789a")
	}
	want(t, get(t, r, 5, 100), "56789abcde")

	_, ready, err := r.TryRead(nil, 4, 100, nil)
	var discarded *DiscardedError
	if !errors.As(err, &discarded) || discarded.First != 5 || ready {
		t.Fatalf("read before the oldest byte: ready %v, %v", ready, err)
	}
	if _, _, err := r.TryRead(nil, -1, 100, nil); !errors.Is(err, ErrOffset) {
		t.Fatalf("read at -1: %v", err)
	}
}

func TestAddressedReadWaitsForItsOffset(t *testing.T) {
	h := New(Options{})
	w := h.NewWriter(false)
	r := reader(h, Addressed)
	wakes := getWaits(t, r, 5)
	put(t, w, "01234")
	wantWakes(t, wakes, 0) // what came does not concern it
	put(t, w, "56")
	wantWakes(t, wakes, 1)
	want(t, get(t, r, 5, 10), "56")
}

// To ask for an offset says that all before it has arrived, and no more.
func TestAddressedReaderStandsWhereItAsked(t *testing.T) {
	h := New(Options{Input: true, Size: 10})
	w := h.NewWriter(false)
	r := reader(h, Addressed)
	put(t, w, "0123456789")
	want(t, get(t, r, 0, 6), "012345")
	if s := h.Status(); s.First != 0 {
		t.Fatalf("bytes on their way to the reader were dropped: first is %d", s.First)
	}
	wakes := putWaits(t, w, "abc")
	want(t, get(t, r, 6, 100), "6789")
	if s := h.Status(); s.First != 6 {
		t.Fatalf("first is %d, want 6", s.First)
	}
	wantWakes(t, wakes, 1)
}

// Reads wait one behind the other without a gap, whatever each brings.
func TestOnwardIsBehindWhatTheLastReadGave(t *testing.T) {
	h := New(Options{Size: 10})
	w := h.NewWriter(false)
	put(t, w, "0123456")
	r := reader(h, Addressed)
	want(t, get(t, r, 1, 3), "123")
	want(t, get(t, r, Onward, 100), "456")
	wakes := getWaits(t, r, Onward)
	if s := r.Status(); s.Offset != 7 {
		t.Errorf("it stands at %d, and asked for 7", s.Offset)
	}
	put(t, w, "789")
	wantWakes(t, wakes, 1)
	want(t, get(t, r, Onward, 2), "78")
	if s := r.Status(); s.Offset != 7 {
		t.Errorf("it stands at %d, and asked for 7: what it was given may not have arrived", s.Offset)
	}

	// A gap is not passed over in silence, and the reads behind go on there.
	put(t, w, "abcdefghijkl")
	var discarded *DiscardedError
	if _, _, err := r.TryRead(nil, Onward, 2, nil); !errors.As(err, &discarded) || discarded.First != 12 {
		t.Fatalf("overtaken: %v", err)
	}
	want(t, get(t, r, Onward, 2), "cd")
	want(t, get(t, r, Onward, 2), "ef")
	h.Freeze()
	want(t, get(t, r, Onward, 2), "gh")
	want(t, get(t, r, Onward, 100), "ijkl")
	want(t, get(t, r, Onward, 100), "") // the end of a plain file
	h.Melt()
	put(t, w, "m")
	want(t, get(t, r, Onward, 100), "m")
}

func TestClosedReaderAnswersErrClosed(t *testing.T) {
	h := New(Options{})
	r := reader(h, FromOldest)
	wakes := getWaits(t, r, 0)
	r.Close()
	r.Close()
	wantWakes(t, wakes, 1)
	if _, ready, err := r.TryRead(nil, 0, 1, nil); ready || !errors.Is(err, ErrClosed) {
		t.Fatalf("ready %v, %v", ready, err)
	}
}

func TestReadersAreListedInOrder(t *testing.T) {
	h := New(Options{})
	var all []*Reader
	for _, label := range []string{"a", "b", "c", "d"} {
		all = append(all, h.NewReader(FromOldest, ReaderOptions{Label: label}))
	}
	all[0].Close()
	got := ""
	for _, r := range h.Readers() {
		got += r.Label
	}
	want(t, got, "bcd")
}
