package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// TestWhatIsFencedRunsNothing, and all else that a Handler is promised, in a tree
// whose links are cut, fail at one end and stall, whose nodes are killed and come
// back, and in which people fence and drain.
func TestWhatIsFencedRunsNothing(t *testing.T) {
	seeds, rounds := 10, 200
	if testing.Short() {
		seeds, rounds = 4, 60
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			world(t, func(t *testing.T) { chaos(t, uint64(seed), rounds) })
		})
	}
}

// A forest is the nodes of a test under chaos, and what runs on them.
type forest struct {
	t  *testing.T
	mu sync.Mutex

	// guarded by mu
	rand   *rand.Rand
	places []*place
	runs   map[run]bool // what runs now
	fenced map[run]bool // of which nothing may run any more
}

// A run is an epoch of a node, as both ends know it.
type run struct {
	upper string // instance of the node above
	epoch uint64
}

// A place is where a node is, one run of its program after the other.
type place struct {
	f      *forest
	name   string
	above  *place // nil: the top
	served sync.WaitGroup

	// guarded by f.mu
	node *Node
	end  context.CancelFunc // of its dialing
	link *chaosLink         // the one to above; nil: none
}

// A chaosLink is both ends of a link.
type chaosLink struct {
	up, down           frame.Link
	upStall, downStall *stall
	half               *oneSided
}

func newChaosLink() *chaosLink {
	a, b := frame.Pipe(0)
	l := &chaosLink{half: newOneSided(b)}
	l.upStall, l.downStall = newStall(a), newStall(l.half)
	l.up, l.down = l.upStall, l.downStall
	return l
}

// A checker is the handler of one run of a node: it runs something for every node
// above, and knows what it is promised.
type checker struct {
	f    *forest
	p    *place
	node func() *Node

	mu    sync.Mutex
	state map[*Child]State // as it was told
	dead  bool             // the process was killed
}

func (h *checker) fail(format string, args ...any) {
	h.f.t.Errorf("%s: "+format, append([]any{h.p.name}, args...)...)
}

func (h *checker) Joined(c *Child) {
	h.mu.Lock()
	if h.state[c] != "" {
		h.fail("%s joins and is %s", c.Name(), h.state[c])
	}
	h.state[c] = Up
	h.mu.Unlock()
	// If it fails the child is lost.
	c.Send(context.Background(), frame.Frame{Kind: frame.Exec, Session: 1})
}

func (h *checker) FromBelow(c *Child, f frame.Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state[c] != Up {
		h.fail("a frame of %s, which is %q", c.Name(), h.state[c])
	}
}

func (h *checker) Lost(c *Child) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state[c] != Up {
		h.fail("%s is lost and was %q", c.Name(), h.state[c])
	}
	h.state[c] = Lost
}

func (h *checker) Fenced(c *Child) {
	h.mu.Lock()
	if h.state[c] != Lost {
		h.fail("%s is fenced and was %q", c.Name(), h.state[c])
	}
	h.state[c] = Fenced
	h.mu.Unlock()
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	r := run{h.node().Info().Instance, c.Epoch()}
	if h.f.runs[r] {
		h.fail("%s is fenced (%s), and runs", c.Name(), c.word)
	}
	h.f.fenced[r] = true
}

func (h *checker) FromAbove(p *Parent, f frame.Frame) {
	h.mu.Lock()
	dead := h.dead
	h.mu.Unlock()
	if dead || f.Kind != frame.Exec {
		return
	}
	r := run{p.instance, p.Epoch()}
	h.f.mu.Lock()
	if h.f.fenced[r] {
		h.fail("it runs something for %s, which has fenced it", p.Name())
	}
	h.f.runs[r] = true
	h.f.mu.Unlock()
	p.Send(context.Background(), frame.Frame{Kind: frame.Output, Session: 1})
}

func (h *checker) Heard(*Parent) {}

func (h *checker) ParentLost(p *Parent) {
	h.f.mu.Lock()
	pause := time.Duration(h.f.rand.IntN(900)) * time.Millisecond // a kill takes its time: less than the slack
	h.f.mu.Unlock()
	time.Sleep(pause)
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	delete(h.f.runs, run{p.instance, p.Epoch()})
}

// begin starts a run of the node's program.
func (p *place) begin() {
	h := &checker{f: p.f, p: p, state: make(map[*Child]State)}
	n := newNode(Options{
		Info:    Info{Name: p.name, OS: "linux", Arch: "amd64", Slots: 1},
		Handler: h,
	}, &fence.Policy{})
	h.node = func() *Node { return n }
	ctx, end := context.WithCancel(context.Background())
	p.f.mu.Lock()
	p.node, p.end = n, end
	p.f.mu.Unlock()
	if p.above != nil {
		p.served.Go(func() { p.dial(ctx, n) }) // until ctx is done; stop waits
	}
}

// dial puts the node below the one above, again and again.
func (p *place) dial(ctx context.Context, n *Node) {
	for ctx.Err() == nil {
		p.f.mu.Lock()
		up := p.above.node
		l := newChaosLink()
		p.link = l
		pause := time.Duration(p.f.rand.IntN(5000)) * time.Millisecond
		p.f.mu.Unlock()
		var wg sync.WaitGroup
		wg.Go(func() { up.Below(context.Background(), l.up, "") }) // until the link ends, which the test sees to
		n.Above(ctx, l.down)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		l.goOn()
		l.up.Close() // long after the other end, if that failed alone
		wg.Wait()
	}
}

func (l *chaosLink) goOn() {
	l.upStall.goOn()
	l.downStall.goOn()
}

// kill ends a run of the program without a word: what it ran ends with it.
func (p *place) kill() {
	p.f.mu.Lock()
	n, end, l := p.node, p.end, p.link
	h := n.o.Handler.(*checker)
	p.f.mu.Unlock()
	h.mu.Lock()
	h.dead = true
	h.mu.Unlock()
	n.mu.Lock()
	var runs []run
	for _, parent := range n.parents {
		runs = append(runs, run{parent.instance, parent.epoch})
	}
	n.mu.Unlock()
	p.f.mu.Lock()
	for _, r := range runs {
		delete(p.f.runs, r)
	}
	p.f.mu.Unlock()
	end()
	if l != nil {
		l.half.Link.Close()
	}
	n.end() // its links below end
	p.served.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		h.fail("it does not end: %v", err)
	}
}

func chaos(t *testing.T, seed uint64, rounds int) {
	f := &forest{t: t, rand: rand.New(rand.NewPCG(seed, 0)), runs: make(map[run]bool), fenced: make(map[run]bool)}
	top := &place{f: f, name: "top"}
	f.places = append(f.places, top)
	for i := range 3 {
		mid := &place{f: f, name: fmt.Sprint("mid", i), above: top}
		f.places = append(f.places, mid)
		for j := range 3 {
			f.places = append(f.places, &place{f: f, name: fmt.Sprintf("leaf%d%d", i, j), above: mid})
		}
	}
	for _, p := range f.places {
		p.begin()
	}
	for range rounds {
		f.mu.Lock()
		dice, other := f.rand.IntN(100), f.rand.IntN(100)
		p := f.places[f.rand.IntN(len(f.places))]
		pause := time.Duration(f.rand.IntN(6000)) * time.Millisecond
		l, n := p.link, p.node
		f.mu.Unlock()
		time.Sleep(pause)
		switch {
		case l == nil || dice < 10:
			p.kill()
			p.begin()
		case dice < 25:
			l.half.Link.Close() // cut
		case dice < 45:
			l.half.lose() // only the lower end knows
		case dice < 60:
			l.upStall.stop()
		case dice < 75:
			l.downStall.stop()
		case dice < 85:
			l.goOn()
		case dice < 90:
			n.Rows(t.Context())
		default:
			if cs := n.Children(); len(cs) > 0 {
				c := cs[other%len(cs)]
				switch other % 3 {
				case 0:
					n.Fence(c.Name())
				case 1:
					n.Drain(c.Name())
				case 2:
					n.Undrain(c.Name())
				}
			}
		}
	}
	// Calm again, everybody is there.
	f.mu.Lock()
	for _, p := range f.places {
		if p.link != nil {
			p.link.goOn()
		}
	}
	f.mu.Unlock()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	if rows := top.node.Rows(t.Context()); len(rows) != len(f.places) {
		t.Errorf("there are %d nodes: %s", len(rows), names(rows))
	} else {
		for _, r := range rows {
			if r.State != Up && r.State != Drained {
				t.Errorf("%s is %s", r.Name, r.State)
			}
		}
	}
	f.mu.Lock()
	if len(f.runs) != len(f.places)-1 {
		t.Errorf("%d things run on %d nodes", len(f.runs), len(f.places))
	}
	f.mu.Unlock()
	for i := len(f.places) - 1; i >= 0; i-- { // below first
		p := f.places[i]
		p.end()
		p.served.Wait()
		if err := p.node.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	if len(f.runs) > 0 {
		t.Errorf("in the end %d things run", len(f.runs))
	}
}
