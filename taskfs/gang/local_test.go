package gang

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/tasktest"
)

// alone returns a node that is a world of its own, with so many slots.

func alone(t testing.TB, w *tasktest.World, slots int) (*Node, *tasktest.Runner) {
	r := w.Runner("here")
	n := New(Options{
		Cluster: cluster.Options{Info: cluster.Info{Name: "here", OS: "linux", Arch: "amd64", Slots: slots, Memory: 1 << 30, Labels: []string{"gpu"}}},
		Runner:  r,
		Dir:     "/",
		Env:     []string{"PATH=/bin", "A=1"},
	})
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
		w.Wait()
		for _, f := range w.Faults() {
			t.Error(f)
		}
		if run := w.Running(); len(run) > 0 {
			t.Errorf("left over: %v", run)
		}
		if c := r.Crews(); c > 0 {
			t.Errorf("%d crews are left over", c)
		}
	})
	return n, r
}

func reserve(t testing.TB, n *Node, w Want, a Above) *Gang {
	t.Helper()
	g, err := n.Reserve(t.Context(), w, a)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func exec(t testing.TB, g *Gang, argv string) {
	t.Helper()
	if err := g.Exec(t.Context(), all(g), Spec{Argv: strings.Fields(argv), Umask: -1, Session: "s" + g.req.Session}); err != nil {
		t.Fatal(err)
	}
}

func all(g *Gang) ranks.Set { return ranks.Span(0, g.Size()) }

func release(t testing.TB, g *Gang) {
	t.Helper()
	g.Release()
	select {
	case <-g.Done():
	case <-t.Context().Done():
		t.Fatal("the gang does not end")
	}
}

func TestTasksRunHere(t *testing.T) {
	world(t, func(t *testing.T) {
		w := tasktest.NewWorld()
		n, _ := alone(t, w, 2)
		rec := newRecord()
		number := n.Number()
		g := reserve(t, n, Want{N: 3, Number: number}, rec)
		if got := states(g); got != "Reserved 3" {
			t.Errorf("reserved: %s", got)
		}
		p := g.Place()
		if p.Number != 0 || len(p.Parts) != 3 || p.Parts[2].Number != 3 || p.Parts[2].Ranks.String() != "2" {
			t.Errorf("place: %+v", p)
		}
		exec(t, g, "echo task %r on %n")
		rec.ended(t, 3)
		if got := rec.text(); got != "0: task 0 on here\n1: task 1 on here\n2: task 2 on here\n" {
			t.Errorf("output:\n%s", got)
		}
		if got := rec.statuses(); got != "exit 0 x3" {
			t.Errorf("ended: %s", got)
		}
		if got := states(g); got != "Done 3" {
			t.Errorf("done: %s", got)
		}
		if s := g.Tasks()[1]; s.Number != 2 || s.Rank != 1 || s.Tries != 1 || s.Dir != "/" || s.Exit.PID == 0 {
			t.Errorf("status: %+v", s)
		}
		// The same reservation again.
		exec(t, g, "env TASKFS_RANK TASKFS_SIZE TASKFS_NODE TASKFS_EPOCH TASKFS_SESSION A")
		rec.until(t, "they have ended again", func() bool { return len(rec.exits) == 3 && len(rec.out[2].String()) > 40 })
		if got, want := rec.out[1].String(), "task 1 on here\nTASKFS_RANK=1\nTASKFS_SIZE=3\nTASKFS_NODE=here\nTASKFS_EPOCH=0\nTASKFS_SESSION=s0\nA=1\n"; got != want {
			t.Errorf("environment: %q", got)
		}
		release(t, g)
		if k := n.Number(); k != 1 {
			t.Errorf("the next session is %d: the tasks' numbers are not free", k)
		}
		rec.check(t)
	})
}

func TestOneTaskHereRunsInTheSession(t *testing.T) {
	w := tasktest.NewWorld()
	n, _ := alone(t, w, 2)
	rec := newRecord()
	n.Number()
	g := reserve(t, n, Want{N: 0, Number: n.Number()}, rec)
	if p := g.Place(); p.Number != 1 || len(p.Parts) != 0 {
		t.Errorf("place: %+v", p)
	}
	if s := g.Tasks(); len(s) != 1 || s[0].Number != 1 {
		t.Errorf("tasks: %+v", s)
	}
	release(t, g)
	g = reserve(t, n, Want{N: 1, Number: 1}, rec)
	if p := g.Place(); len(p.Parts) != 1 || p.Parts[0].Number != 2 {
		t.Errorf("res 1: %+v", p)
	}
	release(t, g)
}

func TestWhatCannotBeReserved(t *testing.T) {
	w := tasktest.NewWorld()
	n, r := alone(t, w, 4)
	for _, c := range []struct {
		want Want
		is   error
		text string
	}{
		{Want{N: 1, Remote: true}, ErrNoRemote, "No remote resources available"},
		{Want{N: 1, OS: "Plan9"}, ErrNoMatch, "No resources matching request: Plan9"},
		{Want{N: 1, Arch: "arm"}, ErrNoMatch, "arm"},
		{Want{N: 1, Memory: 2 << 30}, ErrNoMatch, "mem="},
		{Want{N: 1, Labels: []string{"big"}}, ErrNoMatch, "label=big"},
		{Want{N: 1, Nodes: []string{"there", "here"}}, ErrNoMatch, "node there is not there"},
		{Want{N: 9, Min: 5}, ErrInsufficient, "5 asked, 4 free"},
		{Want{N: -1}, nil, "res -1: between 0 and"},
		{Want{N: 2, Min: 3}, nil, "min=3"},
		{Want{N: 1, Policy: "best"}, nil, "even, fill or legacy was expected"},
		{Want{N: 1, Nodes: []string{"a/"}}, nil, "a name or a path"},
	} {
		_, err := n.Reserve(t.Context(), c.want, newRecord())
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.want, err)
		}
	}
	for _, c := range []Want{
		{N: 1, OS: "Linux", Arch: "x86_64"}, {N: 1, OS: "*", Arch: "*"}, {N: 1, Memory: 1 << 20, Labels: []string{"gpu"}},
		{N: 2, Nodes: []string{"here"}}, {N: 9, Min: 4}, {N: 9},
	} {
		g := reserve(t, n, c, newRecord())
		want := c.N
		if c.Min > 0 {
			want = 4
		}
		if g.Size() != want {
			t.Errorf("%+v: %d tasks", c, g.Size())
		}
		release(t, g)
	}
	r.Refuse(errors.New("no processes any more"))
	if _, err := n.Reserve(t.Context(), Want{N: 4, Min: 4}, newRecord()); err == nil || !strings.Contains(err.Error(), "no processes any more") {
		t.Errorf("no crew: %v", err)
	}
	r.Refuse(nil)
	release(t, reserve(t, n, Want{N: 4, Min: 4}, newRecord())) // the slots were given back
}

func TestExecSaysWhatIsWrong(t *testing.T) {
	w := tasktest.NewWorld()
	n, _ := alone(t, w, 4)
	rec := newRecord()
	g := reserve(t, n, Want{N: 2, Number: n.Number()}, rec)
	try := func(set ranks.Set, s Spec, text string) {
		t.Helper()
		if err := g.Exec(t.Context(), set, s); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %q", s, err, text)
		}
	}
	try(all(g), Spec{}, "a command was expected")
	try(ranks.Set{}, Spec{Argv: []string{"true"}}, "no task")
	try(ranks.Of(2), Spec{Argv: []string{"true"}}, "the highest is 1")
	try(all(g), Spec{Argv: []string{"a\x00b"}}, "zero byte")
	try(all(g), Spec{Argv: []string{strings.Repeat("x", 1<<20)}}, "more than")
	if err := g.Signal(t.Context(), all(g), "TERM"); !errors.Is(err, ErrNotStarted) {
		t.Errorf("signal before exec: %v", err)
	}
	exec(t, g, "hold gate")
	try(ranks.Of(1), Spec{Argv: []string{"true"}}, "already in use")
	if err := g.Signal(t.Context(), all(g), "BOO"); err == nil {
		t.Error("an unknown signal was sent")
	}
	if err := g.Signal(t.Context(), ranks.Of(1), "sigterm"); err != nil {
		t.Error(err)
	}
	rec.ended(t, 1)
	if got := states(g); got != "Execute 1, Killed 1" {
		t.Errorf("states: %s", got)
	}
	if err := g.Signal(t.Context(), ranks.Of(1), "TERM"); err != nil {
		t.Errorf("to one that has ended: %v", err)
	}
	if err := g.Exec(t.Context(), ranks.Of(1), Spec{Argv: []string{"/no/such"}}); err != nil {
		t.Fatal(err)
	}
	rec.until(t, "it has failed", func() bool { return strings.HasPrefix(rec.exits[1].Status, "fail exec") })
	if got := states(g); got != "Execute 1, Fail 1" {
		t.Errorf("states: %s", got)
	}
	w.Open("gate")
	rec.until(t, "all have ended", func() bool { return len(rec.exits) == 2 })
	release(t, g)
	try(all(g), Spec{Argv: []string{"true"}}, "already released")
	if err := g.Input(t.Context(), all(g), []byte("x")); !errors.Is(err, ErrReleased) {
		t.Errorf("input: %v", err)
	}
	rec.check(t)
}

// TestASlowTaskHoldsBackWhatIsForIt and nothing else.

// TestPullGivesTheFastMore: of eight workers one is ten times slower; records go

// to who asks, and the work takes little longer than it has to.

// TestALongRecordIsOne: a task asks for the next when it has all of it.

func TestReleaseEndsTasks(t *testing.T) {
	world(t, func(t *testing.T) {
		w := tasktest.NewWorld()
		n, _ := alone(t, w, 4)
		rec := newRecord()
		g := reserve(t, n, Want{N: 5, Number: n.Number()}, rec)
		exec(t, g, "sleep 1h")
		time.Sleep(time.Minute) // its own tasks' leases are renewed
		if k := len(w.Running()); k != 5 {
			t.Errorf("%d run", k)
		}
		release(t, g)
		if got := rec.statuses(); got != "signal KILL x5" {
			t.Errorf("ended: %s", got)
		}
		g.Release() // again is nothing
		rec.check(t)
	})
}

func TestANodeThatEndsReservesNothing(t *testing.T) {
	w := tasktest.NewWorld()
	n, _ := alone(t, w, 4)
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Reserve(t.Context(), Want{N: 1}, newRecord()); err == nil {
		t.Error("tasks were reserved")
	}
}

// TestOutputHoldsTasksBack: while an Above does not take it, a task waits.

func TestOutputHoldsTasksBack(t *testing.T) {
	world(t, func(t *testing.T) {
		w := tasktest.NewWorld()
		n, _ := alone(t, w, 4)
		rec := newRecord()
		rec.hold = make(chan struct{})
		g := reserve(t, n, Want{N: 2, Number: n.Number()}, rec)
		exec(t, g, "spew 100 1000")
		synctest.Wait()
		if rec.text() != "" || len(w.Running()) != 2 {
			t.Errorf("tasks went on: %d bytes, %d run", len(rec.text()), len(w.Running()))
		}
		close(rec.hold)
		rec.ended(t, 2)
		if a, b := rec.out[0].Len(), rec.out[1].Len(); a != 100_000 || b != 100_000 {
			t.Errorf("%d and %d bytes", a, b)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestFilesAreInTheFolder(t *testing.T) {
	w := tasktest.NewWorld()
	n, _ := alone(t, w, 4)
	rec := newRecord()
	g := reserve(t, n, Want{N: 2, Number: n.Number()}, rec)
	big := strings.Repeat("0123456789abcdef", 100_000)
	files := fstest.MapFS{
		"prog":      {Data: []byte("#!"), Mode: 0o755},
		"data/big":  {Data: []byte(big), Mode: 0o400},
		"data/none": {Data: nil, Mode: 0o644},
	}
	if err := g.Push(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	if err := g.Exec(t.Context(), all(g), Spec{Argv: []string{"true"}, Dir: "/tmp"}); err == nil || !strings.Contains(err.Error(), "files are") {
		t.Errorf("a folder beside files: %v", err)
	}
	exec(t, g, "ls")
	rec.ended(t, 2)
	want := fmt.Sprintf("data/big -rw------- %d\ndata/none -rw-r--r-- 0\nprog -rwxr-xr-x 2\n", len(big))
	if got := rec.out[1].String(); got != want {
		t.Errorf("files:\n%s\nwant\n%s", got, want)
	}
	bad := fstest.MapFS{"x": {Mode: 0o644, Data: []byte("x")}}
	if err := g.Push(t.Context(), broken{bad}); err == nil || !strings.Contains(err.Error(), "read x") {
		t.Errorf("a file that cannot be read: %v", err)
	}
	release(t, g)
	if err := g.Push(t.Context(), files); !errors.Is(err, ErrReleased) {
		t.Errorf("after release: %v", err)
	}
	rec.check(t)
}

// broken is files that cannot be read.

type broken struct{ fstest.MapFS }

func (b broken) Open(name string) (fs.File, error) {
	f, err := b.MapFS.Open(name)
	if err == nil && name == "x" {
		return brokenFile{f}, nil
	}
	return f, err
}

type brokenFile struct{ fs.File }

func (brokenFile) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }
