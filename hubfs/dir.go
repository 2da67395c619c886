package hubfs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A child is a node that a dir holds: every one has a meta.
type child interface {
	tree.Node
	base() *meta
}

func (m *meta) base() *meta { return m }

// A dir is the root, or a directory that somebody made to group hubs.
type dir struct {
	meta
	parent *dir // nil: the root
	depth  int  // 0: the root

	// guarded by fs.mu
	kids   map[string]child
	linked bool // it has a name still
}

func newDir(fs *FS, parent *dir, name, owner string, mode uint32) *dir {
	d := &dir{parent: parent, kids: map[string]child{}, linked: true}
	d.init(fs, fs.newPath(), name, owner, mode)
	if parent != nil {
		d.depth = parent.depth + 1
	}
	return d
}

// add puts nodes into the directory under their own names. fs.mu is held, or
// nobody else knows the directory yet.
func (d *dir) add(kids ...child) {
	for _, k := range kids {
		d.kids[k.base().name] = k
	}
}

// Lookup finds a child, or what NAME@… means of a hub.
func (d *dir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	base, at, err := handles.SplitPlace(name)
	if err != nil {
		return nil, err
	}
	d.fs.mu.Lock()
	k, ok := d.kids[base]
	if !ok && d.parent == nil && base == remoteAlias {
		k, ok = d.kids[remoteName]
	}
	d.fs.mu.Unlock()
	if !ok {
		return nil, tree.ErrNotExist
	}
	n, err := viewOf(k, name, at)
	return d.fs.find(c, n, err)
}

// viewOf returns the node that name, which is k's and says at, stands for.
func viewOf(k tree.Node, name string, at handles.Place) (tree.Node, error) {
	if at == (handles.Place{}) {
		return k, nil
	}
	f, ok := k.(*hubFile)
	switch {
	case !ok:
		return nil, tree.ErrNotExist
	case at.Kind == handles.Times:
		return &timesFile{f: f, name: name}, nil
	}
	return &hubView{f: f, name: name, at: at}, nil
}

// List describes the children that are there for c, sorted by name.
func (d *dir) List(c *tree.Caller) ([]tree.Info, error) {
	d.fs.mu.Lock()
	kids := make([]child, 0, len(d.kids))
	for _, k := range d.kids {
		if seesLocked(c, k) {
			kids = append(kids, k)
		}
	}
	d.fs.mu.Unlock()
	infos := make([]tree.Info, len(kids))
	for i, k := range kids {
		infos[i] = infoFor(c, k)
	}
	slices.SortFunc(infos, func(a, b tree.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// Create makes a hub, or a directory.
func (d *dir) Create(c *tree.Caller, name string, perm uint32, mode uint8) (tree.Node, tree.Handle, error) {
	if err := d.checkName(name); err != nil {
		return nil, nil, err
	}
	if err := checkMode(perm &^ tree.ModeDir); err != nil {
		return nil, nil, err
	}
	if perm&tree.ModeDir != 0 {
		sub, err := d.createDir(c, name, perm)
		if err != nil {
			return nil, nil, err
		}
		return d.fs.bind(c, sub), nil, nil
	}
	f, h, err := d.createHub(c, name, perm, mode)
	if err != nil {
		return nil, nil, err
	}
	return d.fs.bind(c, f), h, nil
}

func (d *dir) createDir(c *tree.Caller, name string, perm uint32) (*dir, error) {
	d.fs.mu.Lock()
	defer d.fs.unlock()
	if err := d.freeLocked(c, name); err != nil {
		return nil, err
	}
	if d.depth >= maxDepth {
		return nil, fmt.Errorf("directories lie %d deep, no deeper: %w", maxDepth, tree.ErrLimit)
	}
	sub := newDir(d.fs, d, name, c.User, perm)
	d.add(sub)
	d.fs.nodes++
	return sub, nil
}

func (d *dir) createHub(c *tree.Caller, name string, perm uint32, mode uint8) (*hubFile, tree.Handle, error) {
	d.fs.mu.Lock()
	if err := d.freeLocked(c, name); err != nil {
		d.fs.mu.Unlock()
		return nil, nil, err
	}
	f := newHubFile(d.fs, d, name, c, perm, nil, nil)
	// Who finds the hub finds its maker writing it: so one of several who want a
	// name for themselves knows who has it. Nobody waits on a hub that nobody has
	// found, so this calls nobody.
	f.countOpenLocked(1)
	h := f.handle(c, mode, handles.Place{}, false)
	d.linkLocked(f)
	f.sayLocked("hub new")
	d.fs.unlock()
	return f, h, nil
}

// freeLocked says whether c can make name here; nil is the server itself.
func (d *dir) freeLocked(c *tree.Caller, name string) error {
	if err := checkLevel(c, d.pathLocked()+name, tree.LevelWrite); err != nil {
		return err
	}
	if !d.linked {
		return fmt.Errorf("the directory was removed: %w", tree.ErrNotExist)
	}
	if err := d.clashLocked(c, name); err != nil {
		return err
	}
	return d.fs.roomLocked(c, 1)
}

// clashLocked says what has the name already, if anything has. Of what is not
// there for c it says no more than that c may not have the name.
func (d *dir) clashLocked(c *tree.Caller, name string) error {
	k, ok := d.kids[name]
	switch {
	case !ok:
		return nil
	case !seesLocked(c, k):
		return tree.ErrPermission
	}
	if s := shellOf(k); s != nil {
		return fmt.Errorf("%s belongs to shell %s: %w", name, s.name, tree.ErrExist)
	}
	return tree.ErrExist
}

// shellOf returns the shell whose file k is, nil if it is nobody's.
func shellOf(k child) *shell {
	switch k := k.(type) {
	case *hubFile:
		return k.shell
	case *noteFile:
		return k.shell
	}
	return nil
}

// checkName says whether a child may have this name.
func (d *dir) checkName(name string) error {
	if d.parent == nil {
		return checkRootName(name)
	}
	return checkName(name)
}

// checkMode says whether a hub or directory may have these mode bits.
func checkMode(mode uint32) error {
	switch {
	case mode&tree.ModeExclusive != 0:
		return fmt.Errorf("hubs are for many, none can be exclusive: %w", tree.ErrInvalid)
	case mode&^(tree.ModePerm|tree.ModeAppend) != 0:
		return fmt.Errorf("mode %#o: %w", mode, tree.ErrInvalid)
	}
	return nil
}

// Change renames the directory or changes its permissions.
func (d *dir) Change(c *tree.Caller, ch tree.Change) error {
	if d.parent == nil {
		return d.meta.Change(c, ch)
	}
	if ch.Length != nil && *ch.Length != 0 {
		return tree.ErrIsDir
	}
	d.fs.mu.Lock()
	defer d.fs.unlock()
	return d.parent.changeLocked(c, d, ch)
}

// changeLocked changes name and mode of k, a child of d. It changes all that
// is asked or nothing.
func (d *dir) changeLocked(c *tree.Caller, k child, ch tree.Change) error {
	m := k.base()
	if (ch.Name != nil || ch.Mode != nil) && !mayOwnLocked(c, k) {
		return fmt.Errorf("only %s, the owner, may change %s: %w", m.owner, m.name, tree.ErrPermission)
	}
	if ch.GID != nil && *ch.GID != m.owner {
		return fmt.Errorf("the group is the owner's and stays: %w", tree.ErrPermission)
	}
	if ch.Mode != nil {
		if err := checkMode(*ch.Mode); err != nil {
			return err
		}
	}
	if ch.Name != nil && *ch.Name != m.name {
		if err := d.renameLocked(c, k, *ch.Name); err != nil {
			return err
		}
	}
	if ch.Mode != nil {
		m.mode = m.mode&tree.ModeDir | *ch.Mode
	}
	eachHubOfLocked(k, func(f *hubFile) {
		if f.spool != nil {
			f.spool.saveLocked()
		}
	})
	return nil
}

func (d *dir) renameLocked(c *tree.Caller, k child, to string) error {
	m := k.base()
	if s := shellOf(k); s != nil {
		return fmt.Errorf("%s belongs to shell %s and keeps its name: %w", m.name, s.name, tree.ErrPermission)
	}
	if d.kids[m.name] != k {
		return fmt.Errorf("%s was removed: %w", m.name, tree.ErrNotExist)
	}
	if err := d.checkName(to); err != nil {
		return err
	}
	if err := d.mayMoveLocked(c, k, to); err != nil {
		return err
	}
	if err := d.clashLocked(c, to); err != nil {
		return err
	}
	say := func(what string) {
		eachHubOfLocked(k, func(f *hubFile) { f.sayLocked(what) })
	}
	say("hub rm")
	delete(d.kids, m.name)
	m.name = to
	d.kids[to] = k
	say("hub new")
	return nil
}

// mayMoveLocked says whether c may have the name for k, and for what lies in
// it: rights go by names, so that others' hubs are not moved to where others
// still may look.
func (d *dir) mayMoveLocked(c *tree.Caller, k child, to string) error {
	if err := checkLevel(c, d.pathLocked()+to, tree.LevelWrite); err != nil {
		return err
	}
	var err error
	eachHubOfLocked(k, func(f *hubFile) {
		if c.Rights != nil && !mayOwnLocked(c, f) {
			err = tree.ErrPermission
		}
	})
	return err
}

// eachHubOfLocked calls fn for each hub that k is or holds.
func eachHubOfLocked(k child, fn func(*hubFile)) {
	switch k := k.(type) {
	case *hubFile:
		fn(k)
	case *dir:
		k.eachHubLocked(fn)
	}
}

// Remove removes the directory, if it is empty.
func (d *dir) Remove(c *tree.Caller) error {
	if d.parent == nil {
		return fmt.Errorf("the root stays: %w", tree.ErrPermission)
	}
	d.fs.mu.Lock()
	defer d.fs.unlock()
	switch {
	case !mayOwnLocked(c, d):
		return fmt.Errorf("only %s, the owner, may remove %s: %w", d.owner, d.name, tree.ErrPermission)
	case !d.linked:
		return tree.ErrNotExist
	case d.showsLocked(c):
		return tree.ErrNotEmpty
	case len(d.kids) > 0: // of others, and not there for c
		return tree.ErrPermission
	}
	delete(d.parent.kids, d.name)
	d.linked = false
	d.fs.nodes--
	return nil
}

// showsLocked reports whether anything in the directory is there for c.
func (d *dir) showsLocked(c *tree.Caller) bool {
	for _, k := range d.kids {
		if seesLocked(c, k) {
			return true
		}
	}
	return false
}

// pathLocked returns the directory's path from the root: "" for the root,
// else with a slash at its end.
func (d *dir) pathLocked() string {
	if d.parent == nil {
		return ""
	}
	return d.parent.pathLocked() + d.name + "/"
}

// eachHubLocked calls fn for the hubs here and below, in the order of names.
func (d *dir) eachHubLocked(fn func(*hubFile)) {
	kids := make([]child, 0, len(d.kids))
	for _, k := range d.kids {
		kids = append(kids, k)
	}
	slices.SortFunc(kids, func(a, b child) int { return cmp.Compare(a.base().name, b.base().name) })
	for _, k := range kids {
		switch k := k.(type) {
		case *hubFile:
			fn(k)
		case *dir:
			k.eachHubLocked(fn)
		case *remoteDir:
			k.hubs.eachHubLocked(fn)
		}
	}
}

// hubLocked finds the hub at path, as the words of /ctl name it, for one who has
// a level for it; tree.LevelWrite is that of who may open it for writing.
func (fs *FS) hubLocked(c *tree.Caller, path string, need tree.Level) (*hubFile, error) {
	f := fs.hubAtLocked(path)
	if f == nil || !seesLocked(c, f) {
		return nil, fs.noHubLocked(c, path)
	}
	r, may := ruleLocked(f), true
	if need == tree.LevelWrite {
		need, may = r.write, f.allowsLocked(c, tree.PermWrite) || r.level(c) == tree.LevelOwn
	}
	if c.Rights != nil && (!may || r.level(c) < need) {
		return nil, fmt.Errorf("hub %s: %w", path, tree.ErrPermission)
	}
	return f, nil
}

// hubAtLocked returns the hub at path, nil if there is none.
func (fs *FS) hubAtLocked(path string) *hubFile {
	d := fs.root
	rest := strings.TrimPrefix(path, "/")
	for {
		name, more, deeper := strings.Cut(rest, "/")
		k := d.kids[name]
		if f, ok := k.(*hubFile); ok && !deeper {
			return f
		}
		switch k := k.(type) {
		case *dir:
			if deeper {
				d, rest = k, more
				continue
			}
		case *remoteDir: // whose hubs are known by all of their path
			f, _ := k.hubs.kids[more].(*hubFile)
			return f
		}
		return nil
	}
}

// noHubLocked is the error for a hub that is not there for c.
func (fs *FS) noHubLocked(c *tree.Caller, path string) error {
	if s := fs.byName[path]; s != nil && seesLocked(c, s.node) {
		return fmt.Errorf("no hub %q, but a shell: its hubs are %s0, %s1 and %s2: %w", path, path, path, path, tree.ErrNotExist)
	}
	return fmt.Errorf("no hub %q: %w", lex.Clip(path), tree.ErrNotExist)
}
