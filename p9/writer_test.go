package p9

import (
	"bytes"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"hubfs/tree"
)

// A recorder keeps what is written to it.
type recorder struct {
	net.Conn
	writes   []string
	deadline time.Time
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.deadline.IsZero() {
		panic("a write without a deadline")
	}
	r.writes = append(r.writes, string(p))
	return len(p), nil
}

func (r *recorder) SetWriteDeadline(t time.Time) error { r.deadline = t; return nil }

// TestOneWriteForEachBatch: what is no plain socket gets a batch in one piece,
// under a deadline that does not outlast the write.
func TestOneWriteForEachBatch(t *testing.T) {
	r := &recorder{}
	w := newWriter(r, nil, time.Minute, new(pool))
	b := &batch{buf: []byte("head1head2tail"), cuts: []cut{
		{end: 5, piece: tree.Piece{Data: []byte("-one-")}},
		{end: 5, piece: tree.Piece{Data: []byte("-two-")}},
		{end: 10, piece: tree.Piece{Data: []byte("-three-")}},
	}}
	for range 2 {
		w.load(b)
		if done, err := w.try(); done || err != nil {
			t.Fatalf("try: %v, %v", done, err)
		}
		if err := w.write(); err != nil {
			t.Fatal(err)
		}
		w.unload()
		if !r.deadline.IsZero() {
			t.Error("the deadline stays")
		}
	}
	const want = "head1-one--two-head2-three-tail"
	if got := strings.Join(r.writes, "|"); got != want+"|"+want {
		t.Errorf("wrote %q", got)
	}
}

// TestLongBatchFillsRecords: whatever the segments are, every Write but the last
// is whole records of TLS, and the bytes are the same.
func TestLongBatchFillsRecords(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var want []byte
		b := new(batch)
		for range 1 + random.IntN(5) {
			b.buf = append(b.buf, make([]byte, random.IntN(300))...)
			piece := make([]byte, 1+random.IntN(1<<random.IntN(19)))
			for i := range piece {
				piece[i] = byte(random.Uint32())
			}
			b.cuts = append(b.cuts, cut{end: len(b.buf), piece: tree.Piece{Data: piece}})
		}
		for _, p := range b.segments(nil) {
			want = append(want, p...)
		}
		r := &recorder{}
		w := newWriter(r, nil, time.Minute, new(pool))
		w.load(b)
		if err := w.write(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.writes, ""); got != string(want) {
			t.Fatalf("%d bytes were written of %d", len(got), len(want))
		}
		for i, p := range r.writes {
			if i < len(r.writes)-1 && len(p)%record != 0 {
				t.Errorf("write %d of %d has %d bytes", i, len(r.writes), len(p))
			}
		}
		if len(want) <= record && len(r.writes) != 1 {
			t.Errorf("%d bytes were written in %d pieces", len(want), len(r.writes))
		}
	}
}

// TestAdvance drops what was written, wherever a write ended.
func TestAdvance(t *testing.T) {
	for n := range 7 {
		vec := [][]byte{[]byte("ab"), []byte("c"), []byte("def")}
		if got := string(bytes.Join(advance(vec, n), nil)); got != "abcdef"[n:] {
			t.Errorf("after %d: %q", n, got)
		}
	}
}

// TestPoolClasses: a buffer has at least the bytes asked for, and at most an
// eighth more.
func TestPoolClasses(t *testing.T) {
	for n := 1; n <= 1<<20+24; n++ {
		class, size := poolClass(n)
		if size < n || class >= 0 && (size > n+n/8+1 || class >= poolClasses) {
			t.Fatalf("%d bytes: class %d of %d", n, class, size)
		}
	}
	var p pool
	b := p.get(20_000)
	b.Free()
	defer func() {
		if recover() == nil {
			t.Error("freed twice, and nobody noticed")
		}
	}()
	b.Free()
}
