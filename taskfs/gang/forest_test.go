package gang

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/tasktest"
)

// A forest is nodes of one process with links between them.
type forest struct {
	t     testing.TB
	w     *tasktest.World
	nodes []*testNode
	wg    sync.WaitGroup // both ends of all links

	mu    sync.Mutex
	links int           // guarded by mu: that were made
	joins int           // guarded by mu: nodes that have joined
	news  chan struct{} // guarded by mu: closed when joins has grown
}

type testNode struct {
	*Node
	name   string
	runner *tasktest.Runner
}

func newForest(t testing.TB) *forest {
	return &forest{t: t, w: tasktest.NewWorld(), news: make(chan struct{})}
}

// options are those of a node.
func (f *forest) options(n *testNode, slots int) Options {
	return Options{
		Cluster: cluster.Options{
			Info:   cluster.Info{Name: n.name, OS: "linux", Arch: "amd64", Slots: slots, Memory: 1 << 30},
			Period: 5 * time.Second,
			Event: func(line string) {
				if strings.HasPrefix(line, "node join ") {
					f.mu.Lock()
					f.joins++
					close(f.news)
					f.news = make(chan struct{})
					f.mu.Unlock()
				}
			},
		},
		Runner: n.runner,
		Dir:    "/" + n.name,
	}
}

// node adds a node.
func (f *forest) node(name string, slots int, change ...func(*Options)) *testNode {
	n := &testNode{name: name, runner: f.w.Runner(name)}
	o := f.options(n, slots)
	for _, c := range change {
		c(&o)
	}
	n.Node = New(o)
	f.nodes = append(f.nodes, n)
	return n
}

// join links a node below another and returns when it is there.
func (f *forest) join(up, low *testNode) *testLink {
	l := newTestLink()
	f.link(up, low, l.up(), l.low())
	f.joined()
	return l
}

// link links a node below another, and does not wait.
func (f *forest) link(up, low *testNode, a, b frame.Link) {
	f.mu.Lock()
	f.links++
	f.mu.Unlock()
	f.wg.Go(func() { up.Cluster().Below(context.Background(), a, "") }) // until the link ends
	f.wg.Go(func() { low.Cluster().Above(context.Background(), b) })    // until the link ends
}

// joined waits until all that were linked have joined.
func (f *forest) joined() {
	f.t.Helper()
	for {
		f.mu.Lock()
		there, news := f.joins >= f.links, f.news
		f.mu.Unlock()
		if there {
			return
		}
		select {
		case <-news:
		case <-f.t.Context().Done():
			f.t.Fatal("a node does not join")
		}
	}
}

// close ends all nodes, and finds what is left.
func (f *forest) close() {
	f.t.Helper()
	var wg sync.WaitGroup
	for _, n := range f.nodes {
		wg.Go(func() {
			if err := n.Close(context.Background()); err != nil {
				f.t.Errorf("close %s: %v", n.name, err)
			}
		})
	}
	wg.Wait()
	f.wg.Wait()
	f.w.Wait()
	for _, s := range f.w.Faults() {
		f.t.Error(s)
	}
	if run := f.w.Running(); len(run) > 0 {
		f.t.Errorf("left over: %v", run)
	}
	for _, n := range f.nodes {
		f.empty(n)
	}
}

// empty finds what is left of sessions at a node that has ended.
func (f *forest) empty(n *testNode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy != 0 || len(n.remotes) != 0 || n.hosted != 0 || len(n.own) != 0 {
		f.t.Errorf("%s: left over: %d slots, %d parts, %d guests, %d gangs", n.name, n.busy, len(n.remotes), n.hosted, len(n.own))
	}
	if k := n.numbers.take(); k > 30 {
		f.t.Errorf("%s: the lowest free number is %d", n.name, k)
	}
	if c := n.runner.Crews(); c > 0 {
		f.t.Errorf("%s: %d crews are left over", n.name, c)
	}
}

// planted runs a test with a forest, in a bubble.
func planted(t *testing.T, test func(t *testing.T, f *forest)) {
	synctest.Test(t, func(t *testing.T) {
		f := newForest(t)
		defer f.close()
		test(t, f)
	})
}

// tree adds a top with inner nodes of so many leaves each, of two slots each.
func (f *forest) tree(leaves ...int) (top *testNode, links map[string]*testLink) {
	links = map[string]*testLink{}
	top = f.node("top", 4)
	for i, n := range leaves {
		in := f.node(fmt.Sprintf("inner%d", i+1), 4)
		for j := range n {
			leaf := f.node(fmt.Sprintf("leaf%d%d", i+1, j+1), 2)
			links[leaf.name] = f.join(in, leaf)
		}
		links[in.name] = f.join(top, in)
	}
	return top, links
}

// flat adds a top with leaves of two slots each.
func (f *forest) flat(leaves int) (top *testNode, links map[string]*testLink) {
	links = map[string]*testLink{}
	top = f.node("top", 4)
	for i := range leaves {
		leaf := f.node(fmt.Sprintf("leaf%d", i+1), 2)
		links[leaf.name] = f.join(top, leaf)
	}
	return top, links
}

func (f *forest) named(name string) *testNode {
	for _, n := range f.nodes {
		if n.name == name {
			return n
		}
	}
	f.t.Fatalf("no node %s", name)
	return nil
}

// ran says which ranks run where: "leaf1: 0 1, leaf2: 2".
func (f *forest) ran() string {
	var b strings.Builder
	last := ""
	for _, r := range f.w.Running() {
		if r.Node != last {
			if last != "" {
				b.WriteString(", ")
			}
			b.WriteString(r.Node + ":")
			last = r.Node
		}
		b.WriteString(" " + r.Rank)
	}
	return b.String()
}

// A testLink is a link that can be stopped, both ways, and cut.
type testLink struct {
	a, b frame.Link

	mu      sync.Mutex
	stops   int
	stopped chan struct{} // closed when it goes on; nil: it does
	closed  chan struct{}
	once    sync.Once
	frames  map[frame.Kind]int // down
	bytes   int                // down
}

func newTestLink() *testLink {
	l := &testLink{closed: make(chan struct{}), frames: map[frame.Kind]int{}}
	l.a, l.b = frame.Pipe(0)
	return l
}

func (l *testLink) up() frame.Link  { return &testEnd{l.a, l, true} }
func (l *testLink) low() frame.Link { return &testEnd{l.b, l, false} }

// stop has all frames wait, as those of a process that is stopped, until goOn
// has been called as often.
func (l *testLink) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stops++; l.stops == 1 {
		l.stopped = make(chan struct{})
	}
}

// goOn reports whether frames go again.
func (l *testLink) goOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stops--; l.stops > 0 {
		return false
	}
	close(l.stopped)
	l.stopped = nil
	return l.alive()
}

// cut ends the link for both.
func (l *testLink) cut() {
	l.once.Do(func() { close(l.closed) })
	l.a.Close()
	l.b.Close()
}

func (l *testLink) wait(ctx context.Context) error {
	l.mu.Lock()
	stopped := l.stopped
	l.mu.Unlock()
	if stopped == nil {
		return nil
	}
	select {
	case <-stopped:
		return nil
	case <-l.closed:
		return frame.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// alive reports whether the link has not been cut.
func (l *testLink) alive() bool {
	select {
	case <-l.closed:
		return false
	default:
		return true
	}
}

type testEnd struct {
	frame.Link
	l  *testLink
	up bool
}

func (e *testEnd) Send(ctx context.Context, f frame.Frame) error {
	if err := e.l.wait(ctx); err != nil {
		return err
	}
	if e.up {
		e.l.mu.Lock()
		e.l.frames[f.Kind]++
		e.l.bytes += len(f.Body)
		e.l.mu.Unlock()
	}
	return e.Link.Send(ctx, f)
}

func (e *testEnd) Recv(ctx context.Context) (frame.Frame, error) {
	f, err := e.Link.Recv(ctx)
	if err == nil {
		err = e.l.wait(ctx)
	}
	return f, err
}

// Close of a stopped process is not seen by the other end; here it is, since the
// test ends.
func (e *testEnd) Close() error {
	if e.l.wait(context.Background()) != nil {
		return nil
	}
	return e.Link.Close()
}
