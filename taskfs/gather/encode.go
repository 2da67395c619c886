package gather

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"hubfs/taskfs/ranks"
)

// An encoder makes the bodies of a link.
type encoder struct {
	seed     maphash.Seed
	sets     ring
	window   window
	cur, old index // of the halves of window
	alone    bool  // there is one task: nothing goes into the window

	// Of the body that is being made.
	body   []byte
	max    int
	pieces int
	output int
	parts  []byte // scratch
}

// minRoom is how much room a piece needs besides its set, to be begun.
const minRoom = 64

func (e *encoder) begin(max int) {
	e.body, e.max, e.pieces, e.output = nil, max, 0, 0
}

// add appends a piece to the body: the first n bytes of data, of some of the
// tasks. n is 0 if there is no room. last is where in the window the bytes lie
// that the tasks have said before, and are followed perhaps by these; end is the
// same for what comes behind the n bytes.
func (e *encoder) add(set ranks.Set, st Stream, data []byte, last int64) (of ranks.Set, n int, end int64) {
	room := e.max - len(e.body) - minRoom
	if e.pieces == maxPieces || e.output == maxOutput || room <= 0 {
		return of, 0, 0
	}
	head := []byte{byte(st)}
	if e.alone {
		head[0] |= plain
	}
	if i, ok := e.sets.find(set); ok {
		head[0] |= known
		head = append(head, byte(i))
	} else {
		spans := appendSet(nil, set)
		for len(spans) > room {
			if e.pieces > 0 {
				return of, 0, 0
			}
			set = lower(set)
			spans = appendSet(nil, set)
		}
		e.sets.add(set, len(spans))
		head = append(head, spans...)
	}
	n, end = e.encode(data[:min(len(data), maxOutput-e.output)], last, room+minRoom-len(head)-binary.MaxVarintLen32)
	e.body = append(e.body, head...)
	e.body = binary.AppendUvarint(e.body, uint64(n))
	e.body = append(e.body, e.parts...)
	e.pieces++
	e.output += n
	return set, n, end
}

// lower returns the lower half of a set of more than one rank.
func lower(set ranks.Set) ranks.Set {
	low := leading(set, (set.Len()+1)/2)
	return set.Intersect(ranks.Span(0, low[len(low)-1]+1))
}

// encode makes parts of as many of the first bytes of data as fit into room, one
// at least, and returns how many, and where they end in the window.
func (e *encoder) encode(data []byte, last int64, room int) (n int, end int64) {
	const cost = 2 * binary.MaxVarintLen32 // of a part, at most, but for its bytes
	e.parts = e.parts[:0]
	parts := 0
	plain := 0 // data[plain:n] is to go as it is
	// Too little for a reference, but what follows will not be.
	expected := len(data) < minMatch && bytes.HasPrefix(e.window.from(last), data)
	flush := func() {
		for plain < n {
			p := data[plain:min(n, plain+maxPart)]
			e.parts = binary.AppendUvarint(e.parts, uint64(len(p))<<1)
			e.parts = append(e.parts, p...)
			e.remember(p)
			plain += len(p)
			parts++
		}
		end = e.window.end()
	}
	for n < len(data) {
		left := room - len(e.parts) - (n - plain) - 2*cost
		if left <= 0 {
			break
		}
		guess := last
		if n > 0 {
			guess = end
		}
		pos, same := e.match(data[n:], guess)
		if same > 0 {
			flush()
			if len(e.window.from(pos)) < same {
				continue // what was flushed has pushed it out
			}
			e.parts = binary.AppendUvarint(e.parts, uint64(same)<<1|1)
			e.parts = binary.AppendUvarint(e.parts, uint64(e.window.end()-pos))
			n += same
			plain, end = n, pos+int64(same)
			parts++
			continue
		}
		line := min(len(data)-n, left, maxPart-(n-plain))
		if i := bytes.IndexByte(data[n:n+line], '\n'); i >= 0 {
			line = i + 1
		}
		if n += line; n-plain == maxPart {
			flush()
		}
	}
	if plain < n {
		flush()
	}
	switch {
	case parts >= manyParts && n <= maxPart:
		e.remember(data[:n])
		end = e.window.end()
	case expected:
		end = last + int64(n)
	}
	return n, end
}

// match returns where the window has most of the bytes that data begins with, and
// how many that are worth a reference. A reference ends with a line if it can, for
// what follows is then found by its line.
func (e *encoder) match(data []byte, last int64) (pos int64, n int) {
	pos, n = last, common(e.window.from(last), data)
	if h, ok := place(e.seed, data); ok {
		if at, ok := e.cur.get(h); ok {
			if k := common(e.window.cur[at:], data); k > n {
				pos, n = e.window.base+int64(at), k
			}
		}
		if at, ok := e.old.get(h); ok {
			if k := common(e.window.old[at:], data); k > n {
				pos, n = e.window.base-int64(len(e.window.old)-at), k
			}
		}
	}
	if n < len(data) {
		if line := bytes.LastIndexByte(data[:n], '\n') + 1; line > 0 || n < longLine {
			n = line
		}
	}
	if n < minMatch {
		return 0, 0
	}
	return pos, n
}

// remember puts what goes as it is into the window, and notes where its lines
// begin.
func (e *encoder) remember(p []byte) {
	if e.alone {
		return
	}
	if e.window.add(p) {
		e.old, e.cur = e.cur, index{}
	}
	half := e.window.cur
	for at := len(half) - len(p); at < len(half); {
		e.cur.put(e.seed, half, at)
		i := bytes.IndexByte(half[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
	}
}
