package hub

import (
	"fmt"
	"time"
)

// A hold is the time for which the writer that has the turn has been waiting
// for readers, from when it first did until it has written or left, whether
// some of them move on meanwhile or not. Guarded by Hub.mu.
type hold struct {
	on    bool
	since time.Time
	timer *time.Timer // runs Hub.losePatience; may run when it is not on, for nothing
}

// holdLocked says that the first of the writers waits for readers.
func (h *Hub) holdLocked() {
	if !h.hold.on {
		h.hold.on, h.hold.since = true, time.Now()
		h.watchLocked(h.patience)
	}
}

func (l *hold) end() {
	if l.on {
		l.on = false
		if l.timer != nil {
			l.timer.Stop()
		}
	}
}

// lasts returns for how long it has been on.
func (l *hold) lasts() time.Duration {
	if !l.on {
		return 0
	}
	return time.Since(l.since)
}

// neededLocked returns how far readers must come for the writer that waits for
// them; 0 if none does.
func (h *Hub) neededLocked() int64 {
	if !h.hold.on || h.waitingWriters.first == nil {
		return 0
	}
	return h.waitingWriters.first.need
}

// movedLocked is called when a reader moves, or begins to count, while a
// writer waits for readers.
func (h *Hub) movedLocked(r *Reader) {
	if h.patience > 0 {
		r.moved = time.Now()
	}
}

// SetPatience says how long a writer waits, in fear, for a reader that does not
// move: then the reader is dropped. 0 is for ever.
func (h *Hub) SetPatience(d time.Duration) {
	h.change(func(*wakes) {
		h.patience = max(d, 0)
		if !h.hold.on {
			return
		}
		for _, r := range h.readers {
			h.movedLocked(r) // nobody looked until now
		}
		h.watchLocked(h.patience)
	})
}

// watchLocked looks for readers to drop after d.
func (h *Hub) watchLocked(d time.Duration) {
	t := h.hold.timer
	switch {
	case h.patience > 0 && t == nil:
		h.hold.timer = time.AfterFunc(d, h.losePatience)
	case h.patience > 0:
		t.Reset(d)
	case t != nil:
		t.Stop()
	}
}

// losePatience drops the readers that have not moved for too long. It runs in
// the timer's goroutine, which ends with it.
func (h *Hub) losePatience() {
	h.change(func(ws *wakes) {
		if !h.hold.on || h.patience <= 0 { // the timer was stopped too late
			return
		}
		need := h.neededLocked() // 0: the writer was woken, and has not tried again yet
		now := time.Now()
		next := h.patience
		// From the end, for who leaves is replaced by the last.
		for i := len(h.readers) - 1; i >= 0; i-- {
			r := h.readers[i]
			if !r.counts || max(r.pos, h.first) >= need {
				continue
			}
			since := h.hold.since
			if r.moved.After(since) {
				since = r.moved
			}
			if left := h.patience - now.Sub(since); left > 0 {
				next = min(next, left)
				continue
			}
			h.dropLocked(r, fmt.Sprintf("held up a writer for %v", h.patience), ws)
		}
		h.watchLocked(next)
	})
}

// DropReader drops the readers with this ID, and reports whether there is one:
// it counts no more, and all its reads, one that waits too, give a
// *DroppedError. 0 is nobody's ID.
func (h *Hub) DropReader(id uint64, reason string) bool {
	dropped := false
	h.change(func(ws *wakes) {
		for i := len(h.readers) - 1; i >= 0 && id != 0; i-- {
			if r := h.readers[i]; r.id == id {
				h.dropLocked(r, reason, ws)
				dropped = true
			}
		}
	})
	return dropped
}

// dropLocked drops the reader. The hub is to be settled after it.
func (h *Hub) dropLocked(r *Reader, reason string, ws *wakes) {
	r.endLocked(&DroppedError{Reason: reason}, ws)
	if h.onDrop != nil {
		ws.add(func() { h.onDrop(r.id, r.label, reason) })
	}
}
