package hub

import "math"

// exact asks slowestLocked for more than a bound.
const exact = math.MaxInt64

// countLocked makes r one of the readers that count.
func (h *Hub) countLocked(r *Reader) {
	r.counts = true
	if h.hold.on {
		h.movedLocked(r)
	}
	h.counting++
	if h.counting == 1 {
		h.slowest, h.atSlowest = r.pos, 1
		return
	}
	h.arriveLocked(r.pos)
}

func (h *Hub) uncountLocked(r *Reader) {
	r.counts = false
	h.counting--
	h.departLocked(r.pos)
}

// moveLocked sets the position of a reader that counts, or of an onlooker.
func (h *Hub) moveLocked(r *Reader, pos int64) {
	if !r.counts {
		r.pos = pos
		return
	}
	if h.hold.on && pos != r.pos {
		h.movedLocked(r)
	}
	h.departLocked(r.pos)
	r.pos = pos
	h.arriveLocked(pos)
}

func (h *Hub) arriveLocked(pos int64) {
	switch {
	case pos < h.slowest:
		h.slowest, h.atSlowest = pos, 1
	case pos == h.slowest:
		h.atSlowest++
	}
}

func (h *Hub) departLocked(pos int64) {
	if pos == h.slowest {
		h.atSlowest--
	}
}

// slowestLocked returns where the slowest of the readers that count stands: at
// the oldest byte if it was overtaken. If that is enough it returns a lower
// bound instead. There must be a reader that counts.
//
// All readers are looked at only when the last of the slowest has moved on and
// the bound does not do, so that a stream without back-pressure never pays.
func (h *Hub) slowestLocked(enough int64) int64 {
	if h.atSlowest == 0 && max(h.slowest, h.first) < enough {
		h.slowest = math.MaxInt64
		for _, r := range h.readers {
			if r.counts {
				h.arriveLocked(r.pos)
			}
		}
	}
	return max(h.slowest, h.first)
}
