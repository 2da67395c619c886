package client

import (
	"encoding/binary"
	"io"

	"hubfs/internal/wire"
)

// A frames reads whole messages. It reads ahead as much as there is, so that
// many small replies cost one system call.
type frames struct {
	r    io.Reader
	buf  []byte
	have []byte // read and not yet given out: a part of buf
}

const readAhead = 64 << 10

// next returns the next message, which is valid until the call after. What a
// message says of its size is judged before memory is taken for it.
func (f *frames) next(msize uint32) ([]byte, error) {
	if err := f.fill(4); err != nil {
		return nil, err
	}
	size, err := wire.FrameSize(f.have, msize)
	if err != nil {
		return nil, broken("%w", err)
	}
	if err := f.fill(size); err != nil {
		return nil, err
	}
	frame := f.have[:size:size]
	f.have = f.have[size:]
	return frame, nil
}

// fill reads until have holds at least n bytes.
func (f *frames) fill(n int) error {
	if len(f.have) >= n {
		return nil
	}
	if len(f.buf) < n {
		// Some more than asked for, lest a stream of messages that are just
		// too large moves each one's beginning about.
		f.buf = make([]byte, max(readAhead, n+n/4))
	}
	// To the front: mostly nothing, or a few bytes of the next message.
	f.have = f.buf[:copy(f.buf, f.have)]
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
		frame, err := c.frames.next(c.msize)
		if err == nil {
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
	tag := binary.LittleEndian.Uint16(frame[5:])
	cl, err := c.claim(t, tag)
	if err != nil || cl == nil {
		return err
	}
	err = c.answer(d, cl, t, frame)
	if cl.want == wire.Rclunk || cl.want == wire.Rremove {
		// Before the caller goes on, and whatever was answered: the fid is
		// gone even after an error (clunk(5), remove(5)).
		c.freeFid(cl.fid)
	}
	if err != nil {
		cl.finish(lost(err))
		return err
	}
	cl.finish(nil)
	return nil
}

// claim takes the call that waits under the tag for a reply of type t out of
// the table. It is finished, or will be, if none is returned.
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

// answer puts the reply into the call, which nobody else looks at now.
func (c *Conn) answer(d *wire.Decoder, cl *call, t wire.Type, frame []byte) error {
	if t == wire.Rread {
		return cl.read(frame[wire.RreadHeaderSize:])
	}
	oldtag := cl.m.Oldtag
	if err := d.Decode(frame, &cl.m); err != nil {
		return broken("%w", err)
	}
	switch {
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

// read takes the bytes of an Rread.
func (cl *call) read(b []byte) error {
	if len(b) > cl.most {
		return broken("%d bytes read where %d were asked for", len(b), cl.most)
	}
	if cl.data == nil {
		if cap(cl.buf) < len(b) {
			cl.buf = make([]byte, len(b))
		}
		cl.data = cl.buf[:cap(cl.buf)]
	}
	cl.data = cl.data[:copy(cl.data, b)]
	return nil
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
