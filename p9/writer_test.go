package p9

import (
	"bytes"
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
	w := newWriter(r, nil, time.Minute)
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
