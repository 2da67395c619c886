package gather

import (
	"hash/maphash"
	"sync"
	"time"

	"hubfs/taskfs/ranks"
)

const (
	// linger is how long output waits for more that may be equal, while some is
	// on its way already.
	linger = 2 * time.Millisecond
	// much is how much does not wait for that.
	much = 32 << 10
	// itemCost is what an item counts for in Queued, besides its bytes.
	itemCost = 64
	// minBody is the least that Next makes do with.
	minBody = 1 << 10
)

// A Relay is what a node has to send upward of one session. Its methods may be
// called from any goroutine; bodies have to be sent in the order in which Next
// gives them.
type Relay struct {
	wake func() // immutable

	mu    sync.Mutex // guards all that follows
	queue queue
	enc   encoder
	idle  bool        // Next has said that nothing waits, and wake was not called since
	sent  time.Time   // when Next last gave a body
	timer *time.Timer // calls wake, unless Next or wake was called before; nil: there was none yet
}

// NewRelay returns a Relay. wake is called, with no lock held, when there is
// something for Next that was not there before: once, until Next has said that
// nothing waits.
func NewRelay(wake func()) *Relay {
	seed := maphash.MakeSeed()
	return &Relay{wake: wake, queue: newQueue(seed), enc: encoder{seed: seed}, idle: true}
}

// Alone says that all output is of one task: nobody will say the same, so neither
// end remembers any of it.
func (r *Relay) Alone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enc.alone = true
}

// Output takes what a set of tasks has put out, in the order of each task. p is
// copied.
func (r *Relay) Output(set ranks.Set, s Stream, p []byte) {
	if set.Empty() || len(p) == 0 {
		return
	}
	if r.put(set, s, p) {
		r.wake()
	}
}

// put reports whether it is time to wake whoever sends.
func (r *Relay) put(set ranks.Set, s Stream, p []byte) (due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := r.queue.first == nil
	r.queue.put(set, s, p)
	if !r.idle {
		return false
	}
	wait := linger - time.Since(r.sent)
	if wait <= 0 || r.queue.bytes >= much {
		r.idle = false
		return true
	}
	if began {
		if r.timer == nil {
			r.timer = time.AfterFunc(wait, r.late)
		} else {
			r.timer.Reset(wait)
		}
	}
	return false
}

// late is called by the timer.
func (r *Relay) late() {
	r.mu.Lock()
	due := r.idle && r.queue.first != nil
	if due {
		r.idle = false
	}
	r.mu.Unlock()
	if due {
		r.wake()
	}
}

// Queued is how much waits for Next: in bytes, with what it costs to hold them.
func (r *Relay) Queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.bytes + r.queue.items*itemCost
}

// Waits reports whether output of any of these tasks waits for Next.
func (r *Relay) Waits(set ranks.Set) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rank := range set.All() {
		if rank >= len(r.queue.at) {
			break
		}
		if r.queue.at[rank].waiting() != nil {
			return true
		}
	}
	return false
}

// Next returns the next body of an Output frame, of at most limit bytes (a KiB
// at least), and how many bytes of output it stands for: as many as the calls of
// Decode will have. None says that nothing waits.
func (r *Relay) Next(limit int) (body []byte, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enc.begin(max(limit, minBody))
	for r.queue.first != nil && r.step() {
	}
	r.idle = r.queue.first == nil
	if r.enc.output > 0 {
		r.sent = time.Now()
	}
	return r.enc.body, r.enc.output
}

// step puts the first item into the body, or a piece of it, or reports that there
// is no room.
func (r *Relay) step() bool {
	r.queue.heal()
	it := r.queue.first
	set := it.set()
	it.sets = []ranks.Set{set}
	last := int64(0) // those who have said nothing may say what the first one did
	if it.after != nil {
		last = it.after.end
	}
	of, n, end := r.enc.add(set, it.st, it.data, last)
	if n == 0 {
		return false
	}
	if n < len(it.data) {
		it = r.queue.split(it, n)
	}
	if !of.Equal(set) {
		r.queue.divide(it, of, set.Minus(of))
	}
	r.queue.sent(end)
	return true
}
