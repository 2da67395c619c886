package frame

import (
	"container/list"
	"context"
	"slices"
	"sync"
)

// kept is how many bytes a link keeps of what is sent, if nothing else is said,
// and weight what a frame counts besides its body.
const (
	kept   = 256 << 10
	weight = 64
)

func (f Frame) size() int { return weight + len(f.Body) }

// A queue is the frames on their way to one end of a link.
type queue struct {
	mu    sync.Mutex
	links class  // guarded by mu; frames of the link itself, which go first
	rest  class  // guarded by mu; those of sessions
	last  *Frame // guarded by mu; Leave, if it waits
	left  bool   // guarded by mu; Leave has been sent
	over  bool   // guarded by mu; the link is closed
	err   error  // guarded by mu; why, if over
	wake  func() // guarded by mu; who waits for a frame; nil: nobody
}

// A class is lanes, one for each session, that take turns, and bytes that they
// have together.
type class struct {
	limit   int
	bytes   int              // of what is admitted and not taken
	lanes   map[uint64]*lane // those with frames
	turns   list.List        // of *lane: those with frames, next first
	waiting list.List        // of *entry: not admitted, oldest first
}

// A lane is the frames of one session, oldest first.
type lane struct{ entries []*entry }

// An entry is a frame, and who waits until there is room for it.
type entry struct {
	f        Frame
	admitted chan struct{} // closed when it need not wait any more; nil: it never did
	place    *list.Element // in waiting; nil: not there
	failed   bool          // guarded by the queue's mu: the link was closed before
}

func newQueue(limit int) *queue {
	if limit <= 0 {
		limit = kept
	}
	q := &queue{}
	q.links.limit, q.rest.limit = limit, limit
	return q
}

// send puts a frame in the queue, and waits for room.
func (q *queue) send(ctx context.Context, f Frame) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.over || q.left {
		err := q.errLocked()
		q.mu.Unlock()
		return err
	}
	e := &entry{f: f}
	cl := q.class(f)
	if f.Kind == Leave {
		q.last, q.left = &f, true
	} else {
		cl.add(e)
	}
	wake := q.takeWakeLocked()
	q.mu.Unlock()
	if wake != nil {
		wake()
	}
	if e.admitted == nil {
		return nil
	}
	select {
	case <-e.admitted:
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		if e.place != nil {
			cl.withdraw(e)
			return ctx.Err()
		}
	}
	if e.failed { // settled before admitted was closed
		return q.reason()
	}
	return nil
}

func (q *queue) class(f Frame) *class {
	if f.Kind.OfLink() {
		return &q.links
	}
	return &q.rest
}

// take returns the next frame. If there is none, ok is false, and wake, unless
// it is nil, is called once when trying again may have another result.
func (q *queue) take(wake func()) (f Frame, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f, ok := q.links.next(); ok {
		return f, true, nil
	}
	if f, ok := q.rest.next(); ok {
		return f, true, nil
	}
	if q.last != nil {
		f, q.last = *q.last, nil
		return f, true, nil
	}
	if q.over {
		return Frame{}, false, q.errLocked()
	}
	q.wake = wake
	return Frame{}, false, nil
}

// recv is take for who can wait.
func (q *queue) recv(ctx context.Context) (Frame, error) {
	for {
		woken := make(chan struct{})
		f, ok, err := q.take(func() { close(woken) })
		if ok || err != nil {
			return f, err
		}
		select {
		case <-woken:
		case <-ctx.Done():
			q.cancel()
			return Frame{}, ctx.Err()
		}
	}
}

// cancel withdraws a wait of take.
func (q *queue) cancel() {
	q.mu.Lock()
	q.wake = nil
	q.mu.Unlock()
}

// close ends the queue: what was admitted can still be taken if drain is true, and
// nothing more can be sent.
func (q *queue) close(err error, drain bool) {
	q.mu.Lock()
	if !drain {
		q.last = nil
	}
	if !q.over {
		q.over, q.err = true, err
	}
	q.links.close(drain)
	q.rest.close(drain)
	wake := q.takeWakeLocked()
	q.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// held returns about how many bytes wait.
func (q *queue) held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.links.bytes + q.rest.bytes
}

// reason returns why the queue has ended.
func (q *queue) reason() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.errLocked()
}

func (q *queue) errLocked() error {
	if q.err != nil {
		return q.err
	}
	return ErrClosed
}

func (q *queue) takeWakeLocked() func() {
	wake := q.wake
	q.wake = nil
	return wake
}

// add puts e last in its lane, admitted if there is room: a frame that is alone
// always has it.
func (c *class) add(e *entry) {
	if c.bytes > 0 && c.bytes+e.f.size() > c.limit {
		e.admitted = make(chan struct{})
		e.place = c.waiting.PushBack(e)
	} else {
		c.bytes += e.f.size()
	}
	if c.lanes == nil {
		c.lanes = make(map[uint64]*lane)
	}
	l := c.lanes[e.f.Session]
	if l == nil {
		l = &lane{}
		c.lanes[e.f.Session] = l
		c.turns.PushBack(l)
	}
	l.entries = append(l.entries, e)
}

// next takes the oldest frame of the lane whose turn it is. It need not have been
// admitted: so many that wait for one session do not keep another from its turn.
func (c *class) next() (Frame, bool) {
	turn := c.turns.Front()
	if turn == nil {
		return Frame{}, false
	}
	l := turn.Value.(*lane)
	e := l.entries[0]
	l.entries[0] = nil
	l.entries = l.entries[1:]
	if len(l.entries) == 0 {
		c.turns.Remove(turn)
		delete(c.lanes, e.f.Session)
	} else {
		c.turns.MoveToBack(turn)
	}
	if e.place != nil {
		c.admit(e)
	}
	c.bytes -= e.f.size()
	c.admitMore()
	return e.f, true
}

// admit lets the sender of e go on.
func (c *class) admit(e *entry) {
	c.waiting.Remove(e.place)
	e.place = nil
	c.bytes += e.f.size()
	close(e.admitted)
}

// admitMore admits those who wait, oldest first, as far as there is room.
func (c *class) admitMore() {
	for front := c.waiting.Front(); front != nil; front = c.waiting.Front() {
		e := front.Value.(*entry)
		if c.bytes > 0 && c.bytes+e.f.size() > c.limit {
			return
		}
		c.admit(e)
	}
}

// withdraw takes back an entry that waits.
func (c *class) withdraw(e *entry) {
	c.remove(e)
	c.admitMore() // a smaller one behind it may have room
}

// remove takes an entry that waits out of the queue.
func (c *class) remove(e *entry) {
	c.waiting.Remove(e.place)
	e.place = nil
	l := c.lanes[e.f.Session]
	i := slices.Index(l.entries, e)
	l.entries = slices.Delete(l.entries, i, i+1)
	if len(l.entries) == 0 {
		delete(c.lanes, e.f.Session)
		for turn := c.turns.Front(); turn != nil; turn = turn.Next() {
			if turn.Value == l {
				c.turns.Remove(turn)
				break
			}
		}
	}
}

// close fails those who wait, and forgets the rest unless drain is true.
func (c *class) close(drain bool) {
	for front := c.waiting.Front(); front != nil; front = c.waiting.Front() {
		e := front.Value.(*entry)
		c.remove(e)
		e.failed = true
		close(e.admitted)
	}
	if !drain {
		c.bytes, c.lanes = 0, nil
		c.turns.Init()
	}
}
