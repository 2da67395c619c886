package hub

import (
	"context"
	"errors"
)

// A Writer appends to a Hub's stream. One write may wait at a time; Close and
// CancelWrite may be called at any time.
type Writer struct {
	hub       *Hub      // immutable
	addressed bool      // immutable
	seq       *Sequence // immutable; whose bytes it writes, nil: nobody's

	// Guarded by hub.mu.
	closed bool
	wait   waiter
	taken  int   // bytes of a write that is not answered yet and in the stream; 0: there is none
	end    int64 // where they end

	signal signal // of the one caller of WriteContext
}

// NewWriter opens the stream for writing. The offset of each write of an
// addressed writer says where its bytes belong: what is there already is taken
// for written, if it is the same; other bytes are a *ConflictError, and a gap is
// a *GapError. So a lone writer that does not know how far it came can write
// again.
func (h *Hub) NewWriter(addressed bool) *Writer {
	return h.newWriter(addressed, nil)
}

func (h *Hub) newWriter(addressed bool, seq *Sequence) *Writer {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &Writer{hub: h, addressed: addressed, seq: seq, closed: h.closed}
	if !h.closed {
		h.writers++
	}
	return w
}

// TryWrite appends all of p and returns its length, or takes nothing. If it is
// not ready, wake will be called once when trying again, with the same p and
// off, may have another result; until then, or until CancelWrite, the write
// keeps its place in the queue. Who was woken has the turn, and those behind
// wait for its TryWrite or CancelWrite. With a nil wake it does not wait.
//
// Not ready and n > 0: the write has taken effect, and p has passed to the hub;
// but the bytes are not stable yet (see Keeping). The write keeps no place in the
// queue; wake will be called when it is worth trying again, with the same
// arguments, whose bytes are not looked at any more. Such a try does not fail, and
// gives the same n. With a nil wake nobody asks whether bytes are stable.
//
// An empty write never waits.
//
// off counts only for an addressed writer. It is looked at when the turn has
// come: writes that wait before it may fill a gap.
func (w *Writer) TryWrite(p Piece, off int64, wake func()) (n int, ready bool, err error) {
	at := int64(cursor)
	if w.addressed {
		if at = off; off < 0 {
			return 0, false, ErrOffset
		}
	}
	var ws wakes
	defer ws.call() // with no lock held: deferred calls run last first
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return w.writeLocked(p, at, wake, &ws)
}

// WriteContext appends all of p, at the end of the stream (or of the sequence)
// also if the writer is addressed, and blocks until it can, and they are stable. Only one goroutine
// may use it at a time.
func (w *Writer) WriteContext(ctx context.Context, p []byte) (int, error) {
	if w.signal.c == nil {
		w.signal = newSignal()
	}
	for {
		if err := ctx.Err(); err != nil {
			if n := w.CancelWrite(); n > 0 {
				return n, nil
			}
			return 0, err
		}
		ready, err := w.appendOnce(p)
		switch {
		case err != nil:
			return 0, err
		case ready:
			return len(p), nil
		}
		select {
		case <-w.signal.c: // changed; look again
		case <-ctx.Done():
		}
	}
}

func (w *Writer) appendOnce(p []byte) (ready bool, err error) {
	var ws wakes
	defer ws.call()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	_, ready, err = w.writeLocked(Piece{Data: p}, cursor, w.signal.send, &ws)
	return ready, err
}

// CancelWrite withdraws a write that waits. If it had the turn, the next one
// has it. It returns n > 0 if the write had taken effect: that is its answer.
func (w *Writer) CancelWrite() (n int) {
	var ws wakes
	defer ws.call()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	n, w.taken = w.taken, 0
	w.leaveLocked(&ws)
	return n
}

// Close ends the writer. A write of it that waits gets ErrClosed, but for one
// that has taken effect: it is done.
func (w *Writer) Close() error {
	var ws wakes
	defer ws.call()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	w.hub.writers--
	ws.take(&w.wait)
	if turn := w.hub.turn; turn != nil { // its own, perhaps, and it must hear of this
		w.hub.turn = nil
		ws.add(turn)
	}
	w.leaveLocked(&ws)
	return nil
}

// writeLocked appends p, at the offset or at the end. If it must wait it
// takes its place in the queue, or keeps it, and leaves wake, if there is one,
// to be called.
func (w *Writer) writeLocked(p Piece, at int64, wake func(), ws *wakes) (n int, ready bool, err error) {
	h := w.hub
	if w.taken == 0 {
		ready, err = w.commitLocked(p, at, ws)
		if ready {
			n = len(p.Data)
		}
		if ready && n > 0 && h.spool != nil {
			w.taken, w.end = n, h.next
			if at != cursor && w.seq == nil {
				w.end = at + int64(n)
			}
		}
	}
	if w.taken > 0 {
		return w.stageLocked(wake, ws)
	}
	if ready || err != nil || wake == nil {
		w.leaveLocked(ws)
		return n, ready, err
	}
	w.wait.wake, w.wait.at, w.wait.n, w.wait.seq = wake, at, int64(len(p.Data)), w.seq
	h.waitingWriters.push(&w.wait)
	if w.wait.need > 0 {
		h.holdLocked()
	}
	return 0, false, nil
}

// stageLocked answers a write whose bytes are in the stream, or has it wait
// until they are stable. It is in nobody's way.
func (w *Writer) stageLocked(wake func(), ws *wakes) (n int, ready bool, err error) {
	h := w.hub
	n = w.taken
	w.leaveLocked(ws)
	if wake == nil || w.closed || h.spool == nil || h.spool.Stable() >= w.end {
		w.taken = 0
		return n, true, nil
	}
	w.wait.wake, w.wait.at = wake, w.end
	h.staged.push(&w.wait)
	return n, false, nil
}

// commitLocked does the write if its turn has come and nothing is in its way.
func (w *Writer) commitLocked(p Piece, at int64, ws *wakes) (ready bool, err error) {
	h := w.hub
	w.wait.need = 0
	if w.wait.in == nil {
		w.wait.same = 0 // it is a new write
	}
	switch {
	case w.closed || h.closed:
		return false, ErrClosed
	case h.ended:
		return false, ErrEnded
	case len(p.Data) == 0:
		p.Free()
		return true, nil
	case h.waitingWriters.len > 0 && h.waitingWriters.first != &w.wait:
		return false, nil // those who came before go first
	case h.frozen:
		return false, nil
	}
	known := h.knownLocked(w.seq, at)
	n := int64(len(p.Data)) - known
	switch {
	case known < 0:
		return false, &GapError{Next: at + known}
	case known > 0 && w.seq == nil:
		w.wait.same, err = h.sameLocked(p.Data, at, w.wait.same)
		if errors.Is(err, ErrNotLoaded) {
			return false, nil // the store will tell when they can be compared
		}
		if err != nil {
			return false, err
		}
	}
	switch {
	case n <= 0:
		p.Free()
		return true, nil
	case !h.roomLocked(n):
		w.wait.need = h.needLocked(n)
		return false, nil
	case h.behindLocked():
		return false, nil
	case !h.limiter.pass(h):
		return false, nil
	case known == 0:
		err = h.appendLocked(p, ws)
	default:
		// What is new is copied: it may be little in a large buffer.
		if err = h.appendLocked(Piece{Data: p.Data[known:]}, ws); err == nil {
			p.Free()
		}
	}
	if errors.Is(err, ErrNoSpace) && h.fear && h.counting > 0 && h.slowestLocked(h.next) < h.next {
		w.wait.need = h.next
		return false, nil // readers that are behind will make room
	}
	if err != nil {
		return false, err
	}
	if w.seq != nil {
		w.seq.next += n
	}
	h.writes++
	h.limiter.charge(n, h.modified)
	if h.spool == nil { // else the store tells when they can be read
		h.waitingReaders.wakeUpTo(h.next-1, ws)
	}
	h.wakeGoneLocked(ws)
	return true, nil
}

// leaveLocked takes the writer out of the queue and passes the turn on.
func (w *Writer) leaveLocked(ws *wakes) {
	h := w.hub
	q, first := w.wait.in, h.waitingWriters.first == &w.wait
	w.wait.leave()
	if first {
		h.hold.end()
	}
	if q == &h.waitingWriters {
		h.turnLocked(ws)
	}
}

// turnLocked wakes the writer that has the turn if it can go now. A wake that
// nobody has called yet is the wake of one who has tried again, or left: the
// new one takes its place.
func (h *Hub) turnLocked(ws *wakes) {
	w := h.waitingWriters.first
	if w == nil || h.frozen || !h.fear || h.spool != nil {
		h.hold.end()
	}
	if w == nil || w.wake == nil || h.frozen {
		return
	}
	known := h.knownLocked(w.seq, w.at)
	if known >= 0 && known < w.n {
		if n := w.n - known; !h.roomLocked(n) {
			w.need = h.needLocked(n)
			h.holdLocked()
			return
		}
		if h.behindLocked() || !h.limiter.pass(h) {
			return
		}
	}
	h.turn, w.wake, w.need = w.wake, nil, 0
	ws.turnOf = h
}

// passTurn calls the wake that turnLocked left, unless somebody is at it who
// will: the writer passes the turn on inside its wake, so that otherwise a
// thousand who wait would be a thousand calls, one in another.
func (h *Hub) passTurn() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.passing {
		h.passing = true
		h.passLocked()
	}
}

// turnsAtOnce is how many turns one passes on for others. Writers who never
// rest must not hold whoever woke the first of them.
const turnsAtOnce = 100

func (h *Hub) passLocked() {
	over := true
	defer func() { h.passing = !over }()
	for n := 0; h.turn != nil; n++ {
		if n == turnsAtOnce {
			over = false
			go func() { // ends when no turn is due, or hands over in the same way
				h.mu.Lock()
				defer h.mu.Unlock()
				h.passLocked()
			}()
			return
		}
		wake := h.turn
		h.turn = nil
		h.callUnlocked(wake)
	}
}

// callUnlocked calls fn without the lock, which the caller holds.
func (h *Hub) callUnlocked(fn func()) {
	h.mu.Unlock()
	defer h.mu.Lock()
	fn()
}

// roomLocked reports whether back-pressure lets a write of n bytes go: if the
// slowest reader is within size then, or is not behind at all now.
func (h *Hub) roomLocked(n int64) bool {
	need := h.needLocked(n)
	switch {
	case !h.fear || h.spool != nil:
		return true
	case h.counting > 0:
		return h.slowestLocked(need) >= need
	case h.input:
		return h.first >= need // the reader to come will start there
	}
	return true
}

// needLocked returns how far all readers must come, in fear, before a write of
// n bytes can go.
func (h *Hub) needLocked(n int64) int64 { return min(h.next+n-h.size, h.next) }
