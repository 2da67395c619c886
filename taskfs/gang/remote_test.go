package gang

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"hubfs/taskfs/ranks"
	"hubfs/taskfs/tasktest"
)

func TestTasksRunOnNodesBelow(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.tree(3, 2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 5, Number: top.Number()}, rec)
		exec(t, g, "echo %n")
		rec.ended(t, 5)
		if got, want := rec.text(), "0: leaf11\n1: leaf12\n2: leaf13\n3: leaf21\n4: leaf22\n"; got != want {
			t.Errorf("output:\n%s", got)
		}
		if got := rec.statuses(); got != "exit 0 x5" {
			t.Errorf("ended: %s", got)
		}
		if rec.nodes[4] != "inner2/leaf22" {
			t.Errorf("rank 4 ended at %q", rec.nodes[4])
		}
		p := g.Place()
		if len(p.Parts) != 2 || p.Parts[0].Node != "inner1" || len(p.Parts[0].Parts) != 3 || p.Parts[1].Parts[1].Node != "inner2/leaf22" {
			t.Errorf("place: %+v", p)
		}
		for _, s := range g.Tasks() {
			// The one task of a leaf is the session itself, as its parent made it.
			if s.Number != 0 || s.Epoch == 0 || s.State != Done || s.Dir != "/"+s.Node[strings.Index(s.Node, "/")+1:] {
				t.Errorf("status: %+v", s)
			}
		}
		exec(t, g, "env TASKFS_RANK TASKFS_SIZE TASKFS_NODE TASKFS_SESSION")
		rec.until(t, "the second run has ended", func() bool {
			return len(rec.exits) == 5 && strings.Contains(rec.out[3].String(), "TASKFS_SESSION")
		})
		if got, want := rec.out[3].String(), "leaf21\nTASKFS_RANK=3\nTASKFS_SIZE=5\nTASKFS_NODE=inner2/leaf21\nTASKFS_SESSION=s0\n"; got != want {
			t.Errorf("environment: %q", got)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestSeveralTasksOfALeafHaveNumbers(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.flat(2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 5, Number: top.Number()}, rec)
		var got []string
		for _, s := range g.Tasks() {
			got = append(got, fmt.Sprintf("%s %d", s.Node, s.Number))
		}
		// The request is session 0 of the leaf, its tasks are those that follow.
		if s := strings.Join(got, ", "); s != "leaf1 1, leaf1 2, leaf1 3, leaf2 1, leaf2 2" {
			t.Errorf("tasks: %s", s)
		}
		exec(t, g, "hold gate")
		synctest.Wait()
		leaf := f.named("leaf1")
		guests := leaf.Guests()
		if len(guests) != 4 || len(guests[0].Status()) != 3 || len(guests[2].Status()) != 1 || guests[2].Status()[0].State != Execute {
			t.Errorf("guests: %v", guests)
		}
		guests[2].Kill()
		rec.ended(t, 1)
		if e := rec.exits[1]; e.Status != "signal KILL" {
			t.Errorf("killed: %+v", rec.exits)
		}
		guests[0].Kill()
		rec.ended(t, 3)
		release(t, g)
		if k := len(leaf.Guests()); k != 0 {
			t.Errorf("%d guests after release", k)
		}
		rec.check(t)
	})
}

func TestInputAndSignalsGoDown(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.tree(2, 2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 8, Number: top.Number()}, rec)
		exec(t, g, "cat")
		for _, c := range []struct{ set, text string }{{"0-7", "all\n"}, {"1,3-5", "some\n"}, {"7", "one\n"}} {
			set, _ := ranks.Parse(c.set)
			if err := g.Input(t.Context(), set, []byte(c.text)); err != nil {
				t.Fatal(err)
			}
		}
		big := strings.Repeat("x", 3*window) + "\n"
		if err := g.Input(t.Context(), ranks.Of(2, 6), []byte(big)); err != nil {
			t.Fatal(err)
		}
		g.CloseInput(t.Context(), ranks.Span(0, 4))
		rec.ended(t, 4)
		if err := g.Signal(t.Context(), ranks.Span(4, 8), "INT"); err != nil {
			t.Fatal(err)
		}
		rec.ended(t, 8)
		if got := rec.statuses(); got != "exit 0 x4, signal INT x4" {
			t.Errorf("ended: %s", got)
		}
		if got := rec.out[1].String() + rec.out[3].String(); got != "all\nsome\nall\nsome\n" {
			t.Errorf("output: %q", got)
		}
		if rec.out[2].String() != "all\n"+big {
			t.Errorf("rank 2 has %d bytes", rec.out[2].Len())
		}
		release(t, g)
		rec.check(t)
	})
}

// TestALostNodesTasksRunElsewhere but not before it is fenced.

// TestANodeThatLeavesAndOneThatComes: what one had the other gets, while the

// session runs.

// TestACutLinkEndsItsTasks at once, on the node and on all below it.

// TestALeafLostBelowIsToldUp: the top hears of it as of its own.

// TestAStoppedNodeEndsItsTasks: what hears nothing of its parent runs nothing

// when that may run it elsewhere, though nobody can tell it so.

// TestAllOrNothing: if one of the nodes cannot, none keeps anything.

// TestWhatIsLostWhileOthersReserve is told when all have.

// TestSlotsThatAreTakenMeanwhile: who wants no more than there are free gets none

// that another session has taken since they were offered.

func TestSlotsThatAreTakenMeanwhile(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.flat(1)
		leaf := f.named("leaf1")
		want, _ := Want{N: 2, Min: 2}.request("top")
		shares, err := top.shares(t.Context(), &want)
		if err != nil {
			t.Fatal(err)
		}
		leaf.occupy(1, false) // by another
		g := newGang(top.Node, &want, newRecord(), visit{})
		if _, err := top.take(t.Context(), g, shares); !errors.Is(err, ErrInsufficient) {
			t.Errorf("taken: %v", err)
		}
		leaf.vacate(1)
		release(t, reserve(t, top.Node, Want{N: 2, Min: 2}, newRecord()))
	})
}

func TestConstraintsAreForAll(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top := f.node("top", 4)
		inner := f.node("inner", 4)
		gpu := func(o *Options) { o.Cluster.Info.Labels = []string{"gpu"} }
		mac := func(o *Options) { o.Cluster.Info.OS, o.Cluster.Info.Arch = "darwin", "arm64" }
		f.join(inner, f.node("a", 2, gpu))
		f.join(inner, f.node("b", 2, mac))
		f.join(inner, f.node("c", 2))
		f.join(top, inner)
		f.join(top, f.node("d", 2, mac))
		for _, c := range []struct {
			want Want
			runs string
			err  string
		}{
			{want: Want{N: 2, OS: "MacOSX"}, runs: "b: 1, d: 0"},
			{want: Want{N: 3, OS: "Linux", Arch: "x86_64"}, runs: "a: 0 1, c: 2"},
			{want: Want{N: 3, Labels: []string{"gpu"}}, runs: "a: 0 1 2"},
			{want: Want{N: 1, OS: "linux", Arch: "arm64"}, err: "No resources matching request: linux arm64"},
			{want: Want{N: 1, Nodes: []string{"c", "inner/a"}}, runs: "a: 1, c: 0"},
			{want: Want{N: 2, Nodes: []string{"d", "inner/b", "a"}}, runs: "a: 4 5, b: 2 3, d: 0 1"},
			{want: Want{N: 1, Nodes: []string{"top", "d"}}, runs: "d: 1, top: 0"},
			{want: Want{N: 1, Nodes: []string{"c", "x"}}, err: "node x is not there"},
			{want: Want{N: 1, Nodes: []string{"inner"}}, err: "node inner"},
			{want: Want{N: 1, Nodes: []string{"c"}, OS: "darwin"}, err: "No resources matching request"},
			{want: Want{N: 1, Local: true}, runs: "top: 0"},
			{want: Want{N: 0}, runs: "top: 0"},
			{want: Want{N: 8, Min: 3, Labels: []string{"gpu"}}, err: "insufficient resources: 3 asked, 2 free"},
			{want: Want{N: 8, Min: 2, Labels: []string{"gpu"}}, runs: "a: 0 1"},
			{want: Want{N: 3, Policy: "fill"}, runs: "d: 0 1, a: 2"},
		} {
			rec := newRecord()
			c.want.Number = top.Number()
			g, err := top.Reserve(t.Context(), c.want, rec)
			top.Free(c.want.Number)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%+v: %v, want %q", c.want, err, c.err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%+v: %v", c.want, err)
				continue
			}
			exec(t, g, "sleep 1h")
			synctest.Wait()
			if got := f.ran(); !sameRuns(got, c.runs) {
				t.Errorf("%+v: there run %s, want %s", c.want, got, c.runs)
			}
			release(t, g)
			rec.check(t)
		}
	})
}

// sameRuns compares what ran says, in any order.

func sameRuns(a, b string) bool {
	set := func(s string) map[string]bool {
		m := map[string]bool{}
		for _, r := range strings.Split(s, ", ") {
			m[r] = true
		}
		return m
	}
	return fmt.Sprint(set(a)) == fmt.Sprint(set(b))
}

// TestASessionThatIsNotTakenUp holds up neither another nor the beats.

func TestASessionThatIsNotTakenUp(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.tree(2)
		held, free := newRecord(), newRecord()
		held.hold = make(chan struct{})
		a := reserve(t, top.Node, Want{N: 4, Number: top.Number()}, held)
		b := reserve(t, top.Node, Want{N: 4, Number: top.Number()}, free)
		f.w.Command("noise", func(p *tasktest.Proc) string {
			r, _ := strconv.Atoi(p.Env("TASKFS_RANK"))
			src := rand.NewChaCha8([32]byte{byte(r)})
			b := make([]byte, 1000)
			for range 2000 {
				src.Read(b)
				p.Out(string(b))
			}
			return "exit 0"
		})
		exec(t, a, "noise")
		synctest.Wait()
		if k := len(f.w.Running()); k != 4 {
			t.Errorf("%d of the held tasks run", k)
		}
		time.Sleep(time.Minute) // six times what a silent node has
		exec(t, b, "echo hello")
		free.ended(t, 4)
		if got := free.statuses(); got != "exit 0 x4" {
			t.Errorf("the other session: %s", got)
		}
		close(held.hold)
		held.ended(t, 4)
		for r := range 4 {
			want := make([]byte, 2_000_000)
			rand.NewChaCha8([32]byte{byte(r)}).Read(want)
			if held.out[r].String() != string(want) {
				t.Errorf("rank %d: not what it has said, in %d bytes", r, held.out[r].Len())
			}
		}
		release(t, a)
		release(t, b)
		held.check(t)
		free.check(t)
	})
}

// TestASlowTaskBelow holds back only what is for it.

func TestASlowTaskBelow(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.tree(2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 4, Number: top.Number()}, rec)
		if err := g.Exec(t.Context(), ranks.Of(0), Spec{Argv: []string{"hold", "gate"}}); err != nil {
			t.Fatal(err)
		}
		if err := g.Exec(t.Context(), ranks.Span(1, 4), Spec{Argv: []string{"count"}}); err != nil {
			t.Fatal(err)
		}
		stuck := make(chan error, 1)
		go func() { stuck <- g.Input(t.Context(), ranks.Of(0), make([]byte, 4*window)) }() // ends when the gate is open
		synctest.Wait()
		for r := 1; r < 4; r++ {
			if err := g.Input(t.Context(), ranks.Of(r), make([]byte, 4*window)); err != nil {
				t.Fatal(err)
			}
		}
		g.CloseInput(t.Context(), ranks.Span(1, 4))
		rec.ended(t, 3)
		if got, want := rec.text(), fmt.Sprintf("1: %d\n2: %[1]d\n3: %[1]d\n", 4*window); got != want {
			t.Errorf("output:\n%s", got)
		}
		f.w.Open("gate")
		if err := <-stuck; err != nil {
			t.Error(err)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestFilesGoOnceOverEachLink(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, links := f.tree(2, 1)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 6, Number: top.Number()}, rec)
		big := make([]byte, 3*window)
		if err := g.Push(t.Context(), fstest.MapFS{"bin/prog": {Data: big, Mode: 0o755}}); err != nil {
			t.Fatal(err)
		}
		for name, l := range links {
			l.mu.Lock()
			if l.bytes < len(big) || l.bytes > len(big)+100_000 {
				t.Errorf("%s: %d bytes of %d", name, l.bytes, len(big))
			}
			l.mu.Unlock()
		}
		exec(t, g, "ls")
		rec.ended(t, 6)
		for r := range 6 {
			if got, want := rec.out[r].String(), fmt.Sprintf("bin/prog -rwxr-xr-x %d\n", len(big)); got != want {
				t.Errorf("rank %d: %q", r, got)
			}
		}
		release(t, g)
		rec.check(t)
	})
}

func TestADrainedNodeGetsNoTasks(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.flat(2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 2, Number: top.Number()}, rec)
		exec(t, g, "hold gate")
		synctest.Wait()
		if err := top.Cluster().Drain("leaf1"); err != nil {
			t.Fatal(err)
		}
		other := newRecord()
		h := reserve(t, top.Node, Want{N: 3, Number: top.Number()}, other)
		exec(t, h, "echo %n")
		other.ended(t, 3)
		if got := other.text(); got != "0: leaf2\n1: leaf2\n2: leaf2\n" {
			t.Errorf("output:\n%s", got)
		}
		if err := top.Cluster().Drain("leaf2"); err != nil {
			t.Fatal(err)
		}
		_, err := top.Reserve(t.Context(), Want{N: 1}, other)
		if !errors.Is(err, ErrNoRemote) || !strings.Contains(err.Error(), "leaf1 is drained, leaf2 is drained") {
			t.Errorf("all are drained: %v", err)
		}
		if k := len(f.w.Running()); k != 2 {
			t.Errorf("%d run", k)
		}
		f.w.Open("gate")
		rec.ended(t, 2)
		release(t, g)
		release(t, h)
	})
}

// TestAnExecutorIsOneMoreChildOfItself.

func TestAnExecutorIsOneMoreChildOfItself(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top := f.node("top", 2, func(o *Options) { o.Cluster.Info.Executor = true })
		inner := f.node("inner", 2, func(o *Options) { o.Cluster.Info.Executor = true })
		f.join(inner, f.node("leaf", 2))
		f.join(top, inner)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 6, Number: top.Number()}, rec)
		exec(t, g, "sleep 1h")
		synctest.Wait()
		if got := f.ran(); got != "inner: 2 3, leaf: 4 5, top: 0 1" {
			t.Errorf("there run %s", got)
		}
		p := g.Place()
		if len(p.Parts) != 2 || p.Parts[0].Node != "" || len(p.Parts[0].Parts) != 2 || p.Parts[1].Node != "inner" || len(p.Parts[1].Parts) != 2 {
			t.Errorf("place: %+v", p)
		}
		l := top.load()
		if l.Slots != 6 || l.Free != 0 {
			// Beats say what is free below: with the next.
			time.Sleep(10 * time.Second)
			if l = top.load(); l.Slots != 6 || l.Free != 0 {
				t.Errorf("load: %+v", l)
			}
		}
		if c := top.Census(); len(c) != 1 || c[0].Nodes != 3 {
			t.Errorf("census: %+v", c)
		}
		release(t, g)
		rec.check(t)
	})
}

// TestATopThatEndsEndsItsTasks: when the node at which the session is goes, nothing

// of it stays.

// TestFramesThatMeanNothing end the session they are of, at worst.

func TestDivide(t *testing.T) {
	for _, c := range []struct {
		n      int
		caps   string // slots/free
		policy string
		cursor int
		want   string
		next   int
	}{
		{n: 4, caps: "2/2 2/2", want: "2 2"},
		{n: 5, caps: "2/2 2/2", want: "3 2", next: 1},
		{n: 5, caps: "2/2 2/2", cursor: 1, want: "2 3", next: 0},
		{n: 1, caps: "4/4 4/4 4/4", cursor: 2, want: "0 0 1", next: 0},
		{n: 6, caps: "4/4 4/2", want: "4 2"},
		{n: 3, caps: "4/0 4/3", want: "0 3"},
		{n: 8, caps: "4/0 4/4", want: "2 6"},
		{n: 10, caps: "1/1 9/9", want: "1 9"},
		{n: 20, caps: "1/1 9/9", want: "2 18"},
		{n: 3, caps: "0/0 0/0 0/0", want: "1 1 1"},
		{n: 5, caps: "4/3 4/4", policy: "fill", want: "3 2"},
		{n: 9, caps: "4/3 4/4", policy: "fill", want: "4 5"},
		{n: 5, caps: "9/9 9/9", policy: "legacy", want: "3 2"},
		{n: 11, caps: "1/1 1/1 1/1 1/1", policy: "legacy", want: "5 2 2 2"},
		{n: 2, caps: "1/1 1/1 1/1", policy: "legacy", cursor: 2, want: "1 0 1", next: 1},
	} {
		var caps []capacity
		for _, s := range strings.Fields(c.caps) {
			var x capacity
			fmt.Sscanf(s, "%d/%d", &x.slots, &x.free)
			caps = append(caps, x)
		}
		counts, next := divide(c.n, caps, c.policy, c.cursor)
		got := strings.Trim(fmt.Sprint(counts), "[]")
		if got != c.want || c.policy != "" && next != c.next || c.want != "" && c.next != 0 && next != c.next {
			t.Errorf("%d over %s, %q from %d: %s and %d, want %s and %d", c.n, c.caps, c.policy, c.cursor, got, next, c.want, c.next)
		}
		sum := 0
		for _, k := range counts {
			sum += k
		}
		if sum != c.n {
			t.Errorf("%d over %s: %d", c.n, c.caps, sum)
		}
	}
}
