package hubfs

import (
	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/taskfs"
	"hubfs/tree"
)

// remoteName is the folder of what runs commands on many nodes, and what it is
// called in Config.Rights: rights are to all of it, or to none. A server older
// than ours had it under the other name, which is still understood, and free for
// a hub.
const (
	remoteName  = "remote"
	remoteAlias = "local"
)

// A Remote is what runs commands on many nodes. taskfs.FS is one.
type Remote interface {
	Root() tree.Dir
	// Sessions describes the sessions, each in a line for /status: what stands
	// there behind the word session.
	Sessions() []string
}

// A remoteDir is /remote. What is in it is the Remote's own, but for the hubs of
// sessions, which are opened, listed, set and counted as all hubs are.
type remoteDir struct {
	meta
	remote Remote   // set by newRemoteDir, then immutable, as is root
	root   tree.Dir // of remote
	hubs   *dir     // of sessions, each by its path below /remote; in no listing
}

// newRemoteDir makes the folder, and what serves it by make.
func newRemoteDir(fs *FS, make func(taskfs.Streams) Remote) *remoteDir {
	d := &remoteDir{hubs: newDir(fs, fs.root, remoteName, fs.cfg.Owner, tree.ModeDir|0o555)}
	d.init(fs, fs.newPath(), remoteName, fs.cfg.Owner, tree.ModeDir|0o555)
	d.remote = make(streams{d})
	d.root = d.remote.Root()
	return d
}

// Lookup finds what is in the folder.
func (d *remoteDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	n, err := d.root.Lookup(c, name)
	return d.find(c, n, err)
}

// List describes what is in the folder.
func (d *remoteDir) List(c *tree.Caller) ([]tree.Info, error) { return d.root.List(c) }

// rule is that of all that is in the folder: who may see it reads, who owns it
// runs commands. What takes something else says so itself.
func (d *remoteDir) rule() rule {
	return rule{path: remoteName, see: tree.LevelView, read: tree.LevelView, write: tree.LevelOwn}
}

// standsFor is a file of the Remote that is a hub of a session by another name:
// who may what with it is as for that.
type standsFor interface{ Stream() tree.Node }

// find returns n, which was found in the folder or below, as c is to have it.
func (d *remoteDir) find(c *tree.Caller, n tree.Node, err error) (tree.Node, error) {
	if err != nil || c.Rights == nil {
		return n, err
	}
	switch n.(type) {
	case *hubView, *timesFile, standsFor: // of a session's hub, which have rules of their own
		return d.fs.find(c, n, nil)
	}
	if !d.fs.sees(c, d) {
		return nil, tree.ErrNotExist
	}
	b := bound{fs: d.fs, c: c, node: n, under: d, seen: n.Stat()}
	if _, ok := n.(tree.Dir); ok {
		return &boundDir{b}, nil
	}
	return &boundFile{b}, nil
}

// streams makes the hubs of sessions.
type streams struct{ d *remoteDir }

// New makes a hub at a path below /remote.
func (s streams) New(c *tree.Caller, path string, mode uint32, o hub.Options) (taskfs.Stream, error) {
	fs, d := s.d.fs, s.d.hubs
	fs.mu.Lock()
	defer fs.unlock()
	if err := fs.roomLocked(c, 1); err != nil {
		return nil, err
	}
	if d.kids[path] != nil {
		return nil, tree.ErrExist
	}
	f := &hubFile{parent: d, session: true, input: o.Input}
	f.init(fs, fs.newPath(), path, c.User, mode)
	f.makeLocked(c, o)
	d.linkLocked(f)
	f.sayLocked("hub new")
	return stream{f}, nil
}

// A stream is a hub of a session.
type stream struct{ f *hubFile }

// Hub returns the hub.
func (s stream) Hub() *hub.Hub { return s.f.hub }

// Node returns the hub as it is opened by a name: its last element, or that and
// where to begin.
func (s stream) Node(name string) (tree.Node, error) {
	_, at, err := handles.SplitPlace(name)
	if err != nil {
		return nil, err
	}
	if at == (handles.Place{}) {
		return &hubView{f: s.f, name: name}, nil
	}
	return viewOf(s.f, name, at)
}

// Close takes the hub's name away.
func (s stream) Close() {
	fs := s.f.fs
	fs.mu.Lock()
	defer fs.unlock()
	if s.f.linked {
		s.f.goLocked()
	}
}
