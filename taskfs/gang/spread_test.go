package gang

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/frame"
)

var spreadSize = flag.Int("spread.mib", 2, "how much TestATreeSpreadsInput gives to each task, in MiB")

// A nic is what a node sends with: to one after the other, so fast and no faster.
type nic struct {
	rate float64 // bytes a second

	mu   sync.Mutex
	free time.Time // guarded by mu: when what it has is sent
}

// sent waits until n more bytes have been sent.
func (c *nic) sent(n int) {
	c.mu.Lock()
	if now := time.Now(); c.free.Before(now) {
		c.free = now
	}
	c.free = c.free.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
	until := time.Until(c.free)
	c.mu.Unlock()
	<-time.After(until)
}

// A wire is an end of a link whose node has a nic.
type wire struct {
	frame.Link
	nic *nic
}

func (w wire) Send(ctx context.Context, f frame.Frame) error {
	w.nic.sent(len(f.Body) + 16)
	return w.Link.Send(ctx, f)
}

// TestATreeSpreadsInput: 256 tasks are given the same input, by a root that sends
// it to all of them, and by one that sends it to 16 nodes which do so too. Each
// node sends at 100 MiB/s.
func TestATreeSpreadsInput(t *testing.T) {
	size := *spreadSize << 20
	if raced {
		size /= 8
	}
	run := func(t *testing.T, build func(f *forest, link func(up, low *testNode)) *testNode) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			f := newForest(t)
			defer f.close()
			nics := map[*testNode]*nic{}
			link := func(up, low *testNode) {
				for _, n := range []*testNode{up, low} {
					if nics[n] == nil {
						nics[n] = &nic{rate: 100 << 20}
					}
				}
				a, b := frame.Pipe(0)
				f.link(up, low, wire{a, nics[up]}, wire{b, nics[low]})
			}
			top := build(f, link)
			f.joined()
			rec := newRecord()
			g := reserve(t, top.Node, Want{N: 256, Number: top.Number()}, rec)
			exec(t, g, "count")
			piece := make([]byte, pieceSize)
			begun := time.Now()
			for range size / len(piece) {
				if err := g.Input(t.Context(), all(g), piece); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.CloseInput(t.Context(), all(g)); err != nil {
				t.Fatal(err)
			}
			rec.ended(t, 256)
			took = time.Since(begun)
			for r := range 256 {
				if got := rec.out[r].String(); got != fmt.Sprintf("%d\n", size) {
					t.Fatalf("rank %d counts %q", r, got)
				}
			}
			release(t, g)
			rec.check(t)
		})
		return took
	}
	slow := func(o *Options) { o.Cluster.Period = time.Hour } // beats are not what is measured
	flat := run(t, func(f *forest, link func(up, low *testNode)) *testNode {
		top := f.node("top", 1, slow)
		for i := range 256 {
			link(top, f.node(fmt.Sprintf("leaf%d", i), 1, slow))
		}
		return top
	})
	tree := run(t, func(f *forest, link func(up, low *testNode)) *testNode {
		top := f.node("top", 1, slow)
		for i := range 16 {
			in := f.node(fmt.Sprintf("inner%d", i), 1, slow)
			link(top, in)
			for j := range 16 {
				link(in, f.node(fmt.Sprintf("leaf%d.%d", i, j), 1, slow))
			}
		}
		return top
	})
	t.Logf("%d bytes to 256 tasks: flat %v, tree %v: %.1f x", size, flat, tree, flat.Seconds()/tree.Seconds())
	if tree*3 > flat {
		t.Errorf("a tree of 16 x 16 takes %v and a flat one %v: less than 3 x faster", tree, flat)
	}
}
