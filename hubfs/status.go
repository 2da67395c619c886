package hubfs

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"hubfs/hub"
	"hubfs/internal/lex"
	"hubfs/tree"
)

func newStatusFile(fs *FS) *text {
	f := &text{content: fs.status, rule: rule{below: true, see: tree.LevelView, read: tree.LevelView, write: nobody}}
	f.init(fs, fs.newPath(), "status", fs.cfg.Owner, 0o444)
	return f
}

// A namedHub is a hub and the path that it had when it was looked for.
type namedHub struct {
	name   string
	file   *hubFile
	spool  string // the line of its spool; "": it has none
	onDisk int64  // bytes
}

// hubsLocked returns all hubs that are there for c, in the order of their names;
// nil is the server itself.
func (fs *FS) hubsLocked(c *tree.Caller) []namedHub {
	var hubs []namedHub
	fs.root.eachHubLocked(func(f *hubFile) {
		if !seesLocked(c, f) {
			return
		}
		h := namedHub{name: f.pathLocked(), file: f}
		if f.spool != nil && (c == nil || mayAll(c, tree.LevelView)) { // it says where on the disk
			h.spool, h.onDisk = f.spool.lineLocked(), f.spool.store.Size()
		}
		hubs = append(hubs, h)
	})
	return hubs
}

// status is the content of /status for c: one line a thing, the server first, then
// hubs with their readers, then shells, pipes, sessions and connections.
func (fs *FS) status(c *tree.Caller) string {
	fs.mu.Lock()
	hubs := fs.hubsLocked(c)
	var shells []string
	for _, s := range fs.byName {
		if !seesLocked(c, s.node) {
			continue
		}
		shells = append(shells, "shell "+s.statusLocked()+"\n")
	}
	pipes := fs.pipeLinesLocked(c)
	sessions := fs.remote != nil && seesLocked(c, fs.remote)
	fs.mu.Unlock()
	slices.Sort(shells)

	var b strings.Builder
	// The time of the start, to the nanosecond, tells one run of the server from
	// another, to clients that come back.
	fmt.Fprintf(&b, "server %s %d %d\n", lex.Field(fs.cfg.Name), os.Getpid(), fs.started.UnixNano())
	if mayAll(c, tree.LevelOwn) {
		for _, line := range fs.listenLines() {
			b.WriteString(line)
		}
	}
	for _, h := range hubs {
		st := h.file.hub.Status()
		fmt.Fprintf(&b, "hub %s %d %d %d %d %d %s %d%s\n", lex.Field(h.name), st.First, st.Next, st.Size,
			st.Readers, st.Writers, modes(st), st.Lost, end(st))
		b.WriteString(h.spool)
		writeReaders(&b, c, h.name, h.file.hub)
	}
	writeReaders(&b, c, "events", fs.events.lines.Hub)
	for _, line := range shells {
		b.WriteString(line)
	}
	for _, line := range pipes {
		b.WriteString(line())
	}
	if sessions {
		for _, line := range fs.remote.remote.Sessions() {
			b.WriteString("session " + line + "\n")
		}
	}
	if fs.cfg.Conns != nil {
		for _, conn := range fs.cfg.Conns() {
			if conn.ID == c.Conn || mayAll(c, tree.LevelOwn) {
				fmt.Fprintf(&b, "conn %d %s %s %d %d %s\n", conn.ID, lex.Field(conn.User), lex.Field(conn.Addr),
					conn.Fids, conn.Waiting, since(conn.Since))
			}
		}
	}
	return b.String()
}

// writeReaders writes a line for each reader. Its label is USER ADDR, as
// fields; where others are is for who owns the server. In a hub in fear those
// that hold it up, or are about to, are marked, with the seconds for which a
// writer has been waiting.
func writeReaders(b *strings.Builder, c *tree.Caller, path string, h *hub.Hub) {
	own, all := lex.Fields(c.User, c.Addr), mayAll(c, tree.LevelOwn)
	for _, r := range h.Readers() {
		label := r.Label
		if label != own && !all {
			if path == "events" && !mayAll(c, tree.LevelView) { // which is about all that the server has
				continue
			}
			label = firstField(label) + " " + hidden
		}
		fmt.Fprintf(b, "reader %s %s %d %d %d", lex.Field(path), label, r.Offset, r.Lost, r.ID)
		if r.Slowest {
			fmt.Fprintf(b, " slowest %d", int64(r.Stalls.Seconds()))
		}
		b.WriteByte('\n')
	}
}

// hidden stands for an address that c is not told.
const hidden = "-"

// end is the END of a hub's line, with the blank before it: the status with
// which the stream ended, which may be empty. While it flows there is none.
func end(st hub.Status) string {
	if !st.Ended {
		return ""
	}
	return " " + lex.Field(st.EndStatus)
}

// modes is the MODE of a hub: calm, fear or spool, and whatever else is set.
func modes(st hub.Status) string {
	m := "calm"
	switch {
	case st.Spooled:
		m = "spool"
	case st.Fear:
		m = "fear"
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{st.Frozen, "frozen"}, {st.Trunc, "trunc"}, {st.Limit != hub.Limit{}, "limit"}, {st.Ended, "ended"},
		{st.SpoolErr != nil, "nospool"}, // not by the word of that name
	} {
		if f.on {
			m += "," + f.name
		}
	}
	return m
}
