package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// errBehind says that the backlog of a feed has no room.
var errBehind = errors.New("the server does not keep up")

// A sink is a hub as a feed sees it; a client.PipeWriter is one.
type sink interface {
	WriteContext(ctx context.Context, p []byte) (int, error)
	Flush(ctx context.Context) error
}

// A feed carries bytes to a hub in a goroutine of its own, so that who has the
// bytes never waits for the server: what the server has not taken yet is the
// backlog. The hub gets a beginning of the bytes without a gap, and all of them
// unless err says why not.
type feed struct {
	w        sink
	limit    int                          // bytes that may be in the backlog
	patience time.Duration                // how long the server may take nothing once there is nothing more to come
	lost     <-chan struct{}              // closed when the server is gone
	why      func() error                 // why it is
	cut      func()                       // ends the connection, and so a write that heeds no context
	say      func(err error, closed bool) // called once, when err is set

	done chan struct{} // closed when run has returned

	mu      sync.Mutex
	backlog []byte        // guarded by mu
	wait    bool          // guarded by mu: add waits for room, and finish for the readers
	closed  bool          // guarded by mu: nothing more comes
	err     error         // guarded by mu: why the hub does not get all; the first
	stall   *time.Timer   // guarded by mu: runs out when the server takes nothing; nil: it may do so
	changed chan struct{} // guarded by mu: closed when any of these changes; nil: nobody waits
}

// add gives p to the hub. It keeps nothing of p, and waits only if the feed is
// to wait for room.
func (f *feed) add(p []byte) {
	for {
		wake, err := f.tryAdd(p)
		if err != nil {
			f.fail(err)
		}
		if wake == nil {
			return
		}
		<-wake // changed; look again
	}
}

func (f *feed) tryAdd(p []byte) (wake <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil || f.closed:
		return nil, nil
	case len(f.backlog) == 0 || len(f.backlog)+len(p) <= f.limit:
		f.backlog = append(f.backlog, p...)
		f.wakeLocked()
		return nil, nil
	case f.wait:
		return f.waitLocked(), nil
	}
	return nil, errBehind
}

// run writes the backlog until nothing more comes, or the server takes no more.
func (f *feed) run() {
	defer close(f.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.arm(cancel)
	var batch []byte
	for {
		next, wake := f.take(batch)
		switch {
		case wake != nil:
			select {
			case <-wake: // changed; look again
			case <-f.lost:
				f.fail(f.why())
				return
			}
			continue
		case len(next) == 0:
			if err := f.w.Flush(ctx); err != nil {
				f.fail(err)
			}
			return
		}
		batch = next
		// Writes of this size go without waiting for one another.
		for p := range slices.Chunk(batch, 64<<10) {
			if _, err := f.w.WriteContext(ctx, p); err != nil {
				f.fail(err)
				return
			}
			f.moved()
		}
	}
}

// take returns the backlog, and leaves the memory of spare in its place. It is
// empty when nothing more comes.
func (f *feed) take(spare []byte) (batch []byte, wake <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.backlog) == 0 && !f.closed {
		return nil, f.waitLocked()
	}
	batch, f.backlog = f.backlog, spare[:0]
	f.wakeLocked()
	return batch, nil
}

// fail says why the hub does not get all.
func (f *feed) fail(err error) {
	f.mu.Lock()
	first := f.err == nil
	if first {
		f.err = err
		f.wakeLocked()
	}
	closed := f.closed
	f.mu.Unlock()
	if first {
		f.say(err, closed)
	}
}

// finish says that nothing more comes, and waits until the hub has all or the
// server takes no more. It returns why the hub has not got all.
func (f *feed) finish() error {
	f.mu.Lock()
	f.closed = true
	f.watchLocked()
	f.wakeLocked()
	f.mu.Unlock()
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stall.Stop()
	return f.err
}

// hurry ends the waiting for the hub's readers, now and later.
func (f *feed) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wait = false
	f.watchLocked()
	f.wakeLocked()
}

// arm makes the timer that gives up on a server that takes nothing: first its
// writes, and if it does not even heed that, the connection.
func (f *feed) arm(cancel context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stall = time.AfterFunc(f.patience, func() {
		f.fail(errBehind)
		cancel()
		select {
		case <-f.done:
		case <-time.After(f.patience):
			f.cut()
		}
	})
	f.stall.Stop()
	f.watchLocked()
}

// watchLocked starts the time that the server has, if there is cause for it.
func (f *feed) watchLocked() {
	if f.closed && !f.wait && f.stall != nil {
		f.stall.Reset(f.patience)
	}
}

// moved gives the server new time, for it has taken something.
func (f *feed) moved() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchLocked()
}

// wakeLocked lets those look again who wait for a change.
func (f *feed) wakeLocked() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *feed) waitLocked() <-chan struct{} {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}
