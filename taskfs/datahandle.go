package taskfs

import (
	"errors"
	"io"
	"os"

	"hubfs/tree"
)

// A dataHandle is one open of a file.
type dataHandle struct {
	f           *folder
	at          string
	file        *os.File
	read, write bool
}

// ReadAt reads from the file.
func (h *dataHandle) ReadAt(p []byte, off int64) (int, error) {
	if !h.read {
		return 0, tree.ErrPermission
	}
	n, err := h.file.ReadAt(p, off)
	if n > 0 || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, errText(err)
}

// WriteAt writes to the file.
func (h *dataHandle) WriteAt(p []byte, off int64) (int, error) {
	if !h.write {
		return 0, tree.ErrPermission
	}
	if err := h.f.may(); err != nil {
		return 0, err
	}
	if off < 0 || off > h.f.most {
		return 0, tree.ErrInvalid
	}
	if err := h.f.growTo(h.at, off+int64(len(p)), false); err != nil {
		return 0, err
	}
	n, err := h.file.WriteAt(p, off)
	return n, errText(err)
}

// Close ends the open.
func (h *dataHandle) Close() error { return errText(h.file.Close()) }
