package hubfs

import (
	"sync"
	"time"

	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// minInterval is the least time between two blocks of /stats: to count is work
// for the server.
const minInterval = 10 * time.Millisecond

// A statsFile is /stats. What it gives is said for each open, by writing to it.
type statsFile struct{ meta }

func newStatsFile(fs *FS) *statsFile {
	f := &statsFile{}
	f.init(fs, fs.newPath(), "stats", fs.cfg.Owner, 0o666)
	return f
}

func (f *statsFile) content() string {
	s := f.fs.Stats()
	return s.text(nil)
}

// Open opens /stats. Who cannot write words to it reads a plain file, which is
// made anew at each read from its start.
func (f *statsFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if !tree.Writable(mode) {
		return handles.NewText(c, f.content), nil
	}
	return &statsHandle{f: f, c: c, due: time.Now()}, nil
}

// A statsHandle is one open of /stats that can be told what to give: one block
// and then the end of the file (snap, and before any word), or a block each
// interval for good (log).
//
// A block is made when it is due and a read waits for it: a reader who does not
// come costs nothing, and one who comes late gets the counters of now. It is
// made in the goroutine of a timer, for to count takes longer than what reads a
// connection may. Such a goroutine ends when it has counted, and finds nothing to
// do if nobody waits any more.
type statsHandle struct {
	f *statsFile
	c *tree.Caller

	mu    sync.Mutex    // guards what follows; nothing that takes a lock is called while it is held
	every time.Duration // between two blocks; 0: there is one
	due   time.Time     // when the next block is to be made; zero: none is
	left  string        // of the block that is being read
	last  *Stats        // what it was made of; nil: there was none since the last word
	wake  func()        // of the read that waits; nil: none does
	timer *time.Timer   // runs make; set while a read waits
}

// WriteAt does the words in p.
func (h *statsHandle) WriteAt(p []byte, off int64) (int, error) {
	err := lex.Each(p, func(args []string) error { return lex.Do(h.words(), args) })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// words are the commands of the file.
func (h *statsHandle) words() []lex.Word {
	return []lex.Word{
		lex.Command("snap", "", "reads give the counters once", 0, 0, func([]string) error {
			h.begin(0)
			return nil
		}),
		lex.Command("log", "TIME", "reads give the counters each TIME, as 1s or 500ms", 1, 1, func(args []string) error {
			every, err := time.ParseDuration(args[0])
			if err != nil || every < minInterval {
				return lex.Malformed("%q is not a time of %v or more", lex.Clip(args[0]), minInterval)
			}
			h.begin(every)
			return nil
		}),
	}
}

// begin begins anew, with a block at once. A read that waits gets it.
func (h *statsHandle) begin(every time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked()
	h.every, h.due, h.last = every, time.Now(), nil
	if h.wake != nil {
		h.timer.Reset(0)
	}
}

// make makes a block for the read that waits, if it is due.
func (h *statsHandle) make() {
	if h.c.Rights != nil { // all opens of guests keep one processor busy, and no more
		h.f.fs.counting <- struct{}{}
		defer func() { <-h.f.fs.counting }()
	}
	if !h.wanted() {
		return
	}
	stats := h.f.fs.Stats()
	h.mu.Lock()
	if !h.wantedLocked() { // meanwhile it was withdrawn, or has its block
		h.mu.Unlock()
		return
	}
	wake := h.wake
	h.dropLocked()
	if text := stats.text(h.last); h.c.Holds(len(text)) == nil { // else there is none this time
		h.left = text
	}
	h.wake, h.last = nil, &stats
	now := time.Now()
	switch {
	case h.every == 0:
		h.due = time.Time{}
	case h.due.Add(h.every).After(now):
		h.due = h.due.Add(h.every)
	default: // the reader was away
		h.due = now.Add(h.every)
	}
	h.mu.Unlock()
	wake()
}

// wantedLocked reports whether a read waits for a block that is due.
func (h *statsHandle) wantedLocked() bool { return h.wake != nil && !time.Now().Before(h.due) }

func (h *statsHandle) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wantedLocked()
}

// ReadStream reads on in the block, or waits for the next one. The offset says
// nothing: on a mounted tree it has moved by what was written.
func (h *statsHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.left != "":
		s := h.left[:min(len(h.left), max)]
		h.left = h.left[len(s):]
		_ = h.c.Holds(-len(s)) // less is no error
		return append(dst, tree.Piece{Data: []byte(s)}), true, nil
	case h.due.IsZero() || max <= 0:
		return dst, true, nil
	}
	h.wake = wake
	h.timer = time.AfterFunc(time.Until(h.due), h.make)
	return dst, false, nil
}

// CancelRead withdraws a read that waits.
func (h *statsHandle) CancelRead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wake != nil {
		h.timer.Stop()
		h.wake = nil
	}
}

// Close ends the open.
func (h *statsHandle) Close() error {
	h.CancelRead()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked()
	return nil
}

// dropLocked lets go of what is left of a block.
func (h *statsHandle) dropLocked() {
	_ = h.c.Holds(-len(h.left)) // less is no error
	h.left = ""
}

// newMetricsFile is /metrics: the counters in the words of whoever gave
// Config.Metrics.
func newMetricsFile(fs *FS) *text {
	f := &text{
		content: func(*tree.Caller) string { return fs.cfg.Metrics(fs.Stats()) },
		rule:    rule{see: tree.LevelView, read: tree.LevelView, write: nobody},
	}
	f.init(fs, fs.newPath(), "metrics", fs.cfg.Owner, 0o444)
	return f
}
