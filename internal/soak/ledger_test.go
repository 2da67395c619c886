package soak

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// A ledger is what the actors know of one hub: not of a name, which may be
// another hub's after rm and new.
type ledger struct {
	name   string
	tag    byte
	placed bool // its content is that of its places; else it is mixed

	// freezes is odd while the hub is frozen, or about to be or not to be: then
	// a reader without places may read it as a plain file.
	freezes atomic.Uint64
	strict  atomic.Bool // in fear or on disk for good, so that nobody may lose a byte
	onDisk  atomic.Bool // for sure
	mayDisk atomic.Bool // or perhaps
	mayDrop atomic.Bool // readers may be dropped
	ended   atomic.Bool // it was ended at some time
	removed atomic.Bool
	acked   atomic.Int64 // of a placed hub: bytes that are in for sure

	mu      sync.Mutex
	authors []*author // guarded by mu: of a mixed hub
}

// An author writes to a mixed hub for as long as its connection lasts.
type author struct {
	id          uint64
	acked, sent atomic.Uint64 // words in the hub for sure; perhaps
}

// newAuthor returns nil if there were too many.
func (l *ledger) newAuthor() *author {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.authors) == maxAuthors {
		return nil
	}
	a := &author{id: uint64(len(l.authors))}
	l.authors = append(l.authors, a)
	return a
}

// sent returns how many words of an author may be in the hub.
func (l *ledger) sent(id uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id >= uint64(len(l.authors)) {
		return 0
	}
	return l.authors[id].sent.Load()
}

// frozen reports whether the hub is, or may be.
func (l *ledger) frozen() bool { return l.freezes.Load()&1 == 1 }

// checker returns a checker for a reader that starts at the offset start;
// negative: nobody knows.
func (l *ledger) checker(start int64) checker {
	if l.placed {
		return &placed{tag: l.tag, pos: start, sure: start >= 0, began: start >= 0}
	}
	return newMixed(l, start == 0)
}

// checkEnd says whether a hub whose authors have all gone ends where it must.
func (l *ledger) checkEnd(next int64) error {
	low, top := l.acked.Load(), int64(1)<<62
	if !l.placed {
		low, top = 0, 0
		for _, a := range l.authors {
			low += int64(a.acked.Load()) * wordSize
			top += int64(a.sent.Load()) * wordSize
		}
	}
	if next < low || next > top {
		return fmt.Errorf("hub %s ends at %d: %d bytes were written for sure, and %d at most", l.name, next, low, top)
	}
	return nil
}
