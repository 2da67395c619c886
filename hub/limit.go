package hub

import "time"

// A Limit is how fast the writers of a hub may write, all of them together. A
// write waits for those before it to be paid for; it is never split. Zero
// fields do not limit.
type Limit struct {
	BytesPerSecond int64         // rate, kept on the average since the first write
	Interval       time.Duration // least time between two writes
	Reset          time.Duration // idle time that restarts the average; 0: a minute
}

// A limiter holds writers to a Limit. Guarded by Hub.mu.
type limiter struct {
	limit Limit
	last  time.Time // of the last write
	paid  time.Time // when all that was written is paid for

	timer *time.Timer // runs Hub.tick when the first waiting writer may go
}

// pass reports whether a write may go now. If not, the timer will tell.
func (l *limiter) pass(h *Hub) bool {
	if l.limit.BytesPerSecond <= 0 && l.limit.Interval <= 0 {
		return true
	}
	wait := time.Until(l.ready())
	if wait <= 0 {
		return true
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(wait, h.tick)
	} else {
		l.timer.Reset(wait)
	}
	return false
}

// ready returns when the next write may go.
func (l *limiter) ready() time.Time {
	at := l.last.Add(l.limit.Interval)
	if l.limit.BytesPerSecond > 0 && l.paid.After(at) {
		return l.paid
	}
	return at
}

// charge counts a write of n bytes that has been done now.
func (l *limiter) charge(n int64, now time.Time) {
	if l.limit.BytesPerSecond > 0 {
		reset := l.limit.Reset
		if reset <= 0 {
			reset = time.Minute
		}
		if now.Sub(l.last) > reset {
			l.paid = now
		}
		l.paid = l.paid.Add(time.Duration(float64(n) / float64(l.limit.BytesPerSecond) * float64(time.Second)))
	}
	l.last = now
}

// stop ends the timer, if it runs.
func (l *limiter) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// tick runs in the timer's goroutine, which ends with it.
func (h *Hub) tick() {
	var ws wakes
	defer ws.call()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turnLocked(&ws)
}
