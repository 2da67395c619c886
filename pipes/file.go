package pipes

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// errEnded is the end of a reader's stream: unlike an eof mark, it is final.
type errEnded struct{}

func (errEnded) Error() string        { return "end of stream" }
func (errEnded) Ended() bool          { return true }
func (errEnded) Is(target error) bool { return target == io.EOF }

// FromReader returns a Source that reads r. The end of r is the end of the
// stream.
//
// If r has a SetReadDeadline that works, as a terminal, a pipe or a connection
// has, a context that is done stops a read that waits: the Source uses the
// deadline and leaves none behind. With any other reader the context is heeded
// only before a read.
func FromReader(r io.Reader) Source {
	s := &reader{r: r}
	if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		s.setDeadline = d.SetReadDeadline
	}
	return s
}

type reader struct {
	r           io.Reader
	setDeadline func(time.Time) error
}

func (s *reader) ReadContext(ctx context.Context, p []byte) (int, error) {
	return underDeadline(ctx, s.setDeadline, func() (int, error) {
		n, err := s.r.Read(p)
		switch {
		case n > 0:
			return n, nil // an error comes again
		case err == io.EOF:
			return 0, errEnded{}
		case err == nil && len(p) > 0:
			return 0, io.ErrNoProgress
		}
		return 0, err
	})
}

// ToWriter returns a Sink that writes to w. What FromReader says of deadlines
// holds of w's SetWriteDeadline.
func ToWriter(w io.Writer) Sink {
	s := &writer{w: w}
	if d, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
		s.setDeadline = d.SetWriteDeadline
	}
	return s
}

type writer struct {
	w           io.Writer
	setDeadline func(time.Time) error
}

func (s *writer) WriteContext(ctx context.Context, p []byte) (int, error) {
	return underDeadline(ctx, s.setDeadline, func() (int, error) { return s.w.Write(p) })
}

// underDeadline calls f, and makes it return when ctx is done by a deadline in
// the past.
func underDeadline(ctx context.Context, setDeadline func(time.Time) error, f func() (int, error)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if ctx.Done() == nil || setDeadline == nil {
		return f()
	}
	passed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		setDeadline(time.Unix(1, 0))
		close(passed)
	})
	n, err := f()
	if !stop() {
		// The deadline must be set before it is taken back, or the next
		// call, with another context, would meet it.
		<-passed
		setDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = ctx.Err()
	}
	return n, err
}
