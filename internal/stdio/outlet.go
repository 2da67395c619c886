// Package stdio reads what a process puts out, on a terminal or on a pipe, and
// knows when that is all.
//
// # Ordering
//
// Run returns when the process has ended and the sink has taken its last byte.
// A process that another leaves in the background with the terminal or the pipe
// open does not keep that from coming: what it has written is delivered, and
// then it has a moment to be quiet.
//
// # Ownership
//
// The file stays the caller's, who closes it when Run has returned.
package stdio

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"hubfs/internal/fdio"
	"hubfs/pipes"
)

const (
	// outputSize is how much output goes to a sink at once.
	outputSize = 64 << 10

	// short is what is read first. A read of less says that there is no more
	// now: the echo of a keystroke goes out at once, and who waits for the
	// output of a thousand tasks needs no large buffer for each.
	short = 1 << 10

	// A process has ended, and another still has its terminal or pipe open:
	// one in the background, or a filter that has a few lines to go. We take
	// what it writes until it has been quiet for this long, ...
	quiet = 100 * time.Millisecond
	// ... but wait no longer than this altogether, ...
	patience = time.Second
	// ... and take no more than this. It is what the largest pipe can hold.
	leftover = 1 << 20
)

// buffers are those of outlets that have more to read than is short.
var buffers = sync.Pool{New: func() any { return new([outputSize]byte) }}

// An Outlet brings what a process writes to a sink. One goroutine runs it.
type Outlet struct {
	f  *os.File    // the master of the PTY, or the end of a pipe
	fd interface { // a *fdio.File, of f
		Read([]byte) (int, error)
		TryRead([]byte) (int, error)
	}
	sink  pipes.Sink
	first [short]byte

	// reaped is closed when the process has ended and been waited for. A read
	// that waits is woken by a deadline, which is set before.
	reaped <-chan struct{}

	lost error // why the sink took no more
}

// NewOutlet returns the Outlet of f, which the poller watches. reaped is to be
// closed when the process has been waited for, right after a call of Wake.
func NewOutlet(f *os.File, sink pipes.Sink, reaped <-chan struct{}) (*Outlet, error) {
	fd, err := fdio.New(f)
	if err != nil {
		return nil, err
	}
	return &Outlet{f: f, fd: fd, sink: sink, reaped: reaped}, nil
}

// Run copies until the process has ended and its output with it. A sink that
// fails is a terminal that has gone away: failed is told, once, and the rest of
// the output is dropped, so that the process can end.
func (o *Outlet) Run(failed func(error)) {
	put := func(p []byte) {
		if o.lost != nil {
			return
		}
		if _, o.lost = o.sink.WriteContext(context.Background(), p); o.lost != nil {
			failed(o.lost)
		}
	}
	for {
		n, err := o.fd.Read(o.first[:])
		if n > 0 {
			o.pass(n, put)
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

// Wake makes a read that waits return, when the process has been waited for and
// before reaped is closed.
func (o *Outlet) Wake() { o.f.SetReadDeadline(time.Unix(1, 0)) }

// Close closes the file, so that the process is told that nobody reads it.
func (o *Outlet) Close() { o.f.Close() }

// Lost says why the sink did not take all, when Run has returned.
func (o *Outlet) Lost() error { return o.lost }

// pass gives the n bytes that were read first to the sink, and with them what is
// there behind them. A PTY gives at most 4 KiB a read, and everybody who follows
// the output is woken for each piece, so a program that writes much is read into
// larger ones. It returns how many bytes it passed on.
func (o *Outlet) pass(n int, put func([]byte)) int {
	if n < short {
		put(o.first[:n])
		return n
	}
	buf := buffers.Get().(*[outputSize]byte)
	defer buffers.Put(buf)
	copy(buf[:], o.first[:n])
	for last := n; last >= short && n < len(buf); n += last {
		var err error
		if last, err = o.fd.TryRead(buf[n:]); err != nil {
			break // EAGAIN, or an end that the next read will see as well
		}
	}
	put(buf[:n])
	return n
}

// drain takes what is left when the process has been reaped. All that it wrote
// is in the kernel by then, so reading until nothing is there is exact,
// however slow the sink is and however late we are run. What comes afterwards
// is another process's, and gets the time and the space that the constants
// give: time that passes while we wait for it, and not for the sink.
func (o *Outlet) drain(put func([]byte)) {
	waited, taken := time.Duration(0), 0
	for taken < leftover {
		o.f.SetReadDeadline(time.Time{})
		n, err := o.fd.TryRead(o.first[:])
		if errors.Is(err, syscall.EAGAIN) && waited < patience {
			start := time.Now()
			o.f.SetReadDeadline(start.Add(min(quiet, patience-waited)))
			n, err = o.fd.Read(o.first[:])
			waited += time.Since(start)
		}
		if n <= 0 || err != nil {
			return
		}
		taken += o.pass(n, put)
	}
}
