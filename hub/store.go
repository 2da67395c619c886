package hub

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
