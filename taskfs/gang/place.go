package gang

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/ranks"
)

// A Place is where tasks are: a session of a node, and the parts of it that are
// sessions of nodes below it, or single tasks.
type Place struct {
	Node   string // path of names from here; "": this one
	Number int    // of the session at that node
	Dir    string // where its tasks start
	Epoch  uint64
	Ranks  ranks.Set
	Parts  []Place // none: one task
}

// A place is a Place as it travels: short also for many tasks of one node. Ranks
// are in the numbering of whoever sends it.
type place struct {
	Node   string `json:",omitempty"`
	Number int
	Dir    string
	Epoch  uint64 `json:",omitempty"`
	Ranks  ranks.Set
	Tasks  ranks.Set // numbers of the sessions of its tasks, in the order of Ranks
	Parts  []place   `json:",omitempty"` // with neither: one task
}

// each calls f for every task: its rank, and its place.
func (p *place) each(node string, f func(rank int, at Place)) {
	node = join(node, p.Node)
	for i := range p.Parts {
		p.Parts[i].each(node, f)
	}
	if len(p.Parts) > 0 {
		return
	}
	at := Place{Node: node, Number: p.Number, Dir: p.Dir, Epoch: p.Epoch}
	if p.Tasks.Empty() {
		for r := range p.Ranks.All() {
			f(r, at)
		}
		return
	}
	i := 0
	var nums []int
	for n := range p.Tasks.All() {
		nums = append(nums, n)
	}
	for r := range p.Ranks.All() {
		at.Number = nums[i]
		f(r, at)
		i++
	}
}

// mapped returns p in another numbering: set is what its [0, n) are there.
func (p place) mapped(set ranks.Set) place {
	p.Ranks = set.At(p.Ranks)
	parts := make([]place, len(p.Parts))
	for i, q := range p.Parts {
		parts[i] = q.mapped(set)
	}
	p.Parts = parts
	return p
}

// public returns what users see of p, but for tasks that are not in live.
func (p place) public(node string, live ranks.Set) Place {
	node = join(node, p.Node)
	q := Place{Node: node, Number: p.Number, Dir: p.Dir, Epoch: p.Epoch, Ranks: p.Ranks.Intersect(live)}
	for _, sub := range p.Parts {
		if s := sub.public(node, live); !s.Ranks.Empty() {
			q.Parts = append(q.Parts, s)
		}
	}
	if !p.Tasks.Empty() {
		p.each("", func(r int, at Place) {
			if live.Contains(r) {
				at.Node, at.Ranks = node, ranks.Span(r, r+1)
				q.Parts = append(q.Parts, at)
			}
		})
	}
	return q
}

// maxDepth is how deep a tree of nodes may be.
const maxDepth = 64

// check refuses a place from below that is not one of the tasks [0, n).
func (p *place) check(n int) error {
	if !p.Ranks.Equal(ranks.Span(0, n)) {
		return fmt.Errorf("it has the tasks %s of %d", p.Ranks, n)
	}
	return p.valid(1)
}

func (p *place) valid(depth int) error {
	switch {
	case depth > maxDepth:
		return errors.New("the tree of nodes is too deep")
	case p.Node != "" && cluster.CheckPath(p.Node) != nil:
		return cluster.CheckPath(p.Node)
	case p.Number < 0 || p.Ranks.Empty():
		return errors.New("a session without tasks")
	case len(p.Parts) > 0 && !p.Tasks.Empty():
		return errors.New("tasks beside parts")
	case !p.Tasks.Empty() && p.Tasks.Len() != p.Ranks.Len():
		return errors.New("not a number for each task")
	case len(p.Parts) == 0 && p.Tasks.Empty() && p.Ranks.Len() != 1:
		return errors.New("several tasks in one session")
	}
	var all ranks.Set
	sum := 0
	for i := range p.Parts {
		if err := p.Parts[i].valid(depth + 1); err != nil {
			return err
		}
		all = all.Union(p.Parts[i].Ranks)
		sum += p.Parts[i].Ranks.Len()
	}
	if len(p.Parts) > 0 && (!all.Equal(p.Ranks) || sum != p.Ranks.Len()) {
		return errors.New("parts that are not the whole")
	}
	return nil
}

// wire returns where the tasks are, in the gang's own numbering.
func (g *Gang) wire() place {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := place{Number: g.req.number, Dir: g.node.opts.Dir, Ranks: ranks.Span(0, g.req.N)}
	if len(g.parts) == 1 && g.parts[0].child == "" {
		p.Tasks = g.parts[0].place.Tasks
		return p
	}
	for _, q := range g.parts {
		p.Parts = append(p.Parts, q.place.mapped(q.set))
	}
	return p
}

// Place returns where the tasks are now.
func (g *Gang) Place() Place {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := Place{Number: g.req.number, Dir: g.node.opts.Dir, Ranks: ranks.Span(0, g.req.N)}
	for _, p := range g.parts {
		q := p.place.mapped(p.set).public("", p.live)
		switch {
		case q.Ranks.Empty():
		case p.child == "" && q.Number == all.Number: // the session itself
			all.Parts = append(all.Parts, q.Parts...)
		default:
			all.Parts = append(all.Parts, q)
		}
	}
	slices.SortStableFunc(all.Parts, func(a, b Place) int { return cmp.Compare(a.Ranks.Min(), b.Ranks.Min()) })
	return all
}

// join returns the path of a node below another.
func join(path, name string) string {
	switch {
	case path == "":
		return name
	case name == "":
		return path
	}
	return path + "/" + name
}
