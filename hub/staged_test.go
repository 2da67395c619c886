package hub

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// stage writes s, which is to be in the stream at once and not stable, and
// counts the wakes.
func stage(t testing.TB, w *Writer, p Piece, off int64) (wakes *atomic.Int32) {
	t.Helper()
	wakes = new(atomic.Int32)
	n, ready, err := w.TryWrite(p, off, func() { wakes.Add(1) })
	if n != len(p.Data) || ready || err != nil {
		t.Fatalf("write of %d bytes = %d, ready %v, %v; want it to be staged", len(p.Data), n, ready, err)
	}
	return wakes
}

func text(s string) Piece { return Piece{Data: []byte(s)} }

// What somebody has seen is in the history whatever becomes of this process:
// readers, in whatever way they read, get what is stable.
func TestReadersGetWhatIsStable(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	r, addressed, late := reader(h, FromOldest), reader(h, Addressed), reader(h, FromEnd)
	waits := getWaits(t, r, 0)
	stage(t, w, text("0123456789"), 0)
	wantWakes(t, waits, 0)
	h.EOF()
	waits = getWaits(t, r, 0)
	f.settleUpTo(4)
	wantWakes(t, waits, 1)
	want(t, get(t, r, 0, 100), "0123")
	waits, addressedWaits := getWaits(t, r, 0), getWaits(t, addressed, 7)
	h.End("") // is not the end of those who have not got all
	wantWakes(t, waits, 1)
	waits = getWaits(t, r, 0)
	wantWakes(t, addressedWaits, 1)
	addressedWaits = getWaits(t, addressed, 7)
	h.Freeze() // a plain file has no more either, and waits
	file := reader(h, FromOldest)
	want(t, get(t, file, 0, 100), "0123")
	fileWaits := getWaits(t, file, 4)
	f.settle()
	for _, wakes := range []*atomic.Int32{waits, addressedWaits, fileWaits} {
		wantWakes(t, wakes, 1)
	}
	want(t, get(t, file, 4, 100), "456789")
	h.Melt()
	want(t, get(t, addressed, 7, 100), "789")
	want(t, get(t, r, 0, 100), "456789")
	want(t, get(t, r, 0, 100), "") // the mark
	want(t, get(t, r, 0, 100), "") // the end
	want(t, get(t, late, 0, 100), "0123456789")
}

// A reader hears of bytes that have gone before they were stable, or shown.
func TestReadersOfWhatIsNotStableHearOfItsEnd(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	r, addressed := reader(h, FromOldest), reader(h, Addressed)
	waits, addressedWaits := getWaits(t, r, 0), getWaits(t, addressed, 2)
	stage(t, w, text("0123456789"), 0)
	h.Clear()
	wantWakes(t, addressedWaits, 1)
	if _, _, err := addressed.TryRead(nil, 2, 10, nil); !errors.As(err, new(*DiscardedError)) {
		t.Fatal(err)
	}
	wantWakes(t, waits, 1)
	waits = getWaits(t, r, 0)
	put0 := stage(t, h.NewWriter(false), text("ab"), 0)
	f.fail(errors.New("no space left"))
	wantWakes(t, put0, 1)
	wantWakes(t, waits, 1) // what is in memory is all there is, and is shown
	want(t, get(t, r, 0, 100), "ab")
}

func TestStagedWriteIsAnsweredWhenStable(t *testing.T) {
	h, f := spooled(t, Options{})
	a, b := h.NewWriter(false), h.NewWriter(false)
	o := new(countedOwner)
	aWakes := stage(t, a, Piece{Data: []byte("one"), Owner: o}, 0)
	bWakes := stage(t, b, text("two"), 0) // does not wait for a's
	if s := h.Status(); s.WaitingWriters != 2 || !s.Spooled || s.Writes != 2 {
		t.Fatalf("%+v", s)
	}
	f.settleUpTo(3)
	wantWakes(t, aWakes, 1)
	wantWakes(t, bWakes, 0)
	put(t, a, "one")
	bWakes = stage(t, b, text("two"), 0) // asked too early
	f.settle()
	wantWakes(t, bWakes, 1)
	// The same arguments are not looked at: the piece has passed.
	if n, ready, err := b.TryWrite(Piece{}, 0, nothing); n != 3 || !ready || err != nil {
		t.Fatal(n, ready, err)
	}
	if s := h.Status(); s.Next != 6 || s.WaitingWriters != 0 || o.freed.Load() != 1 {
		t.Fatalf("%+v, freed %d times", s, o.freed.Load())
	}
	put(t, b, "") // waits for nothing
}

// A write after that is a write of its own, also of the same bytes.
func TestStagedWriteIsAnsweredOnce(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	stage(t, w, text("x"), 0)
	f.settle()
	put(t, w, "x")
	stage(t, w, text("x"), 0)
	if s := h.Status(); s.Next != 2 {
		t.Fatalf("next is %d", s.Next)
	}
}

func TestStagedWriteCannotBeWithdrawn(t *testing.T) {
	h, f := spooled(t, Options{})
	w := h.NewWriter(false)
	wakes := stage(t, w, text("one"), 0)
	if n := w.CancelWrite(); n != 3 {
		t.Fatalf("CancelWrite = %d", n)
	}
	if n := w.CancelWrite(); n != 0 {
		t.Fatalf("the second CancelWrite = %d", n)
	}
	f.settle()
	wantWakes(t, wakes, 0)
	stage(t, w, text("two"), 0)
	f.settle() // it was woken, and has not asked
	if n := w.CancelWrite(); n != 3 {
		t.Fatalf("CancelWrite = %d", n)
	}
	want(t, get(t, reader(h, FromOldest), 0, 100), "onetwo")
}

// With a nil wake nobody would hear when it is stable.
func TestWriteThatDoesNotWaitIsNotStaged(t *testing.T) {
	h, _ := spooled(t, Options{})
	w := h.NewWriter(false)
	if n, ready, err := w.TryWrite(text("one"), 0, nil); n != 3 || !ready || err != nil {
		t.Fatal(n, ready, err)
	}
	stage(t, w, text("two"), 0)
	if n, ready, err := w.TryWrite(text("two"), 0, nil); n != 3 || !ready || err != nil {
		t.Fatal(n, ready, err)
	}
	if s := h.Status(); s.WaitingWriters != 0 || s.Next != 6 {
		t.Fatalf("%+v", s)
	}
}

// Bytes that are there already are written when they are stable, and not
// before: who wrote them the first time may not have heard.
func TestKnownBytesAreAnsweredWhenStable(t *testing.T) {
	h, f := spooled(t, Options{})
	lost := h.NewWriter(true)
	stage(t, lost, text("0123456789"), 0)
	lost.Close()
	w := h.NewWriter(true)
	wakes := stage(t, w, text("234"), 2)
	f.settleUpTo(4)
	wantWakes(t, wakes, 0)
	f.settleUpTo(5)
	wantWakes(t, wakes, 1)
	if n, ready, err := w.TryWrite(text("234"), 2, nothing); n != 3 || !ready || err != nil {
		t.Fatal(n, ready, err)
	}
	stage(t, w, text("89ab"), 8)
	if s := h.Status(); s.Next != 12 {
		t.Fatalf("next is %d", s.Next)
	}
}

// What has to be fetched for the comparison is waited for, and then those
// behind go.
func TestKnownBytesAreFetchedToBeCompared(t *testing.T) {
	for _, c := range []struct {
		text string
		err  string
	}{{"2345678", ""}, {"234x678", "conflict: stream holds other bytes at 5"}} {
		h := New(Options{Store: fakeHistory(0, "012345678")})
		f := h.spool.(*fakeSpool)
		f.evict(4)
		w, next := h.NewWriter(true), h.NewWriter(false)
		var wakes, nextWakes atomic.Int32
		try := func() (int, bool, error) { return w.TryWrite(text(c.text), 2, func() { wakes.Add(1) }) }
		if n, ready, err := try(); n != 0 || ready || err != nil || f.asked != 2 {
			t.Fatal(n, ready, err, f.asked)
		}
		if n, ready, err := next.TryWrite(text("x"), 0, func() { nextWakes.Add(1) }); n != 0 || ready || err != nil {
			t.Fatal(n, ready, err)
		}
		f.load()
		wantWakes(t, &wakes, 1)
		n, ready, err := try()
		if c.err == "" && (n != len(c.text) || !ready || err != nil) || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Fatalf("%q: %d, %v, %v", c.text, n, ready, err)
		}
		wantWakes(t, &nextWakes, 1)
		h.Close()
	}
}

// Whatever ends, a write whose bytes are in the stream is done.
func TestStagedWriteIsDoneWhateverEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(h *Hub, w *Writer, f *fakeSpool)
		done bool // at once
	}{
		{"hub closes", func(h *Hub, w *Writer, f *fakeSpool) { h.Close() }, true},
		{"writer closes", func(h *Hub, w *Writer, f *fakeSpool) { w.Close() }, true},
		{"stream ends", func(h *Hub, w *Writer, f *fakeSpool) { h.End("") }, false},
		{"hub freezes", func(h *Hub, w *Writer, f *fakeSpool) { h.Freeze() }, false},
		{"hub is cleared", func(h *Hub, w *Writer, f *fakeSpool) { h.Clear() }, false},
		{"others wait", func(h *Hub, w *Writer, f *fakeSpool) {
			h.SetLimit(Limit{BytesPerSecond: 1})
			other := h.NewWriter(false)
			other.TryWrite(text("x"), 0, nothing)
			other.TryWrite(text("x"), 0, nothing)
		}, false},
	} {
		h, f := spooled(t, Options{})
		w := h.NewWriter(false)
		o := new(countedOwner)
		wakes := stage(t, w, Piece{Data: []byte("one"), Owner: o}, 0)
		c.do(h, w, f)
		if n := wakes.Load(); (n == 1) != c.done {
			t.Errorf("%s: woken %d times", c.name, n)
		}
		n, ready, err := w.TryWrite(Piece{}, 0, func() { wakes.Add(1) })
		if n != 3 || ready != c.done || err != nil {
			t.Errorf("%s: %d, %v, %v", c.name, n, ready, err)
		}
		if !c.done {
			f.settle()
			if n, ready, err = w.TryWrite(Piece{}, 0, nothing); n != 3 || !ready || err != nil || wakes.Load() != 1 {
				t.Errorf("%s: %d, %v, %v, woken %d times", c.name, n, ready, err, wakes.Load())
			}
		}
		if o.freed.Load() != 1 {
			t.Errorf("%s: freed %d times", c.name, o.freed.Load())
		}
	}
}

// Those who write again inside their wake, as a server does, when the store
// tells that bytes are stable.
func TestManyWritersAreStagedTogether(t *testing.T) {
	h, f := spooled(t, Options{})
	const writers = 300
	done := 0
	for range writers {
		w := h.NewWriter(false)
		writes := 0
		var try func()
		try = func() {
			for writes < 3 {
				_, ready, err := w.TryWrite(text("x"), 0, try)
				if err != nil {
					t.Error(err)
				}
				if !ready {
					return
				}
				writes++
				done++
			}
		}
		try()
	}
	for range 3 {
		f.settle()
	}
	if s := h.Status(); done != 3*writers || s.Next != 3*writers || s.WaitingWriters != 0 {
		t.Fatalf("%d done, %d in the stream, %d wait", done, s.Next, s.WaitingWriters)
	}
}

func TestWriteContextWaitsUntilStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := spooled(t, Options{})
		w := h.NewWriter(false)
		done := make(chan error, 1)
		write := func(ctx context.Context) {
			n, err := w.WriteContext(ctx, []byte("abc"))
			if n != 3 {
				t.Errorf("%d bytes written", n)
			}
			done <- err
		}
		go write(t.Context())
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("done before it was stable")
		}
		f.settle()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go write(ctx)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil { // bytes taken are bytes returned
			t.Fatal(err)
		}
		f.settle()
		r := reader(h, FromOldest)
		f.evict(6)
		go func() {
			p := make([]byte, 100)
			n, err := r.ReadContext(t.Context(), p)
			if string(p[:n]) != "abcabc" {
				t.Errorf("read %q", p[:n])
			}
			done <- err
		}()
		synctest.Wait()
		f.load()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// Writers together do not bring more than the store can take: those behind wait
// for their turns, and may be withdrawn.
func TestWritersWaitForAStoreThatIsFarBehind(t *testing.T) {
	h, f := spooled(t, Options{})
	big, one, two := h.NewWriter(false), h.NewWriter(false), h.NewWriter(true)
	stage(t, big, Piece{Data: make([]byte, unstableMax)}, 0)
	put(t, two, "") // there is nothing to wait for
	var wakes [2]atomic.Int32
	for i, w := range []*Writer{one, two} {
		n, ready, err := w.TryWrite(text("x"), unstableMax+int64(i), func() { wakes[i].Add(1) })
		if n != 0 || ready || err != nil {
			t.Fatal(n, ready, err)
		}
	}
	if s := h.Status(); s.Next != unstableMax || s.WritersWait != 0 {
		t.Fatalf("%+v", s)
	}
	f.settleUpTo(1)
	wantWakes(t, &wakes[0], 1)
	wantWakes(t, &wakes[1], 0) // it is not its turn
	if n := one.CancelWrite(); n != 0 {
		t.Fatal("withdrawn, and done", n)
	}
	wantWakes(t, &wakes[1], 1)
	stage(t, two, text("x"), unstableMax)
	// One that waits for a store that fails is done in memory.
	if n, ready, err := one.TryWrite(text("y"), 0, func() { wakes[0].Add(1) }); n != 0 || ready || err != nil {
		t.Fatal(n, ready, err)
	}
	f.fail(errors.New("disk is full"))
	wantWakes(t, &wakes[0], 2)
	put(t, one, "y")
}
