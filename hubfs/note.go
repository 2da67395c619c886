package hubfs

import (
	"strings"

	"hubfs/tree"
)

// A noteFile is NAME0.note: what is written there signals the shell.
type noteFile struct {
	meta
	shell *shell
}

func newNoteFile(s *shell) *noteFile {
	f := &noteFile{shell: s}
	f.init(s.fs, s.fs.newPath(), s.name+sufNote, s.owner, 0o222)
	return f
}

// Open gives a handle for writing.
func (f *noteFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Readable(mode) {
		return nil, tree.ErrPermission
	}
	return &noteHandle{f: f, c: c}, nil
}

type noteHandle struct {
	f *noteFile
	c *tree.Caller
}

// WriteAt sends one signal, by a note's name or its own.
func (h *noteHandle) WriteAt(p []byte, off int64) (int, error) {
	if err := h.f.shell.signal(strings.Trim(string(p), " \t\r\n\x00")); err != nil {
		return 0, err
	}
	h.f.wrote(&h.c.User)
	return len(p), nil
}

// Close ends the open.
func (h *noteHandle) Close() error { return nil }
