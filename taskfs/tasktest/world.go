// Package tasktest runs tasks that are no processes: goroutines with a script,
// so that ten thousand nodes fit into one test and time may be that of a
// synctest bubble. It sees what real machines hide: what runs where at this
// very moment, and whether one task of a session ever ran twice at a time.
//
// A World is all machines of a test. Each node of it gets a Runner; what the
// tasks do is said by the first word of their command (see Commands).
//
// # Ordering
//
// A fake task ends as a process does: it counts as running until it has
// returned or was killed, what it had put out before is still delivered, and
// Exited comes after that.
//
// # Ownership
//
// Every goroutine of a World ends with its task. Wait returns when all have.
package tasktest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A World is all machines of a test, and what runs on them.
type World struct {
	wg sync.WaitGroup // one for each task's goroutine

	mu       sync.Mutex
	commands map[string]Command
	gates    map[string]chan struct{}
	running  map[*Proc]Run
	copies   map[string]int // how many run, by session and rank
	faults   []string
	started  int
}

// A Run is a task that runs.
type Run struct {
	Node    string // the runner's
	Session string // TASKFS_SESSION
	Rank    string // TASKFS_RANK
	Argv    []string
}

func (r Run) String() string {
	return fmt.Sprintf("%s: rank %s of %s: %s", r.Node, r.Rank, r.Session, strings.Join(r.Argv, " "))
}

// NewWorld returns a World that knows the commands of Commands.
func NewWorld() *World {
	w := &World{
		commands: map[string]Command{},
		gates:    map[string]chan struct{}{},
		running:  map[*Proc]Run{},
		copies:   map[string]int{},
	}
	for name, c := range commands {
		w.commands[name] = c
	}
	return w
}

// Command gives the world a command of the test's own, or another for a name.
func (w *World) Command(name string, c Command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commands[name] = c
}

// Open lets all tasks go on that hold at a gate, and those that come to it later.
func (w *World) Open(gate string) {
	ch := w.gate(gate)
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-ch:
	default:
		close(ch)
	}
}

func (w *World) gate(name string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gates[name] == nil {
		w.gates[name] = make(chan struct{})
	}
	return w.gates[name]
}

// Running returns what runs now, in order of node, session and rank.
func (w *World) Running() []Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Run
	for _, r := range w.running {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Run) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Session, b.Session),
			cmp.Compare(len(a.Rank), len(b.Rank)), strings.Compare(a.Rank, b.Rank))
	})
	return list
}

// Started returns how many tasks have been started so far.
func (w *World) Started() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started
}

// Faults returns what should never have happened: a task that ran twice at one
// time, a runner that was used wrongly.
func (w *World) Faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.faults)
}

// Wait returns when no goroutine of a task is left: after the tasks have ended
// and their output was taken.
func (w *World) Wait() { w.wg.Wait() }

func (w *World) fault(format string, arg ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, arg...))
}

// begin notes that a task runs, end that it does not any more.
func (w *World) begin(p *Proc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := Run{Node: p.node, Session: p.Env("TASKFS_SESSION"), Rank: p.Env("TASKFS_RANK"), Argv: p.Argv}
	w.running[p] = r
	w.started++
	if r.Session == "" {
		return
	}
	key := r.Session + " " + r.Rank
	if w.copies[key]++; w.copies[key] > 1 {
		for _, o := range w.running {
			if o.Session == r.Session && o.Rank == r.Rank && o.Node != r.Node {
				w.faults = append(w.faults, fmt.Sprintf("rank %s of %s runs on %s and on %s", r.Rank, r.Session, o.Node, r.Node))
				return
			}
		}
		w.faults = append(w.faults, fmt.Sprintf("rank %s of %s runs twice on %s", r.Rank, r.Session, r.Node))
	}
}

func (w *World) end(p *Proc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.running[p]
	if !ok {
		return
	}
	delete(w.running, p)
	if key := r.Session + " " + r.Rank; r.Session != "" {
		if w.copies[key]--; w.copies[key] == 0 {
			delete(w.copies, key)
		}
	}
}
