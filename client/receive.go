package client

import (
	"encoding/binary"
	"fmt"
	"io"

	"hubfs/internal/fdio"
	"hubfs/internal/wire"
)

// A frames reads messages, ahead as far as its buffer goes, so that many small
// replies cost one system call.
type frames struct {
	r    io.Reader
	buf  []byte
	have []byte // read and not yet given out: a part of buf
	both bool   // requests come, too
}

// readAhead is how much is read ahead. An Rread that is longer is read to
// where its bytes shall go, past the buffer: for large ones the copy would
// cost more than the second system call does.
const readAhead = 4 << 10

// readPast is how much is read past a long Rread: what is more would be copied.
const readPast = 512

// next returns the next message, which is valid until the call after; of a
// long Rread, or request, only the header, and then read has to be called for the
// rest.
// What a message says of its size is judged before memory is taken for it.
func (f *frames) next(msize uint32) (frame []byte, long bool, err error) {
	if err := f.fill(4); err != nil {
		return nil, false, err
	}
	size, err := wire.FrameSize(f.have, msize)
	if err != nil {
		return nil, false, broken("%w", err)
	}
	if err := f.fill(wire.HeaderSize); err != nil {
		return nil, false, err
	}
	switch {
	case size <= readAhead:
	case wire.Type(f.have[4]) == wire.Rread:
		size, long = wire.RreadHeaderSize, true
	case f.both && isRequest(f.have):
		size, long = wire.HeaderSize, true
	}
	if err := f.fill(size); err != nil {
		return nil, false, err
	}
	frame = f.have[:size:size]
	f.have = f.have[size:]
	return frame, long, nil
}

// read reads len(p) bytes.
func (f *frames) read(p []byte) error {
	n := copy(p, f.have)
	f.have = f.have[n:]
	if n == len(p) {
		return nil
	}
	// have is empty now: the beginning of the next reply may come with the end
	// of this one.
	more, err := fdio.ReadFull(f.r, p[n:], f.buf[:min(len(f.buf), readPast)])
	f.have = f.buf[:more]
	return err
}

// fill reads until have holds at least n bytes.
func (f *frames) fill(n int) error {
	if len(f.have) >= n {
		return nil
	}
	buf := f.buf
	if len(buf) < n {
		buf = make([]byte, max(readAhead, n))
	}
	f.have = buf[:copy(buf, f.have)] // to the front: a few bytes
	f.buf = buf
	for len(f.have) < n {
		m, err := f.r.Read(f.buf[len(f.have):])
		f.have = f.buf[:len(f.have)+m]
		if err != nil && len(f.have) < n {
			return err
		}
	}
	return nil
}

// receive hands the replies to their callers until the connection ends.
func (c *Conn) receive() {
	var d wire.Decoder
	for {
		frame, long, err := c.frames.next(c.msize)
		switch {
		case err != nil:
		case c.back != nil && isRequest(frame):
			err = c.asked(frame, long)
		case long:
			err = c.deliverLong(frame)
		default:
			err = c.deliver(&d, frame)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// deliver hands one reply to whoever waits for it. An error is a server that
// cannot be talked to any further.
func (c *Conn) deliver(d *wire.Decoder, frame []byte) error {
	if err := wire.CheckR(frame); err != nil {
		return broken("%w", err)
	}
	t := wire.Type(frame[4])
	cl, err := c.claim(t, binary.LittleEndian.Uint16(frame[5:]))
	if err != nil {
		return err
	}
	if t == wire.Rread {
		var dst []byte
		if dst, err = cl.room(len(frame) - wire.RreadHeaderSize); err == nil {
			copy(dst, frame[wire.RreadHeaderSize:])
		}
	} else {
		err = c.answer(d, cl, t, frame)
	}
	if cl.want == wire.Rclunk {
		// Before the caller goes on, and whatever was answered: the fid is
		// gone even after an error (clunk(5)).
		c.freeFid(cl.fid)
	}
	if err != nil {
		err = lost(err)
	}
	cl.finish(err)
	return err
}

// deliverLong hands the bytes of an Rread, of which only the header was read,
// to whoever waits for them.
func (c *Conn) deliverLong(header []byte) error {
	tag, n, err := wire.RreadHeader(header)
	if err != nil {
		return broken("%w", err)
	}
	cl, err := c.claim(wire.Rread, tag)
	if err != nil {
		return err
	}
	dst, err := cl.room(int(n))
	if err == nil {
		err = c.frames.read(dst)
	}
	if err != nil {
		err = lost(err)
	}
	cl.finish(err)
	return err
}

// claim takes the call that waits under the tag for a reply of type t out of
// the table; whoever claims a call finishes it.
func (c *Conn) claim(t wire.Type, tag uint16) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if int(tag) >= len(c.slots) || c.slots[tag].call == nil {
		return nil, broken("%v with tag %d, under which nothing waits", t, tag)
	}
	s := &c.slots[tag]
	cl := s.call
	switch {
	case t == cl.want:
	case t == wire.Rerror && cl.want != wire.Rflush: // flush(5): there is no error
	default:
		return nil, broken("%v in answer to %v", t, cl.want-1)
	}
	s.call = nil
	if !s.flushing {
		c.tags = append(c.tags, tag)
	}
	if cl.want == wire.Rread {
		cl.data = cl.dst // from now on the buffer's owner waits
	}
	return cl, nil
}

// answer puts a reply into the call, which nobody else looks at now.
func (c *Conn) answer(d *wire.Decoder, cl *call, t wire.Type, frame []byte) error {
	oldtag := cl.m.Oldtag
	if err := d.Decode(frame, &cl.m); err != nil {
		return broken("%w", err)
	}
	switch {
	case t == wire.Rerror && cl.want == wire.Rattach && cl.unheard:
		return fmt.Errorf("attach: %w", &Error{cl.m.Ename})
	case t == wire.Rerror:
		cl.err = &Error{cl.m.Ename}
	case t == wire.Rwrite && int64(cl.m.Count) > int64(cl.most):
		return broken("%d bytes of %d written", cl.m.Count, cl.most)
	case t == wire.Rwalk && len(cl.m.Wqid) > cl.most:
		return broken("%d steps of %d walked", len(cl.m.Wqid), cl.most)
	case t == wire.Rflush:
		c.flushed(oldtag)
	}
	return nil
}

// room returns where n bytes of an Rread go.
func (cl *call) room(n int) ([]byte, error) {
	if n > cl.most {
		return nil, broken("%d bytes read where %d were asked for", n, cl.most)
	}
	if cl.data == nil {
		if cap(cl.buf) < n {
			cl.buf = make([]byte, n)
		}
		cl.data = cl.buf[:cap(cl.buf)]
	}
	cl.data = cl.data[:n]
	return cl.data, nil
}

// flushed says that the server has forgotten the request with the tag, if it
// had not answered: what has not come by now does not come (flush(5)).
func (c *Conn) flushed(tag uint16) {
	c.mu.Lock()
	var cl *call
	if int(tag) < len(c.slots) { // else the connection has ended meanwhile
		s := &c.slots[tag]
		cl, s.call, s.flushing = s.call, nil, false
		c.tags = append(c.tags, tag)
	}
	c.mu.Unlock()
	if cl != nil {
		cl.finish(errFlushed)
	}
}
