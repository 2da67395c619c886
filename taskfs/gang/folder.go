package gang

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// A folder is where a crew has the files of its session. What comes for it is
// written by a pump, in order: a disk may be slow.
type folder struct {
	l    *local
	work pump

	mu     sync.Mutex
	queue  []*piece // guarded by mu
	closed bool     // guarded by mu

	// Only the pump touches these.
	root *os.Root // nil until the first piece
	file *os.File // that is being written; nil if none is
	path string   // its path
}

func newFolder(l *local) *folder {
	f := &folder{l: l}
	f.work = pump{run: l.g.node.wg.Go, step: f.step}
	return f
}

// put has a piece written. It does not wait.
func (f *folder) put(c *piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, c)
	f.work.kick()
}

// close closes what is open. The crew removes the folder.
func (f *folder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.work.kick()
}

func (f *folder) step() {
	for {
		f.mu.Lock()
		closed := f.closed
		var c *piece
		if len(f.queue) > 0 {
			c = f.queue[0]
			f.queue = f.queue[1:]
		}
		f.mu.Unlock()
		switch {
		case c != nil && closed:
			c.took(ErrReleased)
		case c != nil:
			c.took(f.write(c))
		default:
			if closed {
				f.shut()
			}
			return
		}
	}
}

func (f *folder) write(c *piece) error {
	if f.root == nil {
		dir, err := f.l.crew.Dir()
		if err != nil {
			return fmt.Errorf("make the folder of the session's files: %w", err)
		}
		// A Root leads nowhere else, whatever links tasks have made there.
		if f.root, err = os.OpenRoot(dir); err != nil {
			return err
		}
	}
	switch c.kind {
	case pieceDir:
		if c.path == "." {
			return nil
		}
		// Tasks and later pieces have to come in.
		err := f.root.Mkdir(c.path, c.mode|0o700)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	case pieceFile:
		if err := f.endFile(); err != nil {
			return err
		}
		// A program that runs is replaced, not written into.
		if err := f.root.Remove(c.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		file, err := f.root.OpenFile(c.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, c.mode|0o600)
		if err != nil {
			return err
		}
		f.file, f.path = file, c.path
		return nil
	case pieceData, pieceEnd:
		if f.file == nil || f.path != c.path {
			return fmt.Errorf("%s is not being written", c.path)
		}
		if c.kind == pieceEnd {
			return f.endFile()
		}
		_, err := f.file.Write(c.data)
		return err
	}
	return fmt.Errorf("a piece of the unknown kind %q", c.kind)
}

func (f *folder) endFile() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

func (f *folder) shut() {
	// What is not whole is not missed: the folder goes.
	_ = f.endFile()
	if f.root != nil {
		_ = f.root.Close()
		f.root = nil
	}
}
