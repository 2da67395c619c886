package client

import (
	"context"
	"io"
	"math"

	"hubfs/internal/wire"
)

// A Window is how much an OnwardReader asks for ahead: so many reads of so many
// bytes at most.
type Window struct {
	Reads, Bytes       int // to begin with, and at the end of the stream
	MostReads, MostOne int // at most: reads, and bytes of one
}

// An OnwardReader reads a stream whose bytes have places, as they come, with
// several reads under way. The first says its place, and those behind it that
// they go on where the one before has ended: hubfs takes the largest offset
// that there is for that. A stream is so read across any distance without a
// byte that is not proved to be the next.
//
// How much is asked for ahead follows from what happens. It grows when a read
// was answered in full, so that there is more, and we had to wait for it: the
// way is long. It is halved when as much as was asked for has been taken without
// a wait: who takes it is slow, and what it has not taken is not to be piled up
// before it. At the end of the stream it goes back to what it was at first.
//
// One goroutine at a time may use it, and nobody else may read its File.
type OnwardReader struct {
	f    *File
	base Window

	off   int64   // of the next byte that Next returns
	depth int     // reads under way
	unit  int     // bytes of one
	here  int     // how many in a row we had not to wait for
	reads []*call // waiting at the server or answered, the oldest first
	spent *call   // whose buffer Next has given out; nil: nobody's
	err   error   // ends it, but for Resume and SeekTo
}

// onward is the offset of a read that goes on where the last has ended.
const onward = math.MaxUint64

// Onward returns an OnwardReader that begins at off. With a server that is not
// known to be ordered it has one read under way.
func (f *File) Onward(off int64, w Window) *OnwardReader {
	w.Bytes = min(max(w.Bytes, 1), f.unit)
	w.MostOne = min(max(w.MostOne, w.Bytes), f.unit)
	w.Reads = f.c.depth(w.Reads)
	w.MostReads = f.c.depth(max(w.Reads, w.MostReads))
	return &OnwardReader{f: f, base: w, off: off, depth: w.Reads, unit: w.Bytes}
}

// Offset returns the place of the byte that comes next.
func (r *OnwardReader) Offset() int64 { return r.off }

// Next returns what the next read has brought, and waits for it. The bytes are
// good until the OnwardReader is used again. io.EOF is a read without bytes, as
// at an eof mark of a hub: more may follow. Any other error stays until Resume or
// SeekTo, but for that of ctx, after which the reads under way stay so.
func (r *OnwardReader) Next(ctx context.Context) ([]byte, error) {
	if r.spent != nil {
		r.f.c.freeCall(r.spent)
		r.spent = nil
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.ask()
	cl := r.reads[0]
	if r.here++; !cl.answered() {
		r.here = 0
	}
	if !cl.wait(ctx) {
		return nil, ctx.Err()
	}
	r.reads = append(r.reads[:0], r.reads[1:]...)
	if cl.err != nil {
		r.err = r.f.readError(cl.err)
		return nil, r.err
	}
	n := len(cl.data)
	r.off += int64(n)
	switch {
	case n < cl.most:
		r.depth = max(r.base.Reads, r.depth-1)
	case r.here == 0:
		r.widen()
	}
	if r.here > r.depth {
		r.narrow()
		r.here = 0
	}
	r.spent = cl
	if n == 0 {
		return nil, io.EOF
	}
	return cl.data, nil
}

// answered reports whether the call has ended.
func (cl *call) answered() bool { return cl.joined || len(cl.done) > 0 }

// widen asks for more ahead: for more reads, and when there are as many as can
// be for larger ones. Small ones let us see sooner that the taker is slow.
func (r *OnwardReader) widen() {
	if r.depth < r.base.MostReads {
		r.depth = min(2*r.depth, r.base.MostReads)
		return
	}
	r.unit = min(4*r.unit, r.base.MostOne)
}

// narrow asks for less ahead.
func (r *OnwardReader) narrow() {
	if r.unit > r.base.Bytes {
		r.unit = max(r.unit/4, r.base.Bytes)
		return
	}
	r.depth = max(r.depth/2, r.base.Reads)
}

// ask sends as many reads as are missing.
func (r *OnwardReader) ask() {
	old := len(r.reads)
	if old >= r.depth {
		return
	}
	for len(r.reads) < r.depth {
		cl := r.f.newCall(wire.Tread)
		cl.most = r.unit
		cl.m.Offset, cl.m.Count = onward, uint32(cl.most)
		if len(r.reads) == 0 {
			cl.m.Offset = uint64(r.off)
		}
		r.reads = append(r.reads, cl)
	}
	r.f.c.send(context.Background(), r.reads[old:]...)
}

// Resume goes on at off after an error that has named it, as a hub does whose
// bytes before off are not retained any more: the reads under way go on there.
// Who had to wait for such an error has asked for too little ahead.
func (r *OnwardReader) Resume(off int64) {
	r.off, r.err = off, nil
	if r.here == 0 {
		r.widen()
	}
}

// SeekTo goes on at off, after an error or not. Reads that wait are given up.
func (r *OnwardReader) SeekTo(off int64) {
	r.Close()
	r.off, r.err = off, nil
}

// Close gives up the reads under way. It does not wait for the server.
func (r *OnwardReader) Close() {
	if len(r.reads) > 0 {
		r.f.c.abandon(func() {}, r.reads...)
		r.reads = nil
	}
}
