package gather

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// output is lines that all tasks of the tests below have in common.
func output(lines int) []byte {
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "line %d: what everybody says, word by word\n", i)
	}
	return b.Bytes()
}

// sayAll has all tasks say text, each in pieces of its own, at any time, and nodes
// send what they have whenever they like.
func (tr *tree) sayAll(t testing.TB, r *rand.Rand, text []byte) {
	left := make([][]byte, tr.tasks)
	talking := make([]int, tr.tasks)
	for i := range left {
		left[i], talking[i] = text, i
	}
	for len(talking) > 0 {
		i := r.IntN(len(talking))
		task := talking[i]
		n := min(len(left[task]), 1+r.IntN(len(text)))
		tr.say(task, Stdout, left[task][:n])
		if left[task] = left[task][n:]; len(left[task]) == 0 {
			talking[i] = talking[len(talking)-1]
			talking = talking[:len(talking)-1]
		}
		// A node of each tier, so that each sends several times while tasks talk.
		at := task
		for n, tier := range tr.tiers {
			at = task / tier.width
			if n == 0 || r.IntN(8) == 0 {
				tr.carry(t, n, at, 1<<20)
			}
		}
	}
	tr.carryAll(t)
}

// TestTrafficFollowsDistinctOutput has many tasks say the same: no link carries
// much more than the text, once, and who says it.
func TestTrafficFollowsDistinctOutput(t *testing.T) {
	text := output(500)
	for _, tasks := range []int{1000, 10000} {
		t.Run(fmt.Sprint(tasks), func(t *testing.T) {
			if tasks > 1000 && (testing.Short() || race) {
				t.Skip("takes seconds")
			}
			const fan = 16
			s := NewStore(Options{Tasks: tasks})
			tr := newTree(tasks, fan, s.Output)
			tr.sayAll(t, rand.New(rand.NewPCG(1, uint64(tasks))), text)
			if g := s.Folded(ranks.Span(0, tasks), Stdout); len(g) != 1 || !bytes.Equal(g[0].Output(), text) {
				t.Fatalf("%d groups", len(g))
			}
			all, most := tr.traffic()
			for n, tier := range tr.tiers {
				t.Logf("%5d tasks a link: %7d bytes on %d links, %d on one, for %d", tier.width, all[n], len(tier.lines), most[n], len(text))
				// A task says its text in some pieces, at its own times; each is a
				// set, a reference, and what is around them.
				if limit := 2*len(text) + 80*tier.width; most[n] > limit {
					t.Errorf("a link of %d tasks carries %d bytes, at most %d", tier.width, most[n], limit)
				}
			}
			if top := most[len(most)-1]; top > len(text)*tasks/100 {
				t.Errorf("the top gets %d bytes of %d", top, len(text)*tasks)
			}
		})
	}
}

// TestTrafficInStep is the same where all tasks say a piece before anything
// is sent, as they do if they run in step: then a link carries the text once.
func TestTrafficInStep(t *testing.T) {
	const tasks, fan = 1000, 16
	text := output(40)
	s := NewStore(Options{Tasks: tasks})
	tr := newTree(tasks, fan, s.Output)
	const piece = 100
	for i := 0; i < len(text); i += piece {
		for task := range tasks {
			tr.say(task, Stdout, text[i:min(i+piece, len(text))])
		}
		tr.carryAll(t)
	}
	all, most := tr.traffic()
	for n := range tr.tiers {
		if limit := len(text) * 5 / 4; most[n] > limit {
			t.Errorf("a link of %d tasks carries %d bytes, at most %d", tr.tiers[n].width, most[n], limit)
		}
	}
	if links := len(tr.tiers[len(tr.tiers)-1].lines); all[len(all)-1] > links*len(text)*5/4 {
		t.Errorf("the top gets %d bytes over %d links", all[len(all)-1], links)
	}
}

// memory returns how much memory f leaves in use.
func memory(f func() any) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	keep := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(keep)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

// TestMemoryFollowsDistinctOutput has 1,000 and 10,000 tasks say the same 64 KiB:
// the top has it once, and a few bytes for each task.
func TestMemoryFollowsDistinctOutput(t *testing.T) {
	if race {
		t.Skip("the race detector has memory of its own")
	}
	text := output(1400)
	for _, tasks := range []int{1000, 10000} {
		used := memory(func() any {
			s := NewStore(Options{Tasks: tasks})
			for i := 0; i < len(text); i += 8 << 10 {
				for r := range tasks {
					s.Output(one(r), Stdout, text[i:min(i+8<<10, len(text))])
				}
			}
			return s
		})
		limit := 2*len(text) + 56*tasks
		t.Logf("%d tasks: %d bytes, at most %d", tasks, used, limit)
		if used > limit {
			t.Errorf("%d tasks: %d bytes, at most %d", tasks, used, limit)
		}
	}
}

// TestMemoryIsBoundedByKeep has every task say something else, far more than is
// kept.
func TestMemoryIsBoundedByKeep(t *testing.T) {
	if race {
		t.Skip("the race detector has memory of its own")
	}
	const tasks, keep = 1000, 1 << 20
	var s *Store
	used := memory(func() any {
		s = NewStore(Options{Tasks: tasks, Keep: keep, Merged: hub.New(hub.Options{})})
		for i := range 100 {
			for r := range tasks {
				s.Output(one(r), Stdout, fmt.Appendf(nil, "%d says %d, and this too %0100d\n", r, i, r*i))
			}
		}
		return s
	})
	// The hub has a MiB, and what is lost is a hash and more for each task.
	if limit := 2*keep + 2*hub.DefaultSize + 600*tasks; used > limit {
		t.Errorf("%d bytes, at most %d", used, limit)
	}
	groups := s.Folded(ranks.Span(0, tasks), Stdout)
	if len(groups) != tasks || groups[0].Lost == 0 || groups[0].Kept == 0 {
		t.Errorf("%d groups, of which the first has %d bytes and lacks %d", len(groups), groups[0].Kept, groups[0].Lost)
	}
}

// TestOneNoisyTaskTakesNothingFromOthers has one task say more than is kept, and
// then all others a little.
func TestOneNoisyTaskTakesNothingFromOthers(t *testing.T) {
	s := NewStore(Options{Tasks: 100, Keep: 1 << 20})
	noise := output(500)
	for range 200 {
		s.Output(one(0), Stdout, noise)
	}
	for r := 1; r < 100; r++ {
		s.Output(one(r), Stdout, fmt.Appendf(nil, "%d is quiet\n", r))
	}
	for _, g := range s.Folded(ranks.Span(0, 100), Stdout) {
		switch noisy := g.Ranks.Contains(0); {
		case noisy && (g.Lost == 0 || g.Kept < 1<<19):
			t.Errorf("of the noisy one %d bytes are kept, and %d are not", g.Kept, g.Lost)
		case !noisy && g.Lost > 0:
			t.Errorf("%d bytes of %s are lost", g.Lost, g.Ranks)
		}
	}
}
