package mount

import (
	"log/slog"
	"sync"
	"time"
)

// A program that tries what cannot be, for ever, is not to fill a disk.
const (
	complaintsMost  = 100
	complaintsEvery = time.Minute
)

// complaints log what the server has against what programs try, up to so many
// in a time.
type complaints struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time // guarded by mu: when counting began
	n     int       // guarded by mu: how many there were since
}

func (c *complaints) add(op, path string, why error) {
	c.mu.Lock()
	now := time.Now()
	swallowed := 0
	if now.Sub(c.since) >= complaintsEvery {
		swallowed = max(c.n-complaintsMost, 0)
		c.since, c.n = now, 0
	}
	c.n++
	silent := c.n > complaintsMost
	c.mu.Unlock()
	if swallowed > 0 {
		c.log.Info("and more, which are not in the log", "errors", swallowed)
	}
	if !silent {
		c.log.Info(op, "path", "/"+path, "err", reason(why))
	}
}
