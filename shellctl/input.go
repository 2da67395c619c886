package shellctl

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"time"

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
	err := pipes.Copy(in.ctx, in, in.src, make([]byte, inputSize), in.eof)
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
	if in.term == nil {
		in.f.Close()
		return errStdinClosed
	}
	c, ok, err := in.term.eofChar()
	if err != nil || !ok {
		return err
	}
	_, err = in.f.Write([]byte{c})
	return err
}
