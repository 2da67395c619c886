package hub

import (
	"math"
	"slices"
)

// A waiter is the place of a Reader or Writer in a queue. Guarded by Hub.mu.
type waiter struct {
	// wake is called when trying again may have another result. It is nil if
	// the waiter is not queued, or if wake was taken and the owner has not
	// tried again since.
	wake func()
	// at is the offset whose byte a reader waits for, or where the bytes of a
	// write belong (cursor: at the end); n is how many bytes a write has.
	at, n int64
	// seq is the sequence whose offset at is; nil: at is the stream's.
	seq *Sequence
	// need is how far readers must come before a writer that has been tried can
	// go: 0 if it does not wait for them.
	need int64
	// same is how many of the first bytes of an addressed write are known to
	// be in the stream already.
	same       int64
	in         *queue // nil: in none
	prev, next *waiter
}

// A queue holds waiters in the order in which they came.
type queue struct {
	first, last *waiter
	len         int
}

// push adds w to the end, if it is in no queue.
func (q *queue) push(w *waiter) {
	if w.in != nil {
		return
	}
	w.in = q
	w.prev = q.last
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.len++
}

// leave takes w out of its queue, if it is in one, and forgets its wake.
func (w *waiter) leave() {
	q := w.in
	if q == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	q.len--
	*w = waiter{}
}

// everybody is for wakeUpTo.
const everybody = math.MaxInt64

// wakeUpTo takes out the waiters for offsets up to max, to be woken.
func (q *queue) wakeUpTo(max int64, ws *wakes) {
	if q.len > len(ws.few) {
		ws.more = slices.Grow(ws.more, q.len-len(ws.few))
	}
	for w := q.first; w != nil; {
		next := w.next
		if w.at <= max {
			ws.take(w)
			w.leave()
		}
		w = next
	}
}

// wakes collects, under the lock, what is to be called without it. It lives on
// the stack of whoever holds the lock.
type wakes struct {
	few  [16]func()
	n    int
	more []func()

	turnOf *Hub // has a turn to pass; nil: none
}

// take takes the wake of w, if it was not taken before.
func (ws *wakes) take(w *waiter) {
	if w.wake != nil {
		ws.add(w.wake)
		w.wake = nil
	}
}

func (ws *wakes) add(wake func()) {
	if ws.n < len(ws.few) {
		ws.few[ws.n] = wake
		ws.n++
		return
	}
	ws.more = append(ws.more, wake)
}

// call calls what was taken. No lock is held.
func (ws *wakes) call() {
	for _, wake := range ws.few[:ws.n] {
		wake()
	}
	for _, wake := range ws.more {
		wake()
	}
	if ws.turnOf != nil {
		ws.turnOf.passTurn()
	}
}

// A signal is a wake for a goroutine that blocks. One that comes too late only
// makes its owner look once more.
type signal struct {
	c    chan struct{}
	send func()
}

func newSignal() signal {
	c := make(chan struct{}, 1)
	return signal{c, func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}}
}
