package gang

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"hubfs/taskfs/frame"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// A counter is an Above that only counts, so that what it measures is the gang.
type counter struct {
	bytes  atomic.Int64 // of output, each task's
	pieces atomic.Int64 // that came
	ended  atomic.Int64
	want   int64
	over   chan struct{}
}

func newCounter(tasks int) *counter { return &counter{want: int64(tasks), over: make(chan struct{})} }

func (c *counter) Output(set ranks.Set, s gather.Stream, p []byte) {
	c.bytes.Add(int64(set.Len() * len(p)))
	c.pieces.Add(1)
}
func (c *counter) Started(ranks.Set)        {}
func (c *counter) Lost(ranks.Set, string)   {}
func (c *counter) Fenced(ranks.Set, string) {}
func (c *counter) Ready(ranks.Set)          {}
func (c *counter) Exited(_ string, _ uint64, e []task.Exit) {
	if c.ended.Add(int64(len(e))) == c.want {
		close(c.over)
	}
}

// wide makes a tree of at least so many leaves, three levels of a like fan-out.
func wide(f *forest, leaves int) (top *testNode, fan, made int) {
	slow := func(o *Options) { o.Cluster.Period = time.Hour }
	pipe := func(up, low *testNode) {
		a, b := frame.Pipe(0)
		f.link(up, low, a, b)
	}
	fan = int(math.Ceil(math.Cbrt(float64(leaves))))
	top = f.node("top", 1, slow)
	for i := 0; i < fan && made < leaves; i++ {
		a := f.node(fmt.Sprintf("a%d", i), 1, slow)
		pipe(top, a)
		for j := 0; j < fan && made < leaves; j++ {
			b := f.node(fmt.Sprintf("b%d.%d", i, j), 1, slow)
			pipe(a, b)
			for k := 0; k < fan && made < leaves; k++ {
				pipe(b, f.node(fmt.Sprintf("c%d.%d.%d", i, j, k), 1, slow))
				made++
			}
		}
	}
	return top, fan, made
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkWide reserves, runs and gathers tasks on leaves of this process, on
// as many and on a tenth of them: what it takes for each task may not grow.
func BenchmarkWide(b *testing.B) {
	per := map[int]float64{}
	for _, leaves := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(leaves), func(b *testing.B) {
			f := newForest(b)
			top, fan, made := wide(f, leaves)
			f.joined()
			var reserved, ran, released time.Duration
			var memory, bytes, pieces int64
			for range b.N {
				c := newCounter(made)
				before := heap()
				begun := time.Now()
				g, err := top.Reserve(b.Context(), Want{N: made, Number: top.Number()}, c)
				if err != nil {
					b.Fatal(err)
				}
				reserved += time.Since(begun)
				begun = time.Now()
				if err := g.Exec(b.Context(), all(g), Spec{Argv: []string{"echo", "what all of them say"}, Session: "wide"}); err != nil {
					b.Fatal(err)
				}
				<-c.over
				ran += time.Since(begun)
				memory += heap() - before
				bytes, pieces = c.bytes.Load(), c.pieces.Load()
				if want := int64(made * len("what all of them say\n")); bytes != want {
					b.Fatalf("%d bytes of %d", bytes, want)
				}
				begun = time.Now()
				release(b, g)
				released += time.Since(begun)
				top.Free(g.req.number)
			}
			n := time.Duration(b.N)
			us := func(d time.Duration) float64 { return float64((d / n).Microseconds()) / float64(made) }
			b.ReportMetric(us(reserved), "µs-res/task")
			b.ReportMetric(us(ran), "µs-run/task")
			b.ReportMetric(us(released), "µs-end/task")
			b.ReportMetric(float64(memory)/float64(b.N)/float64(made), "B/task")
			b.ReportMetric(float64(pieces), "pieces")
			b.ReportMetric(float64(fan), "fan")
			per[leaves] = us(reserved) + us(ran) + us(released)
			f.close()
		})
	}
	if per[1000] > 0 && per[10_000] > 0 {
		b.Logf("a task of 10,000 takes %.2f x what one of 1,000 does", per[10_000]/per[1000])
	}
}
