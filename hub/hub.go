// Package hub is one stream of bytes with any number of readers and writers,
// which come and go while it flows. A late reader gets the history.
//
// A Hub numbers its bytes from 0 with absolute offsets that never wrap. It
// retains the last Size of them in a Store. A Reader is a position in the
// stream; a Writer appends to its end. Both can be used in two ways: TryRead
// and TryWrite never block, and leave a function to be called when trying
// again may have another result, so that somebody who waits is a record and
// not a goroutine; ReadContext and WriteContext block.
//
// # Ordering
//
// Writes are appended whole, in the order in which they were first tried; two
// writes never interleave. A write that comes while others wait queues behind
// them. A reader gets consecutive bytes. Message boundaries are not kept.
//
// # Loss
//
// In calm a writer never waits: after each append the hub starts at
// max(first, next-size), and a reader that stood before goes on at the oldest
// byte. What it missed is counted in its status and in the hub's. In fear a
// write waits until the slowest reader is within size of its end, or until no
// reader is behind at all, which is how a write larger than size passes. With
// no reader nobody waits.
//
// An input hub (Options.Input) starts in fear and keeps nothing that every
// present reader has read. Without readers it keeps up to size for the one to
// come; in fear the writers then wait.
//
// Every reader counts, from its opening to its Close, but for an Onlooker, and
// for a Lazy one, which counts from its first read. A reader of addressed bytes stands at the
// offset that it asked for last: to ask for an offset says that everything
// before it has arrived.
//
// In fear the status says which reader is the slowest, and for how long it has
// held up a writer. DropReader takes it out of the way, and Patience does so by
// itself for one that holds up a writer and does not move; its reads give a
// *DroppedError. A reader that moves, however slowly, is never dropped for it.
//
// # Keeping
//
// A hub whose Store is a Spool keeps its whole history, as far as the store's
// own limits go. Its size limits nothing, nothing is charged to the Budget, and
// writers do not wait for readers. They wait for the store, and so do readers:
// bytes have their place in the stream when they are appended, and the write is
// answered, and they can be read, when they are stable. So whoever has seen a
// byte finds it in the history, whatever becomes of this process. The write has
// taken effect from the first: to withdraw it, or to close its writer or the hub,
// only means not to wait; others append behind it meanwhile. While very many bytes are not stable, as many writers together
// can bring, a write is not appended before its turn comes, as in fear. A reader
// of bytes that have to be fetched waits for them like for bytes to come.
//
// Spool takes a hub from memory to a Spool, and Unspool takes it back. A Spool
// that fails is left in the same way: new bytes go to memory, writes that waited
// for it are answered, and readers find what it holds there until memory holds
// more than size, or the budget needs the room. Then the store is closed, and
// whoever was behind has lost the rest and is told so like any other loss; in
// fear, where nobody may lose, it is closed when nobody needs it any more.
//
// # Marks
//
// EOF puts a mark at the end of the stream, for the readers open at this
// moment. Each of them gets one read of no bytes when it comes to the mark,
// and goes on behind it. A reader that was overtaken gets the marks that it
// missed where it goes on. A reader that addresses bytes gets the mark if it
// asks for the very offset, and passes it by if it asks for a later one.
//
// # Sequences
//
// An addressed writer has the stream to itself. Where several parties write, each
// of them has a Sequence, whose offsets count its own bytes alone, and so it can
// write again what it does not know to have arrived.
//
// # Time
//
// A hub notes about once a second how far the stream has come, and remembers it
// as long as it retains the bytes: see Moments.
//
// # Blocking
//
// Nothing blocks but ReadContext and WriteContext. There is no goroutine in
// this package, but for one while very many writes wait whose turns have come;
// a rate limit uses a timer while a writer waits for it, and so does patience.
//
// A read takes bytes only inside TryRead, under the hub's lock: a waiting read
// has taken nothing, and CancelRead loses nothing. A wake is called with no
// lock of the hub held, at most once for each answer "not ready". One that is
// on its way when CancelRead or CancelWrite is called may still arrive; it
// must find nothing to do. TryRead and TryWrite call the wakes of others before
// they return: a wake must take no lock that is held around them. Only the wake
// of a writer whose turn comes inside the wake of another is called after it.
//
// # Ownership
//
// Bytes lie in chunks that are shared, counted and never changed while anybody
// holds them. TryRead hands out Pieces of chunks; their holder calls Free once
// for each when it is done. A Piece given to TryWrite passes to the hub when
// the write has taken effect, and stays with the caller in every other case.
//
// The lock order is Hub, then the locks of its Store, then Budget: a Store calls
// the hub with none of its own held. The Free of a Piece given to TryWrite
// may be called with the hub's lock held: it must not block or use the hub.
package hub

import (
	"sync"
	"time"
)

// DefaultSize is how many bytes a hub retains if nothing else is said.
const DefaultSize = 1 << 20

// Options are what a Hub starts with. The zero value is a calm hub of
// DefaultSize bytes in memory.
type Options struct {
	Size   int64 // bytes retained; 0: DefaultSize
	Input  bool  // starts in fear; keeps nothing that every present reader has read
	Fear   bool  // writers wait for the slowest reader
	Trunc  bool  // readers start at the end
	Limit  Limit
	Budget *Budget // shared with other hubs; nil: no limit
	Store  Store   // empty, or with a history; a Spool not with Input; nil: NewMemory()

	// Patience is SetPatience's. OnDrop is told of every reader that is dropped,
	// with its ReaderOptions; no lock is held then. nil: nobody is told.
	Patience time.Duration
	OnDrop   func(id uint64, label, reason string)

	// OnSpoolFail is told why a Spool keeps nothing more, once for each; the
	// hub has gone on in memory, and no lock is held. nil: nobody is told.
	OnSpoolFail func(err error)
}

// A Hub is one stream. Its methods may be called from any goroutine.
type Hub struct {
	// Immutable.
	input       bool
	budget      *Budget // charged with the bytes from inMemoryLocked on, until Close
	onDrop      func(id uint64, label, reason string)
	onSpoolFail func(err error)

	// mu guards all that follows, and the fields of readers and writers that
	// say so. It is never held while a wake is called.
	mu sync.Mutex

	store       Store // of what is appended
	first, next int64 // offsets of the oldest byte retained and after the newest
	size        int64
	modified    time.Time // of the last append, or of New
	times       timeline

	spool    Spool   // the store, if it is one; nil: it is in memory
	old      Spool   // of a hub that fell, and holds the bytes before base; nil: nobody does
	base     int64   // where the bytes in store begin, or earlier
	spoolErr error   // why the last Spool failed
	loading  queue   // readers of bytes that have to be fetched, by their offsets
	staged   queue   // writers whose bytes are not stable yet, by the end of those
	probe    []Piece // scratch
	told     int64   // first, when wakeGoneLocked was called last

	fear, trunc, frozen, ended, closed bool
	endStatus                          string

	readers        []*Reader // in no order; a Reader knows its index
	opened         uint64    // readers that there were
	waitingReaders queue
	lostByClosed   int64 // bytes lost by readers that are closed
	delivered      int64 // bytes handed to readers
	reads, writes  int64 // that gave, and brought, bytes

	// The readers that count. slowest is never above the position of any of
	// them, and atSlowest of them stand exactly there. With atSlowest 0 it is
	// only a bound; slowestLocked makes it exact when it must.
	counting  int
	slowest   int64
	atSlowest int

	marks     []mark // ascending in both fields
	markCount int64  // marks ever set

	writers        int
	waitingWriters queue  // the first has the turn
	turn           func() // its wake, to be called by passTurn; nil: none
	passing        bool   // somebody is in passTurn
	limiter        limiter
	hold           hold
	patience       time.Duration // see SetPatience
}

// New returns a Hub with its Options.
func New(o Options) *Hub {
	now := time.Now()
	h := &Hub{
		input:  o.Input,
		budget: o.Budget,
		onDrop: o.OnDrop,

		onSpoolFail: o.OnSpoolFail,

		store:    o.Store,
		size:     o.Size,
		fear:     o.Fear || o.Input,
		trunc:    o.Trunc,
		modified: now,
		times:    newTimeline(now),
		limiter:  limiter{limit: o.Limit},
		patience: o.Patience,
	}
	if h.size <= 0 {
		h.size = DefaultSize
	}
	if h.store == nil {
		h.store = NewMemory()
	}
	h.mu.Lock() // for a Spool may call at once
	defer h.mu.Unlock()
	if s, ok := h.store.(Spool); ok {
		h.spool = s
		s.Notify(h.look)
		if last, ok := h.times.recall(s.Moments()); ok {
			h.modified = last
		}
	}
	h.first, h.next = h.store.Bounds()
	h.budget.charge(h.next - h.inMemoryLocked())
	return h
}

// Close ends the hub itself: everybody who waits and everybody who tries again
// gets ErrClosed. Memory and budget are given back; Pieces that were handed
// out stay good until they are freed.
func (h *Hub) Close() error {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	h.limiter.stop()
	h.hold.end()
	h.wakeEverybodyLocked(&ws)
	h.loading.wakeUpTo(everybody, &ws)
	h.staged.wakeUpTo(everybody, &ws)
	h.budget.release(h.next - h.inMemoryLocked())
	h.advanceLocked(h.next)
	h.marks = nil
	h.spool = nil
	return h.store.Close()
}

// settleLocked does what follows from a reader's moving on, or from a change
// of the hub's ways.
func (h *Hub) settleLocked(ws *wakes) {
	h.trimLocked()
	h.wakeGoneLocked(ws)
	h.turnLocked(ws)
}

// wakeEverybodyLocked wakes all who wait: none of them waits any longer. The
// writers keep their places until they have seen why.
func (h *Hub) wakeEverybodyLocked(ws *wakes) {
	h.waitingReaders.wakeUpTo(everybody, ws)
	for w := h.waitingWriters.first; w != nil; w = w.next {
		ws.take(w)
	}
}
