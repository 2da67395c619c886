package hubfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"

	"hubfs/internal/flock"
)

// A stateDir is the folder in which a server keeps what it is to find again: an
// entry for each hub that is spooled, which is the folder of its store, or a
// link to it. Only one server uses it at a time. It is made, and locked, when it
// is first used; what other people can write to is refused.
type stateDir struct {
	dir string // immutable

	// mu orders what is done to the folder, and is held during that.
	mu   sync.Mutex
	lock *os.File // guarded by mu; the folder itself; nil: not locked yet
}

func newState(dir string) *stateDir {
	if dir == "" {
		return nil
	}
	return &stateDir{dir: filepath.Clean(dir)}
}

// path is where an entry is.
func (s *stateDir) path(entry string) string { return filepath.Join(s.dir, entry) }

// holds reports whether a path is that of the folder or leads into it.
func (s *stateDir) holds(path string) bool {
	if s == nil {
		return false
	}
	rel, err := filepath.Rel(s.dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// find takes the lock of the folder, if there is one, and lists it. It waits
// for a server that is just ending.
func (s *stateDir) find(ctx context.Context) ([]os.DirEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Stat(s.dir); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err := s.lockLocked(ctx); err != nil {
		return nil, err
	}
	return os.ReadDir(s.dir)
}

// lockLocked takes the lock, once.
func (s *stateDir) lockLocked(ctx context.Context) error {
	if s.lock != nil {
		return nil
	}
	f, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	if err := private(f); err != nil {
		return err
	}
	switch err := flock.Lock(ctx, f); {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("folder %s is in use by another server: %w", f.Name(), err)
	case err != nil:
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	s.lock = f
	return nil
}

// private refuses a folder in which others could make us find things.
func private(f *os.File) error {
	info, err := f.Stat()
	if err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !info.IsDir():
			err = fmt.Errorf("%s is not a folder", f.Name())
		case !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0:
			err = fmt.Errorf("folder %s is not this user's own, or others may write to it", f.Name())
		}
	}
	if err != nil {
		f.Close()
	}
	return err
}

// unlock lets another server have the folder.
func (s *stateDir) unlock() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock != nil {
		s.lock.Close()
		s.lock = nil
	}
}

// makeDir makes a folder for a hub, and returns the entry.
func (s *stateDir) makeDir(name string) (entry string, err error) {
	return s.add(name, func(path string) error { return os.Mkdir(path, 0o700) })
}

// link makes a link to a folder for a hub, and returns the entry.
func (s *stateDir) link(name, dir string) (entry string, err error) {
	return s.add(name, func(path string) error { return os.Symlink(dir, path) })
}

// maxEntries is how many hubs of one name can have left their folders behind.
const maxEntries = 10_000

// add makes an entry under the first name that is free of NAME, NAME~2 and so
// on.
func (s *stateDir) add(name string, mk func(path string) error) (entry string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return "", err
	}
	now, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	if err := s.lockLocked(now); err != nil {
		return "", err
	}
	entry = entryName(name)
	for n := 2; ; n++ {
		err := mk(s.path(entry))
		switch {
		case err == nil:
			return entry, s.lock.Sync()
		case !errors.Is(err, os.ErrExist) || n > maxEntries:
			return "", err
		}
		entry = fmt.Sprintf("%s~%d", entryName(name), n)
	}
}

// forget removes an entry that is a link.
func (s *stateDir) forget(entry string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Remove(s.path(entry)); err != nil {
		return err
	}
	return s.lock.Sync()
}

// maxEntryName is how long the name of an entry may be but for what makes it
// unique; file systems allow 255 bytes.
const maxEntryName = 200

// entryName is the name of a hub as that of a file, for people: the note says
// what the hub is called. What would be a path, hidden or special is escaped as
// in a URL.
func entryName(name string) string {
	var b strings.Builder
	for i, r := range name {
		if b.Len() > maxEntryName-utf8.UTFMax {
			break
		}
		if r == '/' || r == '%' || r == '~' || r == '\\' || i == 0 && (r == '.' || r == '-') {
			fmt.Fprintf(&b, "%%%02X", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
