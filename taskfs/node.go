package taskfs

import (
	"fmt"
	"time"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A meta is what every node has that is no hub. It does not change.
type meta struct {
	name  string
	path  uint64
	mode  uint32
	owner string
	made  time.Time
}

// Stat describes the node.
func (m meta) Stat() tree.Info {
	return tree.Info{
		Name: m.name, Path: m.path, Mode: m.mode, Atime: m.made, Mtime: m.made,
		UID: m.owner, GID: m.owner, MUID: m.owner,
	}
}

// Change accepts what has no effect on a file whose bytes come and go: its length
// and times, for a shell's > and touch set them.
func (m meta) Change(c *tree.Caller, ch tree.Change) error {
	if ch.Name != nil || ch.Mode != nil || ch.GID != nil {
		return fmt.Errorf("%s is the server's own: %w", m.name, tree.ErrPermission)
	}
	return nil
}

// A text is a file that is only read, whose content is made for each reader.
type text struct {
	meta
	opened  opened
	content func() (string, error)
}

// Open gives a handle for reading. The content may take its time.
func (t *text) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	if err := maySee(c); err != nil {
		return nil, err
	}
	t.opened.by(1)
	return &textHandle{handles.TryText(c, t.content), t.opened}, nil
}

// A textHandle is one open of a text.
type textHandle struct {
	text   *handles.Text
	opened opened
}

// ReadAt reads the text.
func (h *textHandle) ReadAt(p []byte, off int64) (int, error) { return h.text.ReadAt(p, off) }

// Close ends the open.
func (h *textHandle) Close() error {
	h.opened.by(-1)
	return h.text.Close()
}

// opened counts the files that are open; nil counts nothing.
type opened func(n int)

func (o opened) by(n int) {
	if o != nil {
		o(n)
	}
}

// A control is a file that is written in lines, each of words.
type control struct {
	meta
	opened  opened
	content func() (string, error)
	trunc   func() error // done at an open with OpenTrunc; nil: nothing
	do      func(line []string) error
}

// Open gives a handle for reading and writing.
func (f *control) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if tree.Writable(mode) {
		if err := mayRun(c); err != nil {
			return nil, err
		}
		if mode&tree.OpenTrunc != 0 && f.trunc != nil {
			if err := f.trunc(); err != nil {
				return nil, err
			}
		}
	}
	f.opened.by(1)
	return &controlHandle{textHandle{handles.TryText(c, f.content), f.opened}, f, c, tree.Writable(mode)}, nil
}

// A controlHandle is one open of a control.
type controlHandle struct {
	textHandle
	f     *control
	c     *tree.Caller
	write bool
}

// WriteAt does what the lines of p say, which are whole.
func (h *controlHandle) WriteAt(p []byte, off int64) (int, error) {
	if !h.write {
		return 0, tree.ErrPermission
	}
	if err := mayRun(h.c); err != nil { // rights may have changed
		return 0, err
	}
	if err := lex.Each(p, h.f.do); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A linesFile is a stream of lines that the server writes.
type linesFile struct {
	meta
	opened opened
	open   func(label string) *handles.Cursor
}

// Open gives a reader of the lines.
func (f *linesFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	if err := maySee(c); err != nil {
		return nil, err
	}
	f.opened.by(1)
	return &linesHandle{f.open(lex.Fields(c.User, c.Addr)), f.opened}, nil
}

// A linesHandle is one open of a linesFile.
type linesHandle struct {
	*handles.Cursor
	opened opened
}

// Close ends the open.
func (h *linesHandle) Close() error {
	h.opened.by(-1)
	return h.Cursor.Close()
}
