package hubfs

import (
	"strconv"

	"hubfs/hub"
	"hubfs/tree"
)

// An eventsFile is /events: a line for what comes and goes, as it happens.
type eventsFile struct {
	meta
	lines lines
}

func newEventsFile(fs *FS) *eventsFile {
	f := &eventsFile{lines: newLines()}
	f.init(fs, fs.newPath(), "events", fs.cfg.Owner, 0o444)
	return f
}

// Open gives a reader of the events from now on. One that is too slow skips,
// and /status counts what it missed, as for any hub.
func (f *eventsFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	return &cursor{r: f.lines.hub.NewReader(hub.FromEnd, f.fs.readerOf(c))}, nil
}

func (f *eventsFile) close() error { return f.lines.hub.Close() }

// sayLocked queues an event: what happened, and to whom.
func (fs *FS) sayLocked(what string, about ...string) {
	line := what + " " + fields(about...)
	fs.later(func() { fs.events.lines.say(line) })
}

// Conn tells of a connection that begins to be served, or has ended.
func (fs *FS) Conn(c ConnInfo, served bool) {
	fs.mu.Lock()
	defer fs.unlock()
	id := strconv.FormatUint(c.ID, 10)
	if served {
		fs.sayLocked("conn new", id, c.User, c.Addr)
	} else {
		fs.sayLocked("conn end", id)
	}
}

// say tells of something that has been done to a hub, in the post that did it.
func (f *hubFile) say(what string) {
	f.fs.events.lines.say(what + " " + field(f.pathName()))
}
