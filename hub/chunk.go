package hub

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Bytes that are copied go into chunks of 512 bytes, doubling to 64 KiB, so
// that a small stream stays small. A large write is adopted instead, as a
// chunk of its own.
const (
	minChunk = 512
	maxChunk = 64 << 10
	classes  = 8 // minChunk << (classes-1) == maxChunk
	adopted  = classes

	// Bytes are adopted if there are so many of them, and if they fill at
	// least half of their buffer: what is kept may cost twice its size in
	// memory, not more.
	adoptMin = 16 << 10
)

// A chunk is a run of bytes that its store and the holders of its Pieces
// share. Bytes are added to data[len(data):cap(data)] under the hub's lock;
// those that are there never change while anybody holds the chunk.
type chunk struct {
	refs  atomic.Int32        // the store's and one for each Piece; 0: in its pool
	class uint8               // immutable
	off   int64               // offset in the stream of data[0]; guarded by Hub.mu
	data  []byte              // guarded by Hub.mu
	owner interface{ Free() } // of adopted bytes; set before the chunk is shared
}

// The chunks that nobody holds, by class. This is a cache, not state: all hubs
// share it, because memory that one stream has done with serves any other.
var pools [classes + 1]sync.Pool

// newChunk returns an empty chunk of the class, held once.
func newChunk(class int) *chunk {
	c, _ := pools[class].Get().(*chunk)
	if c == nil {
		c = &chunk{class: uint8(class)}
		if class != adopted {
			c.data = make([]byte, 0, minChunk<<class)
		}
	}
	c.refs.Store(1)
	return c
}

// adopt makes a chunk of p's bytes and passes p to it.
func adopt(p Piece) *chunk {
	c := newChunk(adopted)
	c.data = p.Data[:len(p.Data):len(p.Data)]
	c.owner = p.Owner
	return c
}

// classFor returns the smallest class that holds n bytes, or the largest.
func classFor(n int) int {
	if n <= minChunk {
		return 0
	}
	return min(bits.Len(uint(n-1))-bits.Len(minChunk-1), classes-1)
}

func (c *chunk) end() int64 { return c.off + int64(len(c.data)) }
func (c *chunk) room() int  { return cap(c.data) - len(c.data) }

// piece returns data[i:j] as a Piece, which holds the chunk.
func (c *chunk) piece(i, j int) Piece {
	c.refs.Add(1)
	return Piece{Data: c.data[i:j:j], Owner: c}
}

// Free lets go of the chunk once. Whoever is the last puts it into its pool.
func (c *chunk) Free() {
	switch n := c.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("hub: a Piece was freed twice")
	}
	owner := c.owner
	c.owner = nil
	if c.class == adopted {
		c.data = nil
	} else {
		c.data = c.data[:0]
	}
	pools[c.class].Put(c)
	if owner != nil {
		owner.Free()
	}
}
