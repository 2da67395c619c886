package hub

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// tryAt writes to an offset and does not wait.
func tryAt(w *Writer, off int64, s string) (int, bool, error) {
	return w.TryWrite(Piece{Data: []byte(s)}, off, nil)
}

func TestSequenceHasOffsetsOfItsOwn(t *testing.T) {
	h := New(Options{})
	others := h.NewWriter(false)
	put(t, others, "before ")
	seq := h.NewSequence()
	w := seq.NewWriter()
	for _, s := range []struct {
		off  int64
		text string
		gap  int64 // where the sequence ends, if that is the answer; else -1
		len  int64 // of the sequence then
	}{
		{0, "abc", -1, 3},
		{0, "abc", -1, 3}, // all there
		{2, "cde", -1, 5}, // in part
		{1, "XX", -1, 5},  // not looked at: it may be discarded
		{6, "g", 5, 5},
		{1 << 40, "g", 5, 5},
		{9, "", -1, 5}, // nothing is no gap
		{5, "f", -1, 6},
	} {
		put(t, others, "|")
		n, ready, err := tryAt(w, s.off, s.text)
		var gap *GapError
		switch {
		case s.gap >= 0:
			if !errors.As(err, &gap) || gap.Next != s.gap || n != 0 {
				t.Errorf("%q at %d: %d, %v, %v; want a gap at %d", s.text, s.off, n, ready, err, s.gap)
			}
		case n != len(s.text) || !ready || err != nil:
			t.Errorf("%q at %d: %d, %v, %v", s.text, s.off, n, ready, err)
		}
		if got := seq.Len(); got != s.len {
			t.Errorf("after %q at %d the sequence has %d bytes, want %d", s.text, s.off, got, s.len)
		}
	}
	if got := strings.ReplaceAll(get(t, reader(h, FromOldest), 0, 100), "|", ""); got != "before abcdef" {
		t.Errorf("the hub holds %q", got)
	}
	if _, _, err := tryAt(w, -1, "x"); !errors.Is(err, ErrOffset) {
		t.Errorf("write at -1: %v", err)
	}
	h.End("")
	if _, _, err := tryAt(w, 6, "x"); !errors.Is(err, ErrEnded) || seq.Len() != 6 {
		t.Errorf("write to the ended: %v, %d bytes", err, seq.Len())
	}
}

// Two connections of one party wait with the same bytes: they are typed once,
// and the second is answered as soon as the first is.
func TestSequenceIsWrittenOnceByWritersThatWait(t *testing.T) {
	h := New(Options{Input: true, Size: 4})
	seq := h.NewSequence()
	old, back := seq.NewWriter(), seq.NewWriter()
	r := reader(h, FromOldest)
	put(t, old, "full")
	type try struct {
		w     *Writer
		off   int64
		text  string
		woken int
	}
	tries := []*try{{w: old, off: 4, text: "abcd"}, {w: back, off: 4, text: "abcd"}}
	again := func(tr *try) (int, bool, error) {
		return tr.w.TryWrite(Piece{Data: []byte(tr.text)}, tr.off, func() { tr.woken++ })
	}
	for _, tr := range tries {
		if n, ready, err := again(tr); n != 0 || ready || err != nil {
			t.Fatalf("%d, %v, %v: it has room", n, ready, err)
		}
	}
	if got := get(t, r, 0, 4); got != "full" {
		t.Fatalf("read %q", got)
	}
	if s, ready, _ := tryGet(r, 0, 4); ready { // stands at the end now: there is room
		t.Fatalf("read %q", s)
	}
	for i, tr := range tries {
		if tr.woken != 1 {
			t.Fatalf("writer %d was woken %d times", i, tr.woken)
		}
		if n, ready, err := again(tr); n != 4 || !ready || err != nil {
			t.Fatalf("writer %d: %d, %v, %v", i, n, ready, err)
		}
	}
	if seq.Len() != 8 || h.Status().Next != 8 {
		t.Errorf("the sequence has %d bytes and the hub %d, want 8", seq.Len(), h.Status().Next)
	}
}

func TestCancelledWriteOfSequenceHasNotTakenPlace(t *testing.T) {
	h := New(Options{Input: true, Size: 4})
	seq := h.NewSequence()
	w := seq.NewWriter()
	put(t, w, "full")
	if _, ready, err := w.TryWrite(Piece{Data: []byte("more")}, 4, func() {}); ready || err != nil {
		t.Fatalf("%v, %v", ready, err)
	}
	if n := w.CancelWrite(); n != 0 || seq.Len() != 4 {
		t.Errorf("cancelled: %d; the sequence has %d bytes", n, seq.Len())
	}
	if n, ready, err := tryAt(w, 0, "fu"); n != 2 || !ready || err != nil {
		t.Errorf("what is there already has to wait: %d, %v, %v", n, ready, err)
	}
}

// Whatever parties repeat, each one's bytes are in the stream once and in order.
func TestSequencesAreWrittenExactlyOnce(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		h := New(Options{Input: true, Size: 16})
		r := reader(h, FromOldest)
		var got []byte
		seqs, sent := [3]*Sequence{}, [3]int64{}
		texts := [3]string{strings.Repeat("abcdefgh", 20), strings.Repeat("ABCDEFGH", 20), strings.Repeat("01234567", 20)}
		for i := range seqs {
			seqs[i] = h.NewSequence()
		}
		take := func() {
			if s, ready, err := tryGet(r, 0, 1+rnd.IntN(20)); err == nil && ready {
				got = append(got, s...)
			}
		}
		for !slices.Equal(sent[:], []int64{160, 160, 160}) {
			i := rnd.IntN(3)
			from := rnd.Int64N(sent[i] + 1) // what may or may not have arrived, again
			to := min(160, from+rnd.Int64N(30))
			w := seqs[i].NewWriter()
			n, ready, err := tryAt(w, from, texts[i][from:to])
			w.Close()
			if err != nil || ready && n != int(to-from) {
				t.Fatalf("seed %d: write %d to %d of %d: %d, %v, %v", seed, from, to, sent[i], n, ready, err)
			}
			if ready {
				sent[i] = max(sent[i], to)
			}
			if seqs[i].Len() != sent[i] {
				t.Fatalf("seed %d: sequence has %d bytes, want %d", seed, seqs[i].Len(), sent[i])
			}
			take()
		}
		for len(got) < 480 {
			take()
		}
		for i, chars := range []string{"abcdefgh", "ABCDEFGH", "01234567"} {
			mine := strings.Map(func(c rune) rune {
				if strings.ContainsRune(chars, c) {
					return c
				}
				return -1
			}, string(got))
			if mine != texts[i] {
				t.Fatalf("seed %d: sequence %d came as %q", seed, i, mine)
			}
		}
	}
}

// tryGet reads at most max bytes at off, if there are any, and does not wait.
func tryGet(r *Reader, off int64, max int) (s string, ready bool, err error) {
	pieces, ready, err := r.TryRead(nil, off, max, nil)
	for _, p := range pieces {
		s += string(p.Data)
		p.Free()
	}
	return s, ready, err
}
