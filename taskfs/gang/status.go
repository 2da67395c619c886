package gang

import (
	"slices"
	"strings"

	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// A TaskStatus is one task's.
type TaskStatus struct {
	Rank   int
	Number int    // of its session at its node
	Node   string // path
	Epoch  uint64
	State  State
	Dir    string
	Exit   task.Exit // if it has ended
	Tries  int       // times that it was run
}

// A State is that of a task or of a session.
type State string

// The states of tasks and sessions.
const (
	Unreserved State = "Unreserved"
	Reserved   State = "Reserved"
	Execute    State = "Execute"
	Done       State = "Done"
	Fail       State = "Fail"
	Killed     State = "Killed"
	Lost       State = "Lost"
	Fenced     State = "Fenced"
	Released   State = "Released"
)

// over reports whether a task in that state has run and does no more.
func (s State) over() bool { return s == Done || s == Fail || s == Killed }

// ended is the state of a task that has ended so.
func ended(status string) State {
	switch {
	case strings.HasPrefix(status, "fail"):
		return Fail
	case strings.HasPrefix(status, "signal"):
		return Killed
	}
	return Done
}

// Tasks returns the status of every task, by rank.
func (g *Gang) Tasks() []TaskStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]TaskStatus, len(g.tasks))
	for _, p := range g.parts {
		p.place.each("", func(own int, at Place) {
			if r := p.set.Nth(own); p.live.Contains(r) {
				list[r] = TaskStatus{Number: at.Number, Node: at.Node, Epoch: at.Epoch, Dir: at.Dir}
			}
		})
	}
	for r := range list {
		t, s := &g.tasks[r], &list[r]
		s.Rank, s.State, s.Tries = r, t.state, t.tries
		if t.dir != "" {
			s.Dir = t.dir
		}
		if t.state.over() {
			s.Exit = t.exit
		}
	}
	return list
}

// What follows is told by branches. Each is called in its turn (see post), with
// sets in the part's numbering.

// ranks returns the gang's ranks that a part's are now.
func (g *Gang) ranks(p *part, own ranks.Set) ranks.Set {
	g.mu.Lock()
	defer g.mu.Unlock()
	return p.set.At(own).Intersect(p.live)
}

func (g *Gang) output(p *part, own ranks.Set, s gather.Stream, b []byte) {
	if set := g.ranks(p, own); !set.Empty() {
		g.above.Output(set, s, b)
	}
}

func (g *Gang) started(p *part, own ranks.Set) {
	if set := g.ranks(p, own); !set.Empty() {
		g.above.Started(set)
	}
}

func (g *Gang) ready(p *part, own ranks.Set) {
	if set := g.ranks(p, own); !set.Empty() {
		g.above.Ready(set)
	}
}

func (g *Gang) exited(p *part, node string, epoch uint64, exits []task.Exit) {
	g.mu.Lock()
	told := slices.Grow([]task.Exit(nil), len(exits))
	for _, e := range exits {
		r := p.set.Nth(e.Rank)
		if r < 0 || g.tasks[r].part != p || g.tasks[r].state != Execute {
			continue
		}
		e.Rank = r
		g.tasks[r].state, g.tasks[r].exit = ended(e.Status), e
		told = append(told, e)
	}
	g.mu.Unlock()
	if len(told) > 0 {
		g.above.Exited(node, epoch, told)
	}
}

// lose says that tasks are lost which had not ended: those of a part, or of a
// node below it. It returns which.
func (g *Gang) lose(p *part, own ranks.Set, node string) {
	g.mu.Lock()
	var lost []int
	for r := range p.set.At(own).Intersect(p.live).All() {
		if t := &g.tasks[r]; t.state == Reserved || t.state == Execute {
			t.state = Lost
			lost = append(lost, r)
		}
	}
	g.mu.Unlock()
	if len(lost) > 0 {
		g.above.Lost(ranks.Of(lost...), node)
	}
}

// fenced says that tasks that were lost run no more.
func (g *Gang) fenced(p *part, own ranks.Set, node string) {
	g.mu.Lock()
	var sure []int
	for r := range p.set.At(own).Intersect(p.live).All() {
		if t := &g.tasks[r]; t.state == Lost {
			t.state = Fenced
			sure = append(sure, r)
		}
	}
	g.mu.Unlock()
	if len(sure) > 0 {
		g.above.Fenced(ranks.Of(sure...), node)
	}
}
