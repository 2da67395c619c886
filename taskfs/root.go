package taskfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/session"
	"hubfs/tree"
)

// A rootDir is /remote.
type rootDir struct {
	meta
	fs    *FS
	kids  map[string]tree.Node // immutable
	order []string             // immutable
	files *folder              // what is for the tasks of all sessions
}

// old are the files that there were in 2010: all that compat shows.
var old = map[string]bool{"arch": true, "clone": true, "env": true, "fs": true, "ns": true, "status": true}

func newRootDir(fs *FS) *rootDir {
	own := func(name string, mode uint32) meta {
		return meta{name: name, path: fs.newPath(), mode: mode, owner: fs.cfg.Owner, made: fs.made}
	}
	d := &rootDir{meta: own(remote, tree.ModeDir|0o555), fs: fs, kids: map[string]tree.Node{}}
	d.files = newFolder(fs, "fs", fs.cfg.Owner, fs.cfg.MaxFiles, func() error { return nil })
	add := func(name string, n tree.Node) {
		d.kids[name] = n
		d.order = append(d.order, name)
	}
	add("arch", &text{meta: own("arch", 0o444), content: fs.arch})
	add("clone", &cloneFile{own("clone", 0o666), fs})
	add("env", &control{meta: own("env", 0o664), content: fs.env, trunc: fs.clearEnv, do: fs.addEnv})
	add("fs", d.files.root())
	add("ns", &control{meta: own("ns", 0o664), content: fs.ns, do: fs.setNS})
	add("status", &text{meta: own("status", 0o444), content: fs.census})
	add("nodes", &text{meta: own("nodes", 0o444), content: fs.nodeLines})
	add("events", &linesFile{meta: own("events", 0o444), open: func(label string) *handles.Cursor {
		return fs.events.Reader(hub.FromEnd, label)
	}})
	add("ctl", &control{meta: own("ctl", 0o664), content: fs.settings, do: fs.ctl})
	add("uplink", &uplinkFile{own("uplink", 0o600), fs})
	return d
}

// Lookup finds a file, or what is at a number.
func (d *rootDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	if n, ok := d.kids[name]; ok {
		return n, nil
	}
	num, err := strconv.Atoi(name)
	if err != nil || num < 0 || strconv.Itoa(num) != name {
		return nil, tree.ErrNotExist
	}
	d.fs.mu.Lock()
	sl := d.fs.slots[num]
	d.fs.mu.Unlock()
	if sl != nil {
		return newPartDir(sl, sl.session.Whole(), name), nil
	}
	if g := d.fs.node.Guests()[num]; g != nil {
		return d.fs.guestDir(num, g), nil
	}
	return nil, tree.ErrNotExist
}

// List describes the files, then what is at numbers, ascending.
func (d *rootDir) List(c *tree.Caller) ([]tree.Info, error) {
	if err := maySee(c); err != nil {
		return nil, err
	}
	d.fs.mu.Lock()
	slots := maps.Clone(d.fs.slots)
	compat := d.fs.begin.Compat
	d.fs.mu.Unlock()
	var infos []tree.Info
	for _, name := range d.order {
		if !compat || old[name] {
			infos = append(infos, d.kids[name].Stat())
		}
	}
	guests := d.fs.node.Guests()
	nums := slices.AppendSeq(slices.Collect(maps.Keys(slots)), maps.Keys(guests))
	slices.Sort(nums)
	for _, n := range slices.Compact(nums) {
		if sl := slots[n]; sl != nil {
			infos = append(infos, newPartDir(sl, sl.session.Whole(), strconv.Itoa(n)).Stat())
		} else {
			infos = append(infos, d.fs.guestDir(n, guests[n]).Stat())
		}
	}
	return infos, nil
}

// arch is the file arch: what this node is.
func (fs *FS) arch() (string, error) {
	i := fs.node.Cluster().Info()
	return lex.Fields(gang.ShowOS(i.OS), i.Arch) + "\n", nil
}

// rowsPatience is how long those below may take to say what there is. Whoever does
// not is shown as it said last.
const rowsPatience = 10 * time.Second

func (fs *FS) rows() []cluster.Row {
	ctx, cancel := context.WithTimeout(fs.ctx, rowsPatience)
	defer cancel()
	return fs.node.Cluster().Rows(ctx)
}

// census is the file status: OS ARCH COUNT of all nodes that take tasks, this one
// and those above leaves too.
func (fs *FS) census() (string, error) {
	count := map[string]int{}
	var kinds []string
	for _, r := range fs.rows() {
		if r.State != cluster.Up && r.State != cluster.Torpid && r.State != "" {
			continue
		}
		kind := lex.Fields(gang.ShowOS(r.OS), r.Arch)
		if count[kind]++; count[kind] == 1 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "%s %d\n", k, count[k])
	}
	return b.String(), nil
}

// nodeLines is the file nodes: NAME ADDR OS ARCH SLOTS FREE LOAD STATE AGE EPOCH, and
// words of the form KEY=VALUE.
func (fs *FS) nodeLines() (string, error) {
	var b strings.Builder
	for _, r := range fs.rows() {
		f := []string{
			r.Name, r.Addr, r.OS, r.Arch, strconv.Itoa(r.Slots), strconv.Itoa(r.Free),
			strconv.FormatFloat(r.Load, 'f', 2, 64), string(r.State),
			strconv.FormatFloat(r.Age.Seconds(), 'f', 1, 64), strconv.FormatUint(r.Epoch, 10),
			"mem=" + strconv.FormatInt(r.Memory, 10), "labels=" + strings.Join(r.Labels, ","),
		}
		if r.Leaf {
			f = append(f, "leaf")
		} else {
			f = append(f, "inner")
		}
		if r.Executor {
			f = append(f, "executor")
		}
		f = append(f, "dropped="+strconv.FormatUint(r.Dropped, 10))
		b.WriteString(lex.Fields(f...) + "\n")
	}
	return b.String(), nil
}

// env is the file env: what is in the environment of the tasks of all sessions that
// are made from now on.
func (fs *FS) env() (string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return envText(fs.begin.Env), nil
}

func envText(env []string) string {
	var b strings.Builder
	for _, kv := range env {
		b.WriteString(lex.Quote(kv) + "\n")
	}
	return b.String()
}

func (fs *FS) clearEnv() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.begin.Env = nil
	return nil
}

func (fs *FS) addEnv(line []string) error {
	for _, kv := range line {
		if err := session.CheckEnv(kv); err != nil {
			return err
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.begin.Env = session.MergeEnv(fs.begin.Env, line)
	return nil
}

// ns is the file ns, for all sessions that are made from now on.
func (fs *FS) ns() (string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return session.NS(fs.begin.Dir, fs.begin.Umask), nil
}

func (fs *FS) setNS(line []string) error {
	begin := func(do func(*session.Beginning)) error {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		do(&fs.begin)
		return nil
	}
	return lex.Do(session.NSWords(
		func(dir string) error { return begin(func(b *session.Beginning) { b.Dir = dir }) },
		func(mask int) error { return begin(func(b *session.Beginning) { b.Umask = mask }) },
	), line)
}

// settings is what ctl says when it is read.
func (fs *FS) settings() (string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	words := "begin"
	for _, o := range []struct {
		on   bool
		word string
	}{{fs.begin.Strict, "strict"}, {fs.begin.Compat, "compat"}, {fs.begin.Persist, "persist"}} {
		if o.on {
			words += " " + o.word
		}
	}
	if words == "begin" {
		words += " plain"
	}
	return "debug " + strconv.Itoa(fs.debug) + "\n" + words + "\n", nil
}

// ctl does a command of /remote/ctl.
func (fs *FS) ctl(line []string) error {
	err := lex.Do(fs.words(), line)
	fs.mu.Lock()
	debug := fs.debug
	fs.mu.Unlock()
	if debug > 0 {
		fs.cfg.Log.Info("remote/ctl", "line", line, "err", err)
	}
	return err
}

func (fs *FS) words() []lex.Word {
	about := func(do func(name string) error) func([]string) error {
		return func(args []string) error {
			if err := aboutName(args[0]); err != nil {
				return err
			}
			return do(args[0])
		}
	}
	c := fs.node.Cluster()
	return []lex.Word{
		lex.Command("add", "ADDR [NAME]", "have the node that listens there below this one", 1, 2, fs.add),
		lex.Command("drain", "NODE", "give a node no new tasks", 1, 1, about(c.Drain)),
		lex.Command("undrain", "NODE", "give it tasks again", 1, 1, about(c.Undrain)),
		lex.Command("rm", "NODE", "let a node go when its tasks have ended", 1, 1, about(fs.remove)),
		lex.Command("ack", "NODE", "your word that a node which is lost runs nothing", 1, 1, about(c.Ack)),
		lex.Command("fence", "NODE", "make sure now that a node runs nothing", 1, 1, about(c.Fence)),
		lex.Command("begin", "plain|[strict] [compat] [persist]", "how sessions begin from now on", 1, 3, fs.beginWord),
		lex.Command("debug", "N", "log what is written here", 1, 1, func(args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil || n < 0 || n > 9 {
				return lex.Malformed("%q is not a number from 0 to 9", lex.Clip(args[0]))
			}
			fs.mu.Lock()
			defer fs.mu.Unlock()
			fs.debug = n
			return nil
		}),
	}
}

// add dials a node, and is done when it is there.
func (fs *FS) add(args []string) error {
	if fs.cfg.Add == nil {
		return errors.New("add: this server dials no nodes")
	}
	name := ""
	if len(args) > 1 {
		name = args[1]
		if err := cluster.CheckName(name); err != nil {
			return lex.Malformed("%v", err)
		}
	}
	stop, err := fs.cfg.Add(args[0], name)
	if err != nil {
		return fmt.Errorf("add %s: %w", lex.Clip(args[0]), err)
	}
	if name == "" {
		name = args[0]
	}
	fs.mu.Lock()
	before, closing := fs.added[name], fs.closing
	if !closing {
		fs.added[name] = stop
	}
	fs.mu.Unlock()
	if closing {
		stop()
		return errClosing
	}
	if before != nil {
		before() // it has gone, or the new one would have been refused
	}
	return nil
}

// remove lets a node go, and does not dial it any more.
func (fs *FS) remove(name string) error {
	if err := fs.node.Cluster().Remove(name); err != nil {
		return err
	}
	// Whoever dials it hears of that when the link ends, which is when its tasks
	// have: to stop him now would end them.
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.added, name)
	return nil
}

// beginWord is the word begin.
func (fs *FS) beginWord(args []string) error {
	var b session.Beginning
	for _, arg := range args {
		switch arg {
		case "plain":
			if len(args) > 1 {
				return lex.Malformed("plain is none of the others")
			}
		case "strict":
			b.Strict = true
		case "compat":
			b.Compat = true
		case "persist":
			b.Persist = true
		default:
			return lex.Malformed("%q", lex.Clip(arg))
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.begin.Strict, fs.begin.Compat, fs.begin.Persist = b.Strict, b.Compat, b.Persist
	return nil
}
