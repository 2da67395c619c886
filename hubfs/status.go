package hubfs

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"hubfs/hub"
)

func newStatusFile(fs *FS) *text {
	f := &text{content: fs.status}
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

// hubsLocked returns all hubs, in the order of their names.
func (fs *FS) hubsLocked() []namedHub {
	var hubs []namedHub
	fs.root.eachHubLocked(func(f *hubFile) {
		h := namedHub{name: f.pathLocked(), file: f}
		if f.spool != nil {
			h.spool, h.onDisk = f.spool.lineLocked(), f.spool.store.Size()
		}
		hubs = append(hubs, h)
	})
	return hubs
}

// status is the content of /status: one line a thing, the server first, then
// hubs with their readers, then shells, pipes and connections.
func (fs *FS) status() string {
	fs.mu.Lock()
	hubs := fs.hubsLocked()
	var shells []string
	for _, s := range fs.byName {
		shells = append(shells, "shell "+s.statusLocked()+"\n")
	}
	pipes := fs.pipeLinesLocked()
	fs.mu.Unlock()
	slices.Sort(shells)

	var b strings.Builder
	// The time of the start, to the nanosecond, tells one run of the server from
	// another, to clients that come back.
	fmt.Fprintf(&b, "server %s %d %d\n", field(fs.cfg.Name), os.Getpid(), fs.started.UnixNano())
	for _, line := range fs.listenLines() {
		b.WriteString(line)
	}
	for _, h := range hubs {
		st := h.file.hub.Status()
		fmt.Fprintf(&b, "hub %s %d %d %d %d %d %s %d%s\n", field(h.name), st.First, st.Next, st.Size,
			st.Readers, st.Writers, modes(st), st.Lost, end(st))
		b.WriteString(h.spool)
		writeReaders(&b, h.name, h.file.hub)
	}
	writeReaders(&b, "events", fs.events.lines.hub)
	for _, line := range shells {
		b.WriteString(line)
	}
	for _, line := range pipes {
		b.WriteString(line())
	}
	if fs.cfg.Conns != nil {
		for _, c := range fs.cfg.Conns() {
			fmt.Fprintf(&b, "conn %d %s %s %d %d %s\n", c.ID, field(c.User), field(c.Addr), c.Fids, c.Waiting, since(c.Since))
		}
	}
	return b.String()
}

// writeReaders writes a line for each reader. Its label is USER ADDR, as
// fields. In a hub in fear those that hold it up, or are about to, are marked,
// with the seconds for which a writer has been waiting.
func writeReaders(b *strings.Builder, path string, h *hub.Hub) {
	for _, r := range h.Readers() {
		fmt.Fprintf(b, "reader %s %s %d %d %d", field(path), r.Label, r.Offset, r.Lost, r.ID)
		if r.Slowest {
			fmt.Fprintf(b, " slowest %d", int64(r.Stalls.Seconds()))
		}
		b.WriteByte('\n')
	}
}

// end is the END of a hub's line, with the blank before it: the status with
// which the stream ended, which may be empty. While it flows there is none.
func end(st hub.Status) string {
	if !st.Ended {
		return ""
	}
	return " " + field(st.EndStatus)
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
