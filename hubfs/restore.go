package hubfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hubfs/hub/filestore"
	"hubfs/tree"
)

// lockPatience is how long a word of /ctl waits for another server to leave the
// state folder.
const lockPatience = 5 * time.Second

// A found is a hub that lies on disk.
type found struct {
	entry     string
	dir       string
	elsewhere bool
	note      spoolNote
	sync      filestore.Policy
}

// Restore finds the hubs that Config.State holds, before the tree is served.
// It waits for the server that has the folder, if there is one, until ctx is
// done: a server that is ending still writes. What it cannot make a hub of it
// leaves alone, and logs.
func (fs *FS) Restore(ctx context.Context) error {
	if fs.state == nil {
		return nil
	}
	entries, err := fs.state.find(ctx)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	var all []found
	for _, e := range entries {
		switch h, err := fs.lookAt(e); {
		case errors.Is(err, os.ErrNotExist): // without a note: files that are kept for their own sake
		case err != nil:
			fs.log.Warn("not a hub", "path", fs.state.path(e.Name()), "err", err)
		default:
			all = append(all, h)
		}
	}
	// As they were made, so that the oldest has the lowest number again.
	slices.SortStableFunc(all, func(a, b found) int { return a.note.Made.Compare(b.note.Made) })
	for _, h := range all {
		if err := fs.restore(h); err != nil {
			fs.log.Warn("a hub stays on disk", "hub", h.note.Name, "dir", h.dir, "err", err)
		}
	}
	return nil
}

// lookAt finds out what an entry of the state folder is. The error is
// os.ErrNotExist for one that is not registered.
func (fs *FS) lookAt(e os.DirEntry) (h found, err error) {
	if strings.HasPrefix(e.Name(), ".") {
		return h, os.ErrNotExist
	}
	h.entry, h.dir = e.Name(), fs.state.path(e.Name())
	switch {
	case e.Type()&os.ModeSymlink != 0:
		h.elsewhere = true
		if h.dir, err = os.Readlink(h.dir); err != nil {
			return h, err
		}
		if !filepath.IsAbs(h.dir) {
			return h, fmt.Errorf("a link to %q, which is not absolute", h.dir)
		}
		if _, err := os.Stat(h.dir); err != nil {
			return h, fmt.Errorf("a link to nowhere: %v", err)
		}
	case !e.IsDir():
		return h, errors.New("not a folder")
	}
	b, err := filestore.ReadNote(fs.disk, h.dir)
	if err != nil {
		return h, err
	}
	h.note, h.sync, err = decodeNote(b)
	if err != nil {
		return h, fmt.Errorf("note: %w", err)
	}
	return h, nil
}

// restore makes the hub again.
func (fs *FS) restore(h found) error {
	store, err := fs.openStore(h.dir, filestore.Options{
		Sync: h.sync, Keep: h.note.Keep, Age: time.Duration(h.note.Age) * time.Second,
	})
	if err != nil {
		return err
	}
	if h.note.Removed && !h.elsewhere {
		return store.Remove()
	}
	fs.mu.Lock()
	defer fs.unlockDone()
	d, err := fs.restoreDirsLocked(h.note)
	name := h.note.Name[strings.LastIndexByte(h.note.Name, '/')+1:]
	if err == nil {
		err = d.freeLocked(nil, name)
	}
	if err != nil {
		store.Close()
		return err
	}
	f := newHubFile(fs, d, name, &tree.Caller{User: h.note.Owner}, h.note.Mode, nil, store)
	f.made = h.note.Made.Local()
	f.spool = &spool{
		f: f, store: store, sync: h.sync, entry: h.entry, elsewhere: h.elsewhere,
		keep: h.note.Keep, age: time.Duration(h.note.Age) * time.Second, noted: h.note.encode(),
	}
	d.linkLocked(f) // counts the spool too
	if h.note.Ended {
		fs.later(func() { f.hub.End(h.note.Status) })
	}
	return nil
}

// restoreDirsLocked returns the directory in which a hub was, which it makes if
// it is not there.
func (fs *FS) restoreDirsLocked(n spoolNote) (*dir, error) {
	d := fs.root
	names := strings.Split(n.Name, "/")
	for i, name := range names[:len(names)-1] {
		sub, ok := d.kids[name].(*dir)
		if !ok {
			if err := d.freeLocked(nil, name); err != nil {
				return nil, fmt.Errorf("directory %s: %w", name, err)
			}
			sub = newDir(fs, d, name, n.Dirs[i].Owner, tree.ModeDir|n.Dirs[i].Mode)
			d.add(sub)
			fs.nodes++
		}
		d = sub
	}
	return d, nil
}
