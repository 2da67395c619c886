package pipes

import (
	"context"
	"sync"
	"time"
)

// A Delay is a Sink that waits a while before each write to another, which
// makes a stream slow to follow. It begins without delay.
type Delay struct {
	dst Sink

	mu      sync.Mutex
	d       time.Duration // guarded by mu
	changed chan struct{} // closed and replaced when d changes; guarded by mu
}

// NewDelay returns a Delay in front of dst.
func NewDelay(dst Sink) *Delay {
	return &Delay{dst: dst, changed: make(chan struct{})}
}

// Set makes each write wait for d, those that wait already included, counted
// from their start.
func (d *Delay) Set(wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.d = wait
	close(d.changed)
	d.changed = make(chan struct{})
}

// Get returns how long each write waits.
func (d *Delay) Get() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.d
}

// WriteContext waits and writes p. If ctx is done while it waits, nothing of p
// is taken.
func (d *Delay) WriteContext(ctx context.Context, p []byte) (int, error) {
	for start := time.Now(); ; {
		d.mu.Lock()
		wait, changed := d.d, d.changed
		d.mu.Unlock()
		if wait -= time.Since(start); wait <= 0 {
			return d.dst.WriteContext(ctx, p)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed: // look again
		case <-ctx.Done():
			t.Stop()
			return 0, ctx.Err()
		}
		t.Stop()
	}
}
