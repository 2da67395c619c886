package taskfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"hubfs/tree"
)

// A folder is files that tasks are to find where they start: fs/ of a session. They
// are in a folder of this machine, which is made when the first one is.
type folder struct {
	fs    *FS
	name  string
	owner string
	most  int64
	may   func() error // says whether something may be changed now
	made  time.Time

	mu sync.Mutex
	// guarded by mu
	on    *os.Root // nil: nothing was put in yet, or all is given up
	dir   string   // of on
	gone  bool
	bytes int64 // of all files
	count int   // of files and folders
	paths map[string]uint64
	sizes map[string]int64 // of files, by path
}

// Limits of one folder besides its bytes.
const (
	maxFileCount = 65_536
	maxFileDepth = 32
	maxFileName  = 255
)

func newFolder(fs *FS, name, owner string, most int64, may func() error) *folder {
	return &folder{fs: fs, name: name, owner: owner, most: most, may: may, made: time.Now(),
		paths: map[string]uint64{}, sizes: map[string]int64{}}
}

// root returns the folder itself.
func (f *folder) root() *fileDir { return &fileDir{fileNode{f, "."}} }

// openLocked makes the folder on this machine, if there is none.
func (f *folder) openLocked() (*os.Root, error) {
	if f.gone {
		return nil, fmt.Errorf("%s: it was given up: %w", f.name, tree.ErrNotExist)
	}
	if f.on != nil {
		return f.on, nil
	}
	dir, err := os.MkdirTemp(f.fs.cfg.Temp, "taskfs-*")
	if err != nil {
		return nil, err
	}
	on, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	f.on, f.dir = on, dir
	return on, nil
}

// opened returns what is there, nil if nothing is.
func (f *folder) opened() *os.Root {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

// contents is what tasks are to find; nil: nothing.
func (f *folder) contents() (fs.FS, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil || f.count == 0 {
		return nil, nil
	}
	return f.on.FS(), nil
}

// drop gives up all files.
func (f *folder) drop() {
	f.mu.Lock()
	on, dir := f.on, f.dir
	f.on, f.gone = nil, true
	f.mu.Unlock()
	if on == nil {
		return
	}
	if err := errors.Join(on.Close(), os.RemoveAll(dir)); err != nil {
		f.fs.cfg.Log.Warn("files of a session are left", "dir", dir, "err", err)
	}
}

// mayChange says whether c may change something now.
func (f *folder) mayChange(c *tree.Caller) error {
	if err := mayRun(c); err != nil {
		return err
	}
	return f.may()
}

// pathOf is the qid.path of a file.
func (f *folder) pathOf(at string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.paths[at]
	if p == 0 {
		p = f.fs.newPath()
		f.paths[at] = p
	}
	return p
}

// growTo notes that a file is to be so long, if there is room.
func (f *folder) growTo(at string, size int64, cut bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.sizes[at]
	if size <= old && !cut {
		return nil
	}
	if f.bytes-old+size > f.most {
		return fmt.Errorf("%s holds at most %d bytes: %w", f.name, f.most, tree.ErrLimit)
	}
	f.bytes += size - old
	f.sizes[at] = size
	return nil
}

// checkFileName says whether a file may have this name.
func checkFileName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || len(name) > maxFileName,
		strings.ContainsFunc(name, func(r rune) bool { return r == '/' || unicode.IsControl(r) }):
		return fmt.Errorf("name %.40q: expected 1 to %d bytes without slashes and control characters: %w", name, maxFileName, tree.ErrInvalid)
	}
	return nil
}

// A fileNode is a file or a folder in it.
type fileNode struct {
	f  *folder
	at string // its path there; ".": the folder itself
}

// Stat describes the node.
func (n fileNode) Stat() tree.Info {
	f := n.f
	info := tree.Info{
		Name: path.Base(n.at), Path: f.pathOf(n.at), Mode: tree.ModeDir | 0o755, Atime: f.made, Mtime: f.made,
		UID: f.owner, GID: f.owner, MUID: f.owner,
	}
	if n.at == "." {
		info.Name = f.name
	}
	on := f.opened()
	if on == nil {
		return info
	}
	if st, err := on.Lstat(n.at); err == nil && n.at != "." {
		info.Mode = uint32(st.Mode().Perm())
		info.Mtime, info.Length = st.ModTime(), st.Size()
		if st.IsDir() {
			info.Mode, info.Length = info.Mode|tree.ModeDir, 0
		}
	}
	return info
}

// errText leaves out what is about this machine.
func errText(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return tree.ErrNotExist
	case errors.Is(err, syscall.ENOTEMPTY): // is an ErrExist, too
		return tree.ErrNotEmpty
	case errors.Is(err, fs.ErrExist):
		return tree.ErrExist
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

// Remove removes a file, or a folder with nothing in it.
func (n fileNode) Remove(c *tree.Caller) error {
	if err := n.f.mayChange(c); err != nil {
		return err
	}
	if n.at == "." {
		return fmt.Errorf("%s stays: %w", n.f.name, tree.ErrPermission)
	}
	on := n.f.opened()
	if on == nil {
		return tree.ErrNotExist
	}
	if err := on.Remove(n.at); err != nil {
		return errText(err)
	}
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	n.f.count--
	n.f.bytes -= n.f.sizes[n.at]
	delete(n.f.sizes, n.at)
	delete(n.f.paths, n.at)
	return nil
}

// Change renames the node, and changes its mode, length and time.
func (n fileNode) Change(c *tree.Caller, ch tree.Change) error {
	f := n.f
	if err := f.mayChange(c); err != nil {
		return err
	}
	if n.at == "." {
		if ch.Name != nil || ch.Mode != nil || ch.GID != nil {
			return fmt.Errorf("%s stays as it is: %w", f.name, tree.ErrPermission)
		}
		return nil
	}
	if ch.GID != nil && *ch.GID != f.owner {
		return fmt.Errorf("the group is the owner's: %w", tree.ErrPermission)
	}
	on := f.opened()
	if on == nil {
		return tree.ErrNotExist
	}
	st, err := on.Lstat(n.at)
	if err != nil {
		return errText(err)
	}
	if ch.Length != nil && st.IsDir() && *ch.Length != 0 {
		return tree.ErrIsDir
	}
	to := n.at
	if ch.Name != nil && *ch.Name != path.Base(n.at) {
		if err := checkFileName(*ch.Name); err != nil {
			return err
		}
		to = path.Join(path.Dir(n.at), *ch.Name)
		if _, err := on.Lstat(to); err == nil {
			return tree.ErrExist
		}
	}
	if ch.Length != nil && !st.IsDir() {
		if err := f.setLength(on, n.at, *ch.Length); err != nil {
			return err
		}
	}
	if ch.Mode != nil {
		// Its owner reads it: to send it to the nodes.
		if err := on.Chmod(n.at, fs.FileMode(*ch.Mode&tree.ModePerm)|ownerBits(st.IsDir())); err != nil {
			return errText(err)
		}
	}
	if ch.Mtime != nil {
		if err := on.Chtimes(n.at, *ch.Mtime, *ch.Mtime); err != nil {
			return errText(err)
		}
	}
	if to != n.at {
		return f.rename(on, n.at, to)
	}
	return nil
}

// ownerBits are what the server itself needs of its files.
func ownerBits(dir bool) fs.FileMode {
	if dir {
		return 0o700
	}
	return 0o600
}

func (f *folder) setLength(on *os.Root, at string, n int64) error {
	if n < 0 {
		return tree.ErrInvalid
	}
	if err := f.growTo(at, n, true); err != nil {
		return err
	}
	file, err := on.OpenFile(at, os.O_WRONLY, 0)
	if err != nil {
		return errText(err)
	}
	return errText(errors.Join(file.Truncate(n), file.Close()))
}

// rename moves what is at a path, and what is below it.
func (f *folder) rename(on *os.Root, from, to string) error {
	if err := on.Rename(from, to); err != nil {
		return errText(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	move(f.paths, from, to)
	move(f.sizes, from, to)
	return nil
}

func move[V any](m map[string]V, from, to string) {
	moved := map[string]V{}
	for at, v := range m {
		if rest, ok := strings.CutPrefix(at, from); ok && (rest == "" || rest[0] == '/') {
			delete(m, at)
			moved[to+rest] = v
		}
	}
	for at, v := range moved {
		m[at] = v
	}
}

// A fileDir is a folder, and a dataFile a file.
type (
	fileDir  struct{ fileNode }
	dataFile struct{ fileNode }
)

// Lookup finds what is in the folder.
func (d *fileDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	on := d.f.opened()
	if on == nil || checkFileName(name) != nil {
		return nil, tree.ErrNotExist
	}
	at := path.Join(d.at, name)
	st, err := on.Lstat(at)
	switch {
	case err != nil:
		return nil, errText(err)
	case st.IsDir():
		return &fileDir{fileNode{d.f, at}}, nil
	}
	return &dataFile{fileNode{d.f, at}}, nil
}

// List describes what is in the folder.
func (d *fileDir) List(c *tree.Caller) ([]tree.Info, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	on := d.f.opened()
	if on == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(on.FS(), d.at)
	if err != nil {
		return nil, errText(err)
	}
	infos := make([]tree.Info, 0, len(entries))
	for _, e := range entries {
		infos = append(infos, fileNode{d.f, path.Join(d.at, e.Name())}.Stat())
	}
	slices.SortFunc(infos, func(a, b tree.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// Create makes a file or a folder.
func (d *fileDir) Create(c *tree.Caller, name string, perm uint32, mode uint8) (tree.Node, tree.Handle, error) {
	if err := d.f.mayChange(c); err != nil {
		return nil, nil, err
	}
	if err := checkFileName(name); err != nil {
		return nil, nil, err
	}
	if perm&^(tree.ModeDir|tree.ModePerm) != 0 {
		return nil, nil, fmt.Errorf("mode %#o: %w", perm, tree.ErrInvalid)
	}
	at := path.Join(d.at, name)
	if strings.Count(at, "/") >= maxFileDepth {
		return nil, nil, fmt.Errorf("folders lie %d deep, no deeper: %w", maxFileDepth, tree.ErrLimit)
	}
	d.f.mu.Lock()
	on, err := d.f.openLocked()
	if err == nil && d.f.count >= maxFileCount {
		err = fmt.Errorf("%s holds at most %d files: %w", d.f.name, maxFileCount, tree.ErrLimit)
	}
	if err == nil {
		d.f.count++
	}
	d.f.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	n, h, err := d.create(on, at, perm, mode)
	if err != nil {
		d.f.mu.Lock()
		d.f.count--
		d.f.mu.Unlock()
		return nil, nil, errText(err)
	}
	return n, h, nil
}

func (d *fileDir) create(on *os.Root, at string, perm uint32, mode uint8) (tree.Node, tree.Handle, error) {
	bits := fs.FileMode(perm & tree.ModePerm)
	if perm&tree.ModeDir != 0 {
		err := on.Mkdir(at, 0o700)
		if err == nil {
			err = on.Chmod(at, bits|ownerBits(true)) // whatever the umask says
		}
		return &fileDir{fileNode{d.f, at}}, nil, err
	}
	file, err := on.OpenFile(at, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Chmod(bits | ownerBits(false)); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return &dataFile{fileNode{d.f, at}}, &dataHandle{f: d.f, at: at, file: file, read: tree.Readable(mode), write: tree.Writable(mode)}, nil
}

// Open opens a file.
func (n *dataFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	write := tree.Writable(mode)
	if write || mode&tree.OpenTrunc != 0 {
		if err := n.f.mayChange(c); err != nil {
			return nil, err
		}
	}
	on := n.f.opened()
	if on == nil {
		return nil, tree.ErrNotExist
	}
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	file, err := on.OpenFile(n.at, flag, 0)
	if err != nil {
		return nil, errText(err)
	}
	if mode&tree.OpenTrunc != 0 {
		if err := n.f.setLength(on, n.at, 0); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return &dataHandle{f: n.f, at: n.at, file: file, read: tree.Readable(mode), write: write}, nil
}
