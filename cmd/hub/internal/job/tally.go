package job

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"hubfs/hostlist"
)

// A Tally is how far a job is, from what wait says. All methods may be called
// from several goroutines.
type Tally struct {
	mu      sync.Mutex
	tasks   int            // guarded by mu: how many there are; 0: not known yet
	running bool           // guarded by mu: they were started
	begun   time.Time      // guarded by mu: when; zero: that is not known
	nodes   map[int]string // guarded by mu: of ranks, as far as that is known
	ended   map[int]Ended  // guarded by mu: by rank
	failed  int            // guarded by mu: of ended, those whose code is not 0
	worst   int            // guarded by mu: the largest code
	slowest Ended          // guarded by mu: of ended, the one that took longest
}

// Size says how many tasks there are.
func (t *Tally) Size(tasks int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tasks = tasks
}

// Begin says when the tasks were started; the zero time says that they were, at
// some time.
func (t *Tally) Begin(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running, t.begun = true, at
}

// Place says where tasks are.
func (t *Tally) Place(tasks []Task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nodes == nil {
		t.nodes = make(map[int]string, len(tasks))
	}
	for _, task := range tasks {
		if task.Rank >= 0 {
			t.nodes[task.Rank] = task.Node
		}
	}
}

// Add counts tasks that have ended.
func (t *Tally) Add(batch []Ended) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended == nil {
		t.ended = make(map[int]Ended, t.tasks)
	}
	for _, e := range batch {
		if _, twice := t.ended[e.Rank]; twice {
			continue
		}
		t.ended[e.Rank] = e
		if c := e.Code(); c != 0 {
			t.failed++
			t.worst = max(t.worst, c)
		}
		if e.Real > t.slowest.Real {
			t.slowest = e
		}
	}
}

// Tasks returns how many tasks there are, and how many have ended.
func (t *Tally) Tasks() (all, ended int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tasks, len(t.ended)
}

// Code is the largest exit status so far.
func (t *Tally) Code() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.worst
}

// mostNamed is how many hosts are named in a word of state; a longer list is
// folded, and then cut where it has to be.
const mostNamed = 60

// State says in one line how far the job is, in at most so many words that
// matter: 97 of 100 done, 3 running, 2 failed, slowest node7 12s.
func (t *Tally) State(now time.Time) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d done", len(t.ended), t.tasks)
	running := t.tasks - len(t.ended)
	if running > 0 {
		word := "running"
		if !t.running {
			word = "waiting"
		}
		fmt.Fprintf(&b, ", %d %s", running, word)
	}
	if t.failed > 0 {
		fmt.Fprintf(&b, ", %d failed", t.failed)
	}
	switch {
	case running > 0 && t.running:
		slowest := t.runningLocked()
		if !t.begun.IsZero() {
			slowest += " " + Elapsed(now.Sub(t.begun))
		}
		if slowest = strings.TrimSpace(slowest); slowest != "" {
			b.WriteString(", slowest " + slowest)
		}
	case t.slowest.Node != "":
		fmt.Fprintf(&b, ", slowest %s %s", t.slowest.Node, Elapsed(t.slowest.Real))
	}
	return b.String()
}

// runningLocked names the nodes on which tasks still run, if they are known and
// few enough to read.
func (t *Tally) runningLocked() string {
	var names []string
	seen := map[string]bool{}
	for rank, node := range t.nodes {
		if _, ended := t.ended[rank]; !ended && !seen[node] {
			seen[node] = true
			names = append(names, node)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return cut(Fold(names), mostNamed)
}

// Running names the nodes on which tasks have not ended, all of them.
func (t *Tally) Running() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for rank, node := range t.nodes {
		if _, ended := t.ended[rank]; !ended {
			names = append(names, node)
		}
	}
	return Fold(names)
}

// Failures says in a line for each way of failing which tasks did, the most
// frequent first. Of a single task it says only what its exit status does not:
// that it was never run, or is lost.
func (t *Tally) Failures() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := max(t.tasks, len(t.ended))
	type group struct {
		status string
		nodes  []string
		ranks  int
		first  int
	}
	by := map[string]*group{}
	var groups []*group
	for rank, e := range t.ended {
		ran := strings.HasPrefix(e.Status, "exit ") || strings.HasPrefix(e.Status, "signal ")
		if e.Code() == 0 || all == 1 && ran {
			continue
		}
		status := e.Status
		if word, reason, _ := strings.Cut(status, " "); word == "lost" { // NODE: REASON
			if status = "lost"; strings.Contains(reason, ": ") {
				_, reason, _ = strings.Cut(reason, ": ")
				status += ": " + reason
			}
		}
		g := by[status]
		if g == nil {
			g = &group{status: status, first: rank}
			by[status] = g
			groups = append(groups, g)
		}
		g.ranks++
		g.first = min(g.first, rank)
		g.nodes = append(g.nodes, e.Node)
	}
	slices.SortFunc(groups, func(a, b *group) int {
		return cmp.Or(b.ranks-a.ranks, a.first-b.first)
	})
	var lines []string
	for _, g := range groups {
		what := g.status
		if reason, ok := strings.CutPrefix(what, "fail "); ok {
			what = "could not be started: " + reason
		}
		of := fmt.Sprintf("%d of %d tasks: ", g.ranks, all)
		if all == 1 {
			of = ""
		}
		lines = append(lines, of+what+": "+Fold(g.nodes))
	}
	return lines
}

// Fold names nodes in one word, each once.
func Fold(names []string) string {
	slices.Sort(names)
	return hostlist.Fold(slices.Compact(names))
}

// cut cuts a text that is too long for people to read.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most-3] + "..."
}

// Elapsed says a time in as many digits as people want of it.
func Elapsed(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", max(0, d).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return d.Truncate(time.Second).String()
}
