package hubfs

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"hubfs/hub"

	"hubfs/internal/lex"
)

// Stats are the counters of a server at one moment.
type Stats struct {
	Time    time.Time // of the counting
	Started time.Time // when the server did

	Conns      int   // connections
	Fids       int   // of all connections
	Waiting    int   // requests of all connections without an answer yet
	Goroutines int   // of the process
	Shells     int   // with those that have ended
	Retained   int64 // bytes that all hubs retain in memory
	Room       int64 // bytes that they may retain besides

	Hubs  []HubStats  // those of the longest standing first
	Pipes []PipeStats // those that run, by number

	Loops     []Loop // of pipes and shells that run
	MoreLoops bool   // there are others
}

// HubStats are the counters of one hub, from when the server made it or found
// it on disk.
type HubStats struct {
	Name     string        // its path
	In       int64         // bytes written, those of earlier runs of the server too
	Out      int64         // bytes handed to readers, to each of them
	Writes   int64         // that brought bytes
	Reads    int64         // that gave bytes
	Retained int64         // bytes that can still be read
	OnDisk   int64         // of them; 0 of a hub that is not spooled
	Readers  int           // open
	Writers  int           // open
	Lost     int64         // bytes that readers were overtaken by
	Blocked  int           // writers that wait
	Held     time.Duration // how long one of them has been waiting for readers
}

// Stats counts. It looks at every hub and at every reader.
func (fs *FS) Stats() Stats {
	s := Stats{Time: time.Now(), Started: fs.started, Goroutines: runtime.NumGoroutine()}
	used, most := fs.budget.Used()
	s.Retained, s.Room = used, max(0, most-used)
	fs.mu.Lock()
	s.Shells = len(fs.byName)
	hubs, ways := fs.hubsLocked(nil), fs.waysLocked()
	fs.mu.Unlock()
	slices.SortFunc(hubs, func(a, b namedHub) int { return cmp.Compare(a.file.path, b.file.path) })
	counts := make(map[*hubFile]hub.Status, len(hubs))
	for _, h := range hubs {
		counts[h.file] = h.file.hub.Status()
		s.Hubs = append(s.Hubs, countHub(h, counts[h.file]))
	}
	s.countWays(ways, counts)
	if fs.cfg.Conns != nil {
		for _, c := range fs.cfg.Conns() {
			s.Conns++
			s.Fids += c.Fids
			s.Waiting += c.Waiting
		}
	}
	return s
}

func countHub(h namedHub, st hub.Status) HubStats {
	return HubStats{
		Name: h.name, OnDisk: h.onDisk, In: st.Next, Out: st.Delivered, Writes: st.Writes, Reads: st.Reads,
		Retained: st.Next - st.First, Readers: st.Readers, Writers: st.Writers, Lost: st.Lost,
		Blocked: st.WaitingWriters, Held: st.WritersWait,
	}
}

// text is a block of /stats: one line a thing, the server's own counters first.
// prev is what the block before was made of; nil: there was none.
func (s *Stats) text(prev *Stats) string {
	var b strings.Builder
	fmt.Fprintf(&b, "time %s\n", unixMilli(s.Time))
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"conns", int64(s.Conns)}, {"fids", int64(s.Fids)}, {"waiting", int64(s.Waiting)},
		{"goroutines", int64(s.Goroutines)}, {"shells", int64(s.Shells)}, {"hubs", int64(len(s.Hubs))},
		{"retained", s.Retained}, {"room", s.Room},
	} {
		fmt.Fprintf(&b, "%s %d\n", c.name, c.value)
	}
	for _, h := range s.Hubs {
		h.writeTo(&b)
	}
	s.writeWays(&b, prev)
	return b.String()
}

// writeTo writes the hub's line.
func (h HubStats) writeTo(b *strings.Builder) {
	fmt.Fprintf(b, "hub %s %d %d %d %d %d %d %d %d %d %d %.3f\n", lex.Field(h.Name), h.In, h.Out, h.Writes, h.Reads,
		h.Retained, h.OnDisk, h.Readers, h.Writers, h.Lost, h.Blocked, h.Held.Seconds())
}

// unixMilli is a time as seconds since 1970, to the millisecond.
func unixMilli(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}
