package filestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// An FS is what a Store needs of a file system. Names are paths, as in os. Its
// methods may be called from several goroutines.
type FS interface {
	// MakeDir makes a folder that is the user's own, and its parents, if it is
	// not there.
	MakeDir(dir string) error

	// Lock keeps every other process and Store out of a folder until it is
	// closed, or the process ends. If somebody has it, the error is ErrLocked.
	Lock(dir string) (io.Closer, error)

	// List returns what is in a folder, in any order, and follows no symbolic
	// link.
	List(dir string) ([]Entry, error)

	// Open opens a plain file; flag is of os.O_RDONLY, O_RDWR, O_CREATE, O_EXCL
	// and O_TRUNC. A symbolic link is an error.
	Open(name string, flag int) (File, error)

	// Rename gives a file another name, which it takes from whoever has it.
	Rename(from, to string) error

	// Remove removes a file, or an empty folder.
	Remove(name string) error

	// SyncDir returns when the names in a folder are on disk.
	SyncDir(dir string) error
}

// A File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync returns when the file's bytes and its size are on disk.
	Sync() error
}

// An Entry is a name in a folder.
type Entry struct {
	Name  string
	Size  int64
	Plain bool // a file: no folder, link, fifo or device
}

// ErrLocked says that another server has the folder.
var ErrLocked = errors.New("folder is in use by another server")

// OS is the FS of the operating system.
type OS struct{}

// MakeDir implements FS.
func (OS) MakeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return OS{}.SyncDir(filepath.Dir(dir))
}

// Lock implements FS. The lock is of the folder itself: no file to forget.
func (OS) Lock(dir string) (io.Closer, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(lockEvery) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case err == syscall.EWOULDBLOCK && time.Since(start) < lockMax:
			continue
		case err == syscall.EWOULDBLOCK:
			err = ErrLocked
		default:
			err = fmt.Errorf("lock %s: %w", dir, err)
		}
		f.Close()
		return nil, err
	}
}

// A lock that was given up is held for a moment yet if whoever had it was just
// starting a process, which has all its files until it is another program.
const (
	lockMax   = 250 * time.Millisecond
	lockEvery = 5 * time.Millisecond
)

// List implements FS.
func (OS) List(dir string) ([]Entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, f := range found {
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody else's: ours stay while we have the lock
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{f.Name(), info.Size(), info.Mode().IsRegular()})
	}
	return entries, nil
}

// Open implements FS.
func (OS) Open(name string, flag int) (File, error) {
	f, err := patiently(func() (*os.File, error) {
		// Nonblocking, lest a fifo that has taken a file's name makes us wait.
		return os.OpenFile(name, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	})
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements FS.
func (OS) SyncDir(dir string) error {
	f, err := patiently(func() (*os.File, error) { return os.Open(dir) })
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Descriptors that have run out are waited for, so long at most: they come free
// when some connection ends. That there is none for the next segment is no
// reason to give up a history, nor to tell a reader that it cannot be read.
const (
	crowdedMax   = 10 * time.Second
	crowdedEvery = 50 * time.Millisecond
)

// patiently opens a file, and waits for a descriptor.
func patiently(open func() (*os.File, error)) (*os.File, error) {
	for start := time.Now(); ; time.Sleep(crowdedEvery) {
		f, err := open()
		crowded := errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
		if !crowded || time.Since(start) >= crowdedMax {
			return f, err
		}
	}
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
