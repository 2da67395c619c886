package gang

import (
	"context"
	"io"
	"sync"
)

// A stdin is what one task of this machine is given to read: a pipes.Source. What
// it holds is bounded where the session was made, by what is let in.
type stdin struct {
	records bool
	ask     func() // told that the task wants a record

	mu     sync.Mutex
	queue  []*input      // guarded by mu
	off    int           // guarded by mu: bytes of the first that were read
	within bool          // guarded by mu: the rest of a record is to come
	asked  bool          // guarded by mu: told ask, and nothing has come since
	shut   bool          // guarded by mu: nothing more comes
	gone   bool          // guarded by mu: the task has ended, it takes everything
	wake   chan struct{} // guarded by mu: closed when there is news; nil if nobody waits
}

// give appends a piece.
func (s *stdin) give(in *input) {
	s.mu.Lock()
	if s.gone || s.shut {
		s.mu.Unlock()
		in.take(1)
		return
	}
	s.queue = append(s.queue, in)
	s.asked = false
	s.newsLocked()
	s.mu.Unlock()
}

// close ends the stream behind what is there.
func (s *stdin) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	s.newsLocked()
}

// drop takes everything from now on: the task has ended.
func (s *stdin) drop() {
	s.mu.Lock()
	queue := s.queue
	s.queue, s.gone = nil, true
	s.newsLocked()
	s.mu.Unlock()
	for _, in := range queue {
		in.take(1)
	}
}

func (s *stdin) newsLocked() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// ReadContext implements pipes.Source.
func (s *stdin) ReadContext(ctx context.Context, p []byte) (int, error) {
	for {
		n, wake, err := s.tryRead(p)
		if wake == nil {
			return n, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// tryRead reads what is there, or returns a channel that is closed when it is
// worth to look again.
func (s *stdin) tryRead(p []byte) (n int, wake <-chan struct{}, err error) {
	s.mu.Lock()
	var done []*input
	for len(s.queue) > 0 && n < len(p) {
		in := s.queue[0]
		c := copy(p[n:], in.p[s.off:])
		n += c
		s.off += c
		if s.off < len(in.p) {
			break
		}
		s.off = 0
		s.queue[0] = nil
		s.queue = s.queue[1:]
		done = append(done, in)
		s.within = in.more
		if s.records && !in.more {
			break // what follows is another record
		}
	}
	asks := false
	if n == 0 {
		if s.shut || s.gone {
			err = io.EOF
		} else {
			if s.wake == nil {
				s.wake = make(chan struct{})
			}
			wake = s.wake
			asks = s.records && !s.asked && !s.within
			s.asked = s.asked || asks
		}
	}
	s.mu.Unlock()
	for _, in := range done {
		in.take(1)
	}
	if asks {
		s.ask()
	}
	return n, wake, err
}
