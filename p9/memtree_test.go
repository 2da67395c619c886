package p9

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hubfs/tree"
)

// A mem is a small tree in memory, with a stream, a slow file and files that
// panic. It counts what a server has to give back.
type mem struct {
	root *memDir

	paths  atomic.Uint64 // the last qid.path
	opens  atomic.Int64  // handles that are open
	pieces atomic.Int64  // pieces handed out and not freed
	closes atomic.Int64  // handles closed
}

func newMem() *mem {
	m := &mem{}
	m.root = m.dir("/", 0o777)
	m.root.kids["file"] = m.file("file", "hello, world\n", 0o666)
	m.root.kids["stream"] = m.stream("stream")
	m.root.kids["other"] = m.stream("other")
	m.root.kids["secret"] = m.file("secret", "mine", 0o600)
	m.root.kids["excl"] = m.file("excl", "one at a time", 0o666|tree.ModeExclusive)
	sub := m.dir("sub", 0o755)
	sub.kids["leaf"] = m.file("leaf", "green", 0o644)
	m.root.kids["sub"] = sub
	locked := m.dir("locked", 0o700)
	locked.kids["leaf"] = m.file("leaf", "brown", 0o644)
	m.root.kids["locked"] = locked
	return m
}

// epoch is the time of everything in the tree.
var epoch = time.Unix(1_000_000_000, 0)

type memNode struct {
	m    *mem
	mu   sync.Mutex
	info tree.Info
	up   *memDir
}

func (m *mem) node(name string, mode uint32) memNode {
	return memNode{m: m, info: tree.Info{
		Name: name, Path: m.paths.Add(1), Mode: mode, UID: "glenda", GID: "sys", MUID: "glenda", Atime: epoch, Mtime: epoch,
	}}
}

func (n *memNode) Stat() tree.Info {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.info
}

func (n *memNode) Change(c *tree.Caller, ch tree.Change) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.User != n.info.UID {
		return fmt.Errorf("%s is not yours: %w", n.info.Name, tree.ErrPermission)
	}
	if ch.Mode != nil {
		n.info.Mode = n.info.Mode&tree.ModeDir | *ch.Mode
	}
	if ch.Mtime != nil {
		n.info.Mtime = *ch.Mtime
	}
	return nil
}

func (n *memNode) Remove(c *tree.Caller) error {
	if n.up == nil || c.User != n.info.UID {
		return tree.ErrPermission
	}
	n.up.mu.Lock()
	defer n.up.mu.Unlock()
	delete(n.up.kids, n.info.Name)
	return nil
}

type memDir struct {
	memNode
	kids map[string]tree.Node // guarded by mu
}

func (m *mem) dir(name string, perm uint32) *memDir {
	return &memDir{memNode: m.node(name, perm|tree.ModeDir), kids: make(map[string]tree.Node)}
}

func (d *memDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, ok := d.kids[name]; ok {
		return n, nil
	}
	return nil, tree.ErrNotExist
}

func (d *memDir) List(c *tree.Caller) ([]tree.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var infos []tree.Info
	for _, name := range slices.Sorted(maps.Keys(d.kids)) {
		infos = append(infos, d.kids[name].Stat())
	}
	return infos, nil
}

func (d *memDir) Create(c *tree.Caller, name string, perm uint32, mode uint8) (tree.Node, tree.Handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.kids[name]; ok {
		return nil, nil, tree.ErrExist
	}
	if perm&tree.ModeDir != 0 {
		n := d.m.dir(name, perm)
		n.up, n.info.UID = d, c.User
		d.kids[name] = n
		return n, nil, nil
	}
	n := d.m.file(name, "", perm)
	n.up, n.info.UID = d, c.User
	d.kids[name] = n
	h, err := n.Open(c, mode)
	return n, h, err
}

// A memFile is a plain file.
type memFile struct {
	memNode
	data []byte // guarded by mu
}

func (m *mem) file(name, data string, mode uint32) *memFile {
	f := &memFile{memNode: m.node(name, mode), data: []byte(data)}
	f.info.Length = int64(len(data))
	return f
}

func (f *memFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if mode&tree.OpenTrunc != 0 {
		f.data, f.info.Length = nil, 0
	}
	f.m.opens.Add(1)
	return &memHandle{f: f}, nil
}

type memHandle struct{ f *memFile }

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if off >= int64(len(h.f.data)) {
		return 0, nil
	}
	return copy(p, h.f.data[off:]), nil
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if off > 1<<20 {
		return 0, tree.ErrInvalid
	}
	if end := int(off) + len(p); end > len(h.f.data) {
		h.f.data = append(h.f.data, make([]byte, end-len(h.f.data))...)
		h.f.info.Length = int64(end)
	}
	return copy(h.f.data[off:], p), nil
}

func (h *memHandle) Close() error { return h.f.m.closed() }

func (m *mem) closed() error {
	m.closes.Add(1)
	if m.opens.Add(-1) < 0 {
		panic("closed twice")
	}
	return nil
}

// A memStream is a stream that keeps everything: readers wait at its end,
// writers while the gate is shut.
type memStream struct {
	memNode
	data    []byte                 // guarded by mu; only appended to
	ended   bool                   // guarded by mu
	shut    bool                   // guarded by mu; writers wait
	slow    bool                   // guarded by mu; what was written is taken, and not done until it is not slow
	waiting map[*streamWait]func() // guarded by mu
	order   []*streamWait          // guarded by mu; of arrival
}

// A streamWait is a read or a write of one handle that waits.
type streamWait struct{ h *streamHandle }

func (m *mem) stream(name string) *memStream {
	return &memStream{memNode: m.node(name, 0o666), waiting: make(map[*streamWait]func())}
}

func (s *memStream) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	s.m.opens.Add(1)
	h := &streamHandle{s: s}
	h.r.h, h.w.h = h, h
	return h, nil
}

// wake calls everybody who waits.
func (s *memStream) wakeAll() {
	s.mu.Lock()
	var wakes []func()
	for _, w := range s.order {
		if f, ok := s.waiting[w]; ok {
			wakes = append(wakes, f)
			delete(s.waiting, w)
		}
	}
	s.order = s.order[:0]
	s.mu.Unlock()
	for _, f := range wakes {
		f()
	}
}

func (s *memStream) append(p []byte) {
	s.mu.Lock()
	s.data = append(s.data, p...)
	s.mu.Unlock()
	s.wakeAll()
}

func (s *memStream) set(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.wakeAll()
}

func (s *memStream) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.data)
}

func (s *memStream) waits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

func (s *memStream) waitLocked(w *streamWait, wake func()) {
	if _, twice := s.waiting[w]; twice {
		panic("two waits on one handle")
	}
	s.waiting[w] = wake
	s.order = append(s.order, w)
}

type streamHandle struct {
	s    *memStream
	pos  int
	r, w streamWait

	taken int // guarded by s.mu; bytes of a write that is not done
}

func (h *streamHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	s := h.s
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(max, len(s.data)-h.pos)
	if n == 0 {
		if s.ended {
			return dst, true, nil
		}
		s.waitLocked(&h.r, wake)
		return dst, false, nil
	}
	s.m.pieces.Add(1)
	dst = append(dst, tree.Piece{Data: s.data[h.pos : h.pos+n : h.pos+n], Owner: &streamPiece{m: s.m}})
	h.pos += n
	return dst, true, nil
}

func (h *streamHandle) CancelRead() { h.s.cancel(&h.r) }

func (h *streamHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	s := h.s
	s.mu.Lock()
	n := len(p.Data)
	switch {
	case h.taken > 0:
		defer s.mu.Unlock()
		if n > 0 || p.Owner != nil {
			panic("a piece that has passed came again")
		}
		n = h.taken
		if s.slow {
			s.waitLocked(&h.w, wake)
			return n, false, nil
		}
		h.taken = 0
		return n, true, nil
	case s.shut:
		defer s.mu.Unlock()
		s.waitLocked(&h.w, wake)
		return 0, false, nil
	}
	s.data = append(s.data, p.Data...)
	slow := s.slow && n > 0
	if slow {
		h.taken = n
	}
	s.mu.Unlock()
	p.Free()
	s.wakeAll()
	if slow {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waitLocked(&h.w, wake)
	}
	return n, !slow, nil
}

func (h *streamHandle) CancelWrite() (n int) {
	h.s.cancel(&h.w)
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	n, h.taken = h.taken, 0
	return n
}

func (s *memStream) cancel(w *streamWait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, w)
}

func (h *streamHandle) Close() error {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	_, r := h.s.waiting[&h.r]
	_, w := h.s.waiting[&h.w]
	if r || w || h.taken > 0 {
		panic("closed while it waits")
	}
	return h.s.m.closed()
}

type streamPiece struct {
	m    *mem
	done atomic.Bool
}

func (p *streamPiece) Free() {
	if p.done.Swap(true) {
		panic("piece freed twice")
	}
	p.m.pieces.Add(-1)
}

// A funcFile is a file whose handle a test makes.
type funcFile struct {
	memNode
	open func() tree.Handle
}

func (m *mem) fn(name string, open func() tree.Handle) *funcFile {
	f := &funcFile{memNode: m.node(name, 0o666), open: open}
	m.root.kids[name] = f
	return f
}

func (f *funcFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	f.m.opens.Add(1)
	return f.open(), nil
}
