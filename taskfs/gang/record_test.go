package gang

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// A record is an Above that keeps what it is told, and finds what may not be: a
// call beside another, output of a task that has not begun or has ended.
type record struct {
	mu      sync.Mutex
	calling bool
	out     map[int]*strings.Builder
	err     map[int]*strings.Builder
	state   map[int]string // started, exited, lost, fenced
	exits   map[int]task.Exit
	nodes   map[int]string // where a task ended
	ready   []int
	faults  []string
	wake    chan struct{}
	hold    chan struct{} // not nil: Output waits until it is closed
	askedFn func(set ranks.Set)
}

func newRecord() *record {
	return &record{
		out: map[int]*strings.Builder{}, err: map[int]*strings.Builder{},
		state: map[int]string{}, exits: map[int]task.Exit{}, nodes: map[int]string{},
		wake: make(chan struct{}),
	}
}

// call does f as one call of an Above.
func (r *record) call(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calling {
		r.faults = append(r.faults, "two calls at a time")
	}
	f()
	close(r.wake)
	r.wake = make(chan struct{})
}

func (r *record) fault(format string, arg ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, arg...))
}

func (r *record) Output(set ranks.Set, s gather.Stream, p []byte) {
	r.mu.Lock()
	hold := r.hold
	r.calling = true
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	r.mu.Lock()
	r.calling = false
	r.mu.Unlock()
	r.call(func() {
		for n := range set.All() {
			if r.state[n] != "started" {
				r.fault("output of %d, which is %q: %q", n, r.state[n], p)
			}
			m := r.out
			if s == gather.Stderr {
				m = r.err
			}
			if m[n] == nil {
				m[n] = &strings.Builder{}
			}
			m[n].Write(p)
		}
	})
}

func (r *record) Started(set ranks.Set) {
	r.call(func() {
		for n := range set.All() {
			if r.state[n] == "started" || r.state[n] == "lost" {
				r.fault("%d starts and is %s", n, r.state[n])
			}
			r.state[n] = "started"
			delete(r.exits, n)
		}
	})
}

func (r *record) Exited(node string, epoch uint64, list []task.Exit) {
	r.call(func() {
		for _, e := range list {
			if r.state[e.Rank] != "started" && !strings.HasPrefix(e.Status, "fail") {
				r.fault("%d has ended and is %q: %+v", e.Rank, r.state[e.Rank], e)
			}
			r.state[e.Rank] = "exited"
			r.exits[e.Rank] = e
			r.nodes[e.Rank] = node
		}
	})
}

func (r *record) Lost(set ranks.Set, node string) {
	r.call(func() {
		for n := range set.All() {
			r.state[n] = "lost"
			r.nodes[n] = node
		}
	})
}

func (r *record) Fenced(set ranks.Set, node string) {
	r.call(func() {
		for n := range set.All() {
			if r.state[n] != "lost" {
				r.fault("%d is fenced and was %q", n, r.state[n])
			}
			r.state[n] = "fenced"
		}
	})
}

func (r *record) Ready(set ranks.Set) {
	var f func(ranks.Set)
	r.call(func() {
		for n := range set.All() {
			if r.state[n] != "started" {
				r.fault("%d asks for a record and is %q", n, r.state[n])
			}
			r.ready = append(r.ready, n)
		}
		f = r.askedFn
	})
	if f != nil {
		f(set)
	}
}

// until waits until a condition holds of what was told.
func (r *record) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for {
		r.mu.Lock()
		good, wake := ok(), r.wake
		r.mu.Unlock()
		if good {
			return
		}
		select {
		case <-wake:
		case <-t.Context().Done():
			t.Fatalf("waiting until %s: %v", what, t.Context().Err())
		}
	}
}

// ended waits until n tasks have ended, or are lost.
func (r *record) ended(t testing.TB, n int) {
	t.Helper()
	r.until(t, fmt.Sprintf("%d tasks have ended", n), func() bool {
		over := 0
		for _, s := range r.state {
			if s != "started" {
				over++
			}
		}
		return over >= n
	})
}

// text returns what all tasks have put out, each line after its rank.
func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, n := range slices.Sorted(maps.Keys(r.out)) {
		for line := range strings.Lines(r.out[n].String()) {
			fmt.Fprintf(&b, "%d: %s", n, line)
		}
	}
	return b.String()
}

// statuses returns how tasks have ended: "exit 0 x4".
func (r *record) statuses() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := map[string]int{}
	for _, e := range r.exits {
		count[e.Status]++
	}
	var list []string
	for _, s := range slices.Sorted(maps.Keys(count)) {
		list = append(list, fmt.Sprintf("%s x%d", s, count[s]))
	}
	return strings.Join(list, ", ")
}

func (r *record) check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		t.Error(f)
	}
}

// world runs a test in a bubble of its own time.
func world(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func states(g *Gang) string {
	count := map[State]int{}
	for _, s := range g.Tasks() {
		count[s.State]++
	}
	var list []string
	for _, s := range slices.SortedFunc(maps.Keys(count), func(a, b State) int { return cmp.Compare(a, b) }) {
		list = append(list, fmt.Sprintf("%s %d", s, count[s]))
	}
	return strings.Join(list, ", ")
}
