package hubfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"hubfs/hub/filestore"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A spool is the history of a hub on disk. It is registered if the hub is to be
// there again when the server is started again: then the state folder has its
// folder, or a link to it, and beside the stream lies a note of what the hub
// is.
//
// The note follows what happens to the hub by itself: a goroutine writes it
// while it is behind. Who must know that it is on disk waits for that.
type spool struct {
	// Immutable.
	f         *hubFile
	store     *filestore.Store
	sync      filestore.Policy
	entry     string // its name in the state folder; "": it is not registered
	elsewhere bool   // the entry is a link: the folder outlives the hub

	// guarded by fs.mu
	keep    int64         // bytes; 0: all
	age     time.Duration // 0: for ever
	left    bool          // the hub has left it: the files stay, and nobody is to find the hub
	removed bool          // the hub was removed, and the files are to go
	noted   []byte        // the note that is on disk or on its way; nil: none
	saving  chan struct{} // closed when the goroutine that writes notes has ended; nil: there is none
	saveErr error         // of the last note; nil: it is on disk
}

// saveLocked lets the note follow. The channel is closed when it has.
func (sp *spool) saveLocked() <-chan struct{} {
	sp.f.fs.changedLocked()
	if sp.saving == nil {
		sp.saving = make(chan struct{})
		sp.f.fs.noting.Go(sp.save) // ends when the note is right; Shutdown waits
	}
	return sp.saving
}

// save writes notes until the one on disk is right.
func (sp *spool) save() {
	fs := sp.f.fs
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for {
		note := sp.noteLocked()
		if bytes.Equal(note, sp.noted) {
			close(sp.saving)
			sp.saving = nil
			return
		}
		before, left, removed := sp.noted, sp.left, sp.removed
		sp.noted = note
		fs.mu.Unlock()
		err := sp.write(note, left)
		if removed && err != nil {
			err = sp.gone(err)
		}
		fs.mu.Lock()
		sp.saveErr = err
		if err == nil {
			continue // it may have changed
		}
		sp.noted = before
		fs.log.Warn("note of a spooled hub", "hub", sp.f.pathLocked(), "dir", sp.store.Dir(), "err", err)
		close(sp.saving)
		sp.saving = nil
		return
	}
}

// noteLocked returns what the note is to be; nil if there is to be none.
func (sp *spool) noteLocked() []byte {
	if sp.entry == "" || sp.left {
		return nil
	}
	return noteOfLocked(sp).encode()
}

// write puts a note on disk or, with none, sees to it that nobody finds the
// hub there any more.
func (sp *spool) write(note []byte, left bool) error {
	if !left {
		return sp.store.SetNote(note)
	}
	// Not by the store, which may be closed, and whose disk may be full.
	err := filestore.RemoveNote(sp.f.fs.disk, sp.store.Dir())
	if sp.elsewhere {
		if uerr := sp.f.fs.state.forget(sp.entry); err == nil {
			err = uerr
		}
	}
	return err
}

// gone sees to it that nobody finds a hub that was removed, though the note
// cannot say so because of err. Mostly the store is just going, and the note with
// the rest; who is told that the hub is removed must be told after that, lest it
// comes back if the server is killed now.
func (sp *spool) gone(err error) error {
	if errors.Is(err, filestore.ErrClosed) {
		return sp.store.Wait()
	}
	err = filestore.RemoveNote(sp.f.fs.disk, sp.store.Dir()) // a full disk does not keep us from that
	if errors.Is(err, os.ErrNotExist) {
		return nil // the folder has gone meanwhile
	}
	return err
}

// saved waits until the note has followed, and says whether it is on disk. No
// lock is held.
func (sp *spool) saved() error {
	fs := sp.f.fs
	fs.mu.Lock()
	done := sp.saveLocked()
	fs.mu.Unlock()
	<-done
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return sp.saveErr
}

// removeLocked is for a hub that is being removed. What lies in the state
// folder goes with it, as soon as nobody has it open. What lies elsewhere is
// left alone, and so is what a shell has said: that is kept for its own sake.
func (sp *spool) removeLocked() {
	if sp.entry == "" || sp.elsewhere {
		sp.left = true
	} else {
		sp.removed = true // its note says so, until it goes too
	}
	sp.saveLocked()
}

// unspoolLocked is what follows when a hub has left its spool.
func (f *hubFile) unspoolLocked(reason ...string) {
	sp := f.spool
	f.spool = nil
	f.countSpoolLocked()
	sp.left = !sp.removed
	f.sayDiskLocked("hub nospool", reason...)
	sp.saveLocked()
}

// spoolFailed is told by the hub that its disk has failed, and that it has gone
// on in memory. It may be called from wherever the hub is used.
func (f *hubFile) spoolFailed(err error) {
	f.fs.mu.Lock()
	defer f.fs.unlock()
	if f.spool == nil {
		return // left on purpose just now
	}
	f.fs.log.Error("a hub has gone on in memory", "hub", f.pathLocked(), "dir", f.spool.store.Dir(), "err", err)
	f.unspoolLocked(err.Error())
}

// countSpoolLocked keeps the books of the loose hubs that are on disk.
func (f *hubFile) countSpoolLocked() {
	if f.spool != nil && f.linked && f.loose() {
		f.fs.spooled[f] = true
	} else {
		delete(f.fs.spooled, f)
	}
}

// goesLocked is for a store whose files are about to go. Until they have, their
// folder is not free: whoever makes a hub of the same name and spools it waits
// for that, so that it gets the folder of its name.
func (sp *spool) goesLocked() {
	fs, entry := sp.f.fs, sp.entry
	gone := make(chan struct{})
	fs.going[entry] = gone
	fs.storing.Go(func() { // ends with the store; Shutdown waits
		_ = sp.store.Wait() // openStore logs it
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if fs.going[entry] == gone {
			delete(fs.going, entry)
		}
		close(gone)
	})
}

// waitGone waits until the files of an entry have gone that are about to.
func (fs *FS) waitGone(entry string) {
	fs.mu.Lock()
	gone := fs.going[entry]
	fs.mu.Unlock()
	if gone != nil {
		<-gone
	}
}

// goes reports whether the files go with the hub.
func (sp *spool) goes() bool {
	sp.f.fs.mu.Lock()
	defer sp.f.fs.mu.Unlock()
	return sp.removed
}

// endLocked ends the stream, and has that noted.
func (f *hubFile) endLocked(status string) {
	f.sayLocked("hub end", status)
	f.fs.later(func() { f.hub.End(status); f.changed() })
}

// changed has it noted, in the post that changed the hub.
func (f *hubFile) changed() {
	f.fs.mu.Lock()
	defer f.fs.unlock()
	if f.spool != nil {
		f.spool.saveLocked()
	}
}

// noted waits until what was done to the hub is in its note, if it has one.
func (f *hubFile) noted() error {
	f.fs.mu.Lock()
	sp := f.spool
	f.fs.mu.Unlock()
	if sp == nil {
		return nil
	}
	if err := sp.saved(); err != nil {
		return fmt.Errorf("done, but not noted on disk: %w", err)
	}
	return nil
}

// openStore opens the store in dir. A goroutine waits for its end, which is
// when the hub has closed it and all is on disk.
func (fs *FS) openStore(dir string, o filestore.Options) (*filestore.Store, error) {
	o.FS, o.Log = fs.disk, fs.log
	store, err := filestore.Open(dir, o)
	if err != nil {
		return nil, err
	}
	fs.storing.Go(func() { // ends with the store; Shutdown waits
		if err := store.Wait(); err != nil {
			fs.log.Error("a spool has ended", "err", err)
		}
	})
	return store, nil
}

// lineLocked is the line of /status.
func (sp *spool) lineLocked() string {
	return fmt.Sprintf("spool %s %s %d %s %d %d\n", lex.Field(sp.f.pathLocked()), lex.Field(sp.store.Dir()),
		sp.store.Size(), sp.sync, sp.keep, int64(sp.age.Seconds()))
}

// mayKeepLocked says whether c may have f kept on disk, or not any more. That a
// guest has made the hub is not enough: the disk, which has no limit, is the
// server's.
func (f *hubFile) mayKeepLocked(c *tree.Caller) error {
	if mayOwnLocked(c, f) && c.Level(ruleLocked(f).path) < tree.LevelOwn {
		return fmt.Errorf("hub %s may be on disk if who has the role owner for it says so: %w", f.name, tree.ErrPermission)
	}
	if !mayOwnLocked(c, f) {
		return fmt.Errorf("only %s, the owner of the hub, may say whether it is on disk: %w", f.owner, tree.ErrPermission)
	}
	return nil
}
