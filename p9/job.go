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
	data  tree.Piece // bytes of a Twrite; empty when they are the stream's
	taken int        // bytes of a Twrite that is not done yet and that the stream has taken

	fresh    bool     // has not been tried and found to wait
	borrowed bool     // data lies in the connection's read buffer
	kept     int      // bytes of data counted in conn.kept
	charged  int      // likewise to the user's account, and for the job itself
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

// admitLocked lets a job wait, if the limits do, and sees to it that its data
// will still be there.
func (c *conn) admitLocked(j *job) error {
	j.fresh = false
	if j.taken > 0 {
		return nil // it cannot be refused any more, and costs no bytes
	}
	requests, kept := c.waitingLocked()
	if len(c.tags) > requests {
		return fmt.Errorf("too many requests wait (%d): %w", requests, tree.ErrLimit)
	}
	n := len(j.data.Data)
	if err := c.account.afford(jobCost + n); err != nil {
		return err
	}
	if c.kept+n > kept {
		return fmt.Errorf("too many bytes wait to be written (%d): %w", c.kept, tree.ErrLimit)
	}
	j.charged = c.account.charge(jobCost + n)
	if n == 0 {
		return nil
	}
	c.kept += n
	j.kept = n
	if j.borrowed {
		j.data.Data = bytes.Clone(j.data.Data)
		j.borrowed = false
	}
	return nil
}

// try calls the handle for the job at the head of a lane, for a read of most
// bytes. What that was given is in l.pieces.
func (c *conn) try(l *lane, j *job, most int, wake func()) (n int, ready bool, err error) {
	if l.writes {
		return c.tryWrite(l.fid.handle, j, wake)
	}
	if most == 0 {
		return 0, true, nil
	}
	switch h := l.fid.handle.(type) {
	case tree.StreamReader:
		l.pieces, ready, err = h.ReadStream(l.pieces[:0], j.off, most, wake)
		for _, p := range l.pieces {
			n += len(p.Data)
		}
	case tree.Reader:
		ready = true
		b := c.srv.pool.get(most)
		n, err = h.ReadAt(b.data, j.off)
		if n > 0 || errors.Is(err, io.EOF) {
			err = nil // bytes taken are bytes returned
		}
		if n > 0 && n <= most {
			l.pieces = append(l.pieces[:0], tree.Piece{Data: b.data[:n], Owner: b})
		} else {
			b.Free()
		}
	}
	if n < 0 || n > most {
		panic(fmt.Sprintf("%T returned %d bytes of %d", l.fid.handle, n, most))
	}
	return n, ready, err
}

func (c *conn) tryWrite(h tree.Handle, j *job, wake func()) (n int, ready bool, err error) {
	size := j.size()
	switch h := h.(type) {
	case tree.StreamWriter:
		n, ready, err = h.WriteStream(j.data, j.off, wake)
		if err == nil && (ready || n > 0) {
			j.data = tree.Piece{} // it is the stream's now
			j.taken = n
		}
	case tree.Writer:
		ready = true
		n, err = h.WriteAt(j.data.Data, j.off)
		if n > 0 {
			err = nil // a short write, and the client learns why by the next one
		}
	}
	checkTaken(h, n, size)
	if ready && err == nil && n == 0 && size > 0 {
		// An Rwrite of nothing makes clients try for ever.
		err = errNothingDone
	}
	return n, ready, err
}

// size returns how many bytes of a Twrite may be taken.
func (j *job) size() int {
	if j.taken > 0 {
		return j.taken
	}
	return len(j.data.Data)
}

func checkTaken(h tree.Handle, n, size int) {
	if n < 0 || n > size {
		panic(fmt.Sprintf("%T took %d bytes of %d", h, n, size))
	}
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
		copied = c.readReplyLocked(j.lane.fid, j.tag, j.lane.pieces, n)
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
	c.account.credit(j.charged)
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
