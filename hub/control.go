package hub

import "errors"

// change makes a change to the hub, and lets go on whoever can then.
func (h *Hub) change(do func(ws *wakes)) {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	do(&ws)
	h.settleLocked(&ws)
}

// Fear turns back-pressure on, or off to calm.
func (h *Hub) Fear(on bool) {
	h.change(func(*wakes) { h.fear = on })
}

// Trunc says whether readers FromOldest start at the end, from now on.
func (h *Hub) Trunc(on bool) {
	h.change(func(*wakes) { h.trunc = on })
}

// SetSize sets how many bytes are retained, from now on.
func (h *Hub) SetSize(size int64) error {
	if size <= 0 {
		return errors.New("size must be at least 1 byte")
	}
	h.change(func(*wakes) { h.size = size })
	return nil
}

// SetLimit sets how fast writers may write, from now on.
func (h *Hub) SetLimit(l Limit) {
	h.change(func(*wakes) {
		h.limiter.stop()
		h.limiter.limit = l
		h.limiter.paid = h.limiter.last
	})
}

// Freeze makes the hub stand still as a plain file: see TryRead. Writers wait.
func (h *Hub) Freeze() {
	h.change(func(*wakes) { h.frozen = true })
}

// Melt makes a frozen hub a stream again. It wakes all readers, and the writers
// one after the other, as their turns come.
func (h *Hub) Melt() {
	h.change(func(ws *wakes) {
		if h.frozen {
			h.frozen = false
			h.waitingReaders.wakeUpTo(everybody, ws)
			h.loading.wakeUpTo(everybody, ws) // perhaps for another byte now
		}
	})
}

// End says that the stream is complete. Readers, late ones too, get its bytes
// and then no more for good; writes are refused with ErrEnded. The status is
// for people and programs to read. To end it again changes the status.
func (h *Hub) End(status string) {
	h.change(func(ws *wakes) {
		h.ended, h.endStatus = true, status
		h.wakeEverybodyLocked(ws)
	})
}

// Reopen takes End back.
func (h *Hub) Reopen() {
	h.change(func(*wakes) { h.ended, h.endStatus = false, "" })
}

// Clear empties the hub. Offsets go on; whoever was behind has lost what it
// had not read, and is told so like any other loss.
func (h *Hub) Clear() {
	h.change(func(*wakes) { h.discardLocked(h.next) })
}
