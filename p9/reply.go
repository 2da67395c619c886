package p9

import (
	"hubfs/internal/wire"
	"hubfs/tree"
)

const (
	// copyBelow is up to how many bytes the data of an Rread is copied to lie
	// beside its header: a segment more costs more than the copy.
	copyBelow = 32 << 10
	// kickBytes is with how many bytes queued one stops to collect more.
	kickBytes = 64 << 10
	// keepBatch is the largest buffer of small replies that is used again.
	keepBatch = 128 << 10
)

// A queue holds the replies of a connection in the order in which they were
// made. It is guarded by conn.mu.
//
// Whoever sets writing writes to the connection, alone and with no lock held,
// and goes on until the queue is empty or hands that duty on. The goroutine
// that made a reply tries to write it itself, if it can do so without
// waiting: that saves a keystroke's echo the way through the scheduler.
type queue struct {
	batch   *batch // nil: empty
	bytes   int    // of replies, queued or being written
	back    int    // of our own requests, likewise
	writing bool
	dead    bool          // nothing is queued any more
	stalled []*lane       // to be run when bytes has come down
	room    chan struct{} // closed then, or when back has, if somebody waits for it
	written chan struct{} // closed when writing ends, if the end waits for it
}

// fullLocked reports whether the peer has to take replies before it is given
// more to do.
func (q *queue) fullLocked(limit int) bool { return q.bytes >= limit && !q.dead }

// roomLocked returns a channel that is closed when there may be room.
func (q *queue) roomLocked() <-chan struct{} {
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

func (q *queue) takeLocked() *batch {
	b := q.batch
	q.batch = nil
	return b
}

// A batch is what is written at once: bytes in buf, and between them pieces
// that lie elsewhere.
type batch struct {
	buf  []byte
	cuts []cut
	size int // of all replies in it
	back int // of all requests in it

	account *account // to which the replies are charged; nil: to none
	charged int
}

// A cut is a piece that follows the first end bytes of a batch's buf.
type cut struct {
	end   int
	piece tree.Piece
}

// segments appends the batch to vec, in order.
func (b *batch) segments(vec [][]byte) [][]byte {
	at := 0
	for _, c := range b.cuts {
		if at < c.end {
			vec = append(vec, b.buf[at:c.end])
			at = c.end
		}
		vec = append(vec, c.piece.Data)
	}
	if at < len(b.buf) {
		vec = append(vec, b.buf[at:])
	}
	return vec
}

// free gives back what the batch holds, and makes it an empty one.
func (b *batch) free() {
	for _, c := range b.cuts {
		c.piece.Free()
	}
	clear(b.cuts)
	b.cuts = b.cuts[:0]
	b.buf = b.buf[:0]
	b.size, b.back = 0, 0
	b.account.credit(b.charged)
	b.account, b.charged = nil, 0
}

// batchLocked returns the batch that is being collected.
func (c *conn) batchLocked() *batch {
	if c.out.batch == nil {
		b, ok := c.srv.batches.Get().(*batch)
		if !ok {
			b = new(batch)
		}
		c.out.batch = b
	}
	return c.out.batch
}

// reply queues a reply.
func (c *conn) reply(m *wire.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replyLocked(m)
}

func (c *conn) replyLocked(m *wire.Msg) {
	if c.out.dead {
		return
	}
	b := c.batchLocked()
	start := len(b.buf)
	buf, err := wire.Append(b.buf, m)
	if err == nil && len(buf)-start > int(c.msize) {
		err = errReplySize
	}
	if err != nil {
		m = &wire.Msg{Type: wire.Rerror, Tag: m.Tag, Ename: ename(err, false)}
		buf, _ = wire.Append(buf[:start], m) // an Rerror never fails
	}
	c.trace("<- ", m)
	b.buf = buf
	c.queuedLocked(b, len(buf)-start)
}

// queuedLocked counts the bytes of a reply.
func (c *conn) queuedLocked(b *batch, n int) {
	b.size += n
	c.out.bytes += n
	if c.account != nil {
		b.account = c.account
		b.charged += c.account.charge(n)
	}
}

// shortReplyLocked queues a reply that has no more than a count. It needs no
// Msg of its own, for these are as frequent as reads and writes.
func (c *conn) shortReplyLocked(t wire.Type, tag uint16, count int) {
	c.short = wire.Msg{Type: t, Tag: tag, Count: uint32(count)}
	c.replyLocked(&c.short)
}

// readReplyLocked queues an Rread of n bytes of f. It reports whether it has copied
// them; if not, the pieces are the queue's now.
func (c *conn) readReplyLocked(f *fid, tag uint16, pieces []tree.Piece, n int) (copied bool) {
	if c.out.dead {
		return true
	}
	if c.srv.Trace != nil {
		m := wire.Msg{Type: wire.Rread, Tag: tag}
		for _, p := range pieces {
			m.Data = append(m.Data, p.Data...)
		}
		if f.secret() {
			m.Data = hidden(n)
		}
		c.trace("<- ", &m)
	}
	b := c.batchLocked()
	b.buf = wire.AppendRreadHeader(b.buf, tag, n)
	c.queuedLocked(b, wire.RreadHeaderSize+n)
	if n < copyBelow {
		for _, p := range pieces {
			b.buf = append(b.buf, p.Data...)
		}
		return true
	}
	for _, p := range pieces {
		b.cuts = append(b.cuts, cut{end: len(b.buf), piece: p})
	}
	return false
}

// error queues an Rerror; f is the fid it is about, or nil.
func (c *conn) error(tag uint16, err error, f *fid) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errorLocked(tag, err, f)
}

func (c *conn) errorLocked(tag uint16, err error, f *fid) {
	c.replyLocked(&wire.Msg{Type: wire.Rerror, Tag: tag, Ename: ename(err, f != nil && f.v9fs)})
}
