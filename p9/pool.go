package p9

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// largeData is from how many bytes on the data of a Twrite is read to a
// buffer of its own, for the stream to keep, instead of being copied.
const largeData = 16 << 10

// A pool keeps buffers for the data of large reads and writes, in eight sizes
// for each power of two, so that no buffer is more than an eighth too large:
// a stream that keeps one pins all of it.
type pool struct {
	classes [poolClasses]sync.Pool // of *buffer
}

const (
	poolShift   = 14                   // the smallest class holds a bit more than 1<<13 bytes
	poolClasses = (22 - poolShift) * 8 // the last ones hold a little more than 1<<20
)

// A buffer is a tree.Freer: whoever holds it frees it once, and it goes back
// to its pool. Never freeing it is safe.
type buffer struct {
	data  []byte
	home  *sync.Pool
	freed atomic.Bool
}

// get returns a buffer of n bytes, whose content is whatever was there.
func (p *pool) get(n int) *buffer {
	class, size := poolClass(n)
	if class < 0 {
		return &buffer{data: make([]byte, n)}
	}
	home := &p.classes[class]
	b, ok := home.Get().(*buffer)
	if !ok {
		b = &buffer{data: make([]byte, size), home: home}
	}
	b.freed.Store(false)
	b.data = b.data[:n]
	return b
}

// poolClass returns the class of buffers for n bytes and their size; -1 if n
// is not worth pooling.
func poolClass(n int) (class, size int) {
	if n <= 1<<(poolShift-1) {
		return -1, n
	}
	log := bits.Len(uint(n - 1))
	shift := log - 4
	eighths := (n-1)>>shift + 1 // 9 to 16 of them make the size
	class = (log-poolShift)*8 + eighths - 9
	if class >= poolClasses {
		return -1, n
	}
	return class, eighths << shift
}

// Free gives the buffer back. Doing it twice would hand the same bytes to two
// owners, so it is not survived.
func (b *buffer) Free() {
	if b.freed.Swap(true) {
		panic("p9: buffer freed twice")
	}
	if b.home != nil {
		b.data = b.data[:cap(b.data)]
		b.home.Put(b)
	}
}
