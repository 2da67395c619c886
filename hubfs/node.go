package hubfs

import (
	"fmt"
	"sync/atomic"
	"time"

	"hubfs/tree"
)

// meta is what every node of the tree has.
type meta struct {
	fs    *FS
	path  uint64 // qid.path; see FS.newPath
	owner string
	made  time.Time

	// guarded by fs.mu
	name string
	mode uint32 // with tree.ModeDir

	// Who wrote last; "" while nobody has. Set without mu, for every write
	// passes here.
	muid atomic.Pointer[string]
}

// init sets the fields up; a meta is part of its node and is not copied.
func (m *meta) init(fs *FS, path uint64, name, owner string, mode uint32) {
	m.fs, m.path, m.name, m.owner, m.mode, m.made = fs, path, name, owner, mode, time.Now()
}

func (m *meta) infoLocked() tree.Info {
	muid := m.owner
	if p := m.muid.Load(); p != nil {
		muid = *p
	}
	return tree.Info{
		Name: m.name, Path: m.path, Mode: m.mode,
		Atime: m.made, Mtime: m.made,
		UID: m.owner, GID: m.owner, MUID: muid,
	}
}

// Stat describes the node.
func (m *meta) Stat() tree.Info {
	m.fs.mu.Lock()
	defer m.fs.mu.Unlock()
	return m.infoLocked()
}

// wrote notes who wrote last.
func (m *meta) wrote(user *string) {
	if old := m.muid.Load(); old == nil || *old != *user {
		m.muid.Store(user)
	}
}

// Change accepts what has no effect on a file whose bytes come and go: its
// length and times, for a shell's > and touch set them. Nodes that can do
// more have a Change of their own.
func (m *meta) Change(c *tree.Caller, ch tree.Change) error {
	if ch.Name != nil || ch.Mode != nil || ch.GID != nil {
		return fmt.Errorf("the server's own file: %w", tree.ErrPermission)
	}
	return nil
}

// A text is a file whose content is made anew for each reader.
type text struct {
	meta
	rule    rule
	content func(c *tree.Caller) string
}

// Open gives a handle for reading.
func (t *text) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	return &textHandle{c: c, content: func() string { return t.content(c) }}, nil
}

// A textHandle is one open of a text. The content is made at the first read
// and again at each read from the start, so that a reader who takes it in
// several pieces sees one state of things.
type textHandle struct {
	c       *tree.Caller // who reads, and has the text held for it
	content func() string
	made    bool // made and s: only the reading lane touches them
	s       string
}

// ReadAt reads the text.
func (h *textHandle) ReadAt(p []byte, off int64) (int, error) {
	s, err := h.from(off)
	return copy(p, s), err
}

// from returns what there is to read from off on.
func (h *textHandle) from(off int64) (string, error) {
	if off == 0 || !h.made {
		if err := h.make(); err != nil {
			return "", err
		}
	}
	if off < 0 || off >= int64(len(h.s)) {
		return "", nil
	}
	return h.s[off:], nil
}

// make makes the content anew, if the reader may have the server hold that much.
func (h *textHandle) make() error {
	h.drop()
	s := h.content()
	if err := h.c.Holds(len(s)); err != nil {
		return err
	}
	h.s, h.made = s, true
	return nil
}

// drop lets go of the content.
func (h *textHandle) drop() {
	_ = h.c.Holds(-len(h.s)) // less is no error
	h.s, h.made = "", false
}

// readStream reads the text for a handle that is a stream at other times.
func (h *textHandle) readStream(dst []tree.Piece, off int64, max int) ([]tree.Piece, bool, error) {
	s, err := h.from(off)
	if s = s[:min(len(s), max)]; s == "" {
		return dst, err == nil, err
	}
	return append(dst, tree.Piece{Data: []byte(s)}), true, nil
}

// Close ends the open.
func (h *textHandle) Close() error {
	h.drop()
	return nil
}
