package gather

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"hubfs/hostlist"
	"hubfs/hub"
	"hubfs/taskfs/ranks"
)

// labelledLines is what nodes say, a line at a time and in any order, each line
// with the name of its node: what clubak and dshbak read.
func labelledLines(nodes, lines int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	var out bytes.Buffer
	said := make([]int, nodes)
	for range nodes * lines {
		n := r.IntN(nodes)
		for said[n] == lines {
			n = (n + 1) % nodes
		}
		k := said[n]
		said[n]++
		kind := 0
		switch { // some nodes differ, in some lines
		case n%100 == 7 && k == 3:
			kind = 1
		case n%10 == 3 && k > 15:
			kind = 2
		case n == 500:
			kind = 3
		}
		fmt.Fprintf(&out, "node%d: line %d of kind %d, as long as lines are\n", n+1, k, kind)
	}
	return out.Bytes()
}

// foldLines folds what labelledLines makes.
func foldLines(in []byte, nodes int) (string, error) {
	s := NewStore(Options{Tasks: nodes})
	rank := map[string]int{}
	var names []string
	for line := range bytes.Lines(in) {
		name, text, _ := bytes.Cut(line, []byte(": "))
		n, ok := rank[string(name)]
		if !ok {
			n = len(names)
			names = append(names, string(name))
			rank[names[n]] = n
		}
		s.Output(ranks.Of(n), Stdout, text)
	}
	// In the order of clubak: nodes by their names, not by when they spoke.
	fold := func(set ranks.Set) string {
		var list []string
		for r := range set.All() {
			list = append(list, names[r])
		}
		return hostlist.Fold(list)
	}
	first := func(g Group) string {
		low := ""
		for r := range g.Ranks.All() {
			if low == "" || hostlist.Compare(names[r], low) < 0 {
				low = names[r]
			}
		}
		return low
	}
	groups := s.Folded(ranks.Span(0, len(names)), Stdout)
	slices.SortFunc(groups, func(a, b Group) int {
		if n := b.Ranks.Len() - a.Ranks.Len(); n != 0 {
			return n
		}
		return hostlist.Compare(first(a), first(b))
	})
	var b strings.Builder
	err := RenderFolded(&b, groups, fold)
	return b.String(), err
}

// run gives in to a program, and returns what it puts out.
func run(tb testing.TB, in []byte, argv ...string) string {
	tb.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%v: %v", argv, err)
	}
	return string(out)
}

// parts is the groups of a folded output: what was said, by who said it.
func parts(tb testing.TB, out string) map[string]string {
	tb.Helper()
	groups := map[string]string{}
	head, rules := "", 0
	for line := range strings.Lines(out) {
		switch {
		case strings.Trim(line, "-\n") == "":
			rules++
		case rules%2 == 1:
			name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			hosts, err := hostlist.Expand(name, 0)
			if err != nil {
				tb.Fatal(err)
			}
			head = hostlist.Fold(hosts)
		default:
			groups[head] += line
		}
	}
	return groups
}

// TestFoldsAsPeersDo has clubak and dshbak fold the same.
func TestFoldsAsPeersDo(t *testing.T) {
	in := labelledLines(300, 20)
	ours, err := foldLines(in, 300)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(parts(t, ours)); n != 3 {
		t.Errorf("%d groups, want 3", n)
	}
	peers := 0
	if path, err := exec.LookPath("clubak"); err == nil {
		peers++
		if theirs := run(t, in, path, "-b", "-S", ": "); theirs != ours {
			t.Errorf("clubak has\n%.500s\nand we\n%.500s", theirs, ours)
		}
	}
	if path, err := exec.LookPath("dshbak"); err == nil {
		peers++
		a, b := parts(t, ours), parts(t, run(t, in, path, "-c"))
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("dshbak has %d groups that differ from our %d", len(b), len(a))
		}
	}
	if peers == 0 {
		t.Skip("neither clubak nor dshbak: install clustershell and pdsh")
	}
}

// BenchmarkFold folds 20 lines of each of 1,000 nodes, beside clubak and dshbak.
func BenchmarkFold(b *testing.B) {
	const nodes, lines = 1000, 20
	in := labelledLines(nodes, lines)
	var ours string
	start := time.Now()
	n := 0
	for b.Loop() {
		var err error
		if ours, err = foldLines(in, nodes); err != nil {
			b.Fatal(err)
		}
		n++
	}
	each := time.Since(start) / time.Duration(n)
	for _, peer := range [][]string{{"clubak", "-b", "-S", ": "}, {"dshbak", "-c"}} {
		path, err := exec.LookPath(peer[0])
		if err != nil {
			b.Logf("no %s: install clustershell and pdsh", peer[0])
			continue
		}
		best := time.Duration(1 << 62)
		for range 3 {
			start := time.Now()
			theirs := run(b, in, append([]string{path}, peer[1:]...)...)
			best = min(best, time.Since(start))
			if fmt.Sprint(parts(b, theirs)) != fmt.Sprint(parts(b, ours)) {
				b.Fatalf("%s has other groups", peer[0])
			}
		}
		b.ReportMetric(float64(best)/float64(each), "x-"+peer[0])
	}
}

// BenchmarkGather brings the output of tasks through a tree of fan-out 16 into a
// Store that nobody reads: the same 20 lines of each, or of each its own.
func BenchmarkGather(b *testing.B) {
	for _, tasks := range []int{1000, 10000} {
		for _, same := range []bool{true, false} {
			name := fmt.Sprintf("%d/equal", tasks)
			if !same {
				name = fmt.Sprintf("%d/different", tasks)
			}
			b.Run(name, func(b *testing.B) {
				text := make([][]byte, tasks)
				for i := range text {
					text[i] = output(20)
					if !same {
						text[i] = bytes.ReplaceAll(text[i], []byte("everybody"), fmt.Appendf(nil, "task %d", i))
					}
				}
				for b.Loop() {
					s := NewStore(Options{Tasks: tasks, Merged: hub.New(hub.Options{})})
					tr := newTree(tasks, 16, s.Output)
					for i := range text {
						tr.say(i, Stdout, text[i])
					}
					tr.carryAll(b)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tasks), "ns/task")
			})
		}
	}
}

// BenchmarkStream brings one task's output up over one link.
func BenchmarkStream(b *testing.B) {
	l := newLine(1)
	text := output(1000)
	r := rand.New(rand.NewPCG(1, 1))
	random := make([]byte, len(text))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for name, p := range map[string][]byte{"text": text, "random": random} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if name == "random" { // never the same
					for i := range len(p) / 8 {
						p[8*i]++
					}
				}
				l.Output(one(0), Stdout, p)
				l.carry(b, 1<<20, func(ranks.Set, Stream, []byte) {})
			}
		})
	}
}

// BenchmarkStoreLines writes lines of one of many tasks into merged and labelled.
func BenchmarkStoreLines(b *testing.B) {
	s := NewStore(Options{
		Tasks: 100, Label: func(int) string { return "node1: " },
		Merged: hub.New(hub.Options{}), Labelled: hub.New(hub.Options{}),
	})
	w := bufio.NewWriter(nil)
	w.Reset(bytesTo(func(p []byte) { s.Output(one(0), Stdout, p) }))
	line := []byte("a line as long as lines are, more or less\n")
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		w.Write(line)
	}
}

type bytesTo func(p []byte)

func (f bytesTo) Write(p []byte) (int, error) { f(p); return len(p), nil }
