package supervise

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"hubfs/pipes"
)

// What is taken from a source at once: little, until it gives more.
const (
	leastInput = 2 << 10
	mostInput  = 64 << 10
)

// An input brings a stream to a task's standard input. One goroutine runs it;
// another stops it.
type input struct {
	src     pipes.Source
	f       *os.File // our end of the pipe
	records bool     // it is asked for only when the task has taken all
	log     *slog.Logger

	ctx    context.Context // of the source; done when the task has ended
	cancel context.CancelFunc
}

func newInput(src pipes.Source, f *os.File, records bool, log *slog.Logger) (*input, error) {
	in := &input{src: src, f: f, records: records, log: log}
	if records {
		if err := shrink(f); err != nil {
			return nil, err
		}
	}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	return in, nil
}

// stop makes run return: from its wait for the source or for the task.
func (in *input) stop() {
	in.cancel()
	in.f.SetWriteDeadline(time.Unix(1, 0))
}

// run copies until the source is complete, or at an eof mark, which is the end of
// a pipe for good, or until stop is called.
func (in *input) run() {
	err := in.copy()
	in.f.Close()
	if in.ctx.Err() == nil && !pipes.IsEnded(err) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) {
		in.log.Warn("input of a task is lost", "err", err)
	}
}

func (in *input) copy() error {
	buf := make([]byte, leastInput)
	for closed := false; ; {
		if in.records {
			// Who has closed its input asks for nothing: a record that it got
			// would be nobody's.
			if err := taken(in.f); err != nil {
				return err
			}
		}
		n, err := in.src.ReadContext(in.ctx, buf)
		if err != nil {
			return err
		}
		if !closed {
			_, err = in.f.Write(buf[:n])
		}
		switch {
		case err == nil:
		case errors.Is(err, syscall.EPIPE) && !in.records:
			// It has read what it wants. What others get as well goes on, and
			// must not wait for this one.
			closed = true
		default:
			return err
		}
		if n == len(buf) && n < mostInput {
			buf = make([]byte, min(4*n, mostInput))
		}
	}
}
