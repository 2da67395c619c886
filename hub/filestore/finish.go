package filestore

import (
	"errors"
	"fmt"
	"io/fs"
)

// finish is what Close began: it waits for the workers, who have no reason to
// go on for ever, and leaves nothing open.
func (s *Store) finish() {
	s.workers.Wait()
	s.noteMu.Lock()
	s.noteClosed = true
	s.noteMu.Unlock()

	s.mu.Lock()
	w, err, removed := s.writer, s.err, s.removed
	s.mu.Unlock()
	if w != nil && !removed && err == nil && s.policy != Never && w.dirty {
		err = s.syncWithName(w)
	}

	s.mu.Lock()
	s.writer = nil
	if w != nil {
		s.shelf = append(s.shelf, w.seg)
	}
	files := s.dropLoadedLocked()
	if w != nil {
		files = append(files, w.index)
	}
	s.tail.Close()
	s.mu.Unlock()
	for _, f := range files {
		closeFile(f)
	}

	if removed {
		err = s.removeAll()
	}
	if lerr := s.lock.Close(); err == nil {
		err = lerr
	}
	if err != nil {
		s.doneErr = fmt.Errorf("close the store %s: %w", s.dir, err)
	}
	close(s.done)
}

// removeAll removes what is ours from the folder, and the folder if that was
// all. The note goes last: as long as it is there, the store can be found, and
// removed again.
func (s *Store) removeAll() error {
	entries, err := s.fs.List(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	others, noted := false, false
	for _, e := range entries {
		switch k, _ := nameOf(e.Name); k {
		case foreign:
			others = true
		case note:
			noted = true
		default:
			if rerr := s.remove(e.Name); rerr != nil && err == nil {
				err = rerr
			}
		}
	}
	if err != nil {
		return err
	}
	if noted {
		if err := s.remove(noteName); err != nil {
			return err
		}
	}
	if others {
		return s.fs.SyncDir(s.dir)
	}
	return s.fs.Remove(s.dir)
}
