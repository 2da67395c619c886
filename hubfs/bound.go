package hubfs

import (
	"hubfs/tree"
)

// A bound is a node in the hands of a caller whose rights have bounds: what it
// may not do is refused here, and what is not there any more for it, since it
// was renamed or its rights are others, is not described to it either. Callers
// without bounds have the nodes themselves.
type bound struct {
	fs    *FS
	c     *tree.Caller
	node  tree.Node
	under *remoteDir // in which it lies, and whose rule is its own; nil: in none
	seen  tree.Info  // what it was when it was found
}

// A boundDir is a bound of a directory, and a boundFile one of a file.
type (
	boundDir  struct{ bound }
	boundFile struct{ bound }
)

// bind returns n as c is to have it.
func (fs *FS) bind(c *tree.Caller, n tree.Node) tree.Node {
	if c.Rights == nil {
		return n
	}
	b := bound{fs: fs, c: c, node: n, seen: infoFor(c, n)}
	if _, ok := n.(tree.Dir); ok {
		return &boundDir{b}
	}
	return &boundFile{b}
}

// find returns n as c is to have it, if it is there for c.
func (fs *FS) find(c *tree.Caller, n tree.Node, err error) (tree.Node, error) {
	if err != nil || c.Rights == nil {
		return n, err
	}
	if !fs.sees(c, n) {
		return nil, tree.ErrNotExist
	}
	return fs.bind(c, n), nil
}

// sees is seesLocked for who does not hold mu.
func (fs *FS) sees(c *tree.Caller, n tree.Node) bool {
	if c.Rights == nil {
		return true
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return seesLocked(c, n)
}

// infoFor describes a node to c. Who wrote a file of the server last is not for
// everybody.
func infoFor(c *tree.Caller, n tree.Node) tree.Info {
	info := n.Stat()
	if c.Rights == nil || mayAll(c, tree.LevelOwn) {
		return info
	}
	switch n.(type) {
	case *ctlFile, *statsFile, *accessFile:
		info.MUID = info.UID
	}
	return info
}

// check says whether the node is there for c and, if it has to, whether c has
// what it takes of the node's rule; may is nil if to see it is enough.
func (b *bound) check(c *tree.Caller, may func(r rule) bool) error {
	b.fs.mu.Lock()
	defer b.fs.mu.Unlock()
	r := b.ruleLocked()
	switch {
	case !r.may(c, r.see):
		return tree.ErrNotExist
	case may != nil && !may(r):
		return tree.ErrPermission
	}
	return nil
}

func (b *bound) ruleLocked() rule {
	if b.under != nil {
		return b.under.rule()
	}
	return ruleLocked(b.node)
}

// Stat describes the node. One that is not there any more keeps its name and
// its qid.
func (b *bound) Stat() tree.Info {
	if b.check(b.c, nil) == nil {
		return infoFor(b.c, b.node)
	}
	return tree.Info{
		Name: b.seen.Name, Path: b.seen.Path, Mode: b.seen.Mode & tree.ModeDir,
		Atime: b.seen.Mtime, Mtime: b.seen.Mtime, UID: b.seen.UID, GID: b.seen.GID, MUID: b.seen.UID,
	}
}

// Remove removes the node, if c may and it can be removed.
func (b *bound) Remove(c *tree.Caller) error {
	if err := b.check(c, nil); err != nil {
		return err
	}
	if n, ok := b.node.(tree.Remover); ok {
		return n.Remove(c)
	}
	return tree.ErrPermission
}

// Change changes the node. What has no effect on its bytes may who may write
// them; the rest is for the node to decide.
func (b *bound) Change(c *tree.Caller, ch tree.Change) error {
	n, ok := b.node.(tree.Changer)
	err := b.check(c, func(r rule) bool {
		return ok && (ch.Name != nil || ch.Mode != nil || r.may(c, r.write) || r.level(c) == tree.LevelOwn)
	})
	if err != nil {
		return err
	}
	return n.Change(c, ch)
}

// Lookup finds a child.
func (b *boundDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	n, err := b.node.(tree.Dir).Lookup(c, name)
	if b.under != nil {
		return b.under.find(c, n, err)
	}
	return n, err
}

// List describes the children.
func (b *boundDir) List(c *tree.Caller) ([]tree.Info, error) { return b.node.(tree.Dir).List(c) }

// Create makes a child, if anything can be made here.
func (b *boundDir) Create(c *tree.Caller, name string, perm uint32, mode uint8) (tree.Node, tree.Handle, error) {
	if n, ok := b.node.(tree.Creator); ok {
		return n.Create(c, name, perm, mode)
	}
	return nil, nil, tree.ErrPermission
}

// Open opens the file, if c may do with it what mode asks for.
func (b *boundFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	writes, removes := tree.Writable(mode) || mode&tree.OpenTrunc != 0, mode&tree.OpenRClose != 0
	_, can := b.node.(tree.Remover)
	err := b.check(c, func(r rule) bool {
		return (!tree.Readable(mode) || r.may(c, r.read)) && (!writes || r.may(c, r.write)) &&
			(!removes || can && r.level(c) == tree.LevelOwn)
	})
	if err != nil {
		return nil, err
	}
	return b.node.(tree.File).Open(c, mode)
}
