package filestore

import (
	"time"

	"hubfs/hub"
)

// maxMoments is how many times of before a store knows.
const maxMoments = 4096

// A thinner makes moments of records: at most one a second, and at most
// maxMoments, evenly among those.
type thinner struct {
	kept []hub.Moment
	last record // zero: none yet
	n    int    // seconds before the one of last
	step int    // so many seconds make a moment
}

// add takes the next record; a clock that was set back stood still.
func (t *thinner) add(r record) {
	r.ms = max(r.ms, t.last.ms)
	if t.last.end > 0 && r.ms/1000 != t.last.ms/1000 {
		t.step = max(t.step, 1)
		if t.n++; t.n%t.step == 0 {
			t.keep()
		}
	}
	t.last = r
}

// keep makes a moment of the last record.
func (t *thinner) keep() {
	if len(t.kept) == maxMoments {
		for i := range maxMoments / 2 {
			t.kept[i] = t.kept[2*i+1]
		}
		t.kept = t.kept[:maxMoments/2]
		t.step *= 2
	}
	t.kept = append(t.kept, hub.Moment{Offset: t.last.end, Time: time.UnixMilli(t.last.ms)})
}

// moments returns what was kept, and the end.
func (t *thinner) moments() []hub.Moment {
	if t.last.end > 0 {
		t.keep()
	}
	return t.kept
}
