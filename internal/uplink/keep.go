package uplink

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Pauses between attempts to reach the other end.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 30 * time.Second
)

// pauses are the times to wait between attempts: each about twice the one before.
// They differ a little for each who waits, for a node that comes back meets all
// that were below it.
type pauses struct{ last time.Duration }

func (p *pauses) next() time.Duration {
	p.last = min(max(2*p.last, firstPause), lastPause)
	return p.last - time.Duration(rand.Int64N(int64(p.last)/4))
}

// A finalError is one after which there is nothing to try any more.
type finalError struct{ err error }

func (e finalError) Error() string { return e.err.Error() }
func (e finalError) Unwrap() error { return e.err }

// Final says that what failed with err would fail again.
func Final(err error) error { return finalError{err} }

// IsFinal reports whether err is a Final one.
func IsFinal(err error) bool { return errors.As(err, new(finalError)) }

// Keep makes a link again and again, with growing pauses: try returns what has
// become of one, and calls up, once, when it was there. failed is told of each
// error and of the pause that follows. Keep returns when ctx is done, with its
// error, or when one is Final, with that.
func Keep(ctx context.Context, try func(ctx context.Context, up func()) error, failed func(err error, pause time.Duration)) error {
	var p pauses
	for {
		err := try(ctx, func() { p = pauses{} })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case IsFinal(err):
			return err
		}
		pause := p.next()
		failed(err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
