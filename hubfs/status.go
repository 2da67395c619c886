package hubfs

import (
	"fmt"
	"slices"
	"strings"

	"hubfs/hub"
)

func newStatusFile(fs *FS) *text {
	f := &text{content: fs.status}
	f.init(fs, fs.newPath(), "status", fs.cfg.Owner, 0o444)
	return f
}

// status is the content of /status: one line a thing, hubs with their readers
// first, then shells, then connections.
func (fs *FS) status() string {
	type named struct {
		path string
		hub  *hub.Hub
	}
	hubs := []named{}
	fs.mu.Lock()
	fs.root.eachHubLocked(func(f *hubFile) { hubs = append(hubs, named{f.pathLocked(), f.hub}) })
	var shells []string
	for _, s := range fs.byName {
		shells = append(shells, "shell "+s.statusLocked()+"\n")
	}
	fs.mu.Unlock()
	slices.Sort(shells)

	var b strings.Builder
	for _, h := range hubs {
		st := h.hub.Status()
		fmt.Fprintf(&b, "hub %s %d %d %d %d %d %s %d%s\n", field(h.path), st.First, st.Next, st.Size,
			st.Readers, st.Writers, modes(st), st.Lost, end(st))
		writeReaders(&b, h.path, h.hub)
	}
	writeReaders(&b, "events", fs.events.lines.hub)
	for _, line := range shells {
		b.WriteString(line)
	}
	if fs.cfg.Conns != nil {
		for _, c := range fs.cfg.Conns() {
			fmt.Fprintf(&b, "conn %d %s %s %d %d %s\n", c.ID, field(c.User), field(c.Addr), c.Fids, c.Waiting, since(c.Since))
		}
	}
	return b.String()
}

// writeReaders writes a line for each reader. Its label is USER ADDR, as
// fields.
func writeReaders(b *strings.Builder, path string, h *hub.Hub) {
	for _, r := range h.Readers() {
		fmt.Fprintf(b, "reader %s %s %d %d\n", field(path), r.Label, r.Offset, r.Lost)
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

// modes is the MODE of a hub: calm or fear, and whatever else is set.
func modes(st hub.Status) string {
	m := "calm"
	if st.Fear {
		m = "fear"
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{st.Frozen, "frozen"}, {st.Trunc, "trunc"}, {st.Limit != hub.Limit{}, "limit"}, {st.Ended, "ended"},
	} {
		if f.on {
			m += "," + f.name
		}
	}
	return m
}
