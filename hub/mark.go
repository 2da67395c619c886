package hub

// A mark is an end of file in mid-stream, or several at the same place. Marks
// are numbered from 0; a Reader holds the number of the next one it meets, so
// that readers share the entries.
type mark struct {
	off  int64 // all marks from the last entry's upto on, and before upto, lie here
	upto int64
}

// EOF gives every reader that is open now one read of no bytes when it has
// read what is in the hub now.
func (h *Hub) EOF() {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.readers) == 0 {
		return
	}
	h.pruneMarksLocked()
	h.markCount++
	if n := len(h.marks); n > 0 && h.marks[n-1].off == h.next {
		h.marks[n-1].upto = h.markCount
	} else {
		h.marks = append(h.marks, mark{off: h.next, upto: h.markCount})
	}
	h.waitingReaders.wakeUpTo(h.next, &ws)
}

// pruneMarksLocked forgets the marks that every reader has met, and makes one
// entry of those that lie before the oldest byte: readers meet all of them
// there. So a reader that never reads costs at most one entry for each byte
// that is retained.
func (h *Hub) pruneMarksLocked() {
	met := h.markCount
	for _, r := range h.readers {
		met = min(met, r.mark)
	}
	n := 0
	for n < len(h.marks) && (h.marks[n].upto <= met || n+1 < len(h.marks) && h.marks[n+1].off <= h.first) {
		n++
	}
	h.marks = append(h.marks[:0], h.marks[n:]...)
}

// nextMarkLocked returns where the reader meets its next mark.
func (h *Hub) nextMarkLocked(r *Reader) (off int64, ok bool) {
	if r.mark == h.markCount {
		return 0, false
	}
	for _, m := range h.marks {
		if r.mark < m.upto {
			return m.off, true
		}
	}
	return 0, false
}

// passMarksLocked has the reader pass by the marks before its position.
func (h *Hub) passMarksLocked(r *Reader) {
	if r.mark == h.markCount {
		return
	}
	for _, m := range h.marks {
		if m.off >= r.pos {
			return
		}
		r.mark = max(r.mark, m.upto)
	}
}
