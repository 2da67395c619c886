package client

import (
	"context"
	"fmt"
	"io"
	"sync"

	"hubfs/internal/wire"
)

// A File is one open of one file. It has one offset, at which sequential
// reads and writes take place and which they move; servers of streams ignore
// it.
//
// A File is a Source and a Sink as package pipes has them.
type File struct {
	c    *Conn
	path string // as it was asked for, for errors
	fid  uint32
	qid  wire.Qid
	unit int // most bytes of one Tread or Twrite

	closed bool // guarded by c.mu: no request may name the fid any more

	reading chan struct{} // who put a value in may read in sequence
	writing chan struct{} // likewise for writing

	mu     sync.Mutex
	offset uint64
	kept   [][]byte      // guarded by mu: what was read for callers who had gone; empty: an end of file
	tidy   chan struct{} // guarded by mu: closed when reads that were given up are accounted for; nil: there are none
	whole  int           // guarded by mu: as many bytes the server has taken of one Twrite
}

func (c *Conn) newFile(path string, fid uint32, qid wire.Qid, iounit uint32) *File {
	unit := int(c.msize) - wire.IOHDRSZ
	if iounit > 0 && int64(iounit) < int64(unit) {
		unit = int(iounit)
	}
	return &File{
		c: c, path: path, fid: fid, qid: qid, unit: unit,
		reading: make(chan struct{}, 1),
		writing: make(chan struct{}, 1),
	}
}

// Path returns the path with which the file was opened.
func (f *File) Path() string { return f.path }

// QidPath returns the server's number for the file: as long as the server runs
// no other file has it, if the server is as 9P wants it.
func (f *File) QidPath() uint64 { return f.qid.Path }

// Unit returns how many bytes fit into one message: a write of no more than
// these goes whole.
func (f *File) Unit() int { return f.unit }

// Offset returns the offset of the next sequential read or write.
func (f *File) Offset() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(f.offset)
}

// SetOffset sets the offset of the next sequential read or write. Bytes that
// were kept for a read are forgotten.
func (f *File) SetOffset(off int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset, f.kept = uint64(off), nil
}

// Stat describes the file.
func (f *File) Stat(ctx context.Context) (Info, error) {
	cl := f.newCall(wire.Tstat)
	f.c.send(ctx, cl)
	if !cl.wait(ctx) {
		f.c.abandon(func() {}, cl)
		return Info{}, ctx.Err()
	}
	if cl.err != nil {
		return Info{}, f.fail("stat", cl.err)
	}
	return infoOf(&cl.m.Stat), nil
}

// Close gives the file up and waits for the server to say so, or for the
// connection to end. Calls that wait for the file end with an error.
func (f *File) Close() error { return f.close(context.Background()) }

func (f *File) close(ctx context.Context) error { return f.dispose(ctx, wire.Tclunk, "close") }

// Remove removes the very file that is open, whatever has its name by now, and
// gives it up as Close does, also when it fails (remove(5)).
func (f *File) Remove(ctx context.Context) error { return f.dispose(ctx, wire.Tremove, "remove") }

// dispose sends a request that frees the fid.
func (f *File) dispose(ctx context.Context, t wire.Type, op string) error {
	cl := f.newCall(t)
	cl.fid = f.fid
	f.c.send(ctx, cl)
	if !cl.wait(ctx) {
		return ctx.Err() // the fid is free when the answer comes
	}
	if err := ctx.Err(); err != nil && cl.err == err {
		f.c.abandon(f.leave) // it was not sent
		return err
	}
	return f.fail(op, cl.err)
}

// leave gives the file up and does not wait.
func (f *File) leave() {
	cl := f.newCall(wire.Tclunk)
	cl.fid = f.fid
	cl.unheard = true
	f.c.send(context.Background(), cl)
}

// newCall returns a call for a request on the file, which will not be sent
// after the file was closed.
func (f *File) newCall(t wire.Type) *call {
	cl := f.c.newCall(t)
	cl.m.Fid, cl.file = f.fid, f
	return cl
}

// fail says what failed with the file.
func (f *File) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, f.path, err)
}

// take waits for one's turn to read or to write.
func take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ReadContext reads at most len(p) bytes at the file's offset. It waits for
// the first byte and returns with what there is: n > 0 or an error, never
// both. The error at an end of file is io.EOF; of a stream, more may follow.
//
// If ctx ends the wait, bytes that the server had taken from a stream all the
// same are returned by the next read.
func (f *File) ReadContext(ctx context.Context, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := take(ctx, f.reading); err != nil {
		return 0, err
	}
	defer func() { <-f.reading }()
	if kept, ok, err := f.takeKept(ctx, len(p)); ok || err != nil {
		f.advance(len(kept))
		return copy(p, kept), err
	}
	cl := f.newRead(uint64(f.Offset()), p)
	f.c.send(ctx, cl)
	if !cl.wait(ctx) {
		if f.c.disown(cl) {
			f.keep(nil, cl)
			return 0, ctx.Err()
		}
		cl.join()
	}
	n, err := len(cl.data), cl.err
	f.c.freeCall(cl)
	if err != nil {
		return 0, f.readError(err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	f.advance(n)
	return n, nil
}

// ReadAtContext reads at most len(p) bytes at off, in one request, and leaves
// the file's offset alone. It is for files whose bytes have a place: what it
// has taken from a stream when ctx ends the wait is gone.
func (f *File) ReadAtContext(ctx context.Context, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	cl := f.newRead(uint64(off), p)
	f.c.send(ctx, cl)
	if !cl.wait(ctx) {
		if f.c.disown(cl) {
			f.c.abandon(func() {}, cl)
			return 0, ctx.Err()
		}
		cl.join()
	}
	n, err := len(cl.data), cl.err
	f.c.freeCall(cl)
	if err != nil {
		return 0, f.readError(err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// newRead returns a Tread of as much of p as one may ask for.
func (f *File) newRead(off uint64, p []byte) *call {
	cl := f.newCall(wire.Tread)
	cl.dst = p[:min(len(p), f.unit)]
	cl.most = len(cl.dst)
	cl.m.Offset, cl.m.Count = off, uint32(cl.most)
	return cl
}

// readError is a read's error: ctx's own as it is, for io wants it so.
func (f *File) readError(err error) error {
	if err == context.Canceled || err == context.DeadlineExceeded {
		return err
	}
	return f.fail("read", err)
}

func (f *File) advance(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offset += uint64(n)
}

// takeKept returns at most max bytes of what was kept of reads that were given
// up, if anything: ok. It waits until it is known what there is. An end of file
// that was kept is an error.
func (f *File) takeKept(ctx context.Context, max int) (p []byte, ok bool, err error) {
	if err := f.tidied(ctx); err != nil {
		return nil, false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.kept) == 0 {
		return nil, false, nil
	}
	first := f.kept[0]
	if len(first) > max {
		f.kept[0] = first[max:]
		return first[:max], true, nil
	}
	f.kept = f.kept[1:]
	if len(first) == 0 {
		return nil, true, io.EOF
	}
	return first, true, nil
}

// tidied waits until reads that were given up are accounted for.
func (f *File) tidied(ctx context.Context) error {
	f.mu.Lock()
	tidy := f.tidy
	f.mu.Unlock()
	if tidy == nil {
		return nil
	}
	select {
	case <-tidy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keep sees reads to their end that nobody waits for any more, and keeps what
// they bring, in their order and behind rest. The caller has the turn to read.
func (f *File) keep(rest []byte, reads ...*call) {
	tidy := make(chan struct{})
	f.mu.Lock()
	f.tidy = tidy
	if len(rest) > 0 {
		f.kept = append(f.kept, rest)
	}
	f.mu.Unlock()
	f.c.abandon(func() {
		f.mu.Lock()
		for _, cl := range reads {
			if cl.err == nil {
				f.kept = append(f.kept, cl.data)
			}
		}
		f.tidy = nil
		f.mu.Unlock()
		close(tidy)
	}, reads...)
}
