package hubfs

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// A pipeSource is the hub that a pipe reads.
type pipeSource struct {
	h      *hubHandle
	close  sync.Once
	missed atomic.Int64 // bytes lost, when it was closed
	closed atomic.Bool
}

// ReadContext reads on. Its errors are in the words of the server.
func (s *pipeSource) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, err := s.h.r.R.ReadContext(ctx, p)
	if err == nil || errors.Is(err, io.EOF) || ctx.Err() != nil {
		return n, err
	}
	return n, s.h.f.errorText(err)
}

// Close ends the reading, also one that waits.
func (s *pipeSource) Close() error {
	s.close.Do(func() {
		s.missed.Store(s.h.r.R.Status().Lost)
		s.closed.Store(true)
		s.h.Close()
	})
	return nil
}

// lost returns how many bytes the pipe has missed.
func (s *pipeSource) lost() int64 {
	if s.closed.Load() {
		return s.missed.Load()
	}
	return s.h.r.R.Status().Lost
}

// A pipeSink is the hub that a pipe writes.
type pipeSink struct {
	h     *hubHandle
	close sync.Once
}

// WriteContext appends p. Its errors are in the words of the server.
func (s *pipeSink) WriteContext(ctx context.Context, p []byte) (int, error) {
	n, err := s.h.w.WriteContext(ctx, p)
	if n > 0 {
		s.h.f.wrote(&s.h.user)
	}
	if err == nil || ctx.Err() != nil {
		return n, err
	}
	return n, s.h.f.errorText(err)
}

// Close ends the writing, also of a write that waits.
func (s *pipeSink) Close() error {
	s.close.Do(func() { s.h.Close() })
	return nil
}
