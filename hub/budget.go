package hub

import "sync"

// A Budget limits the bytes that several hubs retain together. A hub that has
// no room for a write drops its own oldest bytes, as far as its mode allows,
// and never those of others. A nil Budget has no limit.
type Budget struct {
	max int64   // immutable
	of  *Budget // immutable; whose share it is; nil: nobody's

	mu   sync.Mutex // guards used; nothing is called while it is held
	used int64
}

// NewBudget returns a Budget of max bytes; max <= 0 is no limit.
func NewBudget(max int64) *Budget {
	if max <= 0 {
		return nil
	}
	return &Budget{max: max}
}

// Share returns a Budget of max bytes that are part of b's: what its hubs retain
// counts for both.
func (b *Budget) Share(max int64) *Budget { return &Budget{max: max, of: b} }

// Used returns how many bytes are retained, and how many may be.
func (b *Budget) Used() (used, max int64) {
	if b == nil {
		return 0, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.max
}

// exchange takes in bytes for out bytes that the hub gives up. If that is too
// much it asks the hub to give up more, at most spare; ok is false, and
// nothing was taken, if that does not do either.
func (b *Budget) exchange(out, in, spare int64) (more int64, ok bool) {
	if b == nil {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	used := b.used - out + in
	if grows := in > out; grows && used > b.max {
		more = min(used-b.max, in-out)
	}
	if more > spare {
		return 0, false
	}
	// The lock of a share is taken before that of the whole.
	rest, ok := b.of.exchange(out+more, in, spare-more)
	if !ok {
		return 0, false
	}
	more += rest
	b.used = used - more
	return more, true
}

// charge takes n bytes whether there is room or not: they are there already.
func (b *Budget) charge(n int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.of.charge(n)
}

func (b *Budget) release(n int64) { b.charge(-n) }
