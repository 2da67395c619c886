package mount

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hubfs/client"
)

// maxIO is the largest read or write that the kernel asks for.
const maxIO = 1 << 20

// A Mount is a tree that is mounted.
type Mount struct {
	dir  string
	done chan struct{} // closed when it is unmounted and nobody uses it any more

	close   func() error // once
	watcher *watcher
}

// New mounts the tree of c on the folder dir, which must be there. What a
// process that was killed has left mounted there is unmounted first.
func New(c *client.Conn, dir string, o Options) (*Mount, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := Check(dir); err != nil {
		return nil, err
	}
	fd, err := open(dir, o.Source)
	if err != nil {
		return nil, err
	}
	w, err := watch(dir)
	if err != nil {
		syscall.Close(fd)
		return nil, errors.Join(fmt.Errorf("mount %s: %w", dir, err), unmount(dir))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &tree{c: c, complaints: complaints{log: o.Log}}
	logger := slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn)
	raw := fs.NewNodeFS(&folder{t: t}, &fs.Options{NullPermissions: true, Logger: logger})
	// Named by its descriptor the device is taken as it is, mounted by us.
	srv, err := fuse.NewServer(raw, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		MaxWrite:      maxIO,
		MaxBackground: 128,
		DisableXAttrs: true, // 9P has none
		// A listing with descriptions would be thrown away: nothing is kept.
		DisableReadDirPlus: true,
		DisableSplice:      true,
		// Shells' > is one open with truncation, as it is in 9P.
		ExtraCapabilities: fuse.CAP_ATOMIC_O_TRUNC,
		Logger:            logger,
	})
	if err != nil {
		err = errors.Join(fmt.Errorf("mount %s: %w", dir, err), unmount(dir))
		w.dismiss()
		return nil, err
	}
	m := &Mount{dir: dir, watcher: w, done: make(chan struct{})}
	m.close = sync.OnceValue(m.unmount)
	go func() { // until it is unmounted and nothing in it is open any more
		defer close(m.done)
		srv.Serve()
	}()
	return m, nil
}

// Done returns a channel that is closed when the tree is unmounted, by whomever,
// and nothing in it is open any more.
func (m *Mount) Done() <-chan struct{} { return m.done }

// Close unmounts the tree. What is still open in it stays so, and Done waits for
// it; nobody finds the tree any more.
func (m *Mount) Close() error { return m.close() }

func (m *Mount) unmount() error {
	defer m.watcher.dismiss()
	select {
	case <-m.done: // somebody else has
		return nil
	default:
	}
	err := unmount(m.dir)
	if errors.Is(err, syscall.EINVAL) {
		return nil // somebody else has, and somebody uses it still
	}
	return err
}
