package hubfs

import (
	"strconv"
	"strings"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// An eventsFile is /events: a line for what comes and goes, as it happens. Each
// reader gets those that are about things which are there for it.
type eventsFile struct {
	meta
	lines handles.Lines // each with its audience in front
}

func newEventsFile(fs *FS) *eventsFile {
	f := &eventsFile{lines: handles.NewLines()}
	f.init(fs, fs.newPath(), "events", fs.cfg.Owner, 0o444)
	return f
}

// Open gives a reader of the events from now on. One that is too slow skips,
// and /status counts what it missed, as for any hub.
func (f *eventsFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	return &eventsHandle{
		Cursor: &handles.Cursor{R: f.lines.Hub.NewReader(hub.FromEnd, f.fs.readerOf(c))},
		fs:     f.fs, c: c,
	}, nil
}

func (f *eventsFile) close() error { return f.lines.Hub.Close() }

// An eventsHandle is one open of /events. Only the reading lane touches it.
type eventsHandle struct {
	*handles.Cursor
	fs   *FS
	c    *tree.Caller
	left string // of lines that were read together, what was not handed out
}

// ReadStream reads the lines that are for the caller.
func (h *eventsHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	if max <= 0 {
		return dst, true, nil
	}
	for h.left == "" {
		// All that there is, and so whole lines: one that begins in the middle,
		// since others were skipped, is first and shows it.
		pieces, ready, err := h.Cursor.ReadStream(nil, 0, 1<<30, wake)
		if err != nil || !ready || len(pieces) == 0 {
			return dst, ready, err
		}
		var b strings.Builder
		for _, p := range pieces {
			b.Write(p.Data)
			p.Free()
		}
		left := h.fs.eventsFor(h.c, b.String())
		if err := h.c.Holds(len(left)); err != nil {
			return dst, false, err // it has missed them, and hears that
		}
		h.left = left
	}
	n := min(max, len(h.left))
	dst = append(dst, tree.Piece{Data: []byte(h.left[:n])})
	h.left = h.left[n:]
	_ = h.c.Holds(-n) // less is no error
	return dst, true, nil
}

// Close ends the open.
func (h *eventsHandle) Close() error {
	_ = h.c.Holds(-len(h.left))
	return h.Cursor.Close()
}

// An audience is who is told of an event: who has a level for each of some
// paths, and whoever is on a connection, if it is about that.
type audience struct {
	conn  uint64 // 0: none
	level tree.Level
	paths []string
}

// Marks of an audience in front of a line, which holds no control characters,
// and neither does a path.
const (
	audienceBegin = "\x01"
	audienceSep   = "\x02"
	audienceEnd   = "\x03"
)

// line puts the audience in front of a line.
func (a audience) line(s string) string {
	head := strconv.FormatUint(a.conn, 10) + audienceSep + strconv.Itoa(int(a.level))
	for _, p := range a.paths {
		head += audienceSep + p
	}
	return audienceBegin + head + audienceEnd + s
}

// eventsFor returns those of the lines, with their audiences, that are for c,
// without. What has no audience is a piece of a line.
func (fs *FS) eventsFor(c *tree.Caller, lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		head, text, ok := strings.Cut(line, audienceEnd)
		head, whole := strings.CutPrefix(head, audienceBegin)
		if ok && whole && (c.Rights == nil || fs.isFor(c, head)) {
			b.WriteString(text)
		}
	}
	return b.String()
}

// isFor reports whether c is one of an audience.
func (fs *FS) isFor(c *tree.Caller, head string) bool {
	f := strings.Split(head, audienceSep)
	if c.Conn != 0 && f[0] == strconv.FormatUint(c.Conn, 10) {
		return true
	}
	need, err := strconv.Atoi(f[1])
	if err != nil {
		return false
	}
	for _, path := range f[2:] {
		if fs.levelAt(c, path) < tree.Level(need) {
			return false
		}
	}
	return true
}

// levelAt is how much c may do with the thing at path, be it there or not.
func (fs *FS) levelAt(c *tree.Caller, path string) tree.Level {
	r := rule{path: path}
	if path != "" {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if s := fs.byName[path]; s != nil {
			r.owner = s.owner
		} else if f := fs.hubAtLocked(path); f != nil && f.shell == nil {
			r.owner = f.owner
		}
	}
	return r.level(c)
}

// sayLocked queues an event: what happened, and to whom.
func (fs *FS) sayLocked(to audience, what string, about ...string) {
	line := to.line(what + " " + lex.Fields(about...))
	fs.later(func() { fs.events.lines.Say(line) })
}

// owners is the audience of what is about the server as a whole.
func owners() audience { return audience{level: tree.LevelOwn, paths: []string{""}} }

// audienceLocked are those for whom all these nodes are there.
func audienceLocked(nodes ...tree.Node) (a audience) {
	for _, n := range nodes {
		r := ruleLocked(n)
		a.level = max(a.level, r.see)
		a.paths = append(a.paths, r.path)
	}
	return a
}

// sayLocked queues an event about the hub.
func (f *hubFile) sayLocked(what string, more ...string) {
	f.fs.sayLocked(audienceLocked(f), what, append([]string{f.pathLocked()}, more...)...)
}

// sayDiskLocked queues an event about where the hub is kept, which is for who
// may see all of the server.
func (f *hubFile) sayDiskLocked(what string, more ...string) {
	to := audience{level: tree.LevelView, paths: []string{""}}
	f.fs.sayLocked(to, what, append([]string{f.pathLocked()}, more...)...)
}

// say tells of something that has been done to a hub, in the post that did it.
func (f *hubFile) say(what string) {
	f.fs.mu.Lock()
	line := audienceLocked(f).line(what + " " + lex.Field(f.pathLocked()))
	f.fs.mu.Unlock()
	f.fs.events.lines.Say(line)
}

// sayLocked queues an event about the shell.
func (s *shell) sayLocked(what string, more ...string) {
	s.fs.sayLocked(audienceLocked(s.node), what, append([]string{s.name}, more...)...)
}

// Node tells of a node below this one: a line that begins with node, for who may
// see /remote.
func (fs *FS) Node(line string) {
	fs.mu.Lock()
	defer fs.unlock()
	line = audience{level: tree.LevelView, paths: []string{remoteName}}.line(strings.ToValidUTF8(line, ""))
	fs.later(func() { fs.events.lines.Say(line) })
}

// Conn tells of a connection that begins to be served, or has ended.
func (fs *FS) Conn(c ConnInfo, served bool) {
	fs.mu.Lock()
	defer fs.unlock()
	id := strconv.FormatUint(c.ID, 10)
	to := owners()
	to.conn = c.ID
	if served {
		fs.sayLocked(to, "conn new", id, c.User, c.Addr)
	} else {
		fs.sayLocked(to, "conn end", id)
	}
}
