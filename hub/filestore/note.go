package filestore

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxNote is how long a note may be.
const maxNote = 1 << 20

// Note returns what SetNote was given last, in this life or one before; nil if
// there is none.
func (s *Store) Note() []byte {
	s.noteMu.Lock()
	defer s.noteMu.Unlock()
	return bytes.Clone(s.note)
}

// SetNote keeps a few bytes beside the stream, for whoever opens it next. When
// it returns they are on disk, all of them; if it fails, or the machine does,
// those of before may be there instead.
func (s *Store) SetNote(b []byte) error {
	if len(b) > maxNote {
		return fmt.Errorf("note of %d bytes: at most %d", len(b), maxNote)
	}
	s.noteMu.Lock()
	defer s.noteMu.Unlock()
	if s.noteClosed {
		return ErrClosed
	}
	if err := s.replace(noteName, noteTmpName, b); err != nil {
		return err
	}
	s.note = append([]byte{}, b...)
	return s.fs.SyncDir(s.dir)
}

// readNote reads the note of before.
func (s *Store) readNote() error {
	name := s.path(noteName)
	f, err := s.fs.Open(name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return err
	}
	if n > maxNote {
		return fmt.Errorf("%s has %d bytes: at most %d", name, n, maxNote)
	}
	b := make([]byte, n)
	got, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", name, err)
	}
	s.note = b[:got]
	return nil
}

// ReadNote returns the note in a folder, without opening the store. The error
// wraps os.ErrNotExist if there is none.
func ReadNote(fs FS, dir string) ([]byte, error) {
	s := Store{fs: fs, dir: dir}
	if err := s.readNote(); err != nil {
		return nil, err
	}
	return s.note, nil
}

// RemoveNote removes the note from a folder, whoever has it open, and returns
// when it is gone for good. It is no error if there is none.
func RemoveNote(fs FS, dir string) error {
	s := Store{fs: fs, dir: dir}
	if err := s.remove(noteName); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}
