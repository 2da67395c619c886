package filestore

import (
	"time"

	"hubfs/hub"
)

// flushLocked sees to it that there is a flusher if there is work for one.
func (s *Store) flushLocked() {
	if s.flushing || s.stepLocked() == nil {
		return
	}
	s.flushing = true
	s.workers.Add(1)
	go s.flush() // ends when there is nothing to write
}

// flush writes all that is queued, a round at a time: what comes during one
// goes with the next. The bytes are told of when their round is done.
func (s *Store) flush() {
	defer s.workers.Done()
	for {
		s.mu.Lock()
		step := s.stepLocked()
		if step == nil {
			s.flushing = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err := step(); err != nil {
			s.fail(err)
		}
	}
}

// stepLocked returns what the flusher is to do next, nil for nothing.
func (s *Store) stepLocked() func() error {
	w := s.writer
	queued := s.stable < s.next
	switch {
	case s.err != nil || s.removed:
		return nil
	case queued && (w == nil || w.full(s.segmentSizeLocked())):
		return s.nextSegment
	case s.begin && w == nil:
		return s.nextSegment
	case w != nil && w.end > w.seg.first && (s.rotate || s.discarded >= w.end && !queued):
		return s.nextSegment
	case queued:
		return s.writeRound
	}
	return nil
}

// segmentSizeLocked returns how large a segment may become.
func (s *Store) segmentSizeLocked() int64 {
	if s.keep == 0 {
		return s.maxSize
	}
	return min(s.maxSize, max(s.keep/4, minKeepSegment))
}

// nextSegment makes the files of the next segment, and leaves the last one to
// the keeper.
func (s *Store) nextSegment() error {
	if err := s.nameLast(); err != nil {
		return err
	}
	w, err := s.create(s.stable) // which only this goroutine changes
	if err != nil {
		return err
	}
	if s.policy == Always {
		if err := s.syncWithName(w); err != nil {
			w.data.Close()
			w.index.Close()
			return err
		}
	}
	s.mu.Lock()
	if s.writer != nil {
		s.sealing = append(s.sealing, s.writer)
	}
	s.writer = w
	s.segments = append(s.segments, w.seg)
	s.begin, s.rotate = false, false
	s.dirtyLocked(w)
	changed := s.retainLocked()
	s.keepLocked()
	s.mu.Unlock()
	changed.call()
	return nil
}

// writeRound writes what is queued, or as much of it as goes into one round.
func (s *Store) writeRound() error {
	s.mu.Lock()
	w := s.writer
	room := s.segmentSizeLocked() - (w.end - w.seg.first)
	n := min(s.next-s.stable, room, roundMax)
	s.round, _ = s.tail.Read(s.round[:0], s.stable-s.base, int(n)) // of memory: never fails
	s.mu.Unlock()

	now := time.Now().UnixMilli()
	err := w.write(s.round, now)
	for _, p := range s.round {
		p.Free()
	}
	clear(s.round)
	if err == nil && s.policy == Always {
		err = w.sync()
	}
	if err != nil {
		return err
	}

	s.mu.Lock()
	o := w.seg.open
	o.sums = append(o.sums, w.sums...)
	o.part = w.part
	if w.seg.end == w.seg.first {
		w.seg.born = w.ms
	}
	w.seg.end, w.seg.last = w.end, w.ms
	s.size += w.end - s.stable
	s.stable = w.end
	s.tail.Discard(max(0, min(s.stable, s.next-s.tailSize)-s.base))
	s.dirtyLocked(w)
	s.retainLocked()
	changed := notice(s.changed)
	s.mu.Unlock()
	changed.call()
	return nil
}

// nameLast returns when the name of the last segment is on disk: a crash must
// not keep a segment and lose the one before. The keeper has long seen to it,
// save when segments are very short.
func (s *Store) nameLast() error {
	if s.policy == Never {
		return nil
	}
	s.mu.Lock()
	w := s.writer
	s.mu.Unlock()
	if w == nil {
		return nil
	}
	return s.syncName(w)
}

// syncName returns when the names of w's files are on disk.
func (s *Store) syncName(w *writer) error {
	s.mu.Lock()
	fresh := w.fresh
	s.mu.Unlock()
	if !fresh {
		return nil
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.fresh = false
	return nil
}

// syncWithName returns when what was written is on disk, and the names of the
// files too.
func (s *Store) syncWithName(w *writer) error {
	if err := w.sync(); err != nil {
		return err
	}
	return s.syncName(w)
}

// dirtyLocked sees to it that what was written is synced when the policy says.
func (s *Store) dirtyLocked(w *writer) {
	w.dirty = true
	if s.policy == Second && !s.closed {
		s.syncTimer.arm(time.Second, s.syncNow)
	}
}

var _ hub.Spool = (*Store)(nil)
