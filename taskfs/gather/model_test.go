package gather

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"strings"
	"testing"

	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// A tier is the nodes of a tree that are equally far from the tasks. Node i has
// tasks [i*width, (i+1)*width), by their global ranks.
type tier struct {
	width int
	lines []*line
}

// A tree is relays between tasks and a Store. The first tier has a node for each
// task, unless it is left out.
type tree struct {
	tasks int
	tiers []tier
	top   func(ranks.Set, Stream, []byte)
}

func newTree(tasks, fan int, top func(ranks.Set, Stream, []byte)) *tree {
	tr := &tree{tasks: tasks, top: top}
	for width := 1; width < tasks; width *= fan {
		t := tier{width: width}
		for i := 0; i < tasks; i += width {
			l := newLine(width)
			if width == 1 {
				l.Alone()
			}
			t.lines = append(t.lines, l)
		}
		tr.tiers = append(tr.tiers, t)
	}
	return tr
}

// say has a task put something out.
func (tr *tree) say(task int, s Stream, p []byte) {
	if len(tr.tiers) == 0 {
		tr.top(one(task), s, p)
		return
	}
	tr.tiers[0].lines[task].Output(one(0), s, p)
}

// carry brings what node i of a tier has one step up.
func (tr *tree) carry(t testing.TB, tierN, i, limit int) {
	at := tr.tiers[tierN]
	at.lines[i].carry(t, limit, func(set ranks.Set, s Stream, p []byte) {
		first := i * at.width
		if tierN+1 == len(tr.tiers) {
			tr.top(set.Shift(first), s, p)
			return
		}
		up := tr.tiers[tierN+1]
		parent := first / up.width
		up.lines[parent].Output(set.Shift(first-parent*up.width), s, p)
	})
}

// carryAll brings everything up.
func (tr *tree) carryAll(t testing.TB) {
	for n := range tr.tiers {
		for i := range tr.tiers[n].lines {
			tr.carry(t, n, i, 1<<20)
		}
	}
}

// traffic returns how many bytes went over the links of each tier: of all, and of
// the one with most.
func (tr *tree) traffic() (all, most []int) {
	for _, at := range tr.tiers {
		sum, top := 0, 0
		for _, l := range at.lines {
			sum += l.traffic
			top = max(top, l.traffic)
		}
		all, most = append(all, sum), append(most, top)
	}
	return all, most
}

// An author writes what tasks say: lines that many of them have in common, lines
// of one alone, long ones, pieces of lines.
type author struct {
	*rand.Rand
	long bool              // there are lines of more than 64 KiB
	said [][2]bytes.Buffer // by rank
}

// next returns the next piece of a task.
func (a *author) next(rank int, s Stream) []byte {
	var b []byte
	for range 1 + a.IntN(3) {
		switch k := a.IntN(20); {
		case k < 9: // what comes next in the text of all
			n := a.said[rank][s-1].Len() + len(b)
			b = fmt.Appendf(b, "%d: the line at offset %d\n", s, n)
		case k < 12:
			b = fmt.Appendf(b, "%d.%d: one of few lines\n", s, a.IntN(4))
		case k < 15:
			b = fmt.Appendf(b, "%d: %d says %d\n", s, rank, a.IntN(1000))
		case k < 17:
			b = fmt.Appendf(b, "%d, of a line", s)
		case k < 18:
			b = append(b, '\n')
		case k < 19:
			b = append(b, strings.Repeat("x", a.IntN(100))...)
		default:
			if a.long && a.IntN(40) == 0 {
				b = append(b, strings.Repeat("0123456789abcdef", a.IntN(2*maxLine/16))...)
			}
		}
	}
	if a.IntN(3) == 0 {
		b = b[:a.IntN(len(b)+1)]
	}
	a.said[rank][s-1].Write(b)
	return b
}

// TestAnyInterleaving has tasks say random things through a random tree, whose
// nodes send what they have at random times, and holds every result against what
// each task has said.
func TestAnyInterleaving(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { interleave(t, uint64(seed)) })
	}
}

func interleave(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	tasks := 1 + r.IntN(40)
	keep := int64(1 << 20)
	if r.IntN(2) == 0 {
		keep = int64(500 + r.IntN(20000)) // much is lost
	}
	rig := newRig(Options{Tasks: tasks, Keep: keep, View: hub.Options{Size: 64 << 20}})
	tr := newTree(tasks, 2+r.IntN(5), rig.Output)
	a := &author{r, r.IntN(4) == 0, make([][2]bytes.Buffer, tasks)}

	// Views that are made in mid-stream.
	type watched struct {
		set ranks.Set
		st  Stream
		get func() string
	}
	var views []watched
	for range 100 + r.IntN(1500) {
		switch k := r.IntN(100); {
		case k < 60 || len(tr.tiers) == 0:
			rank, s := r.IntN(tasks), Stdout
			if r.IntN(4) == 0 {
				s = Stderr
			}
			if p := a.next(rank, s); len(p) > 0 {
				tr.say(rank, s, p)
			}
		case k < 98:
			n := r.IntN(len(tr.tiers))
			limit := 1 << 20
			if r.IntN(3) == 0 {
				limit = minBody
			}
			tr.carry(t, n, r.IntN(len(tr.tiers[n].lines)), limit)
		case len(views) < 6:
			set, s := one(r.IntN(tasks)), Stdout
			if r.IntN(2) == 0 {
				set = ranks.Span(r.IntN(tasks), tasks)
			}
			if r.IntN(3) == 0 {
				s = Stderr
			}
			h, release := rig.View(set, s)
			defer release()
			views = append(views, watched{set, s, func() string { return read(t, h) }})
		}
	}
	for rank := range tasks {
		for s := Stdout; s <= Stderr; s++ { // so that each line is one in Merged, too
			tr.say(rank, s, []byte("\n"))
			a.said[rank][s-1].WriteByte('\n')
		}
	}
	tr.carryAll(t)
	rig.End(ranks.Span(0, tasks))

	checkStream(t, "merged", read(t, rig.merged), ranks.Span(0, tasks), Stdout, a)
	checkStream(t, "errors", read(t, rig.errors), ranks.Span(0, tasks), Stderr, a)
	checkLabelled(t, read(t, rig.labelled), a)
	checkFolded(t, rig, Stdout, a)
	checkFolded(t, rig, Stderr, a)
	for _, v := range views {
		got := v.get()
		if strings.Contains(got, "taskfs: ") && keep < 1<<20 {
			continue // not all of it was kept
		}
		checkStream(t, fmt.Sprintf("view of %s", v.set), got, v.set, v.st, a)
		rank := v.set.Min()
		if v.set.Len() == 1 && got != a.said[rank][v.st-1].String() {
			t.Errorf("view of %d: other bytes than the task has said", rank)
		}
	}
}

// checkSums fails if a node has another hash than that of the bytes up to its end.
func checkSums(t *testing.T, n *node, before hash.Hash) {
	t.Helper()
	sum := clone(before)
	sum.Write(n.data)
	if n.sum != nil && !bytes.Equal(n.sum.Sum(nil), sum.Sum(nil)) {
		t.Errorf("a wrong hash of the output up to %d", n.end())
	}
	for _, k := range n.kids {
		checkSums(t, k, sum)
	}
}

// TestGroupsAreRightWhateverIsLost has tasks say what others have said, or nearly,
// in any pieces, alone and together, begin anew and end, while hardly anything is
// kept.
func TestGroupsAreRightWhateverIsLost(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 8))
		tasks := 2 + r.IntN(12)
		rig := newRig(Options{Tasks: tasks, Keep: int64(300 + r.IntN(4000))})
		a := &author{r, false, make([][2]bytes.Buffer, tasks)}
		over := make([]bool, tasks)
		for range 400 {
			rank := r.IntN(tasks)
			switch k := r.IntN(100); {
			case k < 3:
				rig.Reset(one(rank))
				a.said[rank] = [2]bytes.Buffer{}
				over[rank] = false
			case k == 3:
				rig.End(one(rank))
				over[rank] = true
			case k == 4:
				checkFolded(t, rig, Stdout, a)
			default:
				// What somebody has said and this task has not, if it has begun so.
				mine := &a.said[rank][0]
				other := a.said[r.IntN(tasks)][0].Bytes()
				p := []byte{byte('a' + r.IntN(2))}
				if bytes.HasPrefix(other, mine.Bytes()) && len(other) > mine.Len() && r.IntN(20) > 0 {
					p = bytes.Clone(other[mine.Len():])
					p = p[:1+r.IntN(len(p))]
				} else if r.IntN(2) == 0 {
					p = bytes.Repeat(p, 1+r.IntN(200))
				}
				if r.IntN(3) == 0 {
					p = append(p, '\n')
				}
				var some []int
				for i := range tasks {
					if !over[i] && (i == rank || r.IntN(8) == 0) {
						some = append(some, i)
						a.said[i][0].Write(p)
					}
				}
				rig.Output(ranks.Of(some...), Stdout, p)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		rig.End(ranks.Span(0, tasks))
		checkFolded(t, rig, Stdout, a)
		rig.Reset(ranks.Span(0, tasks))
		if h := rig.said[0]; h.kept != 0 || len(h.beyond) != 0 || len(h.root.kids) != 0 {
			t.Fatalf("seed %d: %d bytes and %d hashes are kept of nothing", seed, h.kept, len(h.beyond))
		}
	}
}

// checkStream fails if a stream is not the lines of the tasks, each whole and once,
// in the order of each task. With lines of more than 64 KiB nobody can tell where
// they were torn; then it is as long as it must be.
func checkStream(t *testing.T, what, got string, set ranks.Set, s Stream, a *author) {
	t.Helper()
	total := 0
	lines := map[string]int{}
	for r := range set.All() {
		text := a.said[r][s-1].String()
		total += len(text)
		for l := range strings.Lines(text) {
			lines[l]++
		}
	}
	if len(got) != total {
		t.Errorf("%s: %d bytes, want %d", what, len(got), total)
	}
	if a.long || t.Failed() {
		return
	}
	for l := range strings.Lines(got) {
		if lines[l]--; lines[l] < 0 {
			t.Errorf("%s: a line that was not said, or not so often: %.80q", what, l)
			return
		}
	}
	for r := range set.All() {
		rest := a.said[r][s-1].String()
		for l := range strings.Lines(got) {
			if rest != "" && l == string(firstLine([]byte(rest))) {
				rest = rest[len(l):]
			}
		}
		if rest != "" {
			t.Errorf("%s: the lines of %d are not in their order: %.80q comes too early, or not", what, r, rest)
		}
	}
}

// checkLabelled fails if the lines with the label of a task are not what it said.
func checkLabelled(t *testing.T, got string, a *author) {
	t.Helper()
	said := map[string]*[2]strings.Builder{}
	for l := range strings.Lines(got) {
		name, text, ok := strings.Cut(l, ": ")
		if !ok {
			t.Errorf("labelled: a line without its label: %.80q", l)
			return
		}
		if said[name] == nil {
			said[name] = new([2]strings.Builder)
		}
		for i := range said[name] {
			said[name][i].WriteString(strings.TrimSuffix(text, "\n"))
		}
	}
	for r := range a.said {
		total := 0
		for i := range a.said[r] {
			total += len(strings.ReplaceAll(a.said[r][i].String(), "\n", ""))
		}
		got := 0
		if b := said[fmt.Sprintf("n%d", r)]; b != nil {
			got = b[0].Len()
		}
		if got != total {
			t.Errorf("labelled: %d bytes of task %d, want %d", got, r, total)
		}
	}
}

// checkFolded fails if the groups are not the tasks by what they have said.
func checkFolded(t *testing.T, rig rig, s Stream, a *author) {
	t.Helper()
	want := map[string][]int{}
	for r := range a.said {
		text := a.said[r][s-1].String()
		want[text] = append(want[text], r)
	}
	groups := rig.Folded(ranks.Span(0, len(a.said)), s)
	if len(groups) != len(want) {
		t.Errorf("folded: %d groups, want %d", len(groups), len(want))
	}
	if len(groups) == 0 {
		return
	}
	before := groups[0]
	for _, g := range groups {
		text := a.said[g.Ranks.Min()][s-1].String()
		if !g.Ranks.Equal(ranks.Of(want[text]...)) {
			t.Errorf("folded: a group of %s, want %v", g.Ranks, want[text])
		}
		if int64(len(text)) != g.Kept+g.Lost || string(g.Output()) != text[:g.Kept] {
			t.Errorf("folded: %d bytes of %s, and %d lost, want %d", g.Kept, g.Ranks, g.Lost, len(text))
		}
		if n, m := g.Ranks.Len(), before.Ranks.Len(); n > m || n == m && g.Ranks.Min() < before.Ranks.Min() {
			t.Errorf("folded: %s comes after %s", g.Ranks, before.Ranks)
		}
		before = g
	}
	kept := int64(0)
	if h := rig.said[s-1]; h != nil {
		kept = h.kept
		if n := h.root.sizeTo(1 << 60); n != kept {
			t.Errorf("%d bytes are kept, and counted as %d", n, kept)
		}
		checkSums(t, h.root, sha256.New())
	}
	if kept > rig.o.Keep {
		t.Errorf("%d bytes are kept, at most %d", kept, rig.o.Keep)
	}
}
