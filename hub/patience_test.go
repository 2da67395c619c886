package hub

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// told collects what Options.OnDrop is told. It is called with no lock held:
// it asks the hub for its status.
type told struct {
	h    *Hub
	mu   sync.Mutex
	said []string
}

func (d *told) onDrop(id uint64, label, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, fmt.Sprintf("%d %s %s, %d left", id, label, reason, d.h.Status().Readers))
}

func (d *told) want(t *testing.T, said ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if fmt.Sprint(d.said) != fmt.Sprint(said) {
		t.Fatalf("told of %q, want %q", d.said, said)
	}
	d.said = nil
}

// labelled opens a reader whose label is its number.
func labelled(h *Hub, id uint64) *Reader {
	return h.NewReader(FromOldest, ReaderOptions{ID: id, Label: fmt.Sprint("r", id)})
}

func wantDropped(t *testing.T, r *Reader, reason string) {
	t.Helper()
	var dropped *DroppedError
	_, ready, err := r.TryRead(nil, 0, 10, nil)
	if ready || !errors.As(err, &dropped) || dropped.Reason != reason {
		t.Fatalf("read of a dropped reader: ready %v, %v", ready, err)
	}
}

func TestDroppedReaderHoldsNobody(t *testing.T) {
	var d told
	h := New(Options{Size: 4, Fear: true, OnDrop: d.onDrop})
	d.h = h
	slow, fast := labelled(h, 7), labelled(h, 8)
	nobody := reader(h, FromOldest) // with ID 0
	w := h.NewWriter(false)
	put(t, w, "0123")
	want(t, get(t, fast, 0, 10), "0123")
	want(t, get(t, nobody, 0, 10), "0123")
	waits := getWaits(t, fast, 0)
	wakes := putWaits(t, w, "4567")
	if h.DropReader(0, "") || h.DropReader(9, "") {
		t.Fatal("dropped somebody else")
	}
	d.want(t)
	if !h.DropReader(7, "asleep") {
		t.Fatal("nobody was dropped")
	}
	d.want(t, "7 r7 asleep, 2 left")
	wantWakes(t, wakes, 1)
	put(t, w, "4567")
	wantWakes(t, waits, 1)
	wantDropped(t, slow, "asleep")
	if _, err := slow.ReadContext(t.Context(), make([]byte, 1)); err == nil || err.Error() != "dropped: asleep" {
		t.Fatal(err)
	}
	h.Freeze()
	wantDropped(t, slow, "asleep")
	h.Melt()
	if h.DropReader(7, "again") {
		t.Fatal("dropped twice")
	}
	slow.Close()
	if _, _, err := slow.TryRead(nil, 0, 10, nil); err != ErrClosed {
		t.Fatal(err)
	}
	if s := h.Status(); s.Readers != 2 {
		t.Fatalf("%d readers", s.Readers)
	}

	want(t, get(t, fast, 0, 10), "4567")
	waits = getWaits(t, fast, 0)
	h.DropReader(8, "asleep too")
	wantWakes(t, waits, 1)
	wantDropped(t, fast, "asleep too")
	h.Close()
	if h.DropReader(7, "") {
		t.Fatal("dropped from a closed hub")
	}
}

// What a dropped reader had lost stays lost, and is counted once.
func TestDroppedReadersLossIsCounted(t *testing.T) {
	h := New(Options{Size: 4})
	r := labelled(h, 1)
	put(t, h.NewWriter(false), "0123456789")
	h.DropReader(1, "")
	r.Close()
	if s, own := h.Status(), r.Status(); s.Lost != 6 || own.Lost != 6 {
		t.Fatalf("lost %d, it says %d; want 6", s.Lost, own.Lost)
	}
}

func TestSlowestIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Size: 10, Fear: true})
		w := h.NewWriter(false)
		a, b, c := labelled(h, 1), labelled(h, 2), labelled(h, 3)
		check := func(slowest string, stalls time.Duration) {
			t.Helper()
			names := ""
			for _, r := range h.Readers() {
				if r.Slowest {
					names += r.Label
				}
				if want := r.Slowest && stalls > 0; want != (r.Stalls > 0) || want && r.Stalls != stalls {
					t.Errorf("%s stalls a writer for %v", r.Label, r.Stalls)
				}
			}
			if s := h.Status(); names != slowest || s.WritersWait != stalls {
				t.Fatalf("slowest are %q, writers wait for %v; want %q, %v", names, s.WritersWait, slowest, stalls)
			}
		}
		check("", 0) // nobody is behind
		put(t, w, "01234567")
		check("r1r2r3", 0)
		get(t, a, 0, 8)
		get(t, b, 0, 3)
		check("r3", 0)
		wakes := putWaits(t, w, "abc")
		time.Sleep(time.Second)
		check("r3", time.Second)
		h.Freeze() // and nobody can move
		check("r3", 0)
		time.Sleep(time.Second)
		h.Melt()
		check("r3", 0)
		time.Sleep(time.Second)
		check("r3", time.Second)
		get(t, c, 0, 8)
		wantWakes(t, wakes, 1)
		put(t, w, "abc")
		check("r2", 0)
		h.Fear(false)
		check("", 0)
	})
}

func TestPatienceDropsWhoDoesNotMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d told
		h := New(Options{Size: 4, Fear: true, Patience: 10 * time.Second, OnDrop: d.onDrop})
		d.h = h
		w := h.NewWriter(false)
		stuck, slow, fast := labelled(h, 1), labelled(h, 2), labelled(h, 3)
		put(t, w, "0123")
		want(t, get(t, fast, 0, 100), "0123")
		time.Sleep(time.Hour) // nobody waits for them
		d.want(t)
		wakes := putWaits(t, w, "4567")
		time.Sleep(6 * time.Second)
		want(t, get(t, slow, 0, 1), "0") // it stands in the way still, and moves
		late := labelled(h, 4)           // and so does who has come just now
		sleep(4*time.Second - 1)
		d.want(t)
		sleep(1)
		d.want(t, "1 r1 held up a writer for 10s, 3 left")
		wantDropped(t, stuck, "held up a writer for 10s")
		wantWakes(t, wakes, 0)
		sleep(5 * time.Second)
		want(t, get(t, slow, 0, 1), "1")
		sleep(time.Second - 1)
		d.want(t)
		sleep(1)
		d.want(t, "4 r4 held up a writer for 10s, 2 left")
		late.Close()
		want(t, get(t, slow, 0, 100), "23")
		wantWakes(t, wakes, 1)
		put(t, w, "4567")
		sleep(time.Hour) // all are behind, and no writer waits
		d.want(t)
		if s := h.Status(); s.WritersWait != 0 || s.Patience != 10*time.Second {
			t.Fatalf("%+v", s)
		}
	})
}

// sleep is time.Sleep, and what was due then has been done.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestPatienceThatIsSetLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d told
		h := New(Options{Size: 4, Fear: true, OnDrop: d.onDrop})
		d.h = h
		w := h.NewWriter(false)
		labelled(h, 1)
		put(t, w, "0123")
		putWaits(t, w, "4567")
		sleep(time.Hour)
		d.want(t)
		h.SetPatience(10 * time.Second) // counts from now
		sleep(10*time.Second - 1)
		h.SetPatience(0)
		sleep(time.Hour)
		d.want(t)
		h.SetPatience(time.Second)
		sleep(time.Second)
		d.want(t, "1 r1 held up a writer for 1s, 0 left")
	})
}

// A budget without room makes a writer wait for readers too.
func TestPatienceWithABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d told
		h := New(Options{Fear: true, Budget: NewBudget(4), Patience: time.Second, OnDrop: d.onDrop})
		d.h = h
		w := h.NewWriter(false)
		labelled(h, 1)
		mover := labelled(h, 2)
		put(t, w, "0123")
		get(t, mover, 0, 1)
		wakes := putWaits(t, w, "4567")
		sleep(time.Second / 2)
		get(t, mover, 0, 1) // wakes the writer, in vain
		wantWakes(t, wakes, 1)
		wakes = putWaits(t, w, "4567")
		sleep(time.Second / 2)
		d.want(t, "1 r1 held up a writer for 1s, 1 left")
		wantWakes(t, wakes, 1)
		get(t, mover, 0, 100)
		put(t, w, "4567")
	})
}

// A writer that gave up leaves no wait behind: the next starts a new one.
func TestPatienceIsOfOneWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d told
		h := New(Options{Size: 4, Fear: true, Patience: 10 * time.Second, OnDrop: d.onDrop})
		d.h = h
		a, b := h.NewWriter(false), h.NewWriter(false)
		labelled(h, 1)
		put(t, a, "0123")
		putWaits(t, a, "4567")
		putWaits(t, b, "89ab")
		sleep(9 * time.Second)
		a.CancelWrite()
		sleep(9 * time.Second)
		d.want(t)
		b.CancelWrite()
		sleep(time.Hour)
		d.want(t)
		putWaits(t, b, "89ab")
		h.Close()
		sleep(time.Hour)
		d.want(t)
	})
}
