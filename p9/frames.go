package p9

import (
	"encoding/binary"
	"errors"
	"io"

	"hubfs/internal/fdio"
	"hubfs/internal/wire"
)

const (
	// beforeVersion is the largest message that a peer may send before the
	// two have agreed on a size.
	beforeVersion = 1024

	readBuffer = 4 << 10  // what a connection starts with, and goes back to
	keepBuffer = 64 << 10 // a larger one is dropped once it is empty
	ahead      = 512      // read past a large Twrite: what is more would be copied
)

// A frames cuts what a connection sends into messages. It serves the
// goroutine that reads the connection.
//
// Small messages lie in one reusable buffer. A large Twrite is seen before its
// data has been read, so that the data can be read to where it shall stay.
type frames struct {
	r      io.Reader
	before func() // called before a read that may wait
	most   uint32 // bytes of a message
	both   bool   // messages of odd types come, too, which are replies

	buf  []byte // bytes read; what next returns aliases it
	used int    // bytes at the start of buf that are done with
}

// A frame is one message: whole, or the header of a large Twrite whose data
// the caller has to fetch by readData or skip. Where replies come a large one is
// the same, its header being that of every message.
type frame struct {
	b     []byte // valid until next is called again
	large bool   // b ends before the data
}

// next returns the next message. io.EOF says that the peer hung up between
// two messages. Any other error leaves no way to go on.
func (f *frames) next() (frame, error) {
	if f.used == len(f.buf) && cap(f.buf) > keepBuffer {
		f.buf, f.used = nil, 0
	}
	if err := f.fill(4); err != nil {
		return frame{}, err
	}
	size, err := wire.FrameSize(f.buf[f.used:], f.most)
	if err != nil {
		return frame{}, err
	}
	if size >= wire.TwriteHeaderSize+largeData {
		if err := f.fill(wire.TwriteHeaderSize); err != nil {
			return frame{}, inside(err)
		}
		switch t := f.buf[f.used+4]; {
		case wire.Type(t) == wire.Twrite:
			return frame{b: f.take(wire.TwriteHeaderSize), large: true}, nil
		case f.both && t%2 == 1:
			return frame{b: f.take(wire.HeaderSize), large: true}, nil
		}
	}
	if err := f.fill(size); err != nil {
		return frame{}, inside(err)
	}
	return frame{b: f.take(size)}, nil
}

// readData reads the data of a large Twrite.
func (f *frames) readData(p []byte) error {
	n := copy(p, f.buf[f.used:])
	f.used += n
	if n == len(p) {
		return nil
	}
	f.before()
	// buf is empty now: the beginning of the next message may come with the
	// end of this one.
	f.buf, f.used = f.buf[:0], 0
	more, err := fdio.ReadFull(f.r, p[n:], f.buf[:min(cap(f.buf), ahead)])
	f.buf = f.buf[:more]
	return inside(err)
}

// skipData skips the rest of a large Twrite whose header is b: the size is
// right, so the next message can be found, whatever the rest says.
func (f *frames) skipData(b []byte) error {
	n := int64(binary.LittleEndian.Uint32(b)) - int64(len(b))
	have := min(n, int64(len(f.buf)-f.used))
	f.used += int(have)
	if n == have {
		return nil
	}
	f.before()
	_, err := io.CopyN(io.Discard, f.r, n-have)
	return inside(err)
}

func (f *frames) take(n int) []byte {
	b := f.buf[f.used : f.used+n : f.used+n]
	f.used += n
	return b
}

// fill sees to it that n bytes are there.
func (f *frames) fill(n int) error {
	have := len(f.buf) - f.used
	if have >= n {
		return nil
	}
	if f.used+n > cap(f.buf) {
		to := f.buf[:0]
		if n > cap(f.buf) {
			to = make([]byte, 0, max(n, readBuffer))
		}
		f.buf = append(to, f.buf[f.used:]...)
		f.used = 0
	} else if have == 0 {
		f.buf, f.used = f.buf[:0], 0
	}
	f.before()
	free := f.buf[len(f.buf):cap(f.buf)]
	got, err := io.ReadAtLeast(f.r, free, n-have)
	f.buf = f.buf[:len(f.buf)+got]
	if have+got > 0 && have+got < n {
		return inside(err)
	}
	return err
}

// inside says of an end of file that it came in the middle of a message.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
