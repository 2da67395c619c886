// Package storetest holds the laws that every hub.Store passes, and those of a
// hub.Spool.
package storetest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"hubfs/hub"
)

// Run runs the suite. Each call of open returns a Store of its own, empty at
// offset 0, which the suite closes. If it is a hub.Spool, the suite waits for
// bytes that are not loaded, and after Close for Wait, if there is one.
func Run(t *testing.T, open func(t *testing.T) hub.Store) {
	for _, law := range []struct {
		name string
		test func(*testing.T, *stream)
	}{
		{"EmptyAtFirst", emptyAtFirst},
		{"AppendSaysWhere", appendSaysWhere},
		{"ReadGivesWhatWasAppended", readGivesWhatWasAppended},
		{"ReadObeysMax", readObeysMax},
		{"ReadKeepsDst", readKeepsDst},
		{"DiscardKeepsTheRest", discardKeepsTheRest},
		{"PiecesNeverChange", piecesNeverChange},
		{"BytesWithoutOwnerAreCopied", bytesWithoutOwnerAreCopied},
		{"PieceIsFreedOnce", pieceIsFreedOnce},
		{"PiecesOutliveClose", piecesOutliveClose},
		{"Random", random},
	} {
		t.Run(law.name, func(t *testing.T) {
			s := newStream(t, open(t))
			law.test(t, s)
			s.close()
		})
	}
}

// A stream is a Store and what it must hold.
type stream struct {
	t      *testing.T
	store  hub.Store
	all    []byte // from offset 0
	first  int64
	salt   byte
	closed bool

	spool   hub.Spool     // store, if it is one
	changed chan struct{} // told by the spool
}

// newStream returns the stream of an empty store.
func newStream(t *testing.T, store hub.Store) *stream {
	s := &stream{t: t, store: store, changed: make(chan struct{}, 1)}
	if spool, ok := store.(hub.Spool); ok {
		s.spool = spool
		spool.Notify(func() {
			select {
			case s.changed <- struct{}{}:
			default: // told already
			}
		})
	}
	return s
}

func (s *stream) next() int64 { return int64(len(s.all)) }

func (s *stream) close() {
	if s.closed {
		return
	}
	s.closed = true
	if err := s.store.Close(); err != nil {
		s.t.Errorf("Close: %v", err)
	}
	if err := wait(s.store); err != nil {
		s.t.Errorf("Wait: %v", err)
	}
}

// wait waits until what Close has begun is done, if the store can tell.
func wait(store hub.Store) error {
	if w, ok := store.(interface{ Wait() error }); ok {
		return w.Wait()
	}
	return nil
}

// text returns n bytes that differ from place to place.
func (s *stream) text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := len(s.all) + i
		b[i] = byte(at^at>>8^at>>16) + s.salt
	}
	return b
}

func (s *stream) append(p hub.Piece) {
	s.t.Helper()
	want := s.next()
	s.all = append(s.all, p.Data...)
	off, err := s.store.Append(p)
	if err != nil || off != want {
		s.t.Fatalf("Append = %d, %v; want %d", off, err, want)
	}
	s.checkBounds()
}

func (s *stream) discard(off int64) {
	s.t.Helper()
	s.store.Discard(off)
	s.first = max(s.first, off)
	s.checkBounds()
}

// checkBounds allows a store to drop bytes later.
func (s *stream) checkBounds() {
	s.t.Helper()
	first, next := s.store.Bounds()
	if next != s.next() || first > s.first || first < 0 {
		s.t.Fatalf("Bounds = %d, %d; want %d at most, %d", first, next, s.first, s.next())
	}
}

// read reads once and checks what comes.
func (s *stream) read(off int64, max int) []hub.Piece {
	s.t.Helper()
	pieces, err := s.load(nil, off, max)
	if err != nil {
		s.t.Fatalf("Read(%d, %d): %v", off, max, err)
	}
	got := join(pieces)
	if len(got) == 0 || len(got) > max {
		s.t.Fatalf("Read(%d, %d) gave %d bytes", off, max, len(got))
	}
	if !bytes.HasPrefix(s.all[off:], got) {
		s.t.Fatalf("Read(%d, %d) gave other bytes than were appended", off, max)
	}
	return pieces
}

// load reads once, when the store has got the bytes.
func (s *stream) load(dst []hub.Piece, off int64, max int) ([]hub.Piece, error) {
	for {
		pieces, err := s.store.Read(dst, off, max)
		if s.spool == nil || !errors.Is(err, hub.ErrNotLoaded) {
			return pieces, err
		}
		<-s.changed // look again
	}
}

// readAll reads all that there is, max bytes at a time.
func (s *stream) readAll(max int) {
	s.t.Helper()
	for off := s.first; off < s.next(); {
		pieces := s.read(off, max)
		off += int64(len(join(pieces)))
		free(pieces)
	}
}

func join(pieces []hub.Piece) (b []byte) {
	for _, p := range pieces {
		b = append(b, p.Data...)
	}
	return b
}

func free(pieces []hub.Piece) {
	for _, p := range pieces {
		p.Free()
	}
}

// An owner counts how often it is freed.
type owner struct{ freed atomic.Int32 }

func (o *owner) Free() { o.freed.Add(1) }

func emptyAtFirst(t *testing.T, s *stream) {
	if first, next := s.store.Bounds(); first != 0 || next != 0 {
		t.Fatalf("Bounds = %d, %d; want 0, 0", first, next)
	}
}

func appendSaysWhere(t *testing.T, s *stream) {
	for _, n := range []int{1, 0, 511, 1, 600, 64 << 10, 3, 200 << 10} {
		s.append(hub.Piece{Data: s.text(n)})
		s.append(hub.Piece{Data: s.text(n), Owner: new(owner)})
	}
}

func readGivesWhatWasAppended(t *testing.T, s *stream) {
	for _, n := range []int{1, 700, 64 << 10, 2, 20 << 10, 1} {
		s.append(hub.Piece{Data: s.text(n)})
		s.append(hub.Piece{Data: s.text(n), Owner: new(owner)})
		s.readAll(1 << 30)
		s.readAll(4093)
	}
}

func readObeysMax(t *testing.T, s *stream) {
	s.append(hub.Piece{Data: s.text(5000)})
	for _, max := range []int{1, 2, 511, 512, 513, 4999, 5000, 5001} {
		free(s.read(0, max))
		free(s.read(4999, max))
	}
}

func readKeepsDst(t *testing.T, s *stream) {
	s.append(hub.Piece{Data: s.text(10)})
	before := hub.Piece{Data: []byte("before")}
	pieces, err := s.load([]hub.Piece{before}, 3, 100)
	if err != nil || len(pieces) < 2 || string(pieces[0].Data) != "before" {
		t.Fatalf("Read = %v, %v; want dst and what follows", pieces, err)
	}
	if got := join(pieces[1:]); !bytes.HasPrefix(s.all[3:], got) || len(got) == 0 {
		t.Fatalf("Read gave %q", got)
	}
	free(pieces)
}

func discardKeepsTheRest(t *testing.T, s *stream) {
	s.append(hub.Piece{Data: s.text(100 << 10)})
	s.append(hub.Piece{Data: s.text(30 << 10), Owner: new(owner)})
	for _, off := range []int64{0, 1, 511, 512, 513, 70000, 69000, 100 << 10, 100<<10 + 1} {
		s.discard(off)
		s.readAll(10000)
	}
	s.discard(s.next())
	s.append(hub.Piece{Data: s.text(10)})
	s.readAll(100)
}

func piecesNeverChange(t *testing.T, s *stream) {
	var held [][]hub.Piece
	var want [][]byte
	for i := range 300 {
		s.append(hub.Piece{Data: s.text(1 + i*37%3000)})
		off := max(s.first, s.next()-int64(i*91%5000)-1)
		pieces := s.read(off, 4000)
		held = append(held, pieces)
		want = append(want, bytes.Clone(join(pieces)))
		s.discard(max(s.first, s.next()-6000))
		if i%3 == 0 { // some are done with, and their memory serves again
			free(held[0])
			held, want = held[1:], want[1:]
		}
	}
	for i := range held {
		if !bytes.Equal(join(held[i]), want[i]) {
			t.Fatalf("bytes that were held changed")
		}
		free(held[i])
	}
}

func bytesWithoutOwnerAreCopied(t *testing.T, s *stream) {
	for _, n := range []int{10, 64 << 10} {
		b := s.text(n)
		s.append(hub.Piece{Data: b})
		clear(b)
	}
	s.readAll(1 << 20)
}

func pieceIsFreedOnce(t *testing.T, s *stream) {
	var owners []*owner
	for _, n := range []int{0, 1, 1000, 16 << 10, 64 << 10, 1 << 20} {
		o := new(owner)
		owners = append(owners, o)
		s.append(hub.Piece{Data: s.text(n), Owner: o})
	}
	pieces := s.read(s.next()-1, 1)
	s.discard(s.next())
	s.close()
	free(pieces)
	for i, o := range owners {
		if n := o.freed.Load(); n != 1 {
			t.Errorf("piece %d was freed %d times", i, n)
		}
	}
}

func piecesOutliveClose(t *testing.T, s *stream) {
	s.append(hub.Piece{Data: []byte(strings.Repeat("x", 1000))})
	pieces := s.read(0, 500)
	want := bytes.Clone(join(pieces))
	s.close()
	if !bytes.Equal(join(pieces), want) {
		t.Fatal("bytes that were held changed")
	}
	free(pieces)
}

func random(t *testing.T, s *stream) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		switch rnd.IntN(4) {
		case 0:
			s.append(hub.Piece{Data: s.text(rnd.IntN(3000))})
		case 1:
			s.append(hub.Piece{Data: s.text(rnd.IntN(40 << 10)), Owner: new(owner)})
		case 2:
			s.discard(s.first + rnd.Int64N(s.next()-s.first+1))
		case 3:
			if s.first < s.next() {
				free(s.read(s.first+rnd.Int64N(s.next()-s.first), 1+rnd.IntN(20000)))
			}
		}
	}
}
