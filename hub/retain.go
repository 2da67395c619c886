package hub

import (
	"errors"
	"fmt"
	"time"
)

// appendLocked adds the bytes of p, which is not empty, to the stream, or
// returns ErrNoSpace or the store's error and takes nothing.
func (h *Hub) appendLocked(p Piece, ws *wakes) error {
	n := int64(len(p.Data))
	if h.spool != nil {
		off, err := h.spool.Append(p)
		if err == nil {
			h.grownLocked(off, n)
			return nil
		}
		if why := h.spool.Err(); why != nil {
			err = why
		}
		h.fallLocked(err, ws)
	}
	// The oldest bytes go before the new ones come, so that their chunks can
	// be used again at once.
	from := h.inMemoryLocked()
	keep := min(h.keepFromLocked(h.next+n), h.next)
	drop := max(keep, from) - from
	more, ok := h.budget.exchange(drop, n, 0)
	if !ok {
		more, ok = h.budget.exchange(drop, n, max(h.mayGoLocked(), from)-from-drop)
	}
	if !ok {
		return ErrNoSpace
	}
	if more > 0 {
		keep = from + drop + more
	}
	h.advanceLocked(keep)
	h.store.Discard(h.first)
	off, err := h.store.Append(p)
	if err != nil {
		h.budget.release(n)
		return fmt.Errorf("append to the stream: %w", err)
	}
	h.grownLocked(off, n)
	h.trimLocked() // of a write larger than size only the end is kept
	return nil
}

// grownLocked does the books for n bytes that were appended at off.
func (h *Hub) grownLocked(off, n int64) {
	now := time.Now()
	if h.times.due(now) {
		h.times.note(off, h.modified, h.first)
		h.times.noted = now
	}
	h.next = off + n
	h.modified = now
}

// inMemoryLocked returns where the bytes begin that this hub has in memory.
func (h *Hub) inMemoryLocked() int64 {
	if h.spool != nil {
		return h.next
	}
	return max(h.first, h.base)
}

// keepFromLocked returns where the hub is to start when it ends at next: the
// one place that says what is retained.
func (h *Hub) keepFromLocked(next int64) int64 {
	keep := next - h.size
	switch {
	case h.spool != nil:
		return h.first // the store's limits say it
	case h.old != nil && h.base >= keep:
		keep = h.first // memory alone does not hold size yet
	}
	switch {
	case h.counting == 0:
		if h.input && h.fear {
			keep = h.first // for the reader to come
		}
	case h.input && h.fear:
		keep = h.slowestLocked(exact)
	case h.input:
		keep = max(keep, h.slowestLocked(exact))
	case h.fear:
		keep = min(keep, h.slowestLocked(keep))
	}
	return max(h.first, min(keep, next))
}

// mayGoLocked returns before which offset all bytes may go if there is no
// other way to make room in the budget.
func (h *Hub) mayGoLocked() int64 {
	switch {
	case h.fear && h.counting > 0:
		return min(h.slowestLocked(exact), h.next)
	case h.fear && h.input:
		return h.first // all is for the reader to come
	}
	return h.next
}

// trimLocked gives up what need not be kept. A frozen hub stands still.
func (h *Hub) trimLocked() {
	if h.frozen || h.closed {
		return
	}
	h.discardLocked(h.keepFromLocked(h.next))
}

func (h *Hub) discardLocked(off int64) {
	if off <= h.first {
		return
	}
	from := h.inMemoryLocked()
	h.budget.release(max(off, from) - from)
	h.advanceLocked(off)
	h.store.Discard(off)
}

// advanceLocked moves the start of the stream on to off.
func (h *Hub) advanceLocked(off int64) {
	h.first = off
	if h.old != nil && off >= h.base {
		// What it has to keep it keeps behind our back, and its owner hears
		// whether it can.
		_ = h.old.Close()
		h.old = nil
	}
}

// piecesLocked reads from the store: all of dst, or dst as it was and an error.
func (h *Hub) piecesLocked(dst []Piece, off int64, max int) (pieces []Piece, n int64, err error) {
	if h.old != nil && off < h.base {
		pieces, err = h.old.Read(dst, off, int(min(int64(max), h.base-off)))
	} else {
		pieces, err = h.store.Read(dst, off, max)
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrNotLoaded): // as it is: who waits is asked for again and again
		return dst, 0, ErrNotLoaded
	default:
		return dst, 0, fmt.Errorf("read the stream: %w", err)
	}
	for _, p := range pieces[len(dst):] {
		n += int64(len(p.Data))
	}
	return pieces, n, nil
}
