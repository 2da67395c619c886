package taskfs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"hubfs/hub"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/session"
	"hubfs/tree"
)

// A slot is a number that a session has, or had last: the session's folder, and what
// is behind its files.
type slot struct {
	// Immutable.
	fs      *FS
	number  int
	session *session.Session
	maker   *tree.Caller // on whose account the hubs are
	owner   string
	id      string
	made    time.Time
	files   *folder
	streams map[string]Stream // by name; set by newSlot

	mu sync.Mutex
	// guarded by mu
	paths    map[string]uint64 // qid.paths of files, by their paths in the folder
	drained  map[string]bool   // streams that have ended and that somebody has read to the end
	dropped  bool              // the streams are given up
	borrowed []string          // nodes that are here for the session alone
}

// stdinSize is how much input waits for tasks.
const stdinSize = 1 << 20

// clone makes a session of the lowest number that is free, held once.
func (fs *FS) clone(c *tree.Caller) (*slot, error) {
	fs.mu.Lock()
	if err := fs.roomLocked(); err != nil {
		fs.mu.Unlock()
		return nil, err
	}
	fs.live++ // keeps the place
	begin := fs.begin
	fs.mu.Unlock()

	num := fs.node.Number()
	old := fs.releasedBelow(num)
	if old != nil {
		fs.node.Free(num)
		num = old.number
	}
	return fs.take(c, num, old, begin)
}

// reopen makes a new session in the place of one that was released.
func (fs *FS) reopen(c *tree.Caller, old *slot) (*slot, error) {
	fs.mu.Lock()
	if fs.slots[old.number] != old {
		now := fs.slots[old.number]
		fs.mu.Unlock()
		if now == nil {
			return nil, tree.ErrNotExist
		}
		return now, now.session.Hold()
	}
	err := fs.roomLocked()
	if err == nil && !old.session.Quiet() {
		err = fmt.Errorf("%w: what ran in session %d is being ended", gang.ErrInUse, old.number)
	}
	if err != nil {
		fs.mu.Unlock()
		return nil, err
	}
	fs.live++
	begin := fs.begin
	delete(fs.slots, old.number) // is ours now
	fs.notOverLocked(old)
	fs.mu.Unlock()
	return fs.take(c, old.number, old, begin)
}

func (fs *FS) roomLocked() error {
	switch {
	case fs.closing:
		return errClosing
	case fs.live >= fs.cfg.MaxSessions:
		return fmt.Errorf("there are %d sessions, and no more may be: %w", fs.live, tree.ErrLimit)
	}
	return nil
}

// releasedBelow takes the lowest slot below num whose session is released and runs
// nothing any more, nil if there is none. Such numbers are free for sessions, but not
// for guests.
func (fs *FS) releasedBelow(num int) *slot {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, sl := range fs.over {
		if sl.number >= num {
			break
		}
		if sl.session.Quiet() {
			fs.over = slices.Delete(fs.over, i, i+1)
			delete(fs.slots, sl.number)
			return sl
		}
	}
	return nil
}

// notOverLocked takes a slot out of over.
func (fs *FS) notOverLocked(sl *slot) {
	if i, ok := slices.BinarySearchFunc(fs.over, sl, byNumber); ok {
		fs.over = slices.Delete(fs.over, i, i+1)
	}
}

func byNumber(a, b *slot) int { return a.number - b.number }

// take makes a session of a number that is the caller's, in the place of old if that
// is not nil. A place among the live is the caller's, too.
func (fs *FS) take(c *tree.Caller, num int, old *slot, begin session.Beginning) (*slot, error) {
	if old != nil {
		old.drop()
	}
	sl, err := fs.newSlot(c, num, begin)
	fs.mu.Lock()
	if old != nil {
		fs.unread = slices.DeleteFunc(fs.unread, func(u *slot) bool { return u == old })
	}
	if err == nil && fs.closing {
		err = errClosing
	}
	if err != nil {
		fs.live--
		fs.mu.Unlock()
		fs.node.Free(num)
		if sl != nil {
			sl.drop()
		}
		return nil, err
	}
	fs.slots[num] = sl
	fs.ending[sl.session] = true // until it is over
	fs.changedLocked()
	fs.mu.Unlock()
	if err := sl.session.Hold(); err != nil { // by Close
		return nil, err
	}
	fs.say("session new", strconv.Itoa(num), c.User)
	return sl, nil
}

func (fs *FS) newSlot(c *tree.Caller, num int, begin session.Beginning) (*slot, error) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	sl := &slot{
		fs: fs, number: num, maker: c, owner: c.User, id: hex.EncodeToString(id), made: time.Now(),
		paths: map[string]uint64{}, streams: map[string]Stream{}, drained: map[string]bool{},
	}
	sl.files = newFolder(fs, "fs", c.User, fs.cfg.MaxFiles, sl.filesMayChange)
	for _, o := range []struct {
		name string
		mode uint32
		opts hub.Options
	}{
		{"stdin", 0o222, hub.Options{Input: true, Size: stdinSize}},
		{"stdout", 0o444, hub.Options{}},
		{"stderr", 0o444, hub.Options{}},
		{"out/labelled", 0o444, hub.Options{}},
	} {
		st, err := fs.cfg.Streams.New(c, strconv.Itoa(num)+"/"+o.name, o.mode, o.opts)
		if err != nil {
			sl.drop()
			return nil, fmt.Errorf("session %d: %w", num, err)
		}
		sl.streams[o.name] = st
	}
	sl.session = session.New(session.Config{
		Number: num, Name: fs.cfg.Session + strconv.Itoa(num), Owner: c.User,
		Node: fs.node.Cluster().Info().Name, Dir: fs.cfg.Dir,
		Reserve: fs.node.Reserve,
		Nodes:   func(ctx context.Context) []cluster.Row { return fs.node.Cluster().Rows(ctx) },
		Begin:   begin,
		Stdin:   sl.streams["stdin"].Hub(), Stdout: sl.streams["stdout"].Hub(),
		Stderr: sl.streams["stderr"].Hub(), Labelled: sl.streams["out/labelled"].Hub(),
		Files:    sl.pushed,
		Say:      fs.say,
		Released: sl.released,
		Log:      fs.cfg.Log,
	})
	return sl, nil
}

// path is the qid.path of a file of the session.
func (sl *slot) path(file string) uint64 {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	p := sl.paths[file]
	if p == 0 {
		p = sl.fs.newPath()
		sl.paths[file] = p
	}
	return p
}

// meta describes a file of the session.
func (sl *slot) meta(dir, name string, mode uint32) meta {
	return meta{name: name, path: sl.path(dir + name), mode: mode, owner: sl.owner, made: sl.made}
}

// released is told that the session is: its number is free.
func (sl *slot) released() {
	fs := sl.fs
	sl.files.drop()
	fs.mu.Lock()
	fs.live--
	if fs.slots[sl.number] == sl {
		i, _ := slices.BinarySearchFunc(fs.over, sl, byNumber)
		fs.over = slices.Insert(fs.over, i, sl)
	}
	fs.changedLocked()
	fs.mu.Unlock()
	// Ends when the session's tasks have.
	go func() {
		sl.giveBack()
		<-sl.session.Done()
		sl.ended()
	}()
	fs.say("session released", strconv.Itoa(sl.number))
}

// ended notes that nothing of the session runs any more, and whether it has left
// something to read.
func (sl *slot) ended() {
	fs := sl.fs
	fs.mu.Lock()
	delete(fs.ending, sl.session)
	var lost []*slot
	if fs.slots[sl.number] == sl && !sl.empty() {
		fs.unread = append(fs.unread, sl)
		time.AfterFunc(unreadFor, func() { fs.notUnread(sl) })
		if n := len(fs.unread) - maxUnread; n > 0 {
			lost = slices.Clone(fs.unread[:n])
			fs.unread = slices.Delete(fs.unread, 0, n)
		}
	}
	fs.changedLocked()
	fs.mu.Unlock()
	for _, old := range lost {
		old.forget()
	}
}

// notUnread takes a slot from those that somebody may come to read.
func (fs *FS) notUnread(sl *slot) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.unread = slices.DeleteFunc(fs.unread, func(u *slot) bool { return u == sl })
	fs.changedLocked()
}

// readOut is told that somebody has read a stream to its end.
func (sl *slot) readOut(name string) {
	if _, ended := sl.streams[name].Hub().Ended(); !ended {
		return // at a mark
	}
	sl.mu.Lock()
	sl.drained[name] = true
	sl.mu.Unlock()
	if sl.session.Released() && sl.empty() {
		sl.fs.notUnread(sl)
	}
}

// empty reports whether there is nothing left to read of what the session put out.
func (sl *slot) empty() bool {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	for _, name := range []string{"stdout", "stderr"} {
		if st := sl.streams[name].Hub().Status(); !sl.drained[name] && st.Next > st.First {
			return false
		}
	}
	return true
}

// isDrained reports whether a stream of a session that was released has nothing for
// who comes now.
func (sl *slot) isDrained(name string) bool {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.dropped || sl.drained[name]
}

// forget gives up output that nobody has come to read.
func (sl *slot) forget() {
	sl.mu.Lock()
	for name := range sl.streams {
		sl.drained[name] = true
	}
	sl.mu.Unlock()
	for _, st := range sl.streams {
		st.Hub().Clear()
	}
}

// drop gives up the streams' names. Who has one open goes on.
func (sl *slot) drop() {
	sl.mu.Lock()
	first := !sl.dropped
	sl.dropped = true
	sl.mu.Unlock()
	if !first {
		return
	}
	for _, st := range sl.streams {
		st.Close()
	}
	sl.files.drop()
}

// wipe releases the session and takes its folder away.
func (sl *slot) wipe() {
	sl.session.Release()
	fs := sl.fs
	fs.mu.Lock()
	mine := fs.slots[sl.number] == sl
	if mine {
		delete(fs.slots, sl.number)
		fs.notOverLocked(sl)
		fs.unread = slices.DeleteFunc(fs.unread, func(u *slot) bool { return u == sl })
		fs.changedLocked()
	}
	fs.mu.Unlock()
	if !mine {
		return
	}
	sl.drop()
	if sl.session.Quiet() {
		fs.node.Free(sl.number)
		return
	}
	// Ends when the session's tasks have: until then nothing else is called so.
	go func() {
		<-sl.session.Done()
		fs.node.Free(sl.number)
	}()
}

// endPatience is how long a wipe waits for tasks that have been killed. It takes longer
// only if a node is lost.
const endPatience = 5 * time.Second

// settle waits until nothing of the session runs any more, so that who has wiped it
// finds the nodes free.
func (sl *slot) settle() {
	timer := time.NewTimer(endPatience)
	defer timer.Stop()
	select {
	case <-sl.session.Done():
	case <-timer.C:
	}
}

// pushed is what the tasks are to find in their folder: what is for all sessions, and
// what is for this one.
func (sl *slot) pushed() ([]fs.FS, error) {
	var out []fs.FS
	for _, f := range []*folder{sl.fs.root.files, sl.files} {
		files, err := f.contents()
		if err != nil {
			return nil, err
		}
		if files != nil {
			out = append(out, files)
		}
	}
	return out, nil
}

// filesMayChange says whether it is not too late to change what tasks find.
func (sl *slot) filesMayChange() error {
	switch {
	case sl.session.Released():
		return gang.ErrReleased
	case sl.session.Pushed():
		return errors.New("the files are on the nodes already, and what is changed now would not be")
	}
	return nil
}
