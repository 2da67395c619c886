package p9

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// A job is a Tread or Twrite that has not been answered yet, or a Tclunk or
// Tremove that waits for its fid's last job.
//
// All fields are guarded by conn.mu, but that tag, lane, off, count and data
// are not changed while the lane's runner looks at them.
type job struct {
	tag        uint16
	lane       *lane // nil for a Tclunk or Tremove
	next, prev *job  // in the lane

	off   int64
	count int        // bytes asked for by a Tread
	data  tree.Piece // bytes of a Twrite

	fresh    bool     // has not been tried and found to wait
	borrowed bool     // data lies in the connection's read buffer
	kept     int      // bytes of data counted in conn.kept
	cancel   cancel   // why it shall not wait any longer
	err      error    // with refused: what to say
	flushes  []uint16 // tags of Tflushes to answer after it
}

// A cancel says why a job that waits shall not wait any longer, and with that
// how it is answered.
type cancel uint8

const (
	wanted  cancel = iota
	flushed        // by Tflush: no reply of its own
	clunked        // by Tclunk or Tremove: an error
	refused        // over a limit: job.err
	aborted        // by Tversion or hang-up: no reply at all, even if it took effect
)

// A lane holds the reads of a fid, or its writes, in arrival order, and runs
// them one at a time.
//
// Whoever sets state to running is the lane's runner, and only the runner
// calls the handle's methods, with no lock held. A wake or a flush that comes
// while somebody runs the lane leaves a note and goes. So there is one party
// that sees what an attempt led to, and it decides under conn.mu: bytes that
// were taken are a reply, a flush that came in between is answered after it;
// nothing was taken, and a flush withdraws the wait.
type lane struct {
	fid    *fid
	writes bool
	stream bool // the handle may let us wait, and never blocks

	// guarded by conn.mu
	head, tail *job
	state      laneState
	waits      bool   // the handle holds our wake for the head
	woken      bool   // a wake came while the lane was running
	gen        uint64 // of wake: withdrawing a wait makes its wake a stale one
	wake       func() // made once and given to every attempt until it is stale

	pieces []tree.Piece // the runner's: what a read was given
}

type laneState uint8

const (
	idle    laneState = iota // no jobs
	running                  // somebody runs it
	parked                   // the head waits for a wake
	stalled                  // has reads; they wait until the peer takes replies
)

func (l *lane) pushLocked(j *job) {
	j.prev = l.tail
	if l.tail == nil {
		l.head = j
	} else {
		l.tail.next = j
	}
	l.tail = j
}

func (l *lane) removeLocked(j *job) {
	if j.prev == nil {
		l.head = j.next
	} else {
		j.prev.next = j.next
	}
	if j.next == nil {
		l.tail = j.prev
	} else {
		j.next.prev = j.prev
	}
	j.next, j.prev = nil, nil
}

// submit puts a read or a write on its lane. If the lane is free and cannot
// block, the job runs here and now.
func (c *conn) submit(l *lane, j *job) {
	j.lane, j.fresh = l, true
	c.mu.Lock()
	l.pushLocked(j)
	c.tags[j.tag] = j
	inPlace := l.stream && l.state == idle
	if !inPlace {
		if err := c.admitLocked(j); err != nil {
			j.cancel, j.err = refused, err
			l.removeLocked(j)
			c.dropLocked(j)
			c.mu.Unlock()
			return
		}
	}
	start := l.state == idle
	if start {
		l.state = running
	}
	c.mu.Unlock()
	switch {
	case inPlace:
		c.run(l)
	case start:
		// Ends when the lane is empty; reset waits for that by waiting
		// for the fid to be closed.
		go c.run(l)
	}
}

// admitLocked lets a job wait, if the limits do, and sees to it that its data
// will still be there.
func (c *conn) admitLocked(j *job) error {
	j.fresh = false
	if len(c.tags) > c.lim.Requests {
		return fmt.Errorf("too many requests wait (%d): %w", c.lim.Requests, tree.ErrLimit)
	}
	n := len(j.data.Data)
	if n == 0 {
		return nil
	}
	if c.kept+n > c.lim.Kept {
		return fmt.Errorf("too many bytes wait to be written (%d): %w", c.kept, tree.ErrLimit)
	}
	c.kept += n
	j.kept = n
	if j.borrowed {
		j.data.Data = bytes.Clone(j.data.Data)
		j.borrowed = false
	}
	return nil
}

// run runs a lane until it is empty or its head waits. The caller has set the
// lane's state to running, and does not hold conn.mu.
func (c *conn) run(l *lane) {
	defer func() {
		// The only panics are those of the handle, which is called with
		// no lock held.
		if v := recover(); v != nil {
			c.panicked(v)
			c.abandon(l)
		}
	}()
	c.mu.Lock()
	for {
		j := l.head
		switch {
		case j == nil:
			l.state = idle
			retired := l.fid.retired
			c.mu.Unlock()
			if retired {
				c.closeIfIdle(l.fid)
				c.kick()
			}
			return
		case j.cancel != wanted:
			if l.waits {
				c.withdraw(l)
			}
			l.removeLocked(j)
			c.dropLocked(j)
			continue
		case !l.writes && c.out.fullLocked(c.lim.Replies):
			l.state = stalled
			c.out.stalled = append(c.out.stalled, l)
			c.mu.Unlock()
			return
		}
		l.woken = false
		wake := c.wakeLocked(l)
		c.mu.Unlock()

		n, ready, err := c.try(l, j, wake)

		c.mu.Lock()
		if ready || err != nil {
			l.removeLocked(j)
			copied := c.finishLocked(j, n, err)
			kick := !l.stream || c.out.bytes >= kickBytes
			c.mu.Unlock()
			l.dropPieces(copied)
			if kick {
				c.kick()
			}
			c.mu.Lock()
			continue
		}
		l.waits = !l.woken
		if j.fresh && j.cancel == wanted {
			if err := c.admitLocked(j); err != nil {
				j.cancel, j.err = refused, err
			}
		}
		if l.waits && j.cancel == wanted {
			l.state = parked
			c.mu.Unlock()
			return
		}
	}
}

// try calls the handle for the job at the head of a lane. For a read, what it
// was given is in l.pieces.
func (c *conn) try(l *lane, j *job, wake func()) (n int, ready bool, err error) {
	if l.writes {
		return c.tryWrite(l.fid.handle, j, wake)
	}
	if j.count == 0 {
		return 0, true, nil
	}
	switch h := l.fid.handle.(type) {
	case tree.StreamReader:
		l.pieces, ready, err = h.ReadStream(l.pieces[:0], j.off, j.count, wake)
		for _, p := range l.pieces {
			n += len(p.Data)
		}
	case tree.Reader:
		ready = true
		b := c.srv.pool.get(j.count)
		n, err = h.ReadAt(b.data, j.off)
		if n > 0 || errors.Is(err, io.EOF) {
			err = nil // bytes taken are bytes returned
		}
		if n > 0 && n <= j.count {
			l.pieces = append(l.pieces[:0], tree.Piece{Data: b.data[:n], Owner: b})
		} else {
			b.Free()
		}
	}
	if n < 0 || n > j.count {
		panic(fmt.Sprintf("%T returned %d bytes of %d", l.fid.handle, n, j.count))
	}
	return n, ready, err
}

func (c *conn) tryWrite(h tree.Handle, j *job, wake func()) (n int, ready bool, err error) {
	size := len(j.data.Data)
	switch h := h.(type) {
	case tree.StreamWriter:
		n, ready, err = h.WriteStream(j.data, j.off, wake)
		if ready && err == nil {
			j.data = tree.Piece{} // it is the stream's now
		}
	case tree.Writer:
		ready = true
		n, err = h.WriteAt(j.data.Data, j.off)
		if n > 0 {
			err = nil // a short write, and the client learns why by the next one
		}
	}
	if n < 0 || n > size {
		panic(fmt.Sprintf("%T took %d bytes of %d", h, n, size))
	}
	if ready && err == nil && n == 0 && size > 0 {
		// An Rwrite of nothing makes clients try for ever.
		err = errNothingDone
	}
	return n, ready, err
}

// wakeLocked returns what the handle has to call when an attempt is worth
// repeating.
func (c *conn) wakeLocked(l *lane) func() {
	if !l.stream {
		return nil
	}
	if l.wake == nil {
		gen := l.gen
		l.wake = func() { c.wake(l, gen) }
	}
	return l.wake
}

// wake tries a lane's head again. It runs in the goroutine of whoever changed
// the stream.
func (c *conn) wake(l *lane, gen uint64) {
	c.mu.Lock()
	if gen != l.gen || l.state != parked {
		if gen == l.gen {
			l.woken = true // whoever runs the lane sees it
		}
		c.mu.Unlock()
		return
	}
	l.waits = false
	l.state = running
	c.mu.Unlock()
	c.run(l)
	c.kick()
}

// withdraw takes back the wait of a lane's head. The caller is the runner and
// holds conn.mu, which is released while the handle is called.
func (c *conn) withdraw(l *lane) {
	l.waits = false
	l.gen++
	l.wake = nil
	c.mu.Unlock()
	if l.writes {
		l.fid.handle.(tree.StreamWriter).CancelWrite()
	} else {
		l.fid.handle.(tree.StreamReader).CancelRead()
	}
	c.mu.Lock()
}

// abandon ends a lane whose handle panicked: nothing of it is answered, for
// the connection ends with it.
func (c *conn) abandon(l *lane) {
	c.mu.Lock()
	for l.head != nil {
		j := l.head
		j.cancel = aborted
		l.removeLocked(j)
		c.dropLocked(j)
	}
	l.waits = false
	l.gen++
	l.state = idle
	c.mu.Unlock()
	c.closeIfIdle(l.fid)
}

// cancelLocked cancels all jobs of a lane. It reports whether the caller has
// to run the lane, to withdraw the wait of its head.
func (c *conn) cancelLocked(l *lane, why cancel) (run bool) {
	if l.head == nil {
		return false
	}
	head, rest := l.head, l.head.next
	if l.state == stalled {
		rest = head // it is not with the handle either
	}
	for j := rest; j != nil; j = rest {
		rest = j.next
		j.cancel = why
		l.removeLocked(j)
		c.dropLocked(j)
	}
	switch l.state {
	case stalled:
		l.state = idle
	case running:
		head.cancel = max(head.cancel, why)
	case parked:
		head.cancel = why
		l.state = running
		return true
	}
	return false
}

// flush serves Tflush. The reply to a job that took effect comes before the
// Rflush, never after it (flush(5)).
func (c *conn) flush(tag, oldtag uint16) {
	c.mu.Lock()
	j := c.tags[oldtag]
	if j == nil {
		c.shortReplyLocked(wire.Rflush, tag, 0)
		c.mu.Unlock()
		return
	}
	l := j.lane
	j.flushes = append(j.flushes, tag)
	c.tags[tag] = j
	switch {
	case l == nil:
		// A Tclunk is not taken back; it will be answered soon.
	case j == l.head && l.state == running:
		// Its runner decides, when it knows whether bytes were taken.
		j.cancel = max(j.cancel, flushed)
	case j == l.head && l.state == parked:
		j.cancel = flushed
		l.state = running
		c.mu.Unlock()
		c.run(l)
		return
	default:
		// Behind others, or stalled: nothing has been done for it.
		j.cancel = flushed
		l.removeLocked(j)
		c.dropLocked(j)
		if l.head == nil {
			l.state = idle
		}
	}
	c.mu.Unlock()
}

// dropLocked answers a job that was not done, as its cancel says. The job is
// in no lane any more.
func (c *conn) dropLocked(j *job) {
	switch j.cancel {
	case clunked:
		c.errorLocked(j.tag, errClunked, j.lane.fid)
	case refused:
		c.errorLocked(j.tag, j.err, j.lane.fid)
	}
	c.settleLocked(j)
}

// finishLocked answers a job that was done, which is in no lane any more. It
// reports whether the lane's pieces are no longer needed for the reply.
func (c *conn) finishLocked(j *job, n int, err error) (copied bool) {
	copied = true
	switch {
	case j.cancel == aborted:
	case err != nil:
		c.errorLocked(j.tag, err, j.lane.fid)
	case j.lane.writes:
		c.shortReplyLocked(wire.Rwrite, j.tag, n)
	default:
		j.lane.fid.noteLocked(j, n)
		copied = c.readReplyLocked(j.tag, j.lane.pieces, n)
	}
	c.settleLocked(j)
	return copied
}

// settleLocked forgets a job that has been answered, after it has answered
// the flushes that waited for that.
func (c *conn) settleLocked(j *job) {
	delete(c.tags, j.tag)
	for _, tag := range j.flushes {
		if j.cancel != aborted {
			c.shortReplyLocked(wire.Rflush, tag, 0)
		}
		delete(c.tags, tag)
	}
	c.kept -= j.kept
	data := j.data
	*j = job{flushes: j.flushes[:0]}
	if c.nspare < spareJobs {
		j.next, c.spare = c.spare, j
		c.nspare++
	}
	if data.Owner != nil {
		data.Free() // one of our own buffers: it went to no stream
	}
}

// newJob returns an empty job.
func (c *conn) newJob() *job {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.spare
	if j == nil {
		return new(job)
	}
	c.spare, j.next = j.next, nil
	c.nspare--
	return j
}

// dropPieces forgets what a read was given, and frees it if it was copied, or
// not wanted.
func (l *lane) dropPieces(free bool) {
	if free {
		for _, p := range l.pieces {
			p.Free()
		}
	}
	clear(l.pieces)
	if cap(l.pieces) > 64 {
		l.pieces = nil
	}
	l.pieces = l.pieces[:0]
}
