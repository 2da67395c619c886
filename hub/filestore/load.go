package filestore

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"time"

	"hubfs/hub"
)

const (
	loaders = 4 // goroutines at most
	// So many units are fetched before a reader asks for them: when it begins,
	// and when it goes on.
	aheadFirst = 2
	ahead      = 8
	// So many units are kept that were read, for whoever follows, and so many
	// in all. One that nobody has read yet does not go for another before
	// that, else many readers at many places would never get on. Those that are
	// only asked for do not count: they have no memory, and if they did, the
	// units of many readers would drive out one another before they are read.
	keepUnits = 24
	mostUnits = 256
	// retryBad is how long bytes that could not be read are told of before the
	// disk is asked again. It is not at once: whoever hears that they have been
	// fetched has to find out that they are bad.
	retryBad = time.Second
	// idle is how long units and files are kept that nobody uses.
	idle = 5 * time.Second
)

// Read implements hub.Store.
func (s *Store) Read(dst []hub.Piece, off int64, max int) ([]hub.Piece, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return dst, ErrClosed
	}
	tail := s.tailFirstLocked()
	if off < s.first {
		// It went while the caller looked away; a notice is on its way.
		return dst, hub.ErrNotLoaded
	}
	n := len(dst)
	for off < tail && max > 0 {
		b := s.blockLocked(off, len(dst) == n)
		if b == nil {
			break
		}
		p, err := s.pieceLocked(b, off, min(int64(max), tail-off))
		if err != nil {
			if len(dst) > n {
				break // what is good first
			}
			return dst, err
		}
		dst = append(dst, p)
		off += int64(len(p.Data))
		max -= len(p.Data)
	}
	if off >= tail && max > 0 {
		return s.tail.Read(dst, off-s.base, max)
	}
	if len(dst) == n {
		return dst, hub.ErrNotLoaded
	}
	return dst, nil
}

// blockLocked returns the block that holds off, or nil and has it fetched. It
// sees to it that those behind it are fetched too.
func (s *Store) blockLocked(off int64, wanted bool) *block {
	seg := find(s.segments, off)
	start := off - (off-seg.first)%unit
	b := s.blocks[start]
	if b != nil && b.loaded && (off >= start+int64(len(b.data)) || // the segment has grown since
		!b.failed.IsZero() && time.Since(b.failed) >= retryBad) {
		s.forgetLocked(b)
		b = nil
	}
	if b == nil {
		b = s.fetchLocked(seg, start)
	}
	s.clock++
	b.used = s.clock
	b.wanted = !b.loaded && (b.wanted || wanted)
	s.fetchAheadLocked(seg, start)
	if !b.loaded {
		return nil
	}
	b.unread = false
	return b
}

// fetchAheadLocked has what is behind a unit fetched: more of it if the one
// before is there, too, which is to say that somebody reads on and on. It does
// nothing until half of it is missing, and then asks for many at once: to start
// and to stop costs more than to fetch.
func (s *Store) fetchAheadLocked(seg *segment, start int64) {
	if len(s.queue) > keepUnits {
		return // those who wait come first
	}
	n := aheadFirst
	if b := s.blocks[start-unit]; b != nil && b.loaded {
		n = ahead
	}
	var missing [ahead]int64
	m := 0
	for i, at := 0, start; i < n; i++ {
		if at += unit; at >= seg.end {
			at = seg.end
		}
		if at >= s.tailFirstLocked() {
			break
		}
		if at == seg.end {
			seg = find(s.segments, at)
		}
		if s.blocks[at] == nil {
			missing[m], m = at, m+1
		} else if m == 0 && i == n/2 {
			return
		}
	}
	for _, at := range missing[:m] {
		s.fetchLocked(find(s.segments, at), at)
	}
}

// pieceLocked returns what b has from off on, at most max bytes.
func (s *Store) pieceLocked(b *block, off, max int64) (hub.Piece, error) {
	i := off - b.off
	end := min(int64(len(b.data)), i+max)
	for k := i / blockSize; k*blockSize < end; k++ {
		if b.bad[k] == nil {
			continue
		}
		if end = k * blockSize; end <= i {
			return hub.Piece{}, b.bad[k]
		}
	}
	b.refs.Add(1)
	return hub.Piece{Data: b.data[i:end:end], Owner: b}, nil
}

// A SumError says that bytes of a file are not those that were written.
type SumError struct {
	Name     string
	From, To int64 // in the file
}

func (e *SumError) Error() string {
	return fmt.Sprintf("%s: bytes %d to %d are not those that were written", e.Name, e.From, e.To)
}

// fetchLocked has a unit fetched.
func (s *Store) fetchLocked(seg *segment, off int64) *block {
	b := askBlock()
	b.seg, b.off, b.unread = seg, off, true
	s.clock++
	b.used = s.clock
	s.blocks[off] = b
	s.queue = append(s.queue, b)
	if s.loading < loaders {
		s.loading++
		s.workers.Add(1)
		go s.load() // ends when the queue is empty
	}
	return b
}

// forgetLocked takes a block that is loaded out of the cache.
func (s *Store) forgetLocked(b *block) {
	delete(s.blocks, b.off)
	i, last := slices.Index(s.loaded, b), len(s.loaded)-1
	s.loaded[i], s.loaded[last] = s.loaded[last], nil
	s.loaded = s.loaded[:last]
	b.Free()
}

// load fetches what is queued.
func (s *Store) load() {
	defer s.workers.Done()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.closed {
			s.loading--
			s.mu.Unlock()
			return
		}
		b := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		if len(s.queue) == 0 {
			s.queue = nil
		}
		s.mu.Unlock()

		b.buf = pool.Get().(*[unit]byte)
		s.fetch(b)

		s.mu.Lock()
		b.loaded = true
		s.loaded = append(s.loaded, b)
		if b.bad != [unit / blockSize]error{} {
			b.failed = time.Now()
		}
		s.evictLocked()
		s.armIdleLocked()
		var changed notice
		if b.wanted {
			changed = notice(s.changed)
		}
		s.mu.Unlock()
		changed.call()
	}
}

// fetch reads a block and compares it with its sums. What cannot be read, or
// is not what was written, is bad.
func (s *Store) fetch(b *block) {
	o, err := s.hold(b.seg)
	if err != nil {
		b.data = b.buf[:]
		for i := range b.bad {
			b.bad[i] = err
		}
		return
	}
	s.mu.Lock()
	n := min(unit, b.seg.end-b.off)
	var sums [unit / blockSize]uint32
	i := copy(sums[:], o.sums[min((b.off-b.seg.first)/blockSize, int64(len(o.sums))):])
	if i < len(sums) {
		sums[i] = o.part
	}
	s.mu.Unlock()

	b.data = b.buf[:n]
	got, err := o.file.ReadAt(b.data, b.off-b.seg.first)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	for i := range b.bad {
		from := i * blockSize
		if from >= len(b.data) {
			break
		}
		to := min(from+blockSize, len(b.data))
		switch {
		case to > got:
			b.bad[i] = fmt.Errorf("read %s at %d: %w", s.path(dataName(b.seg.first)), got, err)
		case crc32.Checksum(b.data[from:to], table()) != sums[i]:
			at := b.off - b.seg.first
			b.bad[i] = &SumError{s.path(dataName(b.seg.first)), at + int64(from), at + int64(to)}
		}
	}

	s.mu.Lock()
	idle := o.releaseLocked()
	s.mu.Unlock()
	closeFile(idle)
}

// hold returns the means to read a segment, held once.
func (s *Store) hold(seg *segment) (*opened, error) {
	s.mu.Lock()
	if o := seg.open; o != nil {
		o.refs++
		s.touchLocked(seg)
		s.mu.Unlock()
		return o, nil
	}
	end := seg.end // it does not grow: a segment that does is open
	s.mu.Unlock()

	f, err := s.fs.Open(s.path(dataName(seg.first)), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	x, err := s.readIndex(seg.first, end-seg.first)
	if err == nil && x.end(seg.first) != end {
		err = fmt.Errorf("%s goes to %d, not to %d", s.path(indexName(seg.first)), x.end(seg.first), end)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	o := &opened{file: f, refs: 1}
	o.sums, o.part = x.sums(seg.first)

	s.mu.Lock()
	var idle File
	switch {
	case seg.open != nil: // somebody else was faster
		idle, o = o.releaseLocked(), seg.open
		o.refs++
	case !seg.gone:
		seg.open = o
		o.refs++
		idle = s.shelveLocked(seg)
	}
	s.mu.Unlock()
	closeFile(idle)
	return o, nil
}

// evictLocked makes room for the next unit, in the place of the one that was
// used longest ago.
func (s *Store) evictLocked() {
	for len(s.loaded) > keepUnits {
		var oldest *block
		for _, b := range s.loaded {
			if (!b.unread || len(s.loaded) > mostUnits) && (oldest == nil || b.used < oldest.used) {
				oldest = b
			}
		}
		if oldest == nil {
			return
		}
		s.forgetLocked(oldest)
	}
}

// armIdleLocked sets the timer that gives up what late readers have left.
func (s *Store) armIdleLocked() {
	if s.closed {
		return
	}
	s.idleTimer.arm(idle, s.idleNow)
}

// idleNow is what the timer calls: what was not used since it did so last goes.
func (s *Store) idleNow() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return // finish drops it
	}
	s.idleTimer.stop()
	var files []File
	if s.clock == s.idleClock {
		files = s.dropLoadedLocked()
	} else {
		for _, b := range slices.Clone(s.loaded) {
			if b.used <= s.idleClock {
				s.forgetLocked(b)
			}
		}
		s.idleClock = s.clock
		s.armIdleLocked()
	}
	s.mu.Unlock()
	for _, f := range files {
		closeFile(f)
	}
}

// dropLoadedLocked gives up all that is there for readers, and returns files
// to close.
func (s *Store) dropLoadedLocked() (files []File) {
	for len(s.loaded) > 0 {
		s.forgetLocked(s.loaded[0])
	}
	for len(s.shelf) > 0 {
		files = append(files, s.unshelveLocked(0))
	}
	return files
}
