package hubfs

import (
	"fmt"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/tree"
)

// pathStep is how many qid.paths a node takes: its own, and for a hub one for
// each way to open it, and one for its times. The ways have paths of their own
// because they read differently, and because Linux locks by qid: who reads
// NAME@end there does not stop who writes NAME.
const pathStep = 5

// A hubFile is a hub in the tree.
type hubFile struct {
	meta
	hub     *hub.Hub
	parent  *dir
	shell   *shell // whose stdin, stdout or stderr it is; nil: nobody's
	session bool   // it is a stream of a session, see remoteDir
	input   bool   // it is a stdin

	// guarded by fs.mu
	opens    int
	linked   bool   // it has a name still
	orphan   bool   // nothing but open handles keeps it
	spool    *spool // its history on disk; nil: it is in memory
	spooling bool   // somebody is making spool
	room     *room  // in which it has its place; nil: in that of all
}

// newHubFile makes a hub with the modes that new hubs have now, and the bytes in
// store; nil is in memory and empty. It is in no directory yet. fs.mu is held.
func newHubFile(fs *FS, d *dir, name string, c *tree.Caller, perm uint32, s *shell, store hub.Store) *hubFile {
	f := &hubFile{parent: d, shell: s, input: s != nil && name == s.name+sufStdin}
	f.init(fs, fs.newPath(), name, c.User, perm)
	f.makeLocked(c, hub.Options{Input: f.input, Trunc: fs.trunc, Store: store})
	return f
}

// makeLocked makes the hub of f for c, with what o says and the modes that new
// hubs have now. Whether readers begin at its end o says.
func (f *hubFile) makeLocked(c *tree.Caller, o hub.Options) {
	fs := f.fs
	setDefault(&o.Size, fs.cfg.Size)
	o.Fear = o.Fear || fs.fear
	o.Limit = fs.cfg.Limit
	o.Budget, f.room = fs.retainedLocked(c)
	o.OnDrop, o.OnSpoolFail = f.dropped, f.spoolFailed
	f.hub = hub.New(o)
	if fs.frozen {
		f.hub.Freeze()
	}
}

// loose reports whether the hub is nobody's but its maker's: neither a shell's
// nor a session's.
func (f *hubFile) loose() bool { return f.shell == nil && !f.session }

// linkLocked gives f its name in d.
func (d *dir) linkLocked(f *hubFile) {
	d.kids[f.name] = f
	f.linked = true
	d.fs.nodes++
	if f.loose() {
		d.fs.loose++
		f.countSpoolLocked()
		d.fs.changedLocked()
	}
}

// unlinkLocked takes f's name away. Handles that are open go on.
func (d *dir) unlinkLocked(f *hubFile) {
	delete(d.kids, f.name)
	f.linked = false
	d.fs.nodes--
	if f.loose() {
		d.fs.loose--
		f.countSpoolLocked()
		d.fs.changedLocked()
	}
}

// dropLocked closes the hub of f, which has no name any more, as soon as it is
// not open any more.
func (f *hubFile) dropLocked() {
	f.orphan = true
	f.endPipesLocked()
	if f.opens == 0 {
		f.closeLocked()
		return
	}
	f.noMoreLocked()
}

// noMoreLocked ends the hub of f, which has no name any more, for those who
// still read it, once nobody has it open for writing: nothing can come any
// more, and they would wait for ever. Hubs of a shell end with that.
func (f *hubFile) noMoreLocked() {
	if f.shell != nil {
		return
	}
	f.fs.later(func() {
		if _, ended := f.hub.Ended(); !ended && f.hub.Status().Writers == 0 {
			f.hub.End("")
		}
	})
}

// closeLocked closes the hub of f, and lets what is to go with it go.
func (f *hubFile) closeLocked() {
	f.leaveLocked()
	sp := f.spool
	if sp != nil && sp.removed {
		sp.goesLocked()
	}
	f.fs.later(func() {
		if sp != nil && sp.goes() {
			sp.store.Remove()
		}
		f.hub.Close()
	})
}

// pathLocked returns the hub's path from the root, as /ctl names it.
func (f *hubFile) pathLocked() string { return f.parent.pathLocked() + f.name }

// pathName is pathLocked for who does not hold mu.
func (f *hubFile) pathName() string {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.pathLocked()
}

// Stat describes the hub. A live one is a stream and has no length; frozen or
// ended it is a plain file.
func (f *hubFile) Stat() tree.Info {
	info := f.meta.Stat()
	info.Mtime = f.hub.Modified()
	info.Length = f.hub.Length()
	return info
}

// Open opens the hub at its oldest byte, or at its end in trunc mode.
func (f *hubFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	return f.open(c, mode, handles.Place{})
}

func (f *hubFile) open(c *tree.Caller, mode uint8, at handles.Place) (tree.Handle, error) {
	if err := f.opened(); err != nil {
		return nil, err
	}
	return f.handle(c, mode, at, f.looksOn(c)), nil
}

// looksOn reports whether c may do no more than look on: then no writer waits
// for it, fear or not.
func (f *hubFile) looksOn(c *tree.Caller) bool {
	if c.Rights == nil {
		return false
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return ruleLocked(f).level(c) < tree.LevelWrite
}

// opened counts an open in.
func (f *hubFile) opened() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if !f.linked { // since the caller found it
		return fmt.Errorf("%s was removed: %w", f.name, tree.ErrNotExist)
	}
	f.countOpenLocked(1)
	return nil
}

// countOpenLocked counts an open in, or out with -1.
func (f *hubFile) countOpenLocked(n int) {
	f.opens += n
	if f.spool != nil {
		f.fs.changedLocked() // see InUse
	}
}

// handle makes the handle of an open that is counted already.
func (f *hubFile) handle(c *tree.Caller, mode uint8, at handles.Place, looksOn bool) *hubHandle {
	if mode&tree.OpenTrunc != 0 && f.fs.cfg.Zap {
		f.hub.Clear()
	}
	h := &hubHandle{f: f, user: c.User, conn: c.Conn}
	if tree.Readable(mode) {
		o := f.fs.readerOf(c)
		o.Lazy = tree.Writable(mode)
		o.Onlooker = looksOn
		h.r = &handles.Cursor{R: f.hub.NewReader(at.Start(), o)}
	}
	if tree.Writable(mode) {
		h.w = f.hub.NewWriter(at.Kind == handles.Addressed)
	}
	return h
}

// closed counts an open out.
func (f *hubFile) closed() {
	f.fs.mu.Lock()
	defer f.fs.unlock()
	f.countOpenLocked(-1)
	switch {
	case !f.orphan:
	case f.opens == 0:
		f.closeLocked()
	default:
		f.noMoreLocked()
	}
}

// Change renames the hub or changes its mode. Length and times it accepts.
func (f *hubFile) Change(c *tree.Caller, ch tree.Change) error {
	f.fs.mu.Lock()
	defer f.fs.unlock()
	return f.parent.changeLocked(c, f, ch)
}

// Remove takes the hub's name away.
func (f *hubFile) Remove(c *tree.Caller) error {
	f.fs.mu.Lock()
	defer f.fs.unlock()
	return f.removeLocked(c)
}

func (f *hubFile) removeLocked(c *tree.Caller) error {
	switch {
	case f.shell != nil:
		return fmt.Errorf("%s belongs to shell %s: remove the shell: %w", f.name, f.shell.name, tree.ErrPermission)
	case f.session:
		return fmt.Errorf("%s belongs to a session, and goes with it: %w", f.pathLocked(), tree.ErrPermission)
	case !mayOwnLocked(c, f):
		return fmt.Errorf("only %s, the owner, may remove %s: %w", f.owner, f.name, tree.ErrPermission)
	case !f.linked:
		return tree.ErrNotExist
	}
	f.goLocked()
	return nil
}

// goLocked takes the name away of f, which has one.
func (f *hubFile) goLocked() {
	f.sayLocked("hub rm")
	if f.spool != nil {
		f.spool.removeLocked()
	}
	f.parent.unlinkLocked(f)
	f.dropLocked()
}

// A hubView is NAME@, NAME@end or NAME@-N: a hub that is opened in another
// way.
type hubView struct {
	f    *hubFile
	name string
	at   handles.Place
}

// Stat describes the hub under the name of the view.
func (v *hubView) Stat() tree.Info {
	info := v.f.Stat()
	info.Name = v.name
	info.Path += uint64(v.at.Kind)
	return info
}

// Open opens the hub where the view says.
func (v *hubView) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	return v.f.open(c, mode, v.at)
}

// Change accepts what has no effect; the rest is for the hub's own name. A hub of
// a session has none but this, by which its owner changes its mode.
func (v *hubView) Change(c *tree.Caller, ch tree.Change) error {
	if v.f.session && ch.Name == nil {
		return v.f.Change(c, ch)
	}
	return v.f.meta.Change(c, ch)
}
