package filestore

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// A disk is a file system that can be told to fail, whose user can be killed,
// and whose machine can crash. A crash loses, at random, what was not synced:
// each page of each write, each change of size, each change of a name.
type disk struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	life  int // views of former ones are dead
	names map[string]*inode
	dirs  map[string]bool

	safeNames map[string]*inode
	changes   []nameChange // since
	locked    map[string]bool

	ops   int                            // so far
	fault func(n int, op string) *mishap // nil: none; called for each operation
}

// An inode is a file, or something else that has a name.
type inode struct {
	data []byte
	odd  bool // not a plain file

	safe    []byte
	changes []change // since
}

// A change is a write or, without data, a truncation.
type change struct {
	at   int64
	data []byte
}

// A nameChange gives a name to a file (nil: to none), and takes another away.
type nameChange struct {
	name string
	file *inode
	from string
}

// A mishap is how an operation fails.
type mishap struct {
	err  error
	half bool // a write is half done before
}

var errKilled = errors.New("process was killed")

func newDisk(seed uint64) *disk {
	return &disk{
		rnd:       rand.New(rand.NewPCG(seed, 1)),
		names:     map[string]*inode{},
		dirs:      map[string]bool{},
		safeNames: map[string]*inode{},
		locked:    map[string]bool{},
	}
}

// kill ends the life of all views; the disk holds what was written.
func (d *disk) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	clear(d.locked)
}

// crash is kill, and the loss of what was not safe.
func (d *disk) crash() {
	d.kill()
	d.mu.Lock()
	defer d.mu.Unlock()
	survives := func() bool { return d.rnd.IntN(2) == 0 }
	switch d.rnd.IntN(4) {
	case 0:
		survives = func() bool { return false }
	case 1: // the odd thing is lost
		survives = func() bool { return d.rnd.IntN(20) > 0 }
	}
	for _, c := range d.changes {
		if survives() {
			c.apply(d.safeNames)
		}
	}
	d.changes = nil
	d.names = maps.Clone(d.safeNames)
	for _, f := range d.names {
		for _, c := range f.changes {
			if c.data == nil {
				if survives() {
					f.safe = resize(f.safe, c.at)
				}
				continue
			}
			const page = 4096
			for at, b := c.at, c.data; len(b) > 0; {
				n := min(page-int(at%page), len(b))
				if survives() {
					f.safe = put(f.safe, b[:n], at)
				}
				at, b = at+int64(n), b[n:]
			}
		}
		f.changes = nil
		f.data = bytes.Clone(f.safe)
	}
}

func (c nameChange) apply(names map[string]*inode) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.file == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.file
	}
}

func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}

func put(b, data []byte, at int64) []byte {
	if end := at + int64(len(data)); end > int64(len(b)) {
		b = resize(b, end)
	}
	copy(b[at:], data)
	return b
}

// A view is the disk as one life of the process has it: an FS.
type view struct {
	d    *disk
	life int
}

func (d *disk) view() view {
	d.mu.Lock()
	defer d.mu.Unlock()
	return view{d, d.life}
}

// beginLocked counts an operation and says how it fails.
func (v view) beginLocked(op string) *mishap {
	if v.life != v.d.life {
		return &mishap{err: errKilled}
	}
	v.d.ops++
	if v.d.fault != nil {
		return v.d.fault(v.d.ops, op)
	}
	return nil
}

func (v view) MakeDir(dir string) error {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("mkdir"); m != nil {
		return m.err
	}
	v.d.dirs[dir] = true
	return nil
}

type unlocker struct {
	view
	dir string
}

func (u unlocker) Close() error {
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	if u.life == u.d.life {
		delete(u.d.locked, u.dir)
	}
	return nil
}

func (v view) Lock(dir string) (io.Closer, error) {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("lock"); m != nil {
		return nil, m.err
	}
	if v.d.locked[dir] {
		return nil, ErrLocked
	}
	v.d.locked[dir] = true
	return unlocker{v, dir}, nil
}

func (v view) List(dir string) ([]Entry, error) {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("list"); m != nil {
		return nil, m.err
	}
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(v.d.names)) {
		if filepath.Dir(name) == dir {
			f := v.d.names[name]
			entries = append(entries, Entry{filepath.Base(name), int64(len(f.data)), !f.odd})
		}
	}
	v.d.rnd.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	return entries, nil
}

func (v view) Open(name string, flag int) (File, error) {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("open"); m != nil {
		return nil, m.err
	}
	f := v.d.names[name]
	switch {
	case f == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case f != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EEXIST}
	case f != nil && f.odd:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
	case f == nil:
		f = &inode{}
		v.d.names[name] = f
		v.d.changes = append(v.d.changes, nameChange{name: name, file: f})
	case flag&os.O_TRUNC != 0:
		f.data = nil
		f.changes = append(f.changes, change{})
	}
	return &handle{view: v, inode: f, writes: flag&os.O_RDWR != 0}, nil
}

func (v view) Rename(from, to string) error {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("rename"); m != nil {
		return m.err
	}
	f := v.d.names[from]
	if f == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: syscall.ENOENT}
	}
	c := nameChange{name: to, file: f, from: from}
	c.apply(v.d.names)
	v.d.changes = append(v.d.changes, c)
	return nil
}

func (v view) Remove(name string) error {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("remove"); m != nil {
		return m.err
	}
	if v.d.dirs[name] {
		for n := range v.d.names {
			if filepath.Dir(n) == name {
				return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
			}
		}
		delete(v.d.dirs, name)
		return nil
	}
	if v.d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	c := nameChange{name: name}
	c.apply(v.d.names)
	v.d.changes = append(v.d.changes, c)
	return nil
}

func (v view) SyncDir(dir string) error {
	v.d.mu.Lock()
	defer v.d.mu.Unlock()
	if m := v.beginLocked("syncdir"); m != nil {
		return m.err
	}
	for _, c := range v.d.changes {
		c.apply(v.d.safeNames)
	}
	v.d.changes = nil
	return nil
}

// A handle is an open file.
type handle struct {
	view
	*inode
	writes bool
	closed bool
}

func (h *handle) begin(op string) *mishap {
	if h.closed {
		return &mishap{err: fs.ErrClosed}
	}
	if !h.writes && (op == "write" || op == "truncate") {
		return &mishap{err: syscall.EBADF}
	}
	return h.beginLocked(op)
}

func (h *handle) ReadAt(b []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if m := h.begin("read"); m != nil {
		return 0, m.err
	}
	if off >= int64(len(h.data)) {
		return 0, io.EOF
	}
	n := copy(b, h.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes some at a time, so that a kill may come between.
func (h *handle) WriteAt(b []byte, off int64) (n int, err error) {
	for first := true; first || n < len(b); first = false {
		m, err := h.writeSome(b[n:], off+int64(n), first)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (h *handle) writeSome(b []byte, off int64, first bool) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	var m *mishap
	if first {
		m = h.begin("write")
	} else if h.life != h.d.life {
		m = &mishap{err: errKilled}
	}
	n := len(b)
	switch {
	case m != nil && m.half:
		n /= 2
	case m != nil:
		return 0, m.err
	default:
		n = 1 + h.d.rnd.IntN(max(n, 1))
	}
	n = min(n, len(b))
	h.data = put(h.data, b[:n], off)
	h.changes = append(h.changes, change{off, append([]byte{}, b[:n]...)})
	if m != nil {
		return n, m.err
	}
	return n, nil
}

func (h *handle) Size() (int64, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if m := h.begin("size"); m != nil {
		return 0, m.err
	}
	return int64(len(h.data)), nil
}

func (h *handle) Truncate(size int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if m := h.begin("truncate"); m != nil {
		return m.err
	}
	h.data = resize(h.data, size)
	h.changes = append(h.changes, change{at: size})
	return nil
}

func (h *handle) Sync() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if m := h.begin("sync"); m != nil {
		return m.err
	}
	h.safe, h.changes = bytes.Clone(h.data), nil
	return nil
}

func (h *handle) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	return nil
}
