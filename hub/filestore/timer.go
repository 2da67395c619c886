package filestore

import "time"

// A timer calls a function once. Its zero value is at rest. It is guarded by
// Store.mu, which the function takes.
type timer struct {
	timer *time.Timer
	due   time.Time
}

// arm lets f be called after d, unless the timer runs already.
func (t *timer) arm(d time.Duration, f func()) {
	if t.timer == nil {
		t.timer = time.AfterFunc(d, f)
	}
}

// set lets f be called when due has come, in a second at the earliest, and not
// at the time that was set before.
func (t *timer) set(due time.Time, f func()) {
	if t.timer != nil && due.Equal(t.due) {
		return
	}
	t.stop()
	t.due = due
	t.arm(max(time.Until(due), time.Second), f)
}

// stop puts the timer to rest. A call that is on its way may still come.
func (t *timer) stop() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}
