package gang

import (
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/internal/supervise"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// TestMain makes this program a supervisor when a Runner starts it as one.
func TestMain(m *testing.M) {
	if supervise.Main(os.Args) {
		return
	}
	os.Exit(m.Run())
}

// real gives a node processes instead of goroutines.
func real(t testing.TB) func(*Options) {
	r, err := supervise.New(supervise.Options{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) {
		o.Runner, o.Dir, o.Env = r, "", os.Environ()
	}
}

// realTree is a root with four leaves that run processes.
func realTree(t testing.TB) (*forest, *testNode) {
	f := newForest(t)
	top := f.node("top", 4, real(t))
	for i := range 4 {
		a, b := frame.Pipe(0)
		f.link(top, f.node(fmt.Sprintf("leaf%d", i), 1, real(t)), a, b)
	}
	f.joined()
	return f, top
}

func TestProcessesRunOnNodesBelow(t *testing.T) {
	f, top := realTree(t)
	defer f.close()
	rec := newRecord()
	g := reserve(t, top.Node, Want{N: 8, Number: top.Number()}, rec)
	err := g.Exec(t.Context(), all(g), Spec{
		Argv: []string{"sh", "-c", `cat; echo $TASKFS_RANK of $TASKFS_SIZE on $TASKFS_NODE; exit $TASKFS_RANK`}, Umask: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Input(t.Context(), all(g), []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	if err := g.CloseInput(t.Context(), all(g)); err != nil {
		t.Fatal(err)
	}
	rec.ended(t, 8)
	for r := range 8 {
		want := fmt.Sprintf("hello\n%d of 8 on leaf%d\n", r, r/2)
		if rec.out[r].String() != want || rec.exits[r].Status != fmt.Sprintf("exit %d", r) {
			t.Errorf("rank %d: %q, %+v", r, rec.out[r], rec.exits[r])
		}
	}
	release(t, g)
	rec.check(t)
}

// BenchmarkTrue runs true a thousand times through a root and four leaves, beside a
// bare loop of os/exec of the same width.
func BenchmarkTrue(b *testing.B) {
	const n, width = 1000, 4
	path, err := osexec.LookPath("true")
	if err != nil {
		b.Skip(err)
	}
	f, top := realTree(b)
	defer f.close()
	var ours, bare time.Duration
	for range b.N {
		c := newCounter(n)
		begun := time.Now()
		g, err := top.Reserve(b.Context(), Want{N: n, Number: top.Number()}, c)
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Exec(b.Context(), all(g), Spec{Argv: []string{"true"}, Umask: -1, NoInput: true}); err != nil {
			b.Fatal(err)
		}
		<-c.over
		ours += time.Since(begun)
		release(b, g)
		top.Free(g.req.number)

		begun = time.Now()
		var loops sync.WaitGroup
		for range width {
			loops.Go(func() {
				for range n / width {
					if err := osexec.Command(path).Run(); err != nil {
						b.Error(err)
					}
				}
			})
		}
		loops.Wait()
		bare += time.Since(begun)
	}
	b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "ours-ms")
	b.ReportMetric(float64(bare.Milliseconds())/float64(b.N), "bare-ms")
	b.ReportMetric(float64(ours)/float64(bare), "x-bare")
}

// A first is an Above that says when output comes.
type first struct{ out, over chan struct{} }

func (f first) Output(ranks.Set, gather.Stream, []byte) { f.out <- struct{}{} }
func (f first) Started(ranks.Set)                       {}
func (f first) Lost(ranks.Set, string)                  {}
func (f first) Fenced(ranks.Set, string)                {}
func (f first) Ready(ranks.Set)                         {}
func (f first) Exited(string, uint64, []task.Exit)      { f.over <- struct{}{} }

// BenchmarkFirstByte is the time from Exec on a reserved session to the first byte
// of its output, here and on a leaf, beside a bare fork and exec.
func BenchmarkFirstByte(b *testing.B) {
	echo, err := osexec.LookPath("echo")
	if err != nil {
		b.Skip(err)
	}
	for _, where := range []string{"here", "leaf"} {
		b.Run(where, func(b *testing.B) {
			f, top := realTree(b)
			defer f.close()
			a := first{make(chan struct{}, 1), make(chan struct{}, 1)}
			w := Want{N: 1, Number: top.Number(), Local: where == "here"}
			g, err := top.Reserve(b.Context(), w, a)
			if err != nil {
				b.Fatal(err)
			}
			var ours, bare []time.Duration
			for range b.N {
				begun := time.Now()
				if err := g.Exec(b.Context(), all(g), Spec{Argv: []string{"echo", "x"}, Umask: -1, NoInput: true}); err != nil {
					b.Fatal(err)
				}
				<-a.out
				ours = append(ours, time.Since(begun))
				<-a.over
				begun = time.Now()
				cmd := osexec.Command(echo, "x")
				out, err := cmd.StdoutPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					b.Fatal(err)
				}
				if _, err := out.Read(make([]byte, 10)); err != nil {
					b.Fatal(err)
				}
				bare = append(bare, time.Since(begun))
				cmd.Wait()
			}
			release(b, g)
			slices.Sort(ours)
			slices.Sort(bare)
			o, p := ours[len(ours)/2], bare[len(bare)/2]
			b.ReportMetric(float64(o.Microseconds()), "ours-us")
			b.ReportMetric(float64(p.Microseconds()), "bare-us")
			b.ReportMetric(float64(o)/float64(p), "x-bare")
		})
	}
}

// BenchmarkInput gives 64 MiB to eight tasks, beside tee(1).
func BenchmarkInput(b *testing.B) {
	const size, tasks = 64 << 20, 8
	tee, err := osexec.LookPath("tee")
	if err != nil {
		b.Skip(err)
	}
	f := newForest(b)
	n := f.node("here", tasks, real(b))
	defer f.close()
	data := make([]byte, size)
	var ours, peer time.Duration
	for range b.N {
		// To /dev/null, so that both only distribute.
		c := newCounter(tasks)
		g, err := n.Reserve(b.Context(), Want{N: tasks, Number: n.Number()}, c)
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Exec(b.Context(), all(g), Spec{Argv: []string{"sh", "-c", "exec cat > /dev/null"}, Umask: -1}); err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		for at := 0; at < size; at += pieceSize {
			if err := g.Input(b.Context(), all(g), data[at:at+pieceSize]); err != nil {
				b.Fatal(err)
			}
		}
		if err := g.CloseInput(b.Context(), all(g)); err != nil {
			b.Fatal(err)
		}
		<-c.over
		ours += time.Since(begun)
		release(b, g)
		n.Free(g.req.number)

		peer += teeTo(b, tee, tasks, data)
	}
	b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "ours-ms")
	b.ReportMetric(float64(peer.Milliseconds())/float64(b.N), "tee-ms")
	b.ReportMetric(float64(ours)/float64(peer), "x-tee")
}

// teeTo is how long tee takes to give data to so many cats, through fifos.
func teeTo(b *testing.B, tee string, n int, data []byte) time.Duration {
	dir := b.TempDir()
	var fifos []string
	var cats []*osexec.Cmd
	for i := range n {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := osexec.Command("mkfifo", name).Run(); err != nil {
			b.Skip(err)
		}
		fifos = append(fifos, name)
		cat := osexec.Command("sh", "-c", "exec cat < "+name+" > /dev/null")
		if err := cat.Start(); err != nil {
			b.Fatal(err)
		}
		cats = append(cats, cat)
	}
	cmd := osexec.Command(tee, fifos...) // its own output goes nowhere
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(in, strings.NewReader(string(data))); err != nil {
		b.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	for _, cat := range cats {
		if err := cat.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun)
}
