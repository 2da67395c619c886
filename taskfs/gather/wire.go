package gather

import (
	"encoding/binary"
	"errors"
	"fmt"

	"hubfs/taskfs/ranks"
)

// A body is pieces of output, each:
//
//	head  1 byte: the stream, bit known if the set is a number, and bit plain if
//	      nothing of the piece goes into the window
//	set   uvarint N, then N times uvarint gap (from the end of the last span),
//	      uvarint length-1; or 1 byte, the number of a remembered set
//	size  uvarint, of the output
//	parts until they make up size:
//	      uvarint length<<1, and the bytes; or
//	      uvarint length<<1|1, and uvarint distance: bytes of the window, counted
//	      back from its end
//
// Bytes that come as they are go into the window, if it is not said otherwise, and
// so does, behind them, the whole of a piece that was put together of many parts
// and is not long: who says the same later refers to one place. A set whose spans take minSet to
// maxSet bytes is remembered: the one after the last, in a ring of setRing.
const (
	known = 1 << 2
	plain = 1 << 3

	minSet  = 8
	maxSet  = 32 << 10
	setRing = 16

	manyParts = 3
	maxPart   = 64 << 10 // bytes of a part that come as they are, and of a whole
	maxPieces = 4096     // in a body
	maxOutput = 1 << 20  // bytes that a body stands for
)

// errShort is a body that ends too early.
var errShort = errors.New("output frame: it ends within a piece")

// A ring is the sets that were sent lately. Both ends have the same.
type ring struct {
	sets [setRing]ranks.Set
	next int
}

// add remembers a set whose spans take n bytes.
func (r *ring) add(set ranks.Set, n int) {
	if minSet <= n && n <= maxSet {
		r.sets[r.next] = set
		r.next = (r.next + 1) % setRing
	}
}

// find returns the number of a set.
func (r *ring) find(set ranks.Set) (i int, ok bool) {
	for i, s := range r.sets {
		if !s.Empty() && s.Equal(set) {
			return i, true
		}
	}
	return 0, false
}

// appendSet appends the spans of a set.
func appendSet(b []byte, set ranks.Set) []byte {
	n, at := 0, 0
	for range set.Spans() {
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	for lo, hi := range set.Spans() {
		b = binary.AppendUvarint(b, uint64(lo-at))
		b = binary.AppendUvarint(b, uint64(hi-lo-1))
		at = hi
	}
	return b
}

// uvarint takes a number of at most limit from the front of b.
func uvarint(b []byte, what string, limit uint64) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n == 0:
		return 0, nil, errShort
	case n < 0 || v > limit:
		return 0, nil, fmt.Errorf("output frame: %s above %d", what, limit)
	}
	return v, b[n:], nil
}

// takeSet takes the spans of a set of [0, size) from the front of b.
func takeSet(b []byte, size int) (set ranks.Set, rest []byte, err error) {
	n, rest, err := uvarint(b, "number of spans", uint64(len(b)/2))
	if err != nil {
		return set, nil, err
	}
	if n == 0 {
		return set, nil, errors.New("output frame: no task, expected one at least")
	}
	spans := make([][2]int, 0, n)
	at := uint64(0)
	for range n {
		var gap, more uint64
		if gap, rest, err = uvarint(rest, "rank", uint64(size)); err == nil {
			more, rest, err = uvarint(rest, "rank", uint64(size))
		}
		if err != nil {
			return set, nil, err
		}
		lo := at + gap
		at = lo + more + 1
		if at > uint64(size) {
			return set, nil, fmt.Errorf("output frame: rank %d, expected less than %d", at-1, size)
		}
		spans = append(spans, [2]int{int(lo), int(at)})
	}
	return join(spans), rest, nil
}

// join returns the set of ascending spans.
func join(spans [][2]int) ranks.Set {
	if len(spans) == 1 {
		return ranks.Span(spans[0][0], spans[0][1])
	}
	mid := len(spans) / 2
	return join(spans[:mid]).Union(join(spans[mid:]))
}
