package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// tempPrefix begins the name of the directory in which a socket is bound
// before it gets its own name.
const tempPrefix = ".h"

// A unixListener is a socket with a name, and the lock that keeps the name.
type unixListener struct {
	*net.UnixListener
	path string
	ours fs.FileInfo // the socket as we made it
	lock *os.File

	once sync.Once
	err  error // of the first Close; set by once
}

// listenUnix takes the name a, in an order that leaves no gap:
//
//   - the lock first, so that of two servers that race one is second;
//   - then a look whether somebody answers at the name, since a lock file can
//     be deleted while its holder lives;
//   - then the socket, by a rename that replaces a stale one. The name appears
//     when the socket has its mode and listens: a client meets a server or
//     none, never one in between.
func listenUnix(ctx context.Context, a Addr) (_ net.Listener, err error) {
	if err := makeDir(a); err != nil {
		return nil, err
	}
	inUse := &opError{text: a.server() + " is already running", kind: ErrInUse}
	lock, err := lockFile(a.Address + ".lock")
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, inUse
	} else if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlockFile(lock)
		}
	}()

	switch fi, err := os.Lstat(a.Address); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case fi.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is in the way: it is not a socket", a.Address)
	default:
		c, err := new(net.Dialer).DialContext(ctx, "unix", a.Address)
		if err == nil {
			c.Close()
			return nil, inUse
		}
		if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is in the way: %w", a.Address, err)
		}
	}

	l, err := bindPrivate(ctx, a.Address)
	if err != nil {
		return nil, err
	}
	ours, err := os.Lstat(a.Address)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &unixListener{UnixListener: l, path: a.Address, ours: ours, lock: lock}, nil
}

// bindPrivate makes a listening socket of mode 0600 at path. bind(2) gives a
// socket the mode that the umask leaves, and the umask belongs to the whole
// process: a shell started at that moment would keep ours. So the socket is
// bound where nobody else can reach it, and moved.
func bindPrivate(ctx context.Context, path string) (*net.UnixListener, error) {
	tmp, err := os.MkdirTemp(filepath.Dir(path), tempPrefix) // mode 0700
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	s := filepath.Join(tmp, "s")
	nl, err := new(net.ListenConfig).Listen(ctx, "unix", s)
	if err != nil {
		return nil, err
	}
	l := nl.(*net.UnixListener)
	l.SetUnlinkOnClose(false) // it would unlink s; our Close knows better
	if err = os.Chmod(s, 0o600); err == nil {
		err = os.Rename(s, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close stops listening and removes the socket, unless another is in its
// place. The lock goes last.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		l.err = l.UnixListener.Close()
		if fi, err := os.Lstat(l.path); err == nil && os.SameFile(fi, l.ours) {
			l.err = errors.Join(l.err, os.Remove(l.path))
		}
		unlockFile(l.lock)
	})
	return l.err
}

// makeDir makes the directory of a's socket if it is missing, and refuses one
// in which others could put a socket in the place of ours.
func makeDir(a Addr) error {
	dir := filepath.Dir(a.Address)
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
	case errors.Is(err, fs.ErrNotExist) && a.Local():
		return fmt.Errorf("directory %s of $XDG_RUNTIME_DIR does not exist: make it, or unset the variable", filepath.Dir(dir))
	default:
		return fmt.Errorf("directory for a socket: %w", err)
	}
	if a.Local() {
		return checkPrivateDir(dir)
	}
	// A path that the user chose may be in a directory that others can list,
	// even in /tmp, whose sticky bit keeps them from what is not theirs.
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner := ownerOf(fi); !trusted(owner, os.Geteuid()) {
		return fmt.Errorf("directory %s belongs to %s: refused for a socket", dir, who(owner))
	}
	if fi.Mode()&0o022 != 0 && fi.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("directory %s can be written by others (mode %04o): refused for a socket", dir, fi.Mode().Perm())
	}
	return nil
}

// checkPrivateDir refuses a directory that is not the user's own and closed to
// all others. It looks at the directory itself, not through a symbolic link:
// in /tmp anybody may have made one.
func checkPrivateDir(dir string) error {
	fi, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case fi.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link: expected a directory of your own", dir)
	case !fi.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case ownerOf(fi) != os.Geteuid():
		return fmt.Errorf("directory %s belongs to %s: expected one of your own", dir, who(ownerOf(fi)))
	case fi.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("directory %s is open to others (mode %04o): chmod 700 it", dir, fi.Mode().Perm())
	}
	return nil
}

func ownerOf(fi fs.FileInfo) int { return int(fi.Sys().(*syscall.Stat_t).Uid) }

// lockFile takes the lock at path, or EWOULDBLOCK if another has it.
func lockFile(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		// Its last holder may have removed the file after we had opened it:
		// then we have the lock of a file that nobody else will find.
		have, err1 := f.Stat()
		there, err2 := os.Lstat(path)
		if err1 == nil && err2 == nil && os.SameFile(have, there) {
			return f, nil
		}
		f.Close()
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err2, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// unlockFile removes the lock file while it is still locked, so that it cannot
// be another's, and lets go.
func unlockFile(f *os.File) {
	os.Remove(f.Name())
	f.Close()
}
