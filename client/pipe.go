package client

import (
	"context"
	"io"
	"math"
	"sync"

	"hubfs/internal/wire"
)

// A PipeWriter writes to a File without waiting for the answers, so that a
// stream of small writes flows however far away the server is. It is a Sink.
type PipeWriter struct {
	f        *File
	depth    chan struct{}          // a value for each write under way
	answered func(off int64, n int) // may be nil

	mu    sync.Mutex
	err   error         // guarded by mu: the first
	under int           // guarded by mu: writes under way
	idle  chan struct{} // guarded by mu: closed when there are none; nil: nobody asks
}

// Writer returns a PipeWriter with at most depth writes under way, or one if
// the server is not known to be ordered. While it is in use, write to the File
// through it alone.
func (f *File) Writer(depth int) *PipeWriter {
	return &PipeWriter{f: f, depth: make(chan struct{}, f.c.depth(depth))}
}

// Answered sets a function that is told what the server has taken: n bytes that
// were written at off. It is called for one message after another, before
// Flush returns that waits for them, by the goroutine that reads the replies or
// by the caller of WriteContext: it must not wait. Set it before the first
// write. Who keeps what was not answered yet can write it again, at the same
// offsets, through another connection.
func (w *PipeWriter) Answered(f func(off int64, n int)) { w.answered = f }

// WriteContext sends p, waiting only if depth writes are under way already,
// or if p is larger than any write that this server has taken whole. It
// returns how many bytes were sent. An error is sticky: after the first, which
// may be that of an earlier write, nothing is sent any more.
func (w *PipeWriter) WriteContext(ctx context.Context, p []byte) (n int, err error) {
	f := w.f
	if err := take(ctx, f.writing); err != nil {
		return 0, err
	}
	defer func() { <-f.writing }()
	for n < len(p) {
		b := p[n:min(len(p), n+f.unit)]
		if len(b) > f.proven() {
			// Only alone: the server may take a part of it.
			if err := w.Flush(ctx); err != nil {
				return n, err
			}
			off := f.Offset()
			m, err := f.write(ctx, b, uint64(off))
			f.advance(m)
			w.tell(off, m)
			n += m
			if err != nil {
				if err != ctx.Err() {
					w.stick(err)
				}
				return n, err
			}
			continue
		}
		if err := take(ctx, w.depth); err != nil {
			return n, err
		}
		if err := w.begin(); err != nil {
			<-w.depth
			return n, err
		}
		cl := f.newWrite(uint64(f.Offset()), b)
		cl.pipe, cl.off = w, f.Offset()
		f.advance(len(b))
		n += len(b)
		f.c.send(context.Background(), cl)
	}
	return n, nil
}

// Flush waits until every write is answered, and returns the first error.
func (w *PipeWriter) Flush(ctx context.Context) error {
	for {
		w.mu.Lock()
		if w.under == 0 {
			defer w.mu.Unlock()
			return w.err
		}
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle := w.idle
		w.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Err returns the first error so far.
func (w *PipeWriter) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// begin counts one more write under way, unless one has failed.
func (w *PipeWriter) begin() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.under++
	}
	return w.err
}

func (w *PipeWriter) stick(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// tell says what the server has taken to whoever asked for it.
func (w *PipeWriter) tell(off int64, n int) {
	if w.answered != nil && n > 0 {
		w.answered(off, n)
	}
}

// written is told of each write that has ended, by whoever finishes calls.
func (w *PipeWriter) written(cl *call) {
	err := cl.err
	if err == nil {
		w.tell(cl.off, int(cl.m.Count))
		if int(cl.m.Count) < cl.most {
			err = io.ErrShortWrite
		}
	}
	w.f.c.freeCall(cl)
	if err != nil {
		w.stick(w.f.fail("write", err))
	}
	w.mu.Lock()
	w.under--
	if w.under == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
	w.mu.Unlock()
	<-w.depth
}

// A PipeReader reads a stream ahead: it keeps several reads waiting at the
// server, so that bytes come without having been asked for first. It is for
// files that have their own cursor, and whose server ignores offsets. It is a
// Source.
type PipeReader struct {
	f     *File
	depth int

	// The following belong to whoever has the turn to read.
	reads []*call // waiting at the server or answered, the oldest first
	rest  []byte  // of an answered read, what was not yet returned
	spent *call   // whose buffer rest is, or was: Next has given it out; nil: nobody's
	err   error   // ends it: the first
}

// pipeUnit is how much a PipeReader asks for with one read. It is a buffer's
// size only where so much comes at once.
const pipeUnit = 256 << 10

// Reader returns a PipeReader with depth reads under way, or one if the server
// is not known to be ordered. While it is in use, read the File through it
// alone, and Close it before reading otherwise.
func (f *File) Reader(depth int) *PipeReader {
	return &PipeReader{f: f, depth: f.c.depth(depth)}
}

// ReadContext reads as File.ReadContext does. If ctx ends the wait, the reads
// under way stay so.
func (r *PipeReader) ReadContext(ctx context.Context, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := take(ctx, r.f.reading); err != nil {
		return 0, err
	}
	defer func() { <-r.f.reading }()
	if err := r.fill(ctx); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.f.advance(n)
	return n, nil
}

// Next is ReadContext without the copy: it returns all that the next read has
// brought. The bytes are good until the PipeReader is used again.
func (r *PipeReader) Next(ctx context.Context) ([]byte, error) {
	if err := take(ctx, r.f.reading); err != nil {
		return nil, err
	}
	defer func() { <-r.f.reading }()
	if err := r.fill(ctx); err != nil {
		return nil, err
	}
	p := r.rest
	r.rest = nil
	r.f.advance(len(p))
	return p, nil
}

// fill sees to it that there is a rest.
func (r *PipeReader) fill(ctx context.Context) error {
	if len(r.rest) > 0 {
		return nil
	}
	if r.spent != nil {
		r.f.c.freeCall(r.spent)
		r.rest, r.spent = nil, nil
	}
	if kept, ok, err := r.f.takeKept(ctx, math.MaxInt); ok || err != nil {
		r.rest = kept
		return err
	}
	if r.err != nil {
		return r.err
	}
	r.ask(ctx)
	if len(r.reads) == 0 {
		return ctx.Err()
	}
	cl := r.reads[0]
	if !cl.wait(ctx) {
		return ctx.Err()
	}
	r.reads = append(r.reads[:0], r.reads[1:]...)
	if cl.err != nil {
		r.err = r.f.readError(cl.err)
		return r.err
	}
	if len(cl.data) == 0 {
		r.f.c.freeCall(cl)
		return io.EOF
	}
	r.rest, r.spent = cl.data, cl
	return nil
}

// ask sends as many reads as are missing.
func (r *PipeReader) ask(ctx context.Context) {
	if len(r.reads) >= r.depth || ctx.Err() != nil {
		return
	}
	old := len(r.reads)
	for len(r.reads) < r.depth {
		cl := r.f.newCall(wire.Tread)
		cl.most = min(pipeUnit, r.f.unit)
		cl.m.Offset, cl.m.Count = uint64(r.f.Offset()), uint32(cl.most)
		r.reads = append(r.reads, cl)
	}
	r.f.c.send(context.Background(), r.reads[old:]...)
}

// Close ends the reads under way. What they had taken from the stream is kept
// for the File's next reads: after a Close without an error nothing is under
// way, and after one because of ctx the next read waits for it.
func (r *PipeReader) Close(ctx context.Context) error {
	if err := take(ctx, r.f.reading); err != nil {
		return err
	}
	defer func() { <-r.f.reading }()
	if len(r.rest) > 0 || len(r.reads) > 0 {
		r.f.keep(r.rest, r.reads...)
		r.rest, r.spent, r.reads = nil, nil, nil
	}
	return r.f.tidied(ctx)
}
