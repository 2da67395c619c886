package gather

import (
	"bytes"
	"hash/maphash"
)

// generation is how many bytes there are at most in each half of a window.
const generation = 256 << 10

// A window is what was sent lately over a link as it is, and not as a reference
// to what was sent before. Both ends have the same: the older half goes, at once,
// when the newer is full.
type window struct {
	old, cur []byte
	base     int64 // position of cur[0]; old ends there
}

// end is the position behind the newest byte.
func (w *window) end() int64 { return w.base + int64(len(w.cur)) }

// add appends p, of at most a generation, and reports whether that began a half.
func (w *window) add(p []byte) (turned bool) {
	if len(w.cur)+len(p) > generation {
		w.base = w.end()
		w.old, w.cur = w.cur, nil
		turned = true
	}
	w.cur = append(w.cur, p...)
	return turned
}

// from returns the bytes from a position to the end of its half, nil if there are
// none.
func (w *window) from(pos int64) []byte {
	switch first := w.base - int64(len(w.old)); {
	case pos < first || pos >= w.end():
		return nil
	case pos < w.base:
		return w.old[pos-first:]
	}
	return w.cur[pos-w.base:]
}

// An index finds places of one half of a window by the line, or the beginning of
// a long one, that is there. It forgets: of two places with the same hash it knows
// the later.
type index struct {
	slots []uint32 // 1 + offset in the half; 0: none. As many as a power of two
	used  int
}

const (
	minSlots = 1 << 6
	maxSlots = 1 << 14
	longLine = 64 // bytes of a line that count
	minMatch = 8  // bytes that are worth a reference
)

// place returns the hash by which a place is found that is at the beginning of b,
// if there is enough of a line.
func place(seed maphash.Seed, b []byte) (h uint64, ok bool) {
	b = b[:min(len(b), longLine)]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i+1]
	} else if len(b) < longLine {
		return 0, false
	}
	if len(b) < minMatch {
		return 0, false
	}
	return maphash.Bytes(seed, b), true
}

func (x *index) slot(h uint64) *uint32 { return &x.slots[h&uint64(len(x.slots)-1)] }

// put notes a place of data, which is the half.
func (x *index) put(seed maphash.Seed, data []byte, at int) {
	h, ok := place(seed, data[at:])
	if !ok {
		return
	}
	if x.used*4 >= len(x.slots) && len(x.slots) < maxSlots {
		before := x.slots
		x.slots = make([]uint32, max(minSlots, 4*len(before)))
		x.used = 0
		for _, s := range before {
			if s > 0 {
				x.put(seed, data, int(s)-1)
			}
		}
	}
	s := x.slot(h)
	if *s == 0 {
		x.used++
	}
	*s = uint32(at) + 1
}

// get returns where the place with a hash was last seen, or another with the same.
func (x *index) get(h uint64) (at int, ok bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	s := *x.slot(h)
	return int(s) - 1, s > 0
}
