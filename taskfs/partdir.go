package taskfs

import (
	"slices"
	"strconv"
	"strings"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/session"
	"hubfs/tree"
)

// A partDir is the folder of a session, or of a part of it.
type partDir struct {
	meta
	sl   *slot
	part *session.Part
	dir  string // the path of its files in the session's folder: "", "0/1/"
}

func newPartDir(sl *slot, p *session.Part, name string) *partDir {
	d := &partDir{sl: sl, part: p}
	if !p.IsWhole() {
		d.dir = p.Key() + "/"
	}
	d.meta = sl.meta(d.dir, "", tree.ModeDir|0o555)
	d.name = name
	return d
}

// The files of 2010, which every part has, and those that are a session's besides.
var (
	tenFiles  = []string{"args", "ctl", "env", "ns", "status", "stderr", "stdin", "stdio", "stdout", "wait"}
	moreFiles = []string{"summary", "events", "id", "fs", "out"}
)

// Lookup finds a file, a part, or what stdout@… means of a hub.
func (d *partDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if n := d.file(name); n != nil {
		return n, nil
	}
	base, _, placed := strings.Cut(name, "@")
	switch base {
	case "stdin", "stdout", "stderr":
		if placed {
			return d.streamFile(base, name)
		}
	}
	num, err := strconv.Atoi(name)
	if err != nil || num < 0 || strconv.Itoa(num) != name {
		return nil, tree.ErrNotExist
	}
	sub, err := d.part.Sub(num)
	if err != nil {
		return nil, tree.ErrNotExist
	}
	return newPartDir(d.sl, sub, name), nil
}

// List describes the files, then the parts.
func (d *partDir) List(c *tree.Caller) ([]tree.Info, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	var infos []tree.Info
	names := tenFiles
	if d.part.IsWhole() && !d.sl.session.Compat() {
		names = slices.Concat(tenFiles, moreFiles)
	}
	for _, name := range names {
		infos = append(infos, d.file(name).Stat())
	}
	for i := range d.part.Parts() {
		if sub, err := d.part.Sub(i); err == nil {
			infos = append(infos, newPartDir(d.sl, sub, strconv.Itoa(i)).Stat())
		}
	}
	return infos, nil
}

// file returns a file of the folder, nil if it has none of that name.
func (d *partDir) file(name string) tree.Node {
	sl, p := d.sl, d.part
	own := func(mode uint32) meta { return sl.meta(d.dir, name, mode) }
	count := func(n int) { sl.session.Opened(p, n) }
	switch name {
	case "args":
		return &control{meta: own(0o660), opened: count, content: func() (string, error) {
			if args := p.Args(); len(args) > 0 {
				return lex.QuoteAll(args) + "\n", nil
			}
			return "", nil
		}, do: p.SetArgs}
	case "ctl":
		if p.IsWhole() {
			return &ctlFile{own(0o660), sl}
		}
		return &partCtl{own(0o660), sl, p, d.name}
	case "env":
		return &control{meta: own(0o660), opened: count, content: func() (string, error) {
			return envText(p.Env()), nil
		}, trunc: p.ClearEnv, do: p.AddEnv}
	case "ns":
		return &control{meta: own(0o660), opened: count, content: func() (string, error) {
			return session.NS(p.Dir(), p.Umask()), nil
		}, do: func(line []string) error { return lex.Do(session.NSWords(p.SetDir, p.SetUmask), line) }}
	case "status":
		return &text{meta: own(0o444), opened: count, content: p.Status}
	case "stdin", "stdout", "stderr", "stdio":
		n, err := d.streamFile(name, name)
		if err != nil {
			return nil
		}
		return n
	case "wait":
		return &waitFile{own(0o444), sl, p}
	}
	if !p.IsWhole() {
		return nil
	}
	switch name {
	case "summary":
		return &text{meta: own(0o444), opened: count, content: func() (string, error) {
			var dropped uint64
			for _, r := range sl.fs.rows() {
				dropped += r.Dropped
			}
			return sl.session.Summary(dropped), nil
		}}
	case "events":
		return &linesFile{meta: own(0o444), opened: count, open: func(label string) *handles.Cursor {
			return sl.session.Events(label)
		}}
	case "id":
		return &text{meta: own(0o444), opened: count, content: func() (string, error) { return sl.id + "\n", nil }}
	case "fs":
		return sl.files.root()
	case "out":
		return newOutDir(sl)
	}
	return nil
}

// A waitFile is wait: a read waits until a task ends.
type waitFile struct {
	meta
	sl   *slot
	part *session.Part
}

// Open gives a reader of all that have ended, and will.
func (f *waitFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	if err := maySee(c); err != nil {
		return nil, err
	}
	s := f.sl.session
	s.Opened(f.part, 1)
	return &waitHandle{f.part.Wait(), s, f.part}, nil
}

// A waitHandle is one open of wait.
type waitHandle struct {
	*session.FeedReader
	s    *session.Session
	part *session.Part
}

// ReadStream reads lines, once there are some.
func (h *waitHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	if h.s.Strict() {
		return dst, false, session.ErrNoReservation
	}
	return h.FeedReader.ReadStream(dst, off, max, wake)
}

// Close ends the open.
func (h *waitHandle) Close() error {
	h.s.Opened(h.part, -1)
	return h.FeedReader.Close()
}

// An outDir is out: the output, in other forms.
type outDir struct {
	meta
	sl *slot
}

func newOutDir(sl *slot) *outDir { return &outDir{sl.meta("", "out", tree.ModeDir|0o555), sl} }

var outFiles = []string{"merged", "labelled", "folded", "folded.err", "bynode"}

// Lookup finds a file, or what merged@… means.
func (d *outDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if n := d.file(name); n != nil {
		return n, nil
	}
	return nil, tree.ErrNotExist
}

// List describes the files.
func (d *outDir) List(c *tree.Caller) ([]tree.Info, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	var infos []tree.Info
	for _, name := range outFiles {
		infos = append(infos, d.file(name).Stat())
	}
	return infos, nil
}

func (d *outDir) file(name string) tree.Node {
	sl := d.sl
	folded := func(st gather.Stream, stream string) tree.Node {
		return &text{meta: sl.meta("out/", name, 0o444), opened: func(n int) { sl.session.Opened(sl.session.Whole(), n) },
			content: func() (string, error) {
				text, err := sl.session.Folded(st)
				if err == nil {
					sl.readOut(stream) // in another form
				}
				return text, err
			}}
	}
	base, place, _ := strings.Cut(name, "@")
	if place != "" || strings.HasSuffix(name, "@") {
		place = "@" + place
	}
	switch {
	case base == "merged":
		return d.hub("stdout", name, "stdout"+place)
	case base == "labelled":
		return d.hub("out/labelled", name, name)
	case name == "folded":
		return folded(gather.Stdout, "stdout")
	case name == "folded.err":
		return folded(gather.Stderr, "stderr")
	case name == "bynode":
		return &byNodeDir{sl.meta("out/", name, tree.ModeDir|0o555), sl}
	}
	return nil
}

// hub returns a hub of the session under another name; nil if it is called in a way
// that there is not.
func (d *outDir) hub(stream, name, as string) tree.Node {
	inner, err := d.sl.streams[stream].Node(as)
	if err != nil {
		return nil
	}
	return &hubFile{meta: d.sl.meta("out/", name, 0o444), sl: d.sl, out: inner, outName: stream}
}

// A byNodeDir is out/bynode: the output of each task, by its rank, or of all on a
// node, by its name.
type byNodeDir struct {
	meta
	sl *slot
}

// Lookup finds what a task has put out.
func (d *byNodeDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	base, at, err := splitView(name)
	if err != nil || !d.sl.session.Has(base) {
		return nil, tree.ErrNotExist
	}
	return d.file(base, name, at), nil
}

func (d *byNodeDir) file(base, name string, at handles.Place) tree.Node {
	s := d.sl.session
	return &viewFile{meta: d.sl.meta("out/bynode/", name, 0o444), sl: d.sl, part: s.Whole(), at: at, label: "out/bynode/" + base,
		open: func() (*hub.Hub, func(), error) { return s.ViewOf(base, gather.Stdout) }}
}

// List describes the files of the tasks.
func (d *byNodeDir) List(c *tree.Caller) ([]tree.Info, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if d.sl.session.Released() {
		return nil, nil
	}
	var infos []tree.Info
	for r := range d.sl.session.Size() {
		name := strconv.Itoa(r)
		infos = append(infos, d.file(name, name, handles.Place{}).Stat())
	}
	return infos, nil
}
