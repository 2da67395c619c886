package client

import (
	"context"
	"fmt"

	"hubfs/internal/wire"
)

// A call is one request and its answer.
//
// It belongs to whoever made it until it is sent, then to the Conn until it is
// finished, and then to its maker again. While the Conn has it, its slot in
// the table of tags points to it; who takes it out there, under mu, finishes
// it, and nobody else does.
type call struct {
	m    wire.Msg // the request, and when finished without an error the reply
	want wire.Type
	tag  uint16 // written under Conn.mu; m is the receiving goroutine's by the time it is looked at
	most int    // how many bytes, or steps of a walk, the reply may speak of
	fid  uint32 // of Tclunk and Tremove: free when they are answered
	file *File  // not to be sent if it has been closed; nil: no matter

	// Where the bytes of an Rread go: to dst, or if that is nil to buf, made
	// as large as needed. dst is guarded by Conn.mu while the Conn has the
	// call; data is what was read.
	dst, buf, data []byte

	pipe    *PipeWriter // whom to tell instead of done
	off     int64       // for pipe: where the write began
	unheard bool        // nobody waits

	err    error         // why there is no reply
	done   chan struct{} // of capacity 1: gets a value when the call is finished
	joined bool          // the value was received; the maker's
}

// A slot is what the table knows of a tag.
type slot struct {
	call     *call // who waits for a reply under this tag
	flushing bool  // a Tflush of this tag is under way, until when it stays taken
}

// newCall returns a call for a request of type t. It is given back with
// freeCall, or forgotten.
func (c *Conn) newCall(t wire.Type) *call {
	cl := c.pool.Get().(*call)
	cl.m.Type = t
	cl.want = t + 1
	return cl
}

// freeCall takes back a finished call that was waited for.
func (c *Conn) freeCall(cl *call) {
	*cl = call{done: cl.done, buf: cl.buf}
	c.pool.Put(cl)
}

// send sends the requests, back to back. Whatever happens, each call will be
// finished: with its reply, or with the reason why there is none. If ctx is
// done before it is its turn, nothing is sent.
func (c *Conn) send(ctx context.Context, calls ...*call) {
	if err := c.take(ctx); err != nil {
		for _, cl := range calls {
			cl.finish(err)
		}
		return
	}
	defer c.release()
	err := c.reserve(calls)
	if err == nil {
		if err = c.encode(calls); err == nil {
			err = c.register(calls)
		} else {
			c.giveBack(calls)
		}
	}
	if err != nil {
		for _, cl := range calls {
			cl.finish(err)
		}
		return
	}
	// From here on a call may be finished at any moment: hands off.
	if err := c.write(); err != nil {
		c.fail(err)
	}
}

// take waits for the turn to write.
func (c *Conn) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Conn) release() { <-c.turn }

// maxCalls is how many calls may wait at a time: half of the tags that there
// are, so that each can still be flushed.
const maxCalls = int(wire.NoTag) / 2

// reserve gives each call a tag, under which nothing is expected yet: a server
// that answers what it has not been asked must not get at a call that is being
// laid out.
func (c *Conn) reserve(calls []*call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if n := len(c.slots) - len(c.tags); n+len(calls) > maxCalls && calls[0].want != wire.Rflush {
		return errTags
	}
	for _, cl := range calls {
		if cl.file != nil && cl.file.closed {
			return errClosed // its fid may be another file's by now
		}
	}
	for _, cl := range calls {
		if n := len(c.tags); n > 0 {
			cl.tag = c.tags[n-1]
			c.tags = c.tags[:n-1]
		} else {
			cl.tag = uint16(len(c.slots))
			c.slots = append(c.slots, slot{})
		}
		cl.m.Tag = cl.tag
		if cl.file != nil && (cl.m.Type == wire.Tclunk || cl.m.Type == wire.Tremove) {
			cl.file.closed = true
		}
	}
	return nil
}

// register lets the replies find the calls.
func (c *Conn) register(calls []*call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for _, cl := range calls {
		c.slots[cl.tag].call = cl
	}
	return nil
}

// giveBack gives back the tags of calls that will not be sent.
func (c *Conn) giveBack(calls []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return // there are no tags any more
	}
	for _, cl := range calls {
		c.tags = append(c.tags, cl.tag)
	}
}

// pendingLocked reports whether the Conn has the call.
func (c *Conn) pendingLocked(cl *call) bool {
	return int(cl.tag) < len(c.slots) && c.slots[cl.tag].call == cl
}

// vectored is how many bytes a Twrite must have for its data to be written
// from where they lie; below, copying them beside the header costs less.
const vectored = 8 << 10

// encode lays out the calls in wbuf, or in vec.
func (c *Conn) encode(calls []*call) (err error) {
	c.wbuf, c.vec[1] = c.wbuf[:0], nil
	for _, cl := range calls {
		start := len(c.wbuf)
		m := &cl.m
		switch {
		case m.Type == wire.Twrite && c.fd != nil && len(calls) == 1 && len(m.Data) >= vectored:
			c.wbuf = wire.AppendTwriteHeader(c.wbuf, m.Tag, m.Fid, m.Offset, len(m.Data))
			c.vec[1] = m.Data
		default:
			if c.wbuf, err = wire.Append(c.wbuf, m); err != nil {
				return err
			}
		}
		if size := len(c.wbuf) - start; size > int(c.msize) {
			return fmt.Errorf("%v of %d bytes is longer than the server takes (%d)", m.Type, size, c.msize)
		}
	}
	return nil
}

// write writes what encode has laid out.
func (c *Conn) write() error {
	if c.pulse != nil {
		c.pulse.sent.Store(true)
	}
	switch {
	case c.vec[1] != nil:
	case c.fd != nil:
		_, err := c.fd.Write(c.wbuf)
		return err
	default:
		_, err := c.rwc.Write(c.wbuf)
		return err
	}
	c.vec[0] = c.wbuf
	c.bufs = c.vec[:]
	_, err := c.bufs.WriteTo(c.rwc)
	c.vec[1] = nil
	return err
}

// finish ends the call: with an error, or with the reply that is in it.
func (cl *call) finish(err error) {
	if err != nil {
		cl.err = err
	}
	switch {
	case cl.pipe != nil:
		cl.pipe.written(cl)
	case !cl.unheard:
		cl.done <- struct{}{}
	}
}

// wait waits for the call to be finished, or for ctx.
func (cl *call) wait(ctx context.Context) (finished bool) {
	if cl.joined {
		return true
	}
	select {
	case <-cl.done:
		cl.joined = true
	case <-ctx.Done():
		select {
		case <-cl.done: // both: the answer counts
			cl.joined = true
		default:
		}
	}
	return cl.joined
}

// join waits for the call to be finished.
func (cl *call) join() { cl.wait(context.Background()) }

// disown says that the caller of a read goes away and takes its buffer along.
// It reports whether the call is still under way; if not, the reply has begun to
// come, and its bytes are put into the buffer.
func (c *Conn) disown(cl *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pendingLocked(cl) {
		return false
	}
	cl.dst = nil
	return true
}

// flush asks the server to forget the calls, of which some may be finished. It
// does not wait: each will be finished, with its reply or with errFlushed.
//
// The last goes first. A stream that has taken no longer takes the third of
// three writes must not take it after the first was forgotten.
func (c *Conn) flush(calls ...*call) {
	flushes := make([]*call, 0, len(calls))
	c.mu.Lock()
	for i := len(calls) - 1; i >= 0; i-- {
		cl := calls[i]
		if cl.joined || !c.pendingLocked(cl) || c.slots[cl.tag].flushing {
			continue
		}
		c.slots[cl.tag].flushing = true
		fl := c.newCall(wire.Tflush)
		fl.m.Oldtag = cl.tag
		fl.unheard = true
		flushes = append(flushes, fl)
	}
	c.mu.Unlock()
	if len(flushes) > 0 {
		c.send(context.Background(), flushes...)
	}
}

// abandon sees calls to their end after their caller has gone: it flushes them
// and calls then when all are finished.
func (c *Conn) abandon(then func(), calls ...*call) {
	tidy := func() {
		c.flush(calls...)
		for _, cl := range calls {
			cl.join()
		}
		then()
	}
	c.mu.Lock()
	alive := c.err == nil
	if alive {
		// Until the server has answered, or the connection ends; Close waits.
		c.work.Go(tidy)
	}
	c.mu.Unlock()
	if !alive {
		tidy() // all are finished or about to be
	}
}
