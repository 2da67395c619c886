package hub

import (
	"context"
	"errors"
	"io"
	"math"
	"time"
)

// A Start says where a Reader starts.
type Start int64

// Where a Reader starts, besides Back.
const (
	// FromOldest is the oldest byte retained; if the hub is in trunc mode it
	// is FromEnd.
	FromOldest Start = 0
	// FromEnd is the end: the reader gets only what comes.
	FromEnd Start = 1
	// Addressed is the offset that each read says.
	Addressed Start = -1
)

// Onward as the offset of a read of an Addressed reader is behind the bytes that
// it was given last, so that several reads may wait whose places the asker does
// not know yet. The first read says where. After a *DiscardedError it is where
// that says, so that a reader who is overtaken has what comes next on its way
// already: to ask for it anew it could be too late for ever. (The largest offset that package tree
// has: no stream reaches it.)
const Onward int64 = 1 << 62

// Back is n bytes before the end, or the oldest byte retained.
func Back(n int64) Start { return Start(min(max(n, 0), math.MaxInt64-1) + 1) }

// ReaderOptions say who reads, and how.
type ReaderOptions struct {
	Label string // who reads, for ReaderStatus and Options.OnDrop
	ID    uint64 // the opener's number for the reader, for DropReader too; 0: none
	// Lazy is for an open that may come to write only: nobody waits for the
	// reader, and it misses nothing, until it has read once.
	Lazy bool
	// Onlooker is for an open for which nobody is to wait, ever: in fear it is
	// overtaken as it is without.
	Onlooker bool
	// At is where an Addressed reader stands until it reads: everything before it
	// has arrived already. Before the oldest byte it is that one's.
	At int64
}

// A Reader is a position in a Hub's stream. One read may wait at a time;
// Close, CancelRead and Status may be called at any time.
type Reader struct {
	hub       *Hub   // immutable
	order     uint64 // immutable; of opening
	id        uint64 // immutable
	label     string // immutable
	addressed bool   // immutable
	onlooker  bool   // immutable

	// Guarded by hub.mu.
	index  int       // in hub.readers
	pos    int64     // of the next byte; it may be behind hub.first
	after  int64     // where Onward is
	lost   int64     // bytes skipped so far
	mark   int64     // number of the mark it meets next
	counts bool      // see Hub.counting; set for good by the first read, but of an onlooker
	parked bool      // the last read waits: the next one is the same, tried again
	asFile bool      // and it waits for bytes of a frozen hub
	moved  time.Time // since when it stands where it does, if a writer waits for readers and patience has an end
	over   error     // ErrClosed or a *DroppedError: it is not in hub.readers; nil: it is
	wait   waiter

	// Of the one caller of ReadContext or Poll.
	signal  signal
	scratch []Piece
}

// NewReader opens the stream for reading.
func (h *Hub) NewReader(at Start, o ReaderOptions) *Reader {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followLocked()
	h.opened++
	r := &Reader{
		hub:       h,
		order:     h.opened,
		id:        o.ID,
		label:     o.Label,
		addressed: at == Addressed,
		onlooker:  o.Onlooker,
		pos:       h.first,
		mark:      h.markCount,
	}
	switch {
	case at == FromOldest && h.trunc:
		r.pos = h.next
	case at == Addressed:
		r.pos = max(h.first, o.At)
	case at > 0:
		r.pos = max(h.first, h.next-int64(at-FromEnd))
	}
	if h.closed {
		r.over = ErrClosed
		return r
	}
	r.index = len(h.readers)
	h.readers = append(h.readers, r)
	if !o.Lazy && !o.Onlooker {
		h.countLocked(r)
		h.settleLocked(&ws) // writers of an input hub may have waited for it
	}
	return r
}

// An outcome is what a read came to.
type outcome int

const (
	gotBytes outcome = iota
	atMark           // no bytes: an eof mark
	atEnd            // no bytes: the stream is complete
	mustWait         // for bytes to come
	mustLoad         // for bytes to be fetched
)

// cursor is the offset of a read that goes on where the reader stands, even
// in a frozen hub.
const cursor = -1

// TryRead appends to dst pieces of at most max bytes and moves on past them.
// Ready without pieces is the end of file: an eof mark, an ended stream, or
// the end of a frozen one. If it is not ready, nothing was taken and wake will
// be called once when trying again may have another result; with a nil wake
// the read does not wait.
//
// off counts only if the reader is Addressed or the hub frozen. A frozen hub is
// a plain file: offset 0 is its oldest byte (an Addressed reader goes on to
// use absolute offsets), and the reader does not move. A read that waits since
// before the freeze goes on waiting.
//
// An Addressed reader waits for an offset beyond the end, and gets a
// *DiscardedError for one that is no longer retained. It stands at the offset
// that was asked for last, Onward included: what it was given since is kept for
// it, as far as bytes are kept for readers.
func (r *Reader) TryRead(dst []Piece, off int64, max int, wake func()) (pieces []Piece, ready bool, err error) {
	h := r.hub
	var ws wakes
	defer ws.call() // with no lock held: deferred calls run last first
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.addressed && off == Onward {
		off = r.after
	}
	if h.frozen && (!r.parked || r.asFile) {
		return r.readFrozenLocked(dst, off, max, wake)
	}
	at := int64(cursor)
	if r.addressed {
		if at = off; off < 0 {
			return dst, false, ErrOffset
		}
	}
	pieces, out, err := r.readLocked(dst, at, max, wake, &ws)
	return pieces, err == nil && out != mustWait, err
}

// ReadContext reads at least one byte into p, at the reader's position, and
// blocks until there is one; also an Addressed reader moves on then. At an eof
// mark it returns io.EOF, at the end of an ended stream ErrEnded. A frozen
// hub gives what it had, then blocks. Only one goroutine may use it at a time.
func (r *Reader) ReadContext(ctx context.Context, p []byte) (int, error) {
	if r.signal.c == nil {
		r.signal = newSignal()
	}
	for {
		if err := ctx.Err(); err != nil {
			r.CancelRead()
			return 0, err
		}
		n, ready, err := r.Poll(p, r.signal.send)
		if ready || err != nil {
			return n, err
		}
		select {
		case <-r.signal.c: // changed; look again
		case <-ctx.Done():
		}
	}
}

// Poll is ReadContext without the wait. If there is nothing, ready is false
// and wake will be called as TryRead has it. It is ReadContext's caller's: the
// two are not used at the same time.
func (r *Reader) Poll(p []byte, wake func()) (n int, ready bool, err error) {
	pieces, out, err := r.readAtCursor(r.scratch[:0], len(p), wake)
	for _, piece := range pieces { // copied without the lock
		n += copy(p[n:], piece.Data)
		piece.Free()
	}
	clear(pieces)
	r.scratch = pieces
	switch {
	case err != nil:
		return 0, false, err
	case out == atMark:
		return 0, false, io.EOF
	case out == atEnd:
		return 0, false, ErrEnded
	}
	return n, out == gotBytes, nil
}

func (r *Reader) readAtCursor(dst []Piece, max int, wake func()) ([]Piece, outcome, error) {
	var ws wakes
	defer ws.call()
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	return r.readLocked(dst, cursor, max, wake, &ws)
}

// CancelRead withdraws a read that waits. It has taken nothing.
func (r *Reader) CancelRead() {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.unparkLocked()
}

// Close ends the reader. A read of it that waits gets ErrClosed; writers that
// waited for it go on.
func (r *Reader) Close() error {
	h := r.hub
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.over == nil {
		r.endLocked(ErrClosed, &ws)
		h.settleLocked(&ws)
	}
	r.over = ErrClosed // also if it was dropped
	return nil
}

// endLocked takes the reader, which is open, out of the hub. Its reads give
// err from now on. The hub is to be settled after it.
func (r *Reader) endLocked(err error, ws *wakes) {
	h := r.hub
	ws.take(&r.wait)
	r.unparkLocked()
	r.lost = r.lostLocked()
	h.lostByClosed += r.lost
	if r.counts {
		h.uncountLocked(r)
	}
	r.over = err

	last := len(h.readers) - 1
	h.readers[r.index] = h.readers[last]
	h.readers[r.index].index = r.index
	h.readers[last] = nil
	h.readers = h.readers[:last]
	if last == 0 {
		h.readers, h.marks = nil, nil
	}
}

// readLocked reads at the offset, or where the reader stands. It is the only
// place where a position moves. If it must wait it leaves wake, if there is one,
// to be called.
func (r *Reader) readLocked(dst []Piece, at int64, max int, wake func(), ws *wakes) ([]Piece, outcome, error) {
	h := r.hub
	r.unparkLocked()
	if err := r.overLocked(); err != nil {
		return dst, 0, err
	}
	if max <= 0 {
		return dst, gotBytes, nil
	}
	before, counted := r.pos, r.counts
	if !counted && !r.onlooker {
		h.countLocked(r)
	}
	pieces, out, err := r.takeLocked(dst, at, max)
	switch {
	case err != nil:
	case out == mustWait:
		r.parkLocked(&h.waitingReaders, r.pos, wake)
	case out == mustLoad:
		r.parkLocked(&h.loading, r.pos, wake)
		out = mustWait
	}
	if (r.pos != before || r.counts != counted) && (h.fear || h.input) {
		h.settleLocked(ws)
	}
	return pieces, out, err
}

// takeLocked takes the bytes, meets a mark or the end, or says that the read
// must wait.
func (r *Reader) takeLocked(dst []Piece, at int64, max int) ([]Piece, outcome, error) {
	h := r.hub
	switch {
	case at == cursor && r.pos < h.first:
		r.lost += h.first - r.pos
		h.moveLocked(r, h.first)
	case at == cursor:
	case at < h.first:
		r.after = h.first
		return dst, 0, &DiscardedError{First: h.first}
	default:
		h.moveLocked(r, at)
		h.passMarksLocked(r)
	}
	shown := h.shownLocked()
	end := shown
	if m, ok := h.nextMarkLocked(r); ok {
		if m <= r.pos {
			r.mark++
			return dst, atMark, nil
		}
		end = min(end, m)
	}
	if r.pos >= shown {
		if h.ended && r.pos >= h.next {
			return dst, atEnd, nil
		}
		return dst, mustWait, nil
	}
	pieces, n, err := h.piecesLocked(dst, r.pos, int(min(end-r.pos, int64(max))))
	switch {
	case err == nil:
	case errors.Is(err, ErrNotLoaded):
		return dst, mustLoad, nil
	case h.followLocked() && r.pos < h.first: // it is gone just now
		return r.takeLocked(dst, at, max)
	}
	h.deliverLocked(n)
	switch {
	case err != nil:
	case at == cursor:
		h.moveLocked(r, r.pos+n)
	default:
		r.after = at + n
	}
	return pieces, gotBytes, err
}

// readFrozenLocked reads a frozen hub as a plain file.
func (r *Reader) readFrozenLocked(dst []Piece, off int64, max int, wake func()) ([]Piece, bool, error) {
	h := r.hub
	r.unparkLocked()
	if err := r.overLocked(); err != nil {
		return dst, false, err
	}
	at := off
	switch {
	case off < 0:
		return dst, false, ErrOffset
	case r.addressed && off < h.first:
		r.after = h.first
		return dst, false, &DiscardedError{First: h.first}
	case !r.addressed:
		at = h.first + min(off, h.next-h.first)
	}
	shown := h.shownLocked()
	switch {
	case at >= h.next || max <= 0:
		return dst, true, nil
	case at >= shown:
		r.parkLocked(&h.waitingReaders, at, wake)
		r.asFile = r.parked
		return dst, false, nil
	}
	pieces, n, err := h.piecesLocked(dst, at, int(min(shown-at, int64(max))))
	switch {
	case err == nil:
	case errors.Is(err, ErrNotLoaded):
		r.parkLocked(&h.loading, at, wake)
		r.asFile = r.parked
		return dst, false, nil
	case h.followLocked(): // it may be gone just now
		return r.readFrozenLocked(dst, off, max, wake)
	}
	h.deliverLocked(n)
	r.after = at + n
	return pieces, err == nil, err
}

// deliverLocked counts n bytes that a read gave.
func (h *Hub) deliverLocked(n int64) {
	if n > 0 {
		h.reads++
		h.delivered += n
	}
}

// overLocked returns why the reader reads no more, nil while it does.
func (r *Reader) overLocked() error {
	if r.over == nil && r.hub.closed {
		return ErrClosed
	}
	return r.over
}

// parkLocked has the reader wait for the byte at the offset, unless its read
// does not wait.
func (r *Reader) parkLocked(q *queue, at int64, wake func()) {
	if wake != nil {
		r.parked = true
		r.wait.wake, r.wait.at = wake, at
		q.push(&r.wait)
	}
}

// unparkLocked takes the reader out of the queue of those who wait.
func (r *Reader) unparkLocked() {
	r.parked, r.asFile = false, false
	r.wait.leave()
}

// lostLocked returns what the reader has lost, whether it knows already or
// not. One that never read has missed nothing yet.
func (r *Reader) lostLocked() int64 {
	if !r.addressed && (r.counts || r.onlooker) && r.pos < r.hub.first {
		return r.lost + r.hub.first - r.pos
	}
	return r.lost
}
