package gang

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/ranks"
	"hubfs/taskfs/tasktest"
)

var (
	chaosSeed   = flag.Uint64("chaos.seed", 0, "the only seed of TestChaos; 0: those it has")
	chaosRounds = flag.Int("chaos.rounds", 240, "how many faults TestChaos makes with each seed")
)

// TestChaos runs sessions on a tree of 30 nodes that are killed, stopped, cut off

// and come back. No task runs for longer than two periods where its session

// cannot be heard of; none ever runs twice at a time; of those that end no line of

// output is missing, doubled or another's; and in the end nothing is left.

func TestChaos(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	switch {
	case *chaosSeed != 0:
		seeds = []uint64{*chaosSeed}
	case raced:
		seeds = seeds[:1]
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			planted(t, func(t *testing.T, f *forest) { newChaos(t, f, seed).run() })
		})
	}
}

// A chaos is a forest and who shakes it.

type chaos struct {
	t     *testing.T
	f     *forest
	spots []*spot // the first is the top, which stays
	ctx   context.Context
	end   context.CancelFunc
	wg    sync.WaitGroup

	mu       sync.Mutex
	rand     *rand.Rand // guarded by mu
	healed   bool       // guarded by mu: no more faults
	sessions int        // guarded by mu: that have ended well
	retried  int        // guarded by mu: tasks that were run again
	counts   map[string]int
	open     map[*Gang]string // guarded by mu: sessions
}

// A spot is a name in the tree, which one node after the other has.

type spot struct {
	name   string
	parent *spot

	mu      sync.Mutex
	node    *testNode // guarded by mu; nil: there is none now
	link    *testLink // guarded by mu: to the parent
	broken  time.Time // guarded by mu: since when it is cut off; zero: it is not
	stopped int       // guarded by mu: reasons to stand still
}

func newChaos(t *testing.T, f *forest, seed uint64) *chaos {
	c := &chaos{t: t, f: f, rand: rand.New(rand.NewPCG(seed, 30)), counts: map[string]int{}, open: map[*Gang]string{}}
	c.ctx, c.end = context.WithCancel(t.Context())
	f.w.Command("lines", c.lines)
	top := &spot{name: "top", node: f.node("top", 1)}
	c.spots = []*spot{top}
	for i := range 4 {
		in := &spot{name: fmt.Sprintf("inner%d", i), parent: top}
		c.spots = append(c.spots, in)
		for j := range 6 {
			c.spots = append(c.spots, &spot{name: fmt.Sprintf("leaf%d%d", i, j), parent: in})
		}
	}
	c.spots = append(c.spots, &spot{name: "leaf4", parent: top})
	return c
}

func (c *chaos) intn(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n)
}

func (c *chaos) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

// pause waits for a random time, and reports whether the test goes on.

func (c *chaos) pause(least, most time.Duration) bool {
	d := least + time.Duration(c.intn(int(most-least)))
	select {
	case <-time.After(d):
		return true
	case <-c.ctx.Done():
		return false
	}
}

func (c *chaos) run() {
	for _, s := range c.spots[1:] {
		c.wg.Go(func() { c.live(s) }) // ends with ctx
	}
	synctest.Wait()
	var jobs sync.WaitGroup
	for w := range 4 {
		jobs.Go(func() { // ends when all is healed
			for n := 0; !c.over(); n++ {
				c.session(fmt.Sprintf("w%d.%d", w, n))
			}
		})
	}
	watching := make(chan struct{})
	c.wg.Go(func() { c.watch(watching) }) // ends with watching
	for range *chaosRounds {
		c.fault()
		if !c.pause(0, 4*time.Second) {
			break
		}
	}
	c.mu.Lock()
	c.healed = true
	c.mu.Unlock()
	late := time.AfterFunc(10*time.Minute, c.stuck) // Stop below
	jobs.Wait()
	late.Stop()
	close(watching)
	c.end()
	for _, s := range c.spots[1:] {
		s.kill(c)
	}
	c.wg.Wait()
	c.t.Logf("%d sessions, %d tasks run again, %v", c.sessions, c.retried, c.counts)
	if c.sessions < 10 || c.retried < 10 {
		c.t.Errorf("%d sessions and %d tasks that were run again: that is no chaos", c.sessions, c.retried)
	}
}

// stuck is called when sessions do not end though all is well. It says what is
// known of them, and gives up.
func (c *chaos) stuck() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g, name := range c.open {
		c.t.Errorf("%s does not end: %s", name, states(g))
		for _, s := range g.Tasks() {
			if !s.State.over() {
				c.t.Errorf("\t%+v", s)
			}
		}
	}
	c.t.Errorf("there run %v", c.f.w.Running())
	stacks := make([]byte, 16<<20)
	c.t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
	c.end()
}

func (c *chaos) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.healed
}

// live has a node at a spot, which dials its parent again and again.

func (c *chaos) live(s *spot) {
	for {
		s.mu.Lock()
		if s.node == nil {
			n := &testNode{name: s.name, runner: c.f.w.Runner(s.name)}
			n.Node = New(c.f.options(n, 2))
			s.node = n
		}
		n := s.node
		s.mu.Unlock()
		c.dial(s, n)
		if !c.pause(time.Second, 3*time.Second) {
			return
		}
	}
}

// dial links a node to whoever is at the parent's spot, until that ends.

func (c *chaos) dial(s *spot, n *testNode) {
	s.parent.mu.Lock()
	up, still := s.parent.node, s.parent.stopped
	s.parent.mu.Unlock()
	s.mu.Lock()
	if up == nil || still > 0 || s.stopped > 0 || s.node != n || c.ctx.Err() != nil {
		s.mu.Unlock()
		return
	}
	l := newTestLink()
	s.link, s.broken = l, time.Time{}
	s.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { up.Cluster().Below(c.ctx, l.up(), "") }) // until the link ends
	wg.Go(func() { n.Cluster().Above(c.ctx, l.low()) })     // until the link ends
	wg.Wait()
	s.mu.Lock()
	if s.link == l {
		s.breakLocked()
	}
	s.mu.Unlock()
}

func (s *spot) breakLocked() {
	if s.broken.IsZero() {
		s.broken = time.Now()
	}
}

// fault does one thing that goes wrong, somewhere.

func (c *chaos) fault() {
	s := c.spots[1+c.intn(len(c.spots)-1)]
	switch c.intn(4) {
	case 0:
		c.count("kills")
		s.kill(c)
	case 1:
		c.count("cuts")
		s.mu.Lock()
		if s.link != nil {
			s.breakLocked()
			s.link.cut()
		}
		s.mu.Unlock()
	case 2:
		c.count("stops")
		c.stop(s, true, time.Duration(c.intn(int(25*time.Second))))
	case 3:
		c.count("stalls")
		c.stop(s, false, time.Duration(c.intn(int(15*time.Second))))
	}
}

// kill ends the node at a spot as SIGKILL does: nobody is told, but for what ends

// with the process, its connections and its tasks.

func (s *spot) kill(c *chaos) {
	s.mu.Lock()
	n := s.node
	s.node = nil
	if s.link != nil {
		s.breakLocked()
		s.link.cut()
	}
	s.mu.Unlock()
	if n == nil {
		return
	}
	for _, o := range c.spots {
		if o.parent != s {
			continue
		}
		o.mu.Lock()
		if o.link != nil {
			o.breakLocked()
			o.link.cut()
		}
		o.mu.Unlock()
	}
	n.runner.Crash()
	c.wg.Go(func() { // what is left of it in this process ends
		if err := n.Close(context.Background()); err != nil {
			c.t.Errorf("close %s: %v", n.name, err)
		}
		c.f.empty(n)
	})
}

// stop stops a link for a time, or with process all links of a node.

func (c *chaos) stop(s *spot, process bool, d time.Duration) {
	links := []*spot{s}
	if process {
		for _, o := range c.spots {
			if o.parent == s {
				links = append(links, o)
			}
		}
	}
	held := map[*spot]*testLink{}
	for _, o := range links {
		o.mu.Lock()
		o.stopped++
		if o.link != nil {
			o.breakLocked()
			o.link.stop()
			held[o] = o.link
		}
		o.mu.Unlock()
	}
	c.wg.Go(func() { // ends when the time is over
		select {
		case <-time.After(d):
		case <-c.ctx.Done():
		}
		for _, o := range links {
			o.mu.Lock()
			o.stopped--
			if l := held[o]; l != nil && l.goOn() && l == o.link {
				o.broken = time.Time{}
			}
			o.mu.Unlock()
		}
	})
}

// watch looks for tasks that run where nobody hears of them, every second.

func (c *chaos) watch(done chan struct{}) {
	byName := map[string]*spot{}
	for _, s := range c.spots {
		byName[s.name] = s
	}
	const limit = 2 * 5 * time.Second
	for {
		select {
		case <-time.After(time.Second):
		case <-done:
			return
		}
		for _, r := range c.f.w.Running() {
			// If there are several faults on the way, each has its time: who is
			// told by a node that has noticed cannot be told when he is cut off
			// meanwhile.
			var last time.Time
			for s := byName[r.Node]; s != nil; s = s.parent {
				s.mu.Lock()
				if s.broken.After(last) {
					last = s.broken
				}
				s.mu.Unlock()
			}
			if !last.IsZero() && time.Since(last) > limit {
				c.t.Errorf("orphan: %v, which is cut off since %v", r, time.Since(last))
			}
		}
	}
}

// lines is the command of the test's tasks: it puts out lines that nobody else

// has, and takes its time.

func (c *chaos) lines(p *tasktest.Proc) string {
	n := 5 + c.intn(20)
	for i := range n {
		select {
		case <-time.After(time.Duration(c.intn(int(time.Second)))):
		case <-p.Killed():
			return ""
		}
		p.Out(fmt.Sprintf("%s %s %d\n", p.Env("TASKFS_SESSION"), p.Env("TASKFS_RANK"), i))
	}
	return fmt.Sprintf("exit %d", n)
}

// session runs one session, as often as it takes.

func (c *chaos) session(name string) {
	if !c.pause(0, time.Second) {
		return
	}
	top := c.spots[0].node
	a := &judge{c: c, name: name, tasks: map[int]*judged{}, news: make(chan struct{}, 1)}
	n := 1 + c.intn(40)
	number := top.Number()
	defer top.Free(number)
	g, err := top.Reserve(c.ctx, Want{N: n, Number: number, Remote: true, Policy: []string{"even", "fill", "legacy"}[c.intn(3)]}, a)
	if err != nil {
		c.count("refused")
		return
	}
	c.mu.Lock()
	c.open[g] = name
	c.mu.Unlock()
	defer func() {
		g.Release()
		<-g.Done()
		c.mu.Lock()
		delete(c.open, g)
		c.mu.Unlock()
		for _, r := range c.f.w.Running() {
			if r.Session == name {
				c.t.Errorf("it is released, and there runs %v", r)
			}
		}
		a.end()
	}()
	spec := Spec{Argv: []string{"lines"}, Session: name, Umask: -1}
	todo := all(g)
	for {
		if !todo.Empty() {
			if err := g.Exec(c.ctx, todo, spec); err == nil {
				todo = ranks.Set{}
			} else if !strings.Contains(err.Error(), "is lost") {
				c.t.Errorf("exec: %v", err)
				return
			}
		}
		fenced, over := a.look(g)
		if over {
			c.mu.Lock()
			c.sessions++
			c.mu.Unlock()
			return
		}
		switch {
		case !fenced.Empty():
			err := g.Replace(c.ctx, fenced)
			if err == nil {
				c.mu.Lock()
				c.retried += fenced.Len()
				c.mu.Unlock()
				todo = reservedOf(g)
				continue
			}
			if !errors.Is(err, ErrNoRemote) && !errors.Is(err, ErrNoMatch) && !strings.Contains(err.Error(), "lost") &&
				!strings.Contains(err.Error(), "node ") {
				c.t.Errorf("replace: %v", err)
				return
			}
			if !c.pause(time.Second, 2*time.Second) {
				return
			}
		case !todo.Empty():
			// Some of them are lost before they ran: the others run now.
			todo = reservedOf(g)
			if !c.pause(100*time.Millisecond, time.Second) {
				return
			}
		default:
			select {
			case <-a.news:
			case <-c.ctx.Done():
				return
			}
		}
		// Now and then somebody does not wait for the end.
		if c.intn(2000) == 0 {
			c.count("given up")
			return
		}
	}
}

func reservedOf(g *Gang) ranks.Set {
	var list []int
	for _, s := range g.Tasks() {
		if s.State == Reserved {
			list = append(list, s.Rank)
		}
	}
	return ranks.Of(list...)
}

// A judge is the Above of a session: it knows what each task has to say.

// look returns which tasks are to be replaced, and whether all have ended.
