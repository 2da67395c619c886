// Package wholefile writes private files of which a reader, also after a crash,
// finds the old text or the new one, and never a part.
package wholefile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Replace puts a file with the text at path, mode 0600, at once and for good: when
// it returns without an error both the text and the name are on the disk. What is
// at path is replaced, and not followed if it is a link. The folder is the
// caller's own, and one caller at a time replaces a file, as by a lock of another:
// what a crash has left at path.new is overwritten.
func Replace(path string, text []byte) error {
	tmp, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
