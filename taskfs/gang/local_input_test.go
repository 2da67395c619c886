package gang

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/ranks"
	"hubfs/taskfs/tasktest"
)

func TestInputIsForAllOrForSome(t *testing.T) {
	w := tasktest.NewWorld()
	n, _ := alone(t, w, 4)
	rec := newRecord()
	g := reserve(t, n, Want{N: 3, Number: n.Number()}, rec)
	input := func(set ranks.Set, s string) {
		t.Helper()
		if err := g.Input(t.Context(), set, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	input(all(g), "early\n") // before they run
	exec(t, g, "cat")
	input(ranks.Of(1), "one\n")
	input(ranks.Of(0, 2), "others\n")
	if err := g.CloseInput(t.Context(), ranks.Of(1)); err != nil {
		t.Fatal(err)
	}
	rec.ended(t, 1)
	input(all(g), "late\n") // the one that has ended takes it, too
	g.CloseInput(t.Context(), all(g))
	rec.ended(t, 3)
	if got, want := rec.text(), "0: early\n0: others\n0: late\n1: early\n1: one\n2: early\n2: others\n2: late\n"; got != want {
		t.Errorf("output:\n%s", got)
	}
	// What the first run has not read the second does not get.
	exec(t, g, "cat")
	input(all(g), "second\n")
	g.CloseInput(t.Context(), all(g))
	rec.until(t, "they have ended", func() bool {
		return len(rec.exits) == 3 && strings.HasSuffix(rec.out[0].String()+rec.out[1].String(), "second\n")
	})
	if got := rec.out[1].String(); got != "early\none\nsecond\n" {
		t.Errorf("second run: %q", got)
	}
	release(t, g)
	rec.check(t)
}

func TestASlowTaskHoldsBackWhatIsForIt(t *testing.T) {
	world(t, func(t *testing.T) {
		w := tasktest.NewWorld()
		n, _ := alone(t, w, 4)
		rec := newRecord()
		g := reserve(t, n, Want{N: 2, Number: n.Number()}, rec)
		exec(t, g, "count")
		if err := g.Signal(t.Context(), ranks.Of(0), "TERM"); err != nil {
			t.Fatal(err)
		}
		rec.ended(t, 1)
		if err := g.Exec(t.Context(), ranks.Of(0), Spec{Argv: []string{"hold", "gate"}}); err != nil {
			t.Fatal(err)
		}
		given := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { given <- g.Input(ctx, all(g), make([]byte, 4*window)) }() // ends with ctx
		synctest.Wait()
		select {
		case err := <-given:
			t.Fatalf("4 windows were taken by a task that reads nothing: %v", err)
		default:
		}
		// What is for the other comes behind what is for both...
		behind := make(chan error, 1)
		go func() { behind <- g.Input(ctx, ranks.Of(1), []byte("x")) }() // ends with ctx
		synctest.Wait()
		cancel()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		<-behind
		// ... and is given to it when nobody waits before it, though the window is full.
		if err := g.Input(t.Context(), ranks.Of(1), []byte("x")); err != nil {
			t.Fatal(err)
		}
		g.CloseInput(t.Context(), all(g))
		rec.until(t, "it has ended", func() bool { return rec.exits[1].PID != 0 })
		// What the held one has not read it takes when it ends.
		w.Open("gate")
		rec.until(t, "both have ended", func() bool { return len(rec.exits) == 2 })
		if err := g.Input(t.Context(), all(g), make([]byte, 4*window)); err != nil {
			t.Error(err)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestPullGivesTheFastMore(t *testing.T) {
	world(t, func(t *testing.T) {
		w := tasktest.NewWorld()
		w.Command("work", func(p *tasktest.Proc) string {
			pause := 10 * time.Millisecond
			if p.Env("TASKFS_RANK") == "0" {
				pause *= 10
			}
			b := make([]byte, 100)
			for {
				n, err := p.Read(b)
				if err != nil {
					return "exit 0"
				}
				time.Sleep(pause)
				p.Out(string(b[:n]))
			}
		})
		n, _ := alone(t, w, 8)
		rec := newRecord()
		const records = 800
		next := 0
		var g *Gang
		asked := make(chan int, 100)
		rec.askedFn = func(set ranks.Set) {
			for r := range set.All() {
				asked <- r
			}
		}
		g = reserve(t, n, Want{N: 8, Number: n.Number()}, rec)
		begun := time.Now()
		if err := g.Exec(t.Context(), all(g), Spec{Argv: []string{"work"}, Records: true}); err != nil {
			t.Fatal(err)
		}
		for closed := 0; closed < 8; {
			r := <-asked
			if next == records {
				closed++
				g.CloseInput(t.Context(), ranks.Of(r))
				continue
			}
			if err := g.Input(t.Context(), ranks.Of(r), fmt.Appendf(nil, "%d\n", next)); err != nil {
				t.Fatal(err)
			}
			next++
		}
		rec.ended(t, 8)
		// Seven at 100 a second and one at 10.
		ideal := records * time.Second / 710
		took := time.Since(begun)
		t.Logf("%v, and %v is ideal: %.3f x", took, ideal, float64(took)/float64(ideal))
		if took > ideal*115/100 {
			t.Errorf("%v, more than 1.15 x %v", took, ideal)
		}
		seen := map[string]bool{}
		for _, b := range rec.out {
			for line := range strings.Lines(b.String()) {
				if seen[line] {
					t.Errorf("record %q twice", line)
				}
				seen[line] = true
			}
		}
		if len(seen) != records {
			t.Errorf("%d of %d records", len(seen), records)
		}
		release(t, g)
		rec.check(t)
	})
}

func TestALongRecordIsOne(t *testing.T) {
	world(t, func(t *testing.T) {
		w := tasktest.NewWorld()
		n, _ := alone(t, w, 1)
		rec := newRecord()
		g := reserve(t, n, Want{N: 0, Number: n.Number()}, rec)
		if err := g.Exec(t.Context(), all(g), Spec{Argv: []string{"count"}, Records: true}); err != nil {
			t.Fatal(err)
		}
		rec.until(t, "it asks", func() bool { return len(rec.ready) == 1 })
		if err := g.Input(t.Context(), all(g), make([]byte, 5*pieceSize+1)); err != nil {
			t.Fatal(err)
		}
		rec.until(t, "it asks again", func() bool { return len(rec.ready) == 2 })
		synctest.Wait()
		g.CloseInput(t.Context(), all(g))
		rec.ended(t, 1)
		if got := rec.text(); got != fmt.Sprintf("0: %d\n", 5*pieceSize+1) {
			t.Errorf("it has %q", got)
		}
		if len(rec.ready) != 2 {
			t.Errorf("it asked %d times", len(rec.ready))
		}
		release(t, g)
		rec.check(t)
	})
}
