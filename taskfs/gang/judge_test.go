package gang

import (
	"fmt"
	"strings"
	"sync"

	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

type judge struct {
	c    *chaos
	name string
	news chan struct{}

	mu    sync.Mutex
	tasks map[int]*judged
	over  bool
}

type judged struct {
	state string
	said  strings.Builder
}

func (a *judge) each(set ranks.Set, f func(rank int, t *judged)) {
	a.mu.Lock()
	for r := range set.All() {
		if a.tasks[r] == nil {
			a.tasks[r] = &judged{}
		}
		f(r, a.tasks[r])
	}
	if a.over {
		a.c.t.Errorf("%s: it is told of %s after the end", a.name, set)
	}
	a.mu.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *judge) Started(set ranks.Set) {
	a.each(set, func(r int, t *judged) {
		if t.state == "started" {
			a.c.t.Errorf("%s: %d starts twice", a.name, r)
		}
		t.state = "started"
		t.said.Reset()
	})
}

func (a *judge) Output(set ranks.Set, _ gather.Stream, p []byte) {
	a.each(set, func(r int, t *judged) {
		if t.state != "started" {
			a.c.t.Errorf("%s: %d is %q and says %q", a.name, r, t.state, p)
		}
		t.said.Write(p)
	})
}

func (a *judge) Exited(_ string, _ uint64, exits []task.Exit) {
	for _, e := range exits {
		a.each(ranks.Of(e.Rank), func(r int, t *judged) {
			if t.state != "started" {
				a.c.t.Errorf("%s: %d is %q and ends: %+v", a.name, r, t.state, e)
			}
			t.state = "ended " + e.Status
			var want strings.Builder
			n := 0
			if _, err := fmt.Sscanf(e.Status, "exit %d", &n); err == nil {
				for i := range n {
					fmt.Fprintf(&want, "%s %d %d\n", a.name, r, i)
				}
				if t.said.String() != want.String() {
					a.c.t.Errorf("%s: %d has said\n%swant\n%s", a.name, r, t.said.String(), want.String())
				}
				return
			}
			for i := range 30 {
				fmt.Fprintf(&want, "%s %d %d\n", a.name, r, i)
			}
			if !strings.HasPrefix(want.String(), t.said.String()) {
				a.c.t.Errorf("%s: %d, which was ended (%s), has said\n%s", a.name, r, e.Status, t.said.String())
			}
		})
	}
}

func (a *judge) Lost(set ranks.Set, node string) {
	a.each(set, func(r int, t *judged) { t.state = "lost" })
}

func (a *judge) Fenced(set ranks.Set, node string) {
	a.each(set, func(r int, t *judged) {
		if t.state != "lost" {
			a.c.t.Errorf("%s: %d is %q and fenced", a.name, r, t.state)
		}
	})
}

func (a *judge) Ready(ranks.Set) {}

func (a *judge) look(g *Gang) (fenced ranks.Set, over bool) {
	var list []int
	over = true
	for _, s := range g.Tasks() {
		switch {
		case s.State == Fenced:
			list = append(list, s.Rank)
			over = false
		case s.State == Killed:
			// A node ended it, which was cut off and came back before it was missed.
			list = append(list, s.Rank)
			over = false
		case !s.State.over():
			over = false
		}
	}
	return ranks.Of(list...), over
}

func (a *judge) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}
