package shellctl

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"hubfs/internal/fdio"
	"hubfs/pipes"
)

// inputSize is how much input is taken from the source at once.
const inputSize = 32 << 10

// errStdinClosed ends the copying to a pipe that has been closed.
var errStdinClosed = errors.New("standard input is closed")

// An inlet brings input to the process. One goroutine runs it; another stops it.
type inlet struct {
	src  pipes.Source
	f    *os.File  // the master of the PTY, or the end of a pipe
	term *terminal // nil if f is a pipe

	ctx    context.Context // of the source; done when the process has ended
	cancel context.CancelFunc
}

func newInlet(src pipes.Source, f *os.File, term *terminal) *inlet {
	in := &inlet{src: src, f: f, term: term}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	return in
}

// run copies until the source is complete or stop is called.
//
// A write waits until the process has read enough of what is there, for as
// long as it takes. Nothing else waits for it: signals, sizes and the end of
// the process go their own way. The kernel takes what fits, and the rest
// waits here and in the source.
func (in *inlet) run(log *slog.Logger) {
	var err error
	if src, ok := in.src.(pipes.Poller); ok {
		err = in.runFeed(src)
	} else {
		err = pipes.Copy(in.ctx, in, in.src, make([]byte, inputSize), in.eof)
	}
	if err == nil {
		err = in.eof() // the stream is complete: the program is told as at a mark
	}
	switch {
	case err == nil, in.ctx.Err() != nil, errors.Is(err, errStdinClosed):
	case errors.Is(err, syscall.EPIPE):
		// The program has closed its input. What others write now waits in
		// the source, as it does for a program that does not read.
	default:
		log.Warn("input of the shell is lost", "err", err)
	}
}

// stop makes run return: from its wait for the source or for the process.
func (in *inlet) stop() {
	in.cancel()
	in.f.SetWriteDeadline(time.Unix(1, 0))
}

// WriteContext makes the inlet the Sink of its own copying. The deadline of
// stop ends a write that waits; the context, which costs more, is not needed.
func (in *inlet) WriteContext(_ context.Context, p []byte) (int, error) { return in.f.Write(p) }

// eof tells the program that its input has an end here: with the character
// that means so on a terminal, and by closing a pipe.
func (in *inlet) eof() error {
	c, err := in.eofBytes(nil)
	if err == nil && len(c) > 0 {
		_, err = in.f.Write(c)
	}
	return err
}

// eofBytes appends to p what tells the program of an end of file on a
// terminal. A pipe it closes.
func (in *inlet) eofBytes(p []byte) ([]byte, error) {
	if in.term == nil {
		in.f.Close()
		return p, errStdinClosed
	}
	c, ok, err := in.term.eofChar()
	if ok {
		p = append(p, c)
	}
	return p, err
}

// A feed copies from a Poller in the goroutine of whoever writes to the
// stream, as long as the process takes what it is given: a keystroke is at the
// process before its writer goes on. What the process does not take at once is
// handed to the goroutine of inlet.run, which waits.
type feed struct {
	in  *inlet
	src pipes.Poller
	fd  *fdio.File // of in.f
	buf []byte

	// rest is handed from whoever copied to run, with the turn. It has room
	// for one: there is one turn.
	rest chan []byte

	wake func() // f.woke, made once

	mu    sync.Mutex
	turn  bool          // somebody copies; guarded by mu
	again bool          // a wake came meanwhile; guarded by mu
	over  bool          // nobody may copy any more; guarded by mu
	err   error         // why, nil at the end of the stream; guarded by mu
	ended chan struct{} // closed when over is set
	freed chan struct{} // closed when the turn ends after stop; nil: not stopped; guarded by mu
}

// runFeed copies until the source is complete or the context is done. When it
// returns, nothing is copied any more.
func (in *inlet) runFeed(src pipes.Poller) error {
	fd, err := fdio.New(in.f)
	if err != nil {
		return err
	}
	f := &feed{
		in: in, src: src, fd: fd, buf: make([]byte, inputSize),
		rest: make(chan []byte, 1), ended: make(chan struct{}),
	}
	f.wake = f.woke
	f.woke()
	for {
		select {
		case rest := <-f.rest:
			if _, err := in.f.Write(rest); err != nil {
				f.end(err)
			} else {
				f.copy()
			}
		case <-f.ended:
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.err
		case <-in.ctx.Done():
			f.stop()
			return in.ctx.Err()
		}
	}
}

// woke is called when the source may have something.
func (f *feed) woke() {
	f.mu.Lock()
	if f.turn || f.over {
		f.again = true // whoever copies looks once more
		f.mu.Unlock()
		return
	}
	f.turn = true
	f.mu.Unlock()
	f.copy()
}

// copy copies what there is. The caller has the turn, and gives it up.
func (f *feed) copy() {
	for {
		if err := f.in.ctx.Err(); err != nil {
			f.end(err) // stop waits for us, and more may come for ever
			return
		}
		n, ready, err := f.src.Poll(f.buf, f.wake)
		p := f.buf[:n]
		switch {
		case err == io.EOF:
			if p, err = f.in.eofBytes(f.buf[:0]); err != nil {
				f.end(err)
				return
			}
		case pipes.IsEnded(err):
			f.end(nil)
			return
		case err != nil:
			f.end(err)
			return
		case !ready:
			if f.yield() {
				continue
			}
			return
		}
		for len(p) > 0 {
			n, err := f.fd.TryWrite(p)
			if p = p[n:]; err != nil {
				f.end(err)
				return
			}
			if n == 0 {
				f.rest <- p
				return
			}
		}
	}
}

// yield gives the turn up, or reports that there is more to do.
func (f *feed) yield() (more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.again && !f.over {
		f.again = false
		return true
	}
	f.leaveLocked()
	return false
}

func (f *feed) leaveLocked() {
	f.turn = false
	if f.freed != nil {
		close(f.freed)
		f.freed = nil
	}
}

// end gives the turn up for good.
func (f *feed) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over = true
		f.err = err
		close(f.ended)
	}
	f.leaveLocked()
}

// stop takes the turn away for good, and waits for whoever has it: not long,
// for nobody but run waits with it. run calls it.
func (f *feed) stop() {
	f.mu.Lock()
	if !f.over {
		f.over = true
		close(f.ended)
	}
	var freed chan struct{}
	select {
	case <-f.rest: // handed to us
	default:
		if f.turn {
			freed = make(chan struct{})
			f.freed = freed
		}
	}
	f.mu.Unlock()
	for freed != nil {
		select {
		case <-f.rest: // handed to us after all
			freed = nil
		case <-freed:
			freed = nil
		}
	}
	f.src.CancelRead()
}
