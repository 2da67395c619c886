package hubfs

import (
	"fmt"
	"sync/atomic"
	"time"

	"hubfs/internal/handles"
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
	return handles.NewText(c, func() string { return t.content(c) }), nil
}
