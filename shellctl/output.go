package shellctl

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/internal/fdio"
	"hubfs/pipes"
)

const (
	// outputSize is how much output goes to a sink at once.
	outputSize = 64 << 10

	// A process has ended, and another still has its terminal or pipe open:
	// one in the background, or a filter that has a few lines to go. We take
	// what it writes until it has been quiet for this long, ...
	quiet = 100 * time.Millisecond
	// ... but wait no longer than this altogether, ...
	patience = time.Second
	// ... and take no more than this. It is what the largest pipe can hold.
	leftover = 1 << 20
)

// An outlet brings what the process writes to a sink. One goroutine runs it.
type outlet struct {
	f  *os.File    // the master of the PTY, or the end of a pipe
	fd interface { // a *fdio.File, of f
		Read([]byte) (int, error)
		TryRead([]byte) (int, error)
	}
	sink pipes.Sink
	buf  []byte

	// reaped is closed when the process has ended and been waited for. A read
	// that waits is woken by a deadline, which is set before.
	reaped <-chan struct{}

	lost error // why the sink took no more; read when run has returned
}

func newOutlet(f *os.File, sink pipes.Sink, reaped <-chan struct{}) (*outlet, error) {
	fd, err := fdio.New(f)
	if err != nil {
		return nil, err
	}
	return &outlet{f: f, fd: fd, sink: sink, buf: make([]byte, outputSize), reaped: reaped}, nil
}

// run copies until the process has ended and its output with it. A sink that
// fails is a terminal that has gone away: failed is told, once, and the rest of
// the output is dropped, so that the process can end.
func (o *outlet) run(failed func(error)) {
	put := func(p []byte) {
		if o.lost != nil {
			return
		}
		if _, o.lost = o.sink.WriteContext(context.Background(), p); o.lost != nil {
			failed(o.lost)
		}
	}
	for {
		n, err := o.fd.Read(o.buf)
		if n > 0 {
			n += o.more(n)
			put(o.buf[:n])
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return // io.EOF of a pipe, EIO of a terminal: nobody can write any more
		}
		<-o.reaped // the deadline was set a moment before
		o.drain(put)
		return
	}
}

// wake makes a read that waits return, when the process has been waited for and
// before reaped is closed.
func (o *outlet) wake() { o.f.SetReadDeadline(time.Unix(1, 0)) }

// more reads on behind the n bytes in the buffer. A PTY gives at most 4 KiB a
// read, and everybody who follows the output is woken for each piece, so a
// program that writes much is read into larger ones. A short read says that
// there is no more now: the echo of a keystroke goes out at once.
func (o *outlet) more(n int) int {
	const short = 1 << 10
	total := 0
	for n >= short && n+total < len(o.buf) {
		m, err := o.fd.TryRead(o.buf[n+total:])
		if err != nil || m == 0 {
			break // EAGAIN, or an end that the next read will see as well
		}
		total += m
	}
	return total
}

// drain takes what is left when the process has been reaped. All that it wrote
// is in the kernel by then, so reading until nothing is there is exact,
// however slow the sink is and however late we are run. What comes afterwards
// is another process's, and gets the time and the space that the constants
// give: time that passes while we wait for it, and not for the sink.
func (o *outlet) drain(put func([]byte)) {
	waited, taken := time.Duration(0), 0
	for taken < leftover {
		o.f.SetReadDeadline(time.Time{})
		n, err := o.fd.TryRead(o.buf)
		if errors.Is(err, unix.EAGAIN) && waited < patience {
			start := time.Now()
			o.f.SetReadDeadline(start.Add(min(quiet, patience-waited)))
			n, err = o.fd.Read(o.buf)
			waited += time.Since(start)
		}
		if n <= 0 || err != nil {
			return
		}
		taken += n
		put(o.buf[:n])
	}
}
