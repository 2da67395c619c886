package hub

import (
	"errors"
	"fmt"
)

// Spool has a hub that lives go on in s, which is empty: what the hub retains
// is appended to it, without a copy, and whatever comes. If it fails, nothing
// has changed, and s is the caller's. What only an earlier Spool still has is
// lost to readers.
//
// An input hub is not spooled: it keeps nothing that was read.
func (h *Hub) Spool(s Spool) error {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch first, next := s.Bounds(); {
	case h.closed:
		return ErrClosed
	case h.input:
		return errors.New("the input of a program is not spooled")
	case h.spool != nil:
		return errors.New("hub is spooled already")
	case first != next:
		return fmt.Errorf("store is not empty: it holds %d bytes", next-first)
	}
	from := h.inMemoryLocked()
	s.Notify(h.look)
	s.Start(from)
	if _, next := s.Bounds(); next != from { // it is not as empty as it seems
		return fmt.Errorf("store begins at %d, not at %d", next, from)
	}
	for off := from; off < h.next; {
		pieces, n, err := h.piecesLocked(nil, off, int(h.next-off))
		for _, p := range pieces {
			if err == nil {
				_, err = s.Append(p)
			}
			if err != nil {
				p.Free()
			}
		}
		if err != nil {
			return fmt.Errorf("append to the store: %w", err)
		}
		off += n
	}
	h.budget.release(h.next - from)
	h.advanceLocked(max(h.first, from))
	_ = h.store.Close() // a Memory, in fact: it has nothing to say
	h.store, h.spool, h.spoolErr = s, s, nil
	h.settleLocked(&ws)
	return nil
}

// Unspool has the hub go on in memory, and returns the Spool, nil if there is
// none. What it holds can be read until memory holds more than size; then, or
// with the hub, it is closed. It goes on keeping what it was given.
func (h *Hub) Unspool() Spool {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.spool
	if s != nil {
		h.fallLocked(nil, &ws)
		h.settleLocked(&ws)
	}
	return s
}

// unstableMax is how many bytes a spooled hub takes that its store has yet to
// make stable. They are in memory and not charged to the budget: where writers
// are many and faster than the disk, those that come then wait for their turns.
const unstableMax = 32 << 20

// behindLocked reports whether the store is so far behind the writers.
func (h *Hub) behindLocked() bool {
	return h.spool != nil && h.next-h.spool.Stable() >= unstableMax
}

// shownLocked returns the offset behind the last byte that readers get. Of a
// spooled hub that is the last that is stable: what somebody has seen is in the
// history also after a crash, and no other bytes are in its place then.
func (h *Hub) shownLocked() int64 {
	if h.spool == nil {
		return h.next
	}
	return min(h.next, h.spool.Stable())
}

// fallLocked has a spooled hub go on in memory, because of err if it is not nil.
// Writes that waited for the store are done.
func (h *Hub) fallLocked(err error, ws *wakes) {
	h.old, h.spool, h.base = h.spool, nil, h.next
	h.store = &Memory{first: h.next, next: h.next}
	h.advanceLocked(h.first) // perhaps there is nothing to read
	h.staged.wakeUpTo(everybody, ws)
	h.waitingReaders.wakeUpTo(h.next-1, ws)
	h.spoolErr = err
	if err != nil && h.onSpoolFail != nil {
		ws.add(func() { h.onSpoolFail(err) })
	}
}

// look does what follows from a change in the store, which calls it.
func (h *Hub) look() {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	if h.spool != nil {
		if err := h.spool.Err(); err != nil {
			h.fallLocked(err, &ws)
		} else {
			h.staged.wakeUpTo(h.spool.Stable(), &ws)
			h.waitingReaders.wakeUpTo(h.shownLocked()-1, &ws)
		}
	}
	h.followLocked()
	h.wakeLoadedLocked(&ws)
	h.settleLocked(&ws) // also a writer that has to compare bytes
}

// followLocked looks at where the store starts now, and reports whether the hub
// starts elsewhere.
func (h *Hub) followLocked() bool {
	s, end := h.spool, h.next
	if s == nil {
		s, end = h.old, h.base
	}
	if s == nil {
		return false
	}
	first, _ := s.Bounds()
	if first = min(first, end); first <= h.first {
		return false
	}
	h.advanceLocked(first)
	return true
}

// wakeGoneLocked wakes the readers that wait for a byte which is gone, if the
// hub starts elsewhere than when it was called last.
func (h *Hub) wakeGoneLocked(ws *wakes) {
	if h.first == h.told {
		return
	}
	h.told = h.first
	gone := h.first - 1
	if h.frozen {
		gone = everybody // their offsets count from the start
	}
	h.loading.wakeUpTo(gone, ws)
	if h.spool != nil { // else nobody waits for a byte that there is
		h.waitingReaders.wakeUpTo(gone, ws)
	}
}

// wakeLoadedLocked wakes the readers whose bytes have been fetched. The others
// need not come and see: a store tells of every change in the same way.
func (h *Hub) wakeLoadedLocked(ws *wakes) {
	for w := h.loading.first; w != nil; {
		next := w.next
		if !h.loadsLocked(w.at) {
			ws.take(w)
			w.leave()
		}
		w = next
	}
}

// loadsLocked reports whether the byte at off has to be fetched still.
func (h *Hub) loadsLocked(off int64) bool {
	if off < h.first {
		return false
	}
	pieces, _, err := h.piecesLocked(h.probe[:0], off, 1)
	for i, p := range pieces {
		p.Free()
		pieces[i] = Piece{}
	}
	h.probe = pieces
	return errors.Is(err, ErrNotLoaded)
}
