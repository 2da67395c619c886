package session

import (
	"cmp"
	"slices"
	"sync"

	"hubfs/taskfs/ranks"
	"hubfs/tree"
)

// A feed is the lines of wait: how each task has ended, in the order in which they
// did. Who comes late gets all of them, and its end is when all tasks have ended
// that it is about.
type feed struct {
	mu sync.Mutex
	// guarded by mu
	log     []entry // ascending
	last    uint64  // of all that there were
	ended   []bool  // by rank
	left    int     // tasks that have not
	closed  bool    // nothing more comes
	waiting map[*FeedReader]func()
}

// An entry is a line, by its number.
type entry struct {
	seq  uint64
	rank int
	line string
}

func newFeed() *feed { return &feed{waiting: map[*FeedReader]func(){}} }

// size says how many tasks there are.
func (f *feed) size(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended, f.left = make([]bool, n), n
}

// add appends what has happened. closed says that nothing follows.
func (f *feed) add(list []ended, closed bool) {
	f.mu.Lock()
	for i := range list {
		e := &list[i]
		f.last++
		f.log = append(f.log, entry{f.last, e.rank, e.line()})
		if !f.ended[e.rank] {
			f.ended[e.rank] = true
			f.left--
		}
	}
	f.closed = f.closed || closed
	f.wakeAll()
}

// forget takes out what is about tasks that are run again.
func (f *feed) forget(set ranks.Set) {
	f.mu.Lock()
	f.log = slices.DeleteFunc(f.log, func(e entry) bool { return set.Contains(e.rank) })
	for r := range set.All() {
		if f.ended[r] {
			f.ended[r] = false
			f.left++
		}
	}
	f.wakeAll()
}

// wakeAll wakes who waits. f.mu is held, and unlocked.
func (f *feed) wakeAll() {
	waiting := f.waiting
	f.waiting = map[*FeedReader]func(){}
	f.mu.Unlock()
	for _, wake := range waiting {
		wake()
	}
}

// overLocked reports whether nothing more comes about the tasks; nil is all.
func (f *feed) overLocked(set *ranks.Set) bool {
	switch {
	case f.closed:
		return true
	case f.ended == nil:
		return false
	case set == nil:
		return f.left == 0
	}
	for r := range set.All() {
		if !f.ended[r] {
			return false
		}
	}
	return true
}

// A FeedReader is one open of wait.
type FeedReader struct {
	f    *feed
	set  *ranks.Set // nil: all
	seq  uint64     // of the last line that was taken; only the reading lane touches it
	left []byte     // of it, what was not handed out; likewise
}

// Wait returns a reader of how the tasks of the part end.
func (p *Part) Wait() *FeedReader {
	r := &FeedReader{f: p.s.feed}
	if !p.IsWhole() {
		r.set = &p.set
	}
	return r
}

// ReadStream is tree.StreamReader's.
func (r *FeedReader) ReadStream(dst []tree.Piece, _ int64, max int, wake func()) ([]tree.Piece, bool, error) {
	if max <= 0 {
		return dst, true, nil
	}
	out := r.left // whose bytes nobody else has
	r.f.mu.Lock()
	i, found := slices.BinarySearchFunc(r.f.log, r.seq, func(e entry, seq uint64) int { return cmp.Compare(e.seq, seq) })
	if found {
		i++
	}
	for ; i < len(r.f.log) && len(out) < max; i++ {
		e := &r.f.log[i]
		r.seq = e.seq
		if r.set == nil || r.set.Contains(e.rank) {
			out = append(out, e.line...)
		}
	}
	if len(out) == 0 {
		over := r.f.overLocked(r.set)
		if !over {
			r.f.waiting[r] = wake
		}
		r.f.mu.Unlock()
		return dst, over, nil
	}
	r.f.mu.Unlock()
	n := min(max, len(out))
	r.left = out[n:]
	return append(dst, tree.Piece{Data: out[:n:n]}), true, nil
}

// CancelRead is tree.StreamReader's.
func (r *FeedReader) CancelRead() {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	delete(r.f.waiting, r)
}

// Close ends the open.
func (r *FeedReader) Close() error {
	r.CancelRead()
	return nil
}
