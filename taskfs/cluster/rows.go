package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Row describes a node, for people and programs.
type Row struct {
	Name        string   // path: the names of the nodes between, and its own
	Addr        string   // "" for this very node
	OS, Arch    string   // as GOOS and GOARCH
	Slots, Free int      // of the node and all below it; Free is 0 if it does not live
	Memory      int64    // bytes
	Labels      []string `json:",omitempty"`
	Load        float64
	State       State
	Age         time.Duration // since it was heard of
	Epoch       uint64        // 0 for this very node
	Executor    bool
	Leaf        bool   // it has no nodes below but such as are fenced
	Dropped     uint64 // frames of a past epoch that came late
}

// Rows describes this node (first, named by Info.Name) and all below it, each
// before those below it. It asks the nodes right below, gives each a period's
// time, and shows one that does not answer as its last beat says. An earlier
// epoch of a node that is not fenced yet has a row of its own.
func (n *Node) Rows(ctx context.Context) []Row {
	n.running.add()
	defer n.running.done()
	load := n.o.Load()
	i := n.o.Info
	n.mu.Lock()
	rows := []Row{{
		Name: i.Name, OS: i.OS, Arch: i.Arch, Slots: load.Slots, Free: load.Free, Memory: i.Memory,
		Labels: i.Labels, Load: load.Load, State: Up, Executor: i.Executor, Leaf: n.afterLocked() == 0,
	}}
	var past []Row
	for _, m := range n.members {
		for _, c := range m.past {
			past = append(past, c.rowLocked())
		}
	}
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, n.within(ctx))
	defer cancel()
	cs := n.Children()
	below := make([][]Row, len(cs))
	var wg sync.WaitGroup
	for i, c := range cs {
		wg.Go(func() { below[i] = c.rows(ctx) }) // until it answers, or ctx is done
	}
	wg.Wait()
	slices.SortFunc(past, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range below {
		for len(past) > 0 && past[0].Name <= r[0].Name {
			rows, past = append(rows, past[0]), past[1:]
		}
		rows = append(rows, r...)
	}
	return append(rows, past...)
}

// within is how long a node right below may take to answer: a period, and less
// than this one may.
func (n *Node) within(ctx context.Context) time.Duration {
	d := n.o.Period
	if deadline, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(deadline)*3/4)
	}
	return d
}

// rows describes the node and those below it.
func (c *Child) rows(ctx context.Context) []Row {
	n := c.n
	n.mu.Lock()
	own := c.rowLocked()
	ask := c.state.live() && c.below > 0
	n.mu.Unlock()
	rows := []Row{own}
	if !ask {
		return rows
	}
	asked, err := c.ask(ctx, question{Op: "rows"})
	if err != nil {
		n.o.Log.Debug("rows", "node", c.m.name, "err", err)
	}
	for i, r := range asked {
		if i == 0 {
			continue // itself, of which its beats have told
		}
		if r.Name = c.m.name + "/" + r.Name; len(r.Name) <= maxPath {
			rows = append(rows, r)
		}
	}
	return rows
}

// rowLocked describes the node as its last beat has it.
func (c *Child) rowLocked() Row {
	i := c.info
	free := c.load.Free
	if !c.state.live() {
		free = 0
	}
	return Row{
		Name: c.m.name, Addr: c.Addr(), OS: i.OS, Arch: i.Arch, Slots: c.load.Slots, Free: free,
		Memory: i.Memory, Labels: i.Labels, Load: c.load.Load, State: c.stateLocked(),
		Age: time.Since(c.heard), Epoch: c.epoch, Executor: i.Executor, Leaf: c.after == 0,
		Dropped: c.m.dropped,
	}
}

// size is about how many bytes a row takes.
func (r Row) size() int {
	size := 300 + len(r.Name) + len(r.Addr) + len(r.OS) + len(r.Arch)
	for _, l := range r.Labels {
		size += len(l) + 3
	}
	return size
}

var states = []State{Up, Torpid, Suspect, Lost, Fencing, Fenced, Unfenced, Drained}

// check says what is wrong with a row that a node below has sent.
func (r Row) check() error {
	if err := CheckPath(r.Name); err != nil {
		return fmt.Errorf("a row: %w", err)
	}
	if r.Addr != OneLine(r.Addr) || !slices.Contains(states, r.State) {
		return fmt.Errorf("a row of %s with address %q and state %q", r.Name, OneLine(r.Addr), OneLine(string(r.State)))
	}
	i := Info{Name: "x", OS: r.OS, Arch: r.Arch, Slots: r.Slots, Memory: r.Memory, Labels: r.Labels, Instance: "x"}
	if err := i.check(); err != nil {
		return fmt.Errorf("a row of %s: %w", r.Name, err)
	}
	if err := (Load{Slots: r.Slots, Free: r.Free, Load: r.Load}).check(); err != nil {
		return fmt.Errorf("a row of %s: %w", r.Name, err)
	}
	return nil
}
