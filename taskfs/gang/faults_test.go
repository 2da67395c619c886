package gang

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/ranks"
)

func TestALostNodesTasksRunElsewhere(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, links := f.flat(3)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 6, Number: top.Number()}, rec)
		exec(t, g, "hold gate %r")
		synctest.Wait()
		if err := g.Push(t.Context(), fstest.MapFS{"a": {Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		links["leaf2"].stop()
		begun := time.Now()
		rec.until(t, "it is lost", func() bool { return rec.state[2] == "lost" && rec.state[3] == "lost" })
		if d := time.Since(begun); d > 11*time.Second {
			t.Errorf("lost after %v", d)
		}
		if got := f.ran(); got != "leaf1: 0 1, leaf3: 4 5" {
			t.Errorf("at that time there run %s", got)
		}
		if err := g.Replace(t.Context(), ranks.Of(2, 3)); err == nil || !strings.Contains(err.Error(), "its state is Lost") {
			t.Errorf("replaced before it is fenced: %v", err)
		}
		if err := g.Exec(t.Context(), ranks.Of(2), Spec{Argv: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "leaf2, is lost") {
			t.Errorf("exec on a lost node: %v", err)
		}
		rec.until(t, "it is fenced", func() bool { return rec.state[2] == "fenced" && rec.state[3] == "fenced" })
		if rec.nodes[2] != "leaf2" {
			t.Errorf("lost at %q", rec.nodes[2])
		}
		if err := g.Replace(t.Context(), ranks.Of(2, 3)); err != nil {
			t.Fatal(err)
		}
		if err := g.Exec(t.Context(), ranks.Of(2, 3), Spec{Argv: []string{"hold", "gate", "%r", "again"}, Session: "s0"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := f.ran(); got != "leaf1: 0 1 2, leaf3: 3 4 5" && got != "leaf1: 0 1 3, leaf3: 2 4 5" {
			t.Errorf("now there run %s", got)
		}
		for _, s := range g.Tasks()[2:4] {
			if s.Tries != 2 || s.State != Execute || s.Node == "leaf2" {
				t.Errorf("replaced: %+v", s)
			}
		}
		links["leaf2"].goOn() // what it has still to say nobody hears
		time.Sleep(time.Second)
		f.w.Open("gate")
		rec.until(t, "all have ended", func() bool { return len(rec.exits) == 6 })
		if got := rec.text(); got != "0: 0\n1: 1\n2: 2 again\n3: 3 again\n4: 4\n5: 5\n" {
			t.Errorf("output:\n%s", got)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestANodeThatLeavesAndOneThatComes(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.flat(2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 4, Number: top.Number()}, rec)
		spec := Spec{Argv: []string{"hold", "gate", "%r on %n"}, Session: "s0", Dir: "/tmp"}
		if err := g.Exec(t.Context(), all(g), spec); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := g.Tasks()[3]; s.Dir != "/tmp" {
			t.Errorf("status: %+v", s)
		}
		begun := time.Now()
		if err := f.named("leaf2").Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// It says that nothing runs there any more: nobody has to wait.
		rec.until(t, "they are fenced", func() bool { return rec.state[2] == "fenced" && rec.state[3] == "fenced" })
		if d := time.Since(begun); d > time.Second {
			t.Errorf("fenced after %v", d)
		}
		f.join(top, f.node("leaf3", 2))
		if err := g.Replace(t.Context(), ranks.Of(2, 3)); err != nil {
			t.Fatal(err)
		}
		if err := g.Exec(t.Context(), ranks.Of(2, 3), spec); err != nil {
			t.Fatal(err)
		}
		f.w.Open("gate")
		rec.until(t, "all have ended", func() bool { return len(rec.exits) == 4 })
		if got, want := rec.text(), "0: 0 on leaf1\n1: 1 on leaf1\n2: 2 on leaf3\n3: 3 on leaf3\n"; got != want {
			t.Errorf("output:\n%s", got)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestACutLinkEndsItsTasks(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, links := f.tree(2, 2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 8, Number: top.Number()}, rec)
		exec(t, g, "sleep 1h")
		synctest.Wait()
		links["inner1"].cut()
		synctest.Wait()
		if got := f.ran(); got != "leaf21: 4 5, leaf22: 6 7" {
			t.Errorf("there run %s", got)
		}
		rec.until(t, "they are fenced", func() bool { return rec.state[0] == "fenced" && rec.state[3] == "fenced" })
		if rec.nodes[0] != "inner1" {
			t.Errorf("lost at %q", rec.nodes[0])
		}
		release(t, g)
		if got := rec.statuses(); got != "signal KILL x4" {
			t.Errorf("the others: %s", got)
		}
		rec.check(t)
	})
}

func TestALeafLostBelowIsToldUp(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, links := f.tree(2, 2)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 8, Number: top.Number()}, rec)
		exec(t, g, "hold gate %n")
		synctest.Wait()
		links["leaf12"].cut()
		rec.until(t, "they are fenced", func() bool { return rec.state[2] == "fenced" && rec.state[3] == "fenced" })
		if rec.nodes[2] != "inner1/leaf12" {
			t.Errorf("lost at %q", rec.nodes[2])
		}
		if got := states(g); got != "Execute 6, Fenced 2" {
			t.Errorf("states: %s", got)
		}
		if err := g.Replace(t.Context(), ranks.Of(2, 3)); err != nil {
			t.Fatal(err)
		}
		if err := g.Exec(t.Context(), ranks.Of(2, 3), Spec{Argv: []string{"hold", "gate", "%n"}, Session: "s0"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if k := len(f.w.Running()); k != 8 {
			t.Errorf("%d run: %s", k, f.ran())
		}
		f.w.Open("gate")
		rec.until(t, "all have ended", func() bool { return len(rec.exits) == 8 })
		release(t, g)
		rec.check(t)
	})
}

func TestAStoppedNodeEndsItsTasks(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, links := f.tree(2, 1)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 6, Number: top.Number()}, rec)
		exec(t, g, "sleep 1h")
		synctest.Wait()
		// An inner node is stopped: its links stand still, above and below.
		begun := time.Now()
		for _, l := range []string{"inner1", "leaf11", "leaf12"} {
			links[l].stop()
		}
		rec.until(t, "they are fenced", func() bool { return rec.state[0] == "fenced" })
		if got := f.ran(); got != "leaf21: 4 5" {
			t.Errorf("after %v there run %s", time.Since(begun), got)
		}
		for _, l := range []string{"inner1", "leaf11", "leaf12"} {
			links[l].goOn()
		}
		release(t, g)
		rec.check(t)
	})
}

func TestAllOrNothing(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.tree(2, 2)
		f.named("leaf21").runner.Refuse(errors.New("out of processes"))
		_, err := top.Reserve(t.Context(), Want{N: 8, Number: top.Number()}, newRecord())
		if err == nil || !strings.Contains(err.Error(), "node inner2: node leaf21: make ready to run tasks: out of processes") {
			t.Errorf("reserved: %v", err)
		}
		synctest.Wait()
		for _, n := range f.nodes {
			n.mu.Lock()
			if n.busy != 0 || n.hosted != 0 || len(n.remotes) != 0 {
				t.Errorf("%s keeps %d slots, %d guests, %d parts", n.name, n.busy, n.hosted, len(n.remotes))
			}
			n.mu.Unlock()
		}
		f.named("leaf21").runner.Refuse(nil)
		release(t, reserve(t, top.Node, Want{N: 8, Min: 8}, newRecord()))
	})
}

func TestWhatIsLostWhileOthersReserve(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, links := f.tree(2, 1)
		f.named("leaf21").runner.Slow(3 * time.Second)
		time.AfterFunc(time.Second, links["leaf11"].cut)
		rec := newRecord()
		g := reserve(t, top.Node, Want{N: 6, Number: top.Number()}, rec)
		rec.until(t, "they are fenced", func() bool { return rec.state[0] == "fenced" && rec.state[1] == "fenced" })
		if got := states(g); got != "Fenced 2, Reserved 4" {
			t.Errorf("states: %s", got)
		}
		release(t, g)
	})
}

// TestWhoIsGoneIsNotWaitedFor, though it was there when it was to be asked.
func TestWhoIsGoneIsNotWaitedFor(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.flat(1)
		c := top.Cluster().Children()[0]
		if err := f.named("leaf1").Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // it was lost, and fenced
		d, err := Want{N: 1}.request("top")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := top.join(c)
		defer r.leave()
		if _, err := r.offer(ctx, &d); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it was asked, and answered %v", err)
		}
	})
}

func TestATopThatEndsEndsItsTasks(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.tree(2, 2)
		g := reserve(t, top.Node, Want{N: 8, Number: top.Number()}, newRecord())
		exec(t, g, "sleep 1h")
		synctest.Wait()
		if err := top.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.ran(); got != "" {
			t.Errorf("there run %s", got)
		}
	})
}

func TestFramesThatMeanNothing(t *testing.T) {
	planted(t, func(t *testing.T, f *forest) {
		top, _ := f.flat(1)
		c := top.Cluster().Children()[0]
		for k := frame.Offer; k <= frame.Credit; k++ {
			for _, body := range []string{"", "{", "{}", `{"N":-1}`, `{"N":1}`, "\x00", strings.Repeat("\xff", 40)} {
				for id := uint64(1000); id < 1003; id++ {
					c.Send(t.Context(), frame.Frame{Kind: k, Session: id, Body: []byte(body)})
				}
			}
		}
		for id := uint64(1000); id < 1003; id++ {
			c.Send(t.Context(), frame.Frame{Kind: frame.Release, Session: id})
		}
		synctest.Wait()
		if c.State() != cluster.Up {
			t.Errorf("the node is %s", c.State())
		}
		if k := len(f.named("leaf1").Guests()); k != 0 {
			t.Errorf("%d guests", k)
		}
	})
}
