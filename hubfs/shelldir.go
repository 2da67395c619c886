package hubfs

import (
	"slices"
	"strings"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// A shellsDir is /shell.
type shellsDir struct{ meta }

func newShellsDir(fs *FS) *shellsDir {
	d := &shellsDir{}
	d.init(fs, fs.newPath(), "shell", fs.cfg.Owner, tree.ModeDir|0o555)
	return d
}

// Lookup finds the directory of a shell.
func (d *shellsDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	d.fs.mu.Lock()
	s := d.fs.byName[name]
	d.fs.mu.Unlock()
	if s == nil {
		return nil, tree.ErrNotExist
	}
	return d.fs.find(c, s.node, nil)
}

// List describes the directories of the shells that are there for c, sorted by name.
func (d *shellsDir) List(c *tree.Caller) ([]tree.Info, error) {
	d.fs.mu.Lock()
	defer d.fs.mu.Unlock()
	infos := make([]tree.Info, 0, len(d.fs.byName))
	for _, s := range d.fs.byName {
		if seesLocked(c, s.node) {
			infos = append(infos, s.node.infoLocked())
		}
	}
	slices.SortFunc(infos, func(a, b tree.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// A shellDir is /shell/NAME. Its files are made with it and stay.
type shellDir struct {
	meta
	shell *shell
	kids  map[string]tree.Node // immutable
	order []string             // immutable
}

func newShellDir(s *shell) *shellDir {
	fs := s.fs
	d := &shellDir{shell: s, kids: map[string]tree.Node{}}
	d.init(fs, fs.newPath(), s.name, s.owner, tree.ModeDir|0o555)
	add := func(name string, n tree.Node) {
		d.kids[name] = n
		d.order = append(d.order, name)
	}
	file := func(name string, mode uint32, need tree.Level, content func(*tree.Caller) string) {
		f := &text{content: content, rule: s.rule(need, need, nobody)}
		f.init(fs, fs.newPath(), name, s.owner, mode)
		add(name, f)
	}
	constant := func(s string) func(*tree.Caller) string { return func(*tree.Caller) string { return s } }

	ctl := &shellCtl{shell: s}
	ctl.init(fs, fs.newPath(), "ctl", s.owner, 0o666)
	add("ctl", ctl)
	file("status", 0o444, tree.LevelView, func(*tree.Caller) string { return s.statusLine() })
	wait := &waitFile{shell: s}
	wait.init(fs, fs.newPath(), "wait", s.owner, 0o444)
	add("wait", wait)
	file("args", 0o444, tree.LevelView, constant(lex.QuoteAll(s.argv)+"\n"))
	env := ""
	for _, kv := range s.env {
		env += lex.Quote(kv) + "\n"
	}
	file("env", 0o400, tree.LevelOwn, constant(env)) // it may hold secrets
	file("dir", 0o444, tree.LevelView, constant(lex.Quote(s.dir)+"\n"))
	file("clients", 0o444, tree.LevelView, s.clients)
	add("stdin", &hubView{f: s.stdin, name: "stdin"})
	add("stdout", &hubView{f: s.stdout, name: "stdout"})
	add("stderr", &hubView{f: s.stderr, name: "stderr"})
	return d
}

// Lookup finds a file, or what stdout@… means of a hub.
func (d *shellDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if strings.HasPrefix(name, inputPrefix) {
		n, err := d.shell.input(c, name)
		return d.fs.find(c, n, err)
	}
	base, at, err := handles.SplitPlace(name)
	if err != nil {
		return nil, err
	}
	k, ok := d.kids[base]
	if !ok {
		return nil, tree.ErrNotExist
	}
	if v, ok := k.(*hubView); ok && at != (handles.Place{}) {
		k = v.f
	}
	n, err := viewOf(k, name, at)
	return d.fs.find(c, n, err)
}

// List describes the files that are there for c.
func (d *shellDir) List(c *tree.Caller) ([]tree.Info, error) {
	infos := make([]tree.Info, 0, len(d.order))
	for _, name := range d.order {
		if k := d.kids[name]; d.fs.sees(c, k) {
			infos = append(infos, k.Stat())
		}
	}
	return infos, nil
}

// Remove removes the shell: the word rm.
func (d *shellDir) Remove(c *tree.Caller) error { return d.shell.remove(c) }

// A waitFile is /shell/NAME/wait: a read waits for the end of the shell.
type waitFile struct {
	meta
	shell *shell
}

// Open gives a reader of the line that will come.
func (f *waitFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	return &waitHandle{
		Cursor: f.shell.waitLine.Reader(hub.FromOldest, lex.Fields(c.User, c.Addr)),
		shell:  f.shell,
		counts: f.shell.counts(c),
	}, nil
}

// A waitHandle is one open of a waitFile.
type waitHandle struct {
	*handles.Cursor
	shell  *shell
	counts bool // see shell.counts
}

// ReadStream reads the line, and notes that it is known.
func (h *waitHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	out, ready, err := h.Cursor.ReadStream(dst, off, max, wake)
	if len(out) > len(dst) && h.counts {
		h.shell.seenNow()
	}
	return out, ready, err
}
