package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// patience is how long the other end of a link may take for its first word, and
// to close after the last.
const patience = 10 * time.Second

var errClosing = errors.New("this node ends")

// A Node is this node as the others know it.
type Node struct {
	// Immutable.
	o      Options
	policy policy
	life   context.Context // done when Close gives up waiting, or has ended
	end    context.CancelFunc
	taking context.Context // done when Close begins: nobody comes any more
	refuse context.CancelFunc

	running tally // all goroutines and calls of this node
	events  pump  // what Options.Event is told

	mu       sync.Mutex
	closing  bool               // guarded by mu
	members  map[string]*member // guarded by mu
	drains   map[string]bool    // guarded by mu; names that get no tasks, there or not
	epoch    uint64             // guarded by mu; the last one that was given out
	parents  []*Parent          // guarded by mu; those whose tasks may run here
	hellos   uint64             // guarded by mu; how often this node has said hello
	joining  map[uint64]bool    // guarded by mu; those that are not answered
	lineage  uint64             // guarded by mu; counts the changes of what is above
	question uint64             // guarded by mu; the last one that was asked
}

// A member is a name, and what has had it.
type member struct {
	name string // immutable

	// guarded by Node.mu
	removing bool     // it is to go when it has no session
	dropped  uint64   // frames that came late, of all epochs
	now      *Child   // the latest epoch
	past     []*Child // those before it that are not fenced, oldest first
}

// New returns a Node.
func New(o Options) *Node {
	if o.Fence == nil {
		o.Fence = &fence.Policy{}
	}
	return newNode(o, o.Fence)
}

func newNode(o Options, p policy) *Node {
	n := &Node{
		o:       o.withDefaults(),
		policy:  p,
		members: make(map[string]*member),
		drains:  make(map[string]bool),
		joining: make(map[uint64]bool),
	}
	n.life, n.end = context.WithCancel(context.Background())
	n.taking, n.refuse = context.WithCancel(n.life)
	n.events.running = &n.running
	return n
}

// Info returns what this node says of itself.
func (n *Node) Info() Info { return n.o.Info }

// Children returns the nodes right below, by name, in whatever state: of each
// its latest epoch.
func (n *Node) Children() []*Child {
	n.mu.Lock()
	defer n.mu.Unlock()
	var cs []*Child
	for _, name := range slices.Sorted(maps.Keys(n.members)) {
		if c := n.members[name].now; c != nil && c.joined {
			cs = append(cs, c)
		}
	}
	return cs
}

// Self is how long tasks may run here without a word from above, whichever of the
// nodes above they are for.
func (n *Node) Self() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.parents) == 0 {
		return self(n.o.Period, n.o.Missed)
	}
	return slices.MinFunc(n.parents, func(a, b *Parent) int { return cmp.Compare(a.Self(), b.Self()) }).Self()
}

// Close ends all links: the nodes above are told that nothing runs here any more,
// when that is so (ParentLost), and then the nodes below that this one goes. When
// ctx is done it waits no longer.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	n.closing = true
	parents := slices.Clone(n.parents)
	n.mu.Unlock()
	n.refuse()
	defer n.end()
	defer context.AfterFunc(ctx, n.end)()
	for _, p := range parents {
		p.cut(errClosing)
	}
	for _, p := range parents {
		select {
		case <-p.served:
		case <-ctx.Done():
		}
	}
	n.mu.Lock()
	for _, m := range n.members {
		for _, c := range m.allLocked() {
			c.stopFencingLocked() // nobody waits for it any more
			c.dismissLocked(leave{Reason: n.o.Info.Name + ": " + errClosing.Error()})
		}
	}
	n.mu.Unlock()
	if err := n.running.wait(ctx); err != nil {
		return fmt.Errorf("not all that this node has to do with others has ended: %w", err)
	}
	return nil
}

// sayLocked tells people what happened.
func (n *Node) sayLocked(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	n.o.Log.Info(line)
	if n.o.Event != nil {
		n.events.tell(func() { n.o.Event(line) })
	}
}

// ancestorsLocked returns all nodes above, nearest first, each once.
func (n *Node) ancestorsLocked() []ancestor {
	all := []ancestor{}
	seen := make(map[string]bool)
	add := func(a ancestor) {
		if !seen[a.Instance] && len(all) < maxAbove {
			seen[a.Instance] = true
			all = append(all, a)
		}
	}
	for _, p := range n.parents {
		add(ancestor{p.node, p.instance})
	}
	for _, p := range n.parents {
		for _, a := range p.above {
			add(a)
		}
	}
	return all
}

// lineageLocked tells those below that what is above has changed.
func (n *Node) lineageLocked() {
	n.lineage++
	for _, m := range n.members {
		if c := m.now; c != nil && c.state.live() && c.joined {
			c.beats.kick()
		}
	}
}

// upLocked tells those above that what is below has changed.
func (n *Node) upLocked() {
	for _, p := range n.parents {
		if p.ctx.Err() == nil {
			p.beats.kick()
		}
	}
}

// belowLocked returns how many nodes right below there is something to say of.
func (n *Node) belowLocked() (count int) {
	for _, m := range n.members {
		if m.now != nil && m.now.joined || len(m.past) > 0 {
			count++
		}
	}
	return count
}

// afterLocked returns how much longer than here something may run on the nodes
// below; 0 if there are none, or all are fenced.
func (n *Node) afterLocked() (after time.Duration) {
	for _, m := range n.members {
		for _, c := range m.allLocked() {
			after = max(after, min(self(n.o.Period, n.o.Missed)+c.after, maxAfter))
		}
	}
	return after
}

// shaking bounds what has to happen before two nodes know one another.
func (n *Node) shaking(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	stop := context.AfterFunc(n.taking, cancel)
	return ctx, func() { stop(); cancel() }
}

// part says a last word over a link, and waits until the other end closes it.
func (n *Node) part(ctx context.Context, l frame.Link, why leave) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.Send(ctx, frame.Frame{Kind: frame.Leave, Body: encode(why)}); err != nil {
		return
	}
	for {
		if _, err := l.Recv(ctx); err != nil {
			return
		}
	}
}
