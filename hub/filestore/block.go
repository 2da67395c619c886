package filestore

import (
	"sync"
	"sync/atomic"
	"time"
)

// unit is how much is fetched from a file at a time: a few blocks of checksum,
// aligned as they are to the segment's start.
const unit = 4 * blockSize

// A block is a unit of the stream that was fetched for late readers, who share
// it. It goes back to its pool when neither the store nor a Piece holds it.
type block struct {
	refs atomic.Int32 // the store's and one for each Piece

	// Set by the loader before the block is loaded, and not changed after. One
	// that is only asked for has no memory yet: very many can be.
	buf  *[unit]byte
	data []byte                  // buf, as far as it is good to read
	bad  [unit / blockSize]error // why a block of checksum is not

	// Guarded by Store.mu.
	seg    *segment
	off    int64 // in the stream
	loaded bool
	failed time.Time // when it was loaded, if some of it is bad
	wanted bool      // somebody was told ErrNotLoaded, and has not come yet
	unread bool      // nobody has come yet at all
	used   uint64    // Store.clock at the last use
}

// The memory of blocks that nobody holds. This is a cache, not state: all
// stores share it, as hub's chunks are shared.
var pool = sync.Pool{New: func() any { return new([unit]byte) }}

// askBlock returns a block held once, without memory.
func askBlock() *block {
	b := &block{}
	b.refs.Store(1)
	return b
}

// newBlock returns a block held once, of which only buf is set.
func newBlock() *block {
	b := askBlock()
	b.buf = pool.Get().(*[unit]byte)
	return b
}

// Free lets go of the block once. Whoever is the last gives the memory back.
func (b *block) Free() {
	switch n := b.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("filestore: a Piece was freed twice")
	}
	if b.buf != nil {
		pool.Put(b.buf)
		b.buf, b.data = nil, nil
	}
}
