package hubfs

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"hubfs/hub"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// readerOf says who reads, to a hub: under which number, which no other reader
// of this server has ever had, and whose it is.
func (fs *FS) readerOf(c *tree.Caller) hub.ReaderOptions {
	return hub.ReaderOptions{Label: lex.Fields(c.User, c.Addr), ID: fs.readers.Add(1)}
}

// drop is the word drop. The readers of the server itself, which feed shells,
// have no number.
func (fs *FS) drop(c *tree.Caller, args []string) error {
	n, err := number(args[0])
	if err != nil {
		return err
	}
	id := uint64(n)
	h, err := fs.hubOfReader(c, id)
	switch {
	case err != nil:
		return err
	case !h.DropReader(id, "dropped by "+lex.Field(c.User)): // gone just now
		return fmt.Errorf("drop: no reader %d: %w", id, tree.ErrNotExist)
	}
	fs.mu.Lock()
	fs.unlockDone() // what the hub has told of it
	return nil
}

// hubOfReader finds the hub that a reader reads, for one who owns the hub. Of
// hubs that are not there for c it finds none.
func (fs *FS) hubOfReader(c *tree.Caller, id uint64) (*hub.Hub, error) {
	fs.mu.Lock()
	hubs := fs.hubsLocked(c)
	fs.mu.Unlock()
	reads := func(h *hub.Hub) bool {
		return slices.ContainsFunc(h.Readers(), func(r hub.ReaderStatus) bool { return r.ID == id })
	}
	var of child
	var read *hub.Hub
	for _, h := range hubs {
		if reads(h.file.hub) {
			of, read = h.file, h.file.hub
		}
	}
	if of == nil && mayAll(c, tree.LevelOwn) && reads(fs.events.lines.Hub) {
		of, read = fs.events, fs.events.lines.Hub
	}
	if of == nil {
		return nil, fmt.Errorf("drop: no reader %d: %w", id, tree.ErrNotExist)
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !mayOwnLocked(c, of) {
		return nil, fmt.Errorf("drop: only %s, the owner of the hub, may drop its readers: %w", of.base().owner, tree.ErrPermission)
	}
	return read, nil
}

// dropped is told by the hub of a reader that it has dropped. It may be called
// from wherever the hub is used.
func (f *hubFile) dropped(id uint64, label, reason string) {
	f.fs.mu.Lock()
	defer f.fs.unlock()
	line := "reader drop " + lex.Field(f.pathLocked()) + " " + strconv.FormatUint(id, 10) + " " +
		firstField(label) + " " + lex.Field(reason)
	line = audienceLocked(f).line(line)
	f.fs.later(func() { f.fs.events.lines.Say(line) })
}

// firstField returns the first of the fields in s, quoted as it is there.
func firstField(s string) string {
	quoted := false
	for i, r := range s {
		switch {
		case r == '\'':
			quoted = !quoted // twice for a quote that is doubled
		case r == ' ' && !quoted:
			return s[:i]
		}
	}
	return s
}

// longest is longer than anybody waits, and can be counted in nanoseconds.
const longest = 100 * 365 * 24 * time.Hour

// parseSeconds reads an argument that is a number of seconds, 1 or more.
func parseSeconds(s string) (time.Duration, error) {
	n, err := number(s)
	return time.Duration(min(n, int64(longest/time.Second))) * time.Second, err
}

// patience is the word patience.
func (fs *FS) patience(c *tree.Caller, path, arg string) error {
	d, err := parseSeconds(arg)
	if err != nil {
		return err
	}
	return fs.withHub(c, path, tree.LevelOwn, func(f *hubFile) { f.hub.SetPatience(d) })
}
