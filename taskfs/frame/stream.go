package frame

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"hubfs/pipes"
)

// batch is how many bytes are collected for one write, if so many wait.
const batch = 256 << 10

// A Stream is what a link can be made over: a file of a 9P client, a connection.
// A write and a read take place at the same time. The contexts that it is given
// end when the link does. Close, and a write that has begun, may wait for the other
// end: nobody waits for them.
type Stream interface {
	pipes.Source
	pipes.Sink
	Close() error
}

// NewStream returns a link over s, which it owns. addr is what Addr says.
func NewStream(s Stream, addr string) Link {
	l := &streamLink{s: s, addr: addr, out: newQueue(0)}
	l.life, l.end = context.WithCancelCause(context.Background())
	go l.write() // until the link is closed and the last write has returned, which is told to by its context
	return l
}

type streamLink struct {
	// Immutable.
	s    Stream
	addr string
	out  *queue
	life context.Context // done when the link is closed
	end  context.CancelCauseFunc

	closed sync.Once

	in inbox // of who receives
}

// write writes what is sent, until the link ends.
func (l *streamLink) write() {
	var buf []byte
	for {
		f, err := l.out.recv(l.life)
		for ok := err == nil; ok && err == nil; {
			if buf, err = Append(buf, f); err == nil && len(buf) < batch {
				f, ok, _ = l.out.take(nil)
			} else {
				ok = false
			}
		}
		if len(buf) > 0 {
			if _, werr := l.s.WriteContext(l.life, buf); werr != nil {
				l.fail(fmt.Errorf("write to %s: %w", l.addr, werr))
				return
			}
		}
		if err != nil {
			// The other end closes when it has read Leave, if that was the last word.
			return
		}
		if cap(buf) > 4*batch {
			buf = nil
		}
		buf = buf[:0]
	}
}

// fail ends the link for a reason that later calls give.
func (l *streamLink) fail(err error) {
	l.end(err)
	l.out.close(err, false)
}

func (l *streamLink) Send(ctx context.Context, f Frame) error {
	return l.out.send(ctx, f)
}

func (l *streamLink) Recv(ctx context.Context) (Frame, error) {
	for {
		f, ok, want, err := l.in.next()
		if err != nil {
			err = fmt.Errorf("read from %s: %w", l.addr, err)
			l.fail(err)
			return Frame{}, err
		}
		if ok {
			return f, nil
		}
		if err := l.fill(ctx, want); err != nil {
			return Frame{}, err
		}
	}
}

// fill reads what there is.
func (l *streamLink) fill(ctx context.Context, want int) error {
	if l.life.Err() != nil {
		return context.Cause(l.life)
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	n, err := l.s.ReadContext(both, l.in.space(want))
	if n > 0 {
		l.in.filled(n)
		return nil
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.life.Err() != nil:
		return context.Cause(l.life)
	case errors.Is(err, io.EOF) && l.in.len() > 0:
		err = fmt.Errorf("read from %s: the link ends within a frame: %w", l.addr, io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		err = ErrClosed
	case err == nil:
		err = fmt.Errorf("read from %s: %w", l.addr, io.ErrNoProgress)
	default:
		err = fmt.Errorf("read from %s: %w", l.addr, err)
	}
	l.fail(err)
	return err
}

// Close ends the link at once, also if the other end has stopped and does not
// answer that its file is closed.
func (l *streamLink) Close() error {
	l.fail(ErrClosed)
	l.closed.Do(func() { go l.s.Close() }) // until the stream has said goodbye, or what it runs over is gone
	return nil
}

func (l *streamLink) Addr() string { return l.addr }
