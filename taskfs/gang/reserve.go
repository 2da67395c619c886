package gang

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/ranks"
)

var errClosing = errors.New("this node ends")

// A bid is what one of those who could take tasks has.
type bid struct {
	capacity
	nodes  int       // machines that match
	found  ranks.Set // of the request's Names, those that are there
	remote *remote   // nil: this machine
}

// A share is what somebody is to take of a request.
type share struct {
	bid
	set ranks.Set
}

// Reserve reserves all that w asks for, or nothing.
func (n *Node) Reserve(ctx context.Context, w Want, a Above) (*Gang, error) {
	r, err := w.request(n.opts.Cluster.Info.Name)
	if err != nil {
		return nil, err
	}
	g, err := n.reserve(ctx, &r, a, visit{lease: n.cluster.Self()})
	if err != nil {
		return nil, err
	}
	if !n.adopt(g) {
		g.Release()
		return nil, errClosing
	}
	return g, nil
}

// A visit is what a session is to this node: how long its tasks may run without a
// word, and as which epoch the node above has us.
type visit struct {
	epoch uint64
	lease time.Duration
}

// reserve reserves for a user or a guest. What a
// node has offered another session may have taken since: then all is given back,
// and everybody asked once more.
func (n *Node) reserve(ctx context.Context, r *request, a Above, by visit) (*Gang, error) {
	var g *Gang
	var err error
	for range 2 {
		var shares []share
		d := *r
		if shares, err = n.shares(ctx, &d); err != nil {
			return nil, err
		}
		g = newGang(n, &d, a, by)
		if _, err = n.take(ctx, g, shares); err == nil {
			return g, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// shares asks who could take tasks, and divides them.
func (n *Node) shares(ctx context.Context, r *request) ([]share, error) {
	bids, err := n.bids(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(r.Names) > 0 {
		return named(r, bids)
	}
	free := 0
	caps := make([]capacity, len(bids))
	for i, b := range bids {
		caps[i] = b.capacity
		free += bounded(b.free)
	}
	if r.min > 0 {
		if free < r.min {
			forget(bids)
			return nil, fmt.Errorf("%w: %d asked, %d free", ErrInsufficient, r.min, free)
		}
		r.N, r.Strict = min(r.N, free), true
		r.World, r.Total = ranks.Span(0, r.N), r.N
	}
	n.mu.Lock()
	counts, cursor := divide(r.N, caps, r.Policy, n.cursor)
	n.cursor = cursor
	n.mu.Unlock()
	var list []share
	at := 0
	for i, b := range bids {
		if counts[i] == 0 {
			forget(bids[i : i+1])
			continue
		}
		list = append(list, share{b, ranks.Span(at, at+counts[i])})
		at += counts[i]
	}
	return list, nil
}

// named gives each task to whoever knows the node of its name.
func named(r *request, bids []bid) ([]share, error) {
	var list []share
	all := ranks.Span(0, r.N)
	left := all
	for i, b := range bids {
		set := b.found.Intersect(left)
		if set.Empty() {
			forget(bids[i : i+1])
			continue
		}
		left = left.Minus(set)
		list = append(list, share{b, set})
	}
	if left.Empty() {
		return list, nil
	}
	forget(bids)
	var missing []string
	for i := range left.All() {
		if name := r.Names[i]; !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	what := "node " + strings.Join(missing, ", ") + " is not there"
	if c := r.constraint(); c != "" {
		what += ", or not " + c
	}
	return nil, fmt.Errorf("%w: %s", ErrNoMatch, what)
}

// bids asks all who could take tasks what they have.
func (n *Node) bids(ctx context.Context, r *request) ([]bid, error) {
	children := n.cluster.Children()
	var bids []bid
	if b, ok := n.ownBid(r, leaf(children)); ok {
		bids = append(bids, b)
	}
	up := map[string]*cluster.Child{}
	taken := map[string]bool{}
	var not []string
	for _, c := range children {
		taken[c.Name()] = true
		switch state := c.State(); state {
		case cluster.Up:
			up[c.Name()] = c
		default:
			not = append(not, c.Name()+" is "+string(state))
		}
	}
	if r.local {
		up = nil
	}
	asked := n.ask(ctx, r, up, taken)
	if err := ctx.Err(); err != nil {
		forget(asked)
		return nil, err
	}
	bids = append(bids, asked...)
	if len(bids) > 0 {
		return bids, nil
	}
	switch {
	case r.constrained() && (!r.own || !r.remote || len(up) > 0):
		c := r.constraint()
		if len(r.Names) > 0 {
			c = strings.TrimSpace("node " + strings.Join(slices.Compact(slices.Clone(r.Names)), ", ") + " " + c)
		}
		return nil, fmt.Errorf("%w: %s", ErrNoMatch, c)
	case len(not) > 0:
		return nil, fmt.Errorf("%w: %s", ErrNoRemote, strings.Join(not, ", "))
	}
	return nil, ErrNoRemote
}

// leaf reports whether a node with these below it runs tasks itself. One that is
// known to run nothing is not there; one that may be is.
func leaf(children []*cluster.Child) bool {
	return !slices.ContainsFunc(children, func(c *cluster.Child) bool { return c.State() != cluster.Fenced })
}

// ownBid is what this machine has. It takes tasks if it has no nodes below, or
// runs tasks all the same, or if its own user says so.
func (n *Node) ownBid(r *request, leaf bool) (bid, bool) {
	info := n.opts.Cluster.Info
	var here []int
	for i, name := range r.Names {
		if name == "." {
			here = append(here, i)
		}
	}
	takes := leaf || info.Executor || r.local || r.own && len(here) > 0
	if !takes || r.remote || !r.matches(info) || len(r.Names) > 0 && len(here) == 0 {
		return bid{}, false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return bid{
		capacity: capacity{slots: info.Slots, free: max(info.Slots-n.busy, 0)},
		nodes:    1,
		found:    ranks.Of(here...),
	}, true
}

// ask asks children, all at once, and returns what those have that have anything,
// by name.
func (n *Node) ask(ctx context.Context, r *request, up map[string]*cluster.Child, taken map[string]bool) []bid {
	names := slices.Sorted(maps.Keys(up))
	answers := make([]bid, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		d := r.below(name, taken)
		if len(d.Names) > 0 && !slices.ContainsFunc(d.Names, func(s string) bool { return s != "" }) {
			continue // it is asked for nothing that it could know
		}
		wg.Go(func() { // ends with the answer, the child, or ctx
			c := n.join(up[name])
			o, err := c.offer(ctx, d)
			if err != nil || o.Nodes < 1 {
				c.leave()
				if err != nil {
					n.log.Info("a node makes no offer", "node", name, "err", err)
				}
				return
			}
			answers[i] = bid{capacity{o.Slots, o.Free}, o.Nodes, o.Found, c}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(answers, func(b bid) bool { return b.nodes == 0 })
}

// forget lets go of those who made offers that nobody takes.
func forget(bids []bid) {
	for _, b := range bids {
		if b.remote != nil {
			b.remote.leave()
		}
	}
}

// take has everybody reserve his share, all at once. If one does not, all give
// theirs back.
func (n *Node) take(ctx context.Context, g *Gang, shares []share) ([]*part, error) {
	parts := make([]*part, len(shares))
	errs := make([]error, len(shares))
	// The first to fail need not wait for the others' answers.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for i, s := range shares {
		parts[i] = &part{set: s.set}
		wg.Go(func() { // ends with the answer, the child, or ctx
			if s.remote == nil {
				errs[i] = n.takeHere(ctx, g, parts[i], len(shares) == 1)
			} else {
				errs[i] = s.remote.reserve(ctx, g, parts[i])
			}
			if errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	err := firstError(errs)
	if err == nil {
		err = g.attach(parts)
	}
	if err == nil {
		for i, s := range shares {
			if s.remote != nil {
				s.remote.attached(parts[i])
			}
		}
		return parts, nil
	}
	for i, s := range shares {
		switch {
		case s.remote != nil:
			s.remote.release()
		case errs[i] == nil:
			parts[i].release()
		}
	}
	return nil, err
}

// firstError is the one that was the reason for the others: those were cancelled.
func firstError(errs []error) (first error) {
	for _, err := range errs {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}

// takeHere reserves tasks of this machine. alone says that they are the whole
// gang.
func (n *Node) takeHere(ctx context.Context, g *Gang, p *part, alone bool) error {
	k := p.set.Len()
	if !n.occupy(k, g.req.Strict) {
		return fmt.Errorf("%w: %d asked of this node", ErrInsufficient, k)
	}
	p.place = place{Number: g.req.number, Dir: n.opts.Dir, Ranks: ranks.Span(0, k), Epoch: g.visit.epoch}
	if !alone {
		p.place.Number = n.Number()
	}
	// A task runs in the session itself if that is all there is of it: what was
	// asked for was a task here, or a node above divides and this is one piece.
	if k > 1 || alone && g.req.own && !g.req.here {
		nums := make([]int, k)
		n.mu.Lock()
		for i := range nums {
			nums[i] = n.numbers.take()
		}
		n.mu.Unlock()
		p.place.Tasks = ranks.Of(nums...)
	}
	l, err := newLocal(ctx, g, p)
	if err != nil {
		n.vacate(k)
		n.returned(p.place, g.req.number)
		return err
	}
	p.branch = l
	return nil
}
