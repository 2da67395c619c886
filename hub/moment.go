package hub

import (
	"slices"
	"time"
)

// A hub notes at most one time in momentEvery, and holds about maxMoments.
const (
	momentEvery = time.Second
	maxMoments  = 4096
)

// A timeline is the coarse times of a stream's offsets. Guarded by Hub.mu.
type timeline struct {
	all   []instant     // ascending in both fields
	every time.Duration // least time between two, grown while there are too many
	noted time.Time     // when the last one was made
}

// An instant is a Moment in half the space.
type instant struct {
	off  int64
	unix int64 // nanoseconds
}

func newTimeline(now time.Time) timeline { return timeline{every: momentEvery, noted: now} }

// due reports whether it is time for a note. It is asked once for each append.
func (t *timeline) due(now time.Time) bool { return now.Sub(t.noted) >= t.every }

// note says that the bytes before off were there at the time at, and that the
// stream starts at first.
func (t *timeline) note(off int64, at time.Time, first int64) {
	t.forget(first)
	t.push(off, at)
	switch {
	case len(t.all) > maxMoments:
		t.thin()
		t.every *= 2
	case len(t.all) < maxMoments/4 && t.every > momentEvery:
		t.every /= 2
	}
}

// push adds an instant, unless there are no bytes between the last one and it.
// A clock that was put back does not put the order into disorder.
func (t *timeline) push(off int64, at time.Time) {
	last := instant{}
	if n := len(t.all); n > 0 {
		last = t.all[n-1]
	}
	if off > last.off {
		t.all = append(t.all, instant{off, max(at.UnixNano(), last.unix)})
	}
}

// thin drops every second instant, and keeps the last.
func (t *timeline) thin() {
	n := 0
	for i := (len(t.all) + 1) % 2; i < len(t.all); i += 2 {
		t.all[n] = t.all[i]
		n++
	}
	t.all = t.all[:n]
}

// recall takes over the times that a store knows from before, and returns the
// last of them.
func (t *timeline) recall(all []Moment) (last time.Time, ok bool) {
	for _, m := range all {
		t.push(m.Offset, m.Time)
		last, ok = m.Time, true
	}
	for len(t.all) > maxMoments {
		t.thin()
		t.every *= 2
	}
	return last, ok
}

// forget drops the instants up to first but the last of them, which says how
// old the bytes before first are at least.
func (t *timeline) forget(first int64) {
	n := 0
	for n+1 < len(t.all) && t.all[n+1].off <= first {
		n++
	}
	if n > 0 {
		t.all = append(t.all[:0], t.all[n:]...)
	}
}

// Moments returns the times of the stream, in ascending order of both fields:
// about one for each second in which bytes came, and fewer, as far apart from
// one another, of a long history. The last is that of the newest byte.
func (h *Hub) Moments() []Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := timeline{all: slices.Clone(h.times.all)}
	t.push(h.next, h.modified)
	t.forget(h.first)
	all := make([]Moment, len(t.all))
	for i, m := range t.all {
		all[i] = Moment{Offset: m.off, Time: time.Unix(0, m.unix)}
	}
	return all
}
