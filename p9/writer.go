package p9

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"hubfs/internal/fdio"
)

// A writer writes batches to the connection. It is used by whoever holds
// queue.writing.
type writer struct {
	rwc   io.ReadWriteCloser
	fd    *fdio.File                                     // of rwc, if it is a plain socket, which takes many segments at once; nil: cannot try without waiting
	limit interface{ SetWriteDeadline(time.Time) error } // nil: waits for ever
	stall time.Duration

	vec  [][]byte // reused; the segments of a batch
	rest [][]byte // those of vec that are not written yet
	pool *pool    // of buffers in which small segments are put together
}

// record is what TLS encrypts and writes at once: a Write of a multiple leaves
// none of them half empty. Segments that are shorter are put together for one
// Write, where the connection takes no segments, and a peer that reads nothing
// holds as much.
const record = 16 << 10

func newWriter(rwc io.ReadWriteCloser, fd *fdio.File, stall time.Duration, p *pool) *writer {
	w := &writer{rwc: rwc, fd: fd, stall: stall, pool: p}
	if stall > 0 {
		w.limit, _ = rwc.(interface{ SetWriteDeadline(time.Time) error })
	}
	return w
}

func (w *writer) load(b *batch) {
	w.vec = b.segments(w.vec[:0])
	w.rest = w.vec
}

func (w *writer) unload() {
	clear(w.vec[:cap(w.vec)]) // keep nothing alive
	w.rest = nil
}

// try writes as much as it can without waiting, and reports whether that was
// all.
func (w *writer) try() (done bool, err error) {
	if w.fd == nil {
		return false, nil
	}
	n, err := w.fd.TryWritev(w.rest)
	w.rest = advance(w.rest, n)
	return len(w.rest) == 0, err
}

// advance drops the first n bytes of vec.
func advance(vec [][]byte, n int) [][]byte {
	for len(vec) > 0 && n >= len(vec[0]) {
		n -= len(vec[0])
		vec = vec[1:]
	}
	if n > 0 {
		vec[0] = vec[0][n:]
	}
	return vec
}

// write writes what is left, and waits for that.
func (w *writer) write() error {
	if w.limit != nil {
		w.limit.SetWriteDeadline(time.Now().Add(w.stall))
		defer w.limit.SetWriteDeadline(time.Time{}) // or try would fail when it has passed
	}
	if w.fd != nil {
		bufs := net.Buffers(w.rest)
		_, err := bufs.WriteTo(w.rwc)
		return err
	}
	return w.writeFlat()
}

// writeFlat writes what is left to a connection that takes one piece at a time:
// in one Write if it is little, else in such that fill its records. Of a long
// segment only the ends are copied.
func (w *writer) writeFlat() error {
	if len(w.rest) == 1 {
		_, err := w.rwc.Write(w.rest[0])
		return err
	}
	buf := w.pool.get(record)
	defer buf.Free()
	for len(w.rest) > 0 {
		n := 0
		for len(w.rest) > 0 && n < record {
			m := copy(buf.data[n:], w.rest[0])
			n += m
			w.rest = advance(w.rest, m)
		}
		if _, err := w.rwc.Write(buf.data[:n]); err != nil {
			return err
		}
		if len(w.rest) > 0 && len(w.rest[0]) >= record {
			whole := w.rest[0][:len(w.rest[0])/record*record]
			if _, err := w.rwc.Write(whole); err != nil {
				return err
			}
			w.rest = advance(w.rest, len(whole))
		}
	}
	return nil
}

// kick has the queue written, unless somebody is at it.
func (c *conn) kick() {
	c.mu.Lock()
	if c.out.writing || c.out.batch == nil {
		c.mu.Unlock()
		return
	}
	c.out.writing = true
	b := c.out.takeLocked()
	c.mu.Unlock()

	c.w.load(b)
	if done, err := c.w.try(); done || err != nil {
		b = c.wrote(b, err)
		if b == nil {
			return
		}
		c.w.load(b)
	}
	// Ends when the queue is empty, or after an error; end waits for it.
	go c.writeOut(b)
}

// writeOut writes b, which is loaded, and the queue behind it.
func (c *conn) writeOut(b *batch) {
	for {
		b = c.wrote(b, c.w.write())
		if b == nil {
			return
		}
		c.w.load(b)
	}
}

// wrote does the books after b was written, or could not be. It returns what
// is to be written next; if that is nil, somebody else may write.
func (c *conn) wrote(b *batch, err error) (next *batch) {
	c.w.unload()
	size, back := b.size, b.back
	b.free()
	if cap(b.buf) <= keepBatch {
		c.srv.batches.Put(b)
	}
	if err != nil {
		c.kill(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.bytes -= size
	c.out.back -= back
	low := c.out.bytes <= c.repliesLocked()/2
	if c.out.room != nil && (low || back > 0) {
		close(c.out.room)
		c.out.room = nil
	}
	if low {
		stalled := c.out.stalled
		c.out.stalled = nil
		c.resume(stalled)
	}
	next = c.out.takeLocked()
	if next == nil {
		c.out.writing = false
		if c.out.written != nil {
			close(c.out.written)
			c.out.written = nil
		}
	}
	return next
}

// resume runs lanes that waited for room. The caller holds conn.mu, which is
// released meanwhile.
func (c *conn) resume(lanes []*lane) {
	for _, l := range lanes {
		if l.state == stalled {
			l.state = running
			c.mu.Unlock()
			c.run(l)
			c.mu.Lock()
		}
	}
}

// hungUp reports whether a connection's error says no more than that the peer
// is gone.
func hungUp(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrClosedPipe, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
