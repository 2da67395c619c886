package hub

import (
	"cmp"
	"slices"
	"time"
)

// A Status is a Hub at one moment.
type Status struct {
	First, Next int64 // offsets of the oldest byte retained and after the newest
	Size        int64 // bytes retained at most
	Slowest     int64 // where the slowest reader that counts stands; Next: none is behind
	Lost        int64 // bytes lost by all readers that there were

	Delivered     int64 // bytes handed to readers since New, to each of them
	Reads, Writes int64 // how many gave, and brought, bytes since New

	Readers, Writers               int // open
	WaitingReaders, WaitingWriters int // also for bytes to be fetched, or to be kept

	Spooled  bool  // bytes go to a Spool
	SpoolErr error // why the last Spool failed; nil: it did not, or was taken away

	Input, Fear, Trunc, Frozen, Ended bool
	EndStatus                         string // of End
	Limit                             Limit
	Patience                          time.Duration // see SetPatience
	WritersWait                       time.Duration // how long the writer whose turn it is has been waiting for readers
	Modified                          time.Time     // of the last append, or of New
}

// A ReaderStatus is a Reader at one moment.
type ReaderStatus struct {
	ID        uint64
	Label     string
	Offset    int64 // of the next byte; of an Addressed reader, the offset asked for last
	Lost      int64 // bytes skipped since it was opened
	Addressed bool
	Waiting   bool

	// Slowest says that in a hub in fear nobody is further behind: it is the
	// one that writers wait for, or will. Stalls is how long a writer that
	// waits for this reader, and for others as slow, has been waiting.
	Slowest bool
	Stalls  time.Duration
}

// Status describes the hub. It looks at every reader.
func (h *Hub) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Status{
		First:          h.first,
		Next:           h.next,
		Size:           h.size,
		Slowest:        h.next,
		Lost:           h.lostByClosed,
		Delivered:      h.delivered,
		Reads:          h.reads,
		Writes:         h.writes,
		Readers:        len(h.readers),
		Writers:        h.writers,
		WaitingReaders: h.waitingReaders.len + h.loading.len,
		WaitingWriters: h.waitingWriters.len + h.staged.len,
		Spooled:        h.spool != nil,
		SpoolErr:       h.spoolErr,
		Input:          h.input,
		Fear:           h.fear,
		Trunc:          h.trunc,
		Frozen:         h.frozen,
		Ended:          h.ended,
		EndStatus:      h.endStatus,
		Limit:          h.limiter.limit,
		Patience:       h.patience,
		WritersWait:    h.hold.lasts(),
		Modified:       h.modified,
	}
	if h.counting > 0 {
		s.Slowest = min(h.slowestLocked(exact), h.next)
	}
	for _, r := range h.readers {
		s.Lost += r.lostLocked()
	}
	return s
}

// Length returns how long the hub is as a plain file: what it retains if it is
// frozen or has ended, and 0 for a stream that lives. It costs the same
// whatever the number of readers.
func (h *Hub) Length() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.frozen || h.ended {
		return h.next - h.first
	}
	return 0
}

// Modified returns the time of the last append, or of New.
func (h *Hub) Modified() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.modified
}

// Ended returns the status given to End, and whether the stream is complete.
func (h *Hub) Ended() (status string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.endStatus, h.ended
}

// Readers describes the open readers, in the order in which they came.
func (h *Hub) Readers() []ReaderStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	readers := slices.SortedFunc(slices.Values(h.readers), func(a, b *Reader) int {
		return cmp.Compare(a.order, b.order)
	})
	all := make([]ReaderStatus, len(readers))
	for i, r := range readers {
		all[i] = r.statusLocked()
	}
	return all
}

// Status describes the reader.
func (r *Reader) Status() ReaderStatus {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	return r.statusLocked()
}

func (r *Reader) statusLocked() ReaderStatus {
	h := r.hub
	s := ReaderStatus{
		ID:        r.id,
		Label:     r.label,
		Offset:    r.pos,
		Lost:      r.lostLocked(),
		Addressed: r.addressed,
		Waiting:   r.parked,
	}
	if !r.addressed {
		s.Offset = max(s.Offset, h.first)
	}
	if at := max(r.pos, h.first); h.fear && h.spool == nil && r.counts && at < h.next {
		s.Slowest = at == h.slowestLocked(exact)
		if at < h.neededLocked() {
			s.Stalls = h.hold.lasts()
		}
	}
	return s
}
