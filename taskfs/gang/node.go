package gang

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/task"
)

// Options are a Node's.
type Options struct {
	Cluster cluster.Options // but for Load and Handler, which are the Node's
	Runner  task.Runner
	Dir     string   // where tasks start if nothing is said
	Env     []string // of tasks, before what the session says
	Log     *slog.Logger
}

// A Node runs tasks, itself and on those below.
type Node struct {
	opts    Options
	cluster *cluster.Node
	log     *slog.Logger
	wg      sync.WaitGroup // every goroutine of gangs and guests

	mu      sync.Mutex
	numbers numbers                    // guarded by mu
	busy    int                        // guarded by mu: slots of this machine that are taken
	cursor  int                        // guarded by mu: see divide
	own     map[*Gang]bool             // guarded by mu: of this node's own users
	renew   *time.Timer                // guarded by mu: renews the leases of own; nil if there are none
	closed  bool                       // guarded by mu
	nextID  uint64                     // guarded by mu: of a session on links
	remotes map[uint64]*remote         // guarded by mu
	above   map[*cluster.Parent]*above // guarded by mu
	hosted  int                        // guarded by mu: guests of all of above
}

// New returns a Node.
func New(o Options) *Node {
	n := &Node{
		opts:    o,
		log:     o.Log,
		own:     map[*Gang]bool{},
		remotes: map[uint64]*remote{},
		above:   map[*cluster.Parent]*above{},
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.opts.Cluster.Period <= 0 {
		n.opts.Cluster.Period = 5 * time.Second
	}
	c := n.opts.Cluster
	c.Load, c.Handler = n.load, (*handler)(n)
	n.cluster = cluster.New(c)
	return n
}

// Cluster returns the nodes around it.
func (n *Node) Cluster() *cluster.Node { return n.cluster }

// Number takes the lowest free session number of this node; Free gives it back.
func (n *Node) Number() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.numbers.take()
}

// Free gives back a number that Number took.
func (n *Node) Free(num int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.numbers.free(num)
}

// Close ends all sessions and all links. It returns when nothing runs here any
// more and the nodes above have been told so, or with ctx.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	n.closed = true
	var gangs []*Gang
	for g := range maps.Keys(n.own) {
		gangs = append(gangs, g)
	}
	var guests []*guest
	for _, a := range n.above {
		for _, g := range a.guests {
			guests = append(guests, g)
		}
	}
	n.mu.Unlock()
	for _, g := range gangs {
		g.Release()
	}
	for _, g := range guests {
		g.abandon()
	}
	for _, g := range gangs {
		select {
		case <-g.Done():
		case <-ctx.Done():
		}
	}
	for _, g := range guests {
		select {
		case <-g.ended:
		case <-ctx.Done():
		}
	}
	err := n.cluster.Close(ctx)
	n.mu.Lock()
	clear(n.remotes) // what was given back and is lost nobody fences any more
	n.mu.Unlock()
	if ctx.Err() == nil {
		n.wg.Wait()
	}
	return err
}

// adopt has the leases of a session of this node's own renewed, until forget. It
// reports false if the node is being closed.
func (n *Node) adopt(g *Gang) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.own[g] = true
	if n.renew == nil {
		every := n.opts.Cluster.Period
		// Stopped by forget with the last session.
		n.renew = time.AfterFunc(every/2, func() { n.renewOwn(every / 2) })
	}
	return true
}

func (n *Node) renewOwn(every time.Duration) {
	n.mu.Lock()
	var gangs []*Gang
	for g := range n.own {
		gangs = append(gangs, g)
	}
	if n.renew != nil {
		n.renew.Reset(every)
	}
	n.mu.Unlock()
	for _, g := range gangs {
		g.renew()
	}
}

func (n *Node) forget(g *Gang) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.own, g)
	if len(n.own) == 0 && n.renew != nil {
		n.renew.Stop()
		n.renew = nil
	}
}

// renew begins the leases of the tasks of this machine anew.
func (g *Gang) renew() {
	g.mu.Lock()
	var crews []task.Crew
	for _, p := range g.parts {
		if l, ok := p.branch.(*local); ok && !p.gone {
			crews = append(crews, l.crew)
		}
	}
	g.mu.Unlock()
	for _, c := range crews {
		c.Renew()
	}
}

// occupy takes slots of this machine, and reports whether it could. strict says
// that there have to be so many that are free.
func (n *Node) occupy(slots int, strict bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || strict && n.busy+slots > n.opts.Cluster.Info.Slots {
		return false
	}
	n.busy += slots
	return true
}

func (n *Node) vacate(slots int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.busy -= slots
}

// returned gives back the numbers of a part of this machine, which is part of the
// session own.
func (n *Node) returned(p place, own int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for num := range p.Tasks.All() {
		n.numbers.free(num)
	}
	if p.Number != own {
		n.numbers.free(p.Number)
	}
}

// end ends a crew's processes. A crew that cannot say whether they have ended is
// asked again, for as long as it takes: whoever hears that the tasks have ended may
// run them elsewhere.
func (n *Node) end(c task.Crew) {
	for {
		err := c.Close(context.Background())
		if err == nil {
			return
		}
		n.log.Error("the tasks of a session may run on", "err", err)
		<-time.After(n.cluster.Self())
	}
}

// load is what beats say: of this node and of all below it.
func (n *Node) load() cluster.Load {
	l := cluster.Load{Load: loadAverage()}
	info := n.opts.Cluster.Info
	children := n.cluster.Children()
	if leaf(children) || info.Executor {
		n.mu.Lock()
		l.Slots, l.Free = info.Slots, max(info.Slots-n.busy, 0)
		n.mu.Unlock()
	}
	for _, c := range children {
		switch c.State() {
		case cluster.Up, cluster.Torpid:
			b := c.Load()
			l.Slots += bounded(b.Slots)
			l.Free += bounded(b.Free)
		}
	}
	l.Census = n.census(children)
	return l
}

// Census says how many nodes of each kind there are: this one and all below it
// that are heard of.
func (n *Node) Census() []cluster.Count { return n.census(n.cluster.Children()) }

func (n *Node) census(children []*cluster.Child) []cluster.Count {
	info := n.opts.Cluster.Info
	list := []cluster.Count{{OS: info.OS, Arch: info.Arch, Nodes: 1}}
	for _, c := range children {
		switch c.State() {
		case cluster.Up, cluster.Torpid, cluster.Drained, cluster.Suspect:
		default:
			continue
		}
		below := c.Load().Census
		if len(below) == 0 { // it has not sent a beat yet
			i := c.Info()
			below = []cluster.Count{{OS: i.OS, Arch: i.Arch, Nodes: 1}}
		}
		list = counted(list, below)
	}
	return list
}

// maxKinds bounds how many kinds of nodes are told apart: a census travels with
// each beat.
const maxKinds = 64

// counted adds more to a census.
func counted(list, more []cluster.Count) []cluster.Count {
next:
	for _, c := range more {
		for i := range list {
			if list[i].OS == c.OS && list[i].Arch == c.Arch {
				list[i].Nodes += bounded(c.Nodes)
				continue next
			}
		}
		if len(list) < maxKinds {
			c.Nodes = bounded(c.Nodes)
			list = append(list, c)
		}
	}
	return list
}

// loadAverage is the one-minute load average where Linux' /proc says it, and
// elsewhere 0.
func loadAverage() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	f, _ := strconv.ParseFloat(first, 64)
	return f
}
