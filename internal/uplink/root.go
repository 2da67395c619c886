package uplink

import (
	"path"
	"time"

	"hubfs/tree"
)

// newRoot returns a tree that holds the file at Path, and nothing else: what a
// node that dials out has to serve. open must not block.
func newRoot(owner string, open func(c *tree.Caller) (tree.Handle, error)) tree.Dir {
	made := time.Now()
	info := func(name string, path uint64, mode uint32) tree.Info {
		return tree.Info{Name: name, Path: path, Mode: mode, Atime: made, Mtime: made, UID: owner, GID: owner, MUID: owner}
	}
	var n tree.Node = &file{info(path.Base(Path), 1, 0o600), open}
	dir := path.Dir(Path)
	for at := uint64(2); dir != "/"; at++ {
		n = &only{info(path.Base(dir), at, tree.ModeDir|0o555), n}
		dir = path.Dir(dir)
	}
	root := info("/", 1<<32, tree.ModeDir|0o555)
	return &only{root, n}
}

// An only is a directory with one child.
type only struct {
	info  tree.Info
	child tree.Node
}

// Stat describes the directory.
func (d *only) Stat() tree.Info { return d.info }

// Lookup finds the child.
func (d *only) Lookup(_ *tree.Caller, name string) (tree.Node, error) {
	if name != d.child.Stat().Name {
		return nil, tree.ErrNotExist
	}
	return d.child, nil
}

// List describes the child.
func (d *only) List(*tree.Caller) ([]tree.Info, error) { return []tree.Info{d.child.Stat()}, nil }

// A file is the end of a link.
type file struct {
	info tree.Info
	open func(c *tree.Caller) (tree.Handle, error)
}

// Stat describes the file.
func (f *file) Stat() tree.Info { return f.info }

// Open opens the file, for both reading and writing.
func (f *file) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if !tree.Readable(mode) || !tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	return f.open(c)
}
