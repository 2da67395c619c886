package filestore

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// The keeper does what nobody waits for: it syncs under Second, seals segments
// that are done and removes those that go.

// keepLocked sees to it that there is a keeper if there is work for one.
func (s *Store) keepLocked() {
	if s.keeping || s.choreLocked() == nil {
		return
	}
	s.keeping = true
	s.workers.Add(1)
	go s.keeper() // ends when there is nothing to keep
}

func (s *Store) keeper() {
	defer s.workers.Done()
	for {
		s.mu.Lock()
		chore := s.choreLocked()
		if chore == nil {
			s.keeping = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		chore()
	}
}

// choreLocked takes what the keeper is to do next. Segments are synced in their
// order, so that a crash leaves no hole.
func (s *Store) choreLocked() func() {
	switch {
	case s.policy == Second && s.err == nil && s.writer != nil && s.writer.fresh:
		return s.nameWriter
	case len(s.sealing) > 0:
		return s.sealNext
	case s.syncing:
		return s.syncWriter
	case len(s.doomed) > 0 && !s.stuck && !s.removed:
		return s.removeNext
	}
	return nil
}

func (s *Store) nameWriter() {
	if err := s.nameLast(); err != nil {
		s.fail(err)
	}
}

// syncNow is what the timer calls.
func (s *Store) syncNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return // finish syncs
	}
	s.syncTimer.stop()
	s.syncing = true
	s.keepLocked()
}

func (s *Store) syncWriter() {
	s.mu.Lock()
	s.syncing = false
	w := s.writer
	if w == nil || !w.dirty {
		s.mu.Unlock()
		return
	}
	w.dirty = false
	s.mu.Unlock()
	if err := s.syncWithName(w); err != nil {
		s.fail(err)
	}
}

// sealNext finishes the files of the oldest segment that is done, and leaves
// its data to those who read.
func (s *Store) sealNext() {
	s.mu.Lock()
	w := s.sealing[0]
	s.mu.Unlock()
	if err := s.seal(w); err != nil {
		s.fail(err)
	}
	w.index.Close()
	s.mu.Lock()
	s.sealing = s.sealing[1:]
	idle := s.shelveLocked(w.seg)
	s.mu.Unlock()
	closeFile(idle)
}

// seal says in the index that the segment is complete. The header is the only
// thing that is ever written over: a broken one is as good as none.
func (s *Store) seal(w *writer) error {
	if s.policy != Never {
		if err := s.syncWithName(w); err != nil {
			return err
		}
	}
	if w.records <= int((w.end-w.seg.first)/blockSize)+sealedTimes {
		if err := writeAt(w.index, appendHeader(nil, true), 0); err != nil {
			return fmt.Errorf("seal %s: %w", w.name, err)
		}
		return nil
	}
	x, err := readIndexFile(w.index, w.name, w.seg.first, w.end-w.seg.first)
	if err != nil {
		return fmt.Errorf("seal %s: %w", w.name, err)
	}
	if x.end(w.seg.first) != w.end {
		return fmt.Errorf("seal %s: the index has changed under our hands", w.name)
	}
	x.compact(w.seg.first)
	return s.replace(indexName(w.seg.first), indexTmpName(w.seg.first), x.encode(true))
}

// replace gives a file other bytes, all at once. The rename is not on disk
// when it returns, but the bytes are: no crash leaves half a file.
func (s *Store) replace(name, tmp string, b []byte) error {
	f, err := s.fs.Open(s.path(tmp), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	err = writeAt(f, b, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.fs.Rename(s.path(tmp), s.path(name))
	}
	if err != nil {
		s.fs.Remove(s.path(tmp))
		return fmt.Errorf("write %s: %w", s.path(name), err)
	}
	return nil
}

// retainLocked gives up the segments that the limits say. It returns a notice
// if the stream begins later now.
func (s *Store) retainLocked() notice {
	first := s.first
	now := time.Now()
	s.clampLocked(now.UnixMilli())
	for len(s.segments) > 1 {
		seg := s.segments[0]
		size := seg.end - seg.first
		if !(s.discarded >= seg.end ||
			s.keep > 0 && s.size-size >= s.keep ||
			s.age > 0 && now.Sub(time.UnixMilli(seg.last)) >= s.age) {
			break
		}
		s.dropLocked(seg)
	}
	if w := s.writer; w != nil && s.age > 0 && w.seg.end > w.seg.first &&
		now.Sub(time.UnixMilli(w.seg.born)) >= s.agePart() {
		s.rotate = true
		s.flushLocked()
	}
	s.armAgeLocked()
	s.keepLocked()
	if s.first == first {
		return nil
	}
	return notice(s.changed)
}

// clampLocked makes times that are still to come those of now. A clock that was
// ahead made them: who waits for them to pass keeps everything till then.
func (s *Store) clampLocked(now int64) {
	if len(s.segments) == 0 || s.segments[0].last <= now {
		return
	}
	for _, seg := range s.segments {
		seg.born, seg.last = min(seg.born, now), min(seg.last, now)
	}
}

// dropLocked takes the oldest segment out of the stream.
func (s *Store) dropLocked(seg *segment) {
	seg.gone, s.stuck = true, false
	s.segments = s.segments[1:]
	s.first = max(s.first, seg.end)
	s.size -= seg.end - seg.first
	s.doomed = append(s.doomed, seg)
}

// agePart is how long a segment may be written to, if bytes are to go at an
// age: it goes as a whole.
func (s *Store) agePart() time.Duration { return max(s.age/8, time.Second) }

// armAgeLocked sets the timer for when the age of something is to be looked at.
func (s *Store) armAgeLocked() {
	if s.age == 0 || s.closed || len(s.segments) == 0 {
		s.ageTimer.stop()
		return
	}
	due := time.UnixMilli(s.segments[0].last).Add(s.age)
	if w := s.writer; w != nil && w.seg.end > w.seg.first {
		if at := time.UnixMilli(w.seg.born).Add(s.agePart()); len(s.segments) == 1 || at.Before(due) {
			due = at
		}
	} else if len(s.segments) == 1 {
		s.ageTimer.stop()
		return // it is empty, or it is the last and stays
	}
	s.ageTimer.set(due, s.ageNow)
}

// ageNow is what the timer calls.
func (s *Store) ageNow() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.ageTimer.stop()
	changed := s.retainLocked()
	s.mu.Unlock()
	changed.call()
}

// removeNext removes the files of the oldest segment that goes. The names of
// those that stay are on disk before, the data's is gone for good before the
// index goes, and that before the next segment does: whatever a crash leaves
// has no hole, and tells where the stream stood.
func (s *Store) removeNext() {
	s.mu.Lock()
	seg := s.doomed[0]
	var idle File
	for i, on := range s.shelf {
		if on == seg {
			idle = s.unshelveLocked(i)
			break
		}
	}
	s.mu.Unlock()
	closeFile(idle)
	err := s.fs.SyncDir(s.dir)
	if err == nil {
		err = s.remove(dataName(seg.first))
	}
	if err == nil {
		err = s.fs.SyncDir(s.dir)
	}
	if err == nil {
		err = s.remove(indexName(seg.first))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		// Those behind it must stay too, lest there be a hole.
		s.log.Warn("old segments stay for now", "from", seg.first, "err", err)
		s.stuck = true
		return
	}
	s.doomed = s.doomed[1:]
}

// remove removes a file of the folder, if it is there.
func (s *Store) remove(name string) error {
	if err := s.fs.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
