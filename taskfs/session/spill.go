package session

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// spillSize is how many bytes of a spill are in memory.
const spillSize = 1 << 20

// A spill is a queue of bytes without end: what is too much for memory goes to a
// file that has no name. It has one reader.
type spill struct {
	mu sync.Mutex
	// guarded by mu
	head  []byte   // the next bytes
	file  *os.File // holds what follows head, from off on; nil: nothing does
	off   int64
	size  int64 // of the file
	ended bool
	wake  chan struct{} // closed when any of this has changed
}

func newSpill() *spill { return &spill{wake: make(chan struct{})} }

// write appends p. It waits for nobody but the disk.
func (q *spill) write(p []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return nil
	}
	defer q.changedLocked()
	if q.file == nil && len(q.head)+len(p) <= spillSize {
		q.head = append(q.head, p...)
		return nil
	}
	if q.file == nil {
		f, err := os.CreateTemp("", "taskfs-splice-*")
		if err != nil {
			return fmt.Errorf("what was put out and not read yet: %w", err)
		}
		_ = os.Remove(f.Name()) // it stays in the folder then, and nothing is wrong with it
		q.file, q.off, q.size = f, 0, 0
	}
	n, err := q.file.WriteAt(p, q.size)
	q.size += int64(n)
	if err != nil {
		return fmt.Errorf("what was put out and not read yet: %w", err)
	}
	return nil
}

// end says that nothing more comes.
func (q *spill) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.changedLocked()
}

func (q *spill) changedLocked() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// ReadContext is pipes.Source's.
func (q *spill) ReadContext(ctx context.Context, p []byte) (int, error) {
	for {
		n, wake, err := q.tryRead(p)
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

func (q *spill) tryRead(p []byte) (n int, wake <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case len(q.head) > 0:
		n = copy(p, q.head)
		q.head = append(q.head[:0], q.head[n:]...)
		return n, nil, nil
	case q.file != nil:
		n, err := q.file.ReadAt(p[:min(int64(len(p)), q.size-q.off)], q.off)
		q.off += int64(n)
		if q.off == q.size {
			_ = q.file.Close() // all of it was read
			q.file = nil
		}
		if n > 0 {
			err = nil
		}
		return n, nil, err
	case q.ended:
		return 0, nil, io.EOF
	}
	return 0, q.wake, nil
}

// close gives up what is left.
func (q *spill) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended, q.head = true, nil
	if q.file != nil {
		_ = q.file.Close() // nobody reads it any more
		q.file = nil
	}
}
