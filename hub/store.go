package hub

import (
	"errors"
	"time"
)

// A Store keeps the bytes of one stream. The Hub calls its methods one at a
// time, under its own lock: they must not wait for anybody.
//
// hub/storetest holds the laws that every Store passes.
type Store interface {
	// Append adds the bytes of p to the end and returns the offset of the
	// first of them, which is at or after the end that Bounds gave. If it
	// succeeds, p has passed to the store, which either keeps it and frees it
	// later, or copies the bytes and frees it at once (without an Owner it
	// copies). If it fails, nothing was added and p stays with the caller.
	Append(p Piece) (off int64, err error)

	// Read appends to dst pieces that hold the bytes from off on, at least one
	// and at most max (> 0) of them, and returns it. off is within the bounds
	// and was not discarded. Each piece is to be freed by whoever gets it.
	Read(dst []Piece, off int64, max int) ([]Piece, error)

	// Discard says that nobody will ask for a byte before off, which is at
	// most the end. The store may drop them, now or later.
	Discard(off int64)

	// Bounds returns the offset of the oldest byte that can be read, and the
	// one after the newest.
	Bounds() (first, next int64)

	// Close gives back what the store holds. Pieces that were handed out stay
	// good. No other call follows.
	Close() error
}

// A Spool is a Store whose bytes take time: to be kept, and to be fetched
// again. None of its methods waits for that. It has goroutines of its own and
// tells the Hub, through the function given to Notify, when to look again.
type Spool interface {
	// Append also takes bytes whose place is ahead of Stable; Read gives them
	// at once. It fails when Err is set.
	//
	// Read returns ErrNotLoaded if it has to fetch the bytes: it has begun to,
	// and tells when they are there. Bytes that cannot be read as they were
	// written are an error, never others.
	//
	// The first that Bounds returns may grow by itself, as the store's own
	// limits say. A Read of what has gone in that way fails, as any, or gives
	// ErrNotLoaded if the store is about to tell. Discard is called when
	// somebody empties the stream, and not to keep it short.
	//
	// Close does not wait: what was appended is kept behind the caller's back.
	Store

	// Notify sets the function to call when Stable or the first of the bounds
	// has grown, when Err is set, and when bytes are there that Read had to
	// fetch. It is called with no lock of the store held, and at any time until
	// Close has returned, but not by Notify itself or any other method: the Hub
	// calls those under its lock. Notify is called once, before Append and Read.
	Notify(changed func())

	// Stable returns the offset before which every byte is kept as safely as
	// the store promises.
	Stable() int64

	// Err returns why the store keeps nothing more, nil while it does. Bytes
	// behind Stable that were appended can still be read.
	Err() error

	// Start says at which offset an empty store begins.
	Start(first int64)

	// Moments returns the times of offsets that the store knows from before,
	// in ascending order of both.
	Moments() []Moment
}

// ErrNotLoaded says that a Spool has to fetch the bytes first, and has begun to.
var ErrNotLoaded = errors.New("bytes are not loaded yet")

// A Moment is a coarse time of a stream: the bytes before Offset were appended
// at or before Time.
type Moment struct {
	Offset int64
	Time   time.Time
}
