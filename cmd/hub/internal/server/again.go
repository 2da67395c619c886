package server

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pauses between attempts to reach a server that was lost.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Pauses are the times to wait between attempts to reach a server: each about
// twice the one before. They differ a little for each who waits, for a server
// that comes back meets all of them.
type Pauses struct{ next time.Duration }

// Next returns the time to wait before the next attempt.
func (p *Pauses) Next() time.Duration {
	d := max(p.next, firstPause)
	p.next = min(2*d, lastPause)
	return d - time.Duration(rand.Int64N(int64(d)/4))
}

// Again tries until it works, fails for good, or the time is over. Only a
// server that cannot be reached is tried again (see Lost); after the time it is
// the error of the last attempt.
func Again(ctx context.Context, limit time.Duration, try func(ctx context.Context) error) error {
	soon, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var pauses Pauses
	var lost error
	for {
		err := try(soon)
		switch {
		case err == nil:
			return nil
		case Lost(err):
			lost = err
		case soon.Err() != nil && ctx.Err() == nil && lost != nil:
			return lost // the attempt was cut short, which says nothing
		default:
			return err
		}
		select {
		case <-time.After(pauses.Next()):
		case <-soon.Done():
			return lost
		}
	}
}
