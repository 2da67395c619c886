package graph

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// parse reads edges written as "ab bc ca".
func parse(s string) (edges []Edge[string]) {
	for _, e := range strings.Fields(s) {
		edges = append(edges, Edge[string]{e[:1], e[1:]})
	}
	return edges
}

func TestLoopsAndKnots(t *testing.T) {
	for _, tc := range []struct {
		edges string
		loops string
		knots string
	}{
		{"", "[]", "[]"},
		{"ab", "[]", "[-1]"},
		{"ab bc ad dc", "[]", "[-1 -1 -1 -1]"},
		{"aa", "[[0]]", "[0]"},
		{"aa aa", "[[0] [1]]", "[0 0]"},
		{"ab ba", "[[0 1]]", "[0 0]"},
		{"ab ab ba", "[[0 2] [1 2]]", "[0 0 0]"},
		{"xa ab bc ca cy", "[[1 2 3]]", "[-1 0 0 0 -1]"},
		{"ab ba bc cb", "[[0 1] [2 3]]", "[0 0 0 0]"},
		{"ab ba bc cd dc", "[[0 1] [3 4]]", "[0 0 -1 1 1]"},
		{"cd dc ca ab ba", "[[0 1] [3 4]]", "[0 0 -1 1 1]"},
		{"ab bc ca ac", "[[0 1 2] [3 2]]", "[0 0 0 0]"},
		{"ab ba bb", "[[0 1] [2]]", "[0 0 0]"},
		// A node that was a dead end while another was on the path is none later.
		{"ab bc cb cd da", "[[0 1 3 4] [1 2]]", "[0 0 0 0 0]"},
	} {
		loops, more := Loops(parse(tc.edges), 10)
		if got := fmt.Sprint(loops); got != tc.loops || more {
			t.Errorf("%q: loops %s, more %v; want %s", tc.edges, got, more, tc.loops)
		}
		if got := fmt.Sprint(Knots(parse(tc.edges))); got != tc.knots {
			t.Errorf("%q: knots %s, want %s", tc.edges, got, tc.knots)
		}
	}
}

func TestLoopsAreLimited(t *testing.T) {
	for most, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 2} {
		loops, more := Loops(parse("ab ba bb"), most)
		if len(loops) != want || more != (most < 2) {
			t.Errorf("most %d: %d loops, more %v", most, len(loops), more)
		}
	}
}

// TestLoopsTakeLimitedTime: there are more loops than atoms behind node 1, and
// for node 0, where the search begins, all but one of the ways are dead ends.
func TestLoopsTakeLimitedTime(t *testing.T) {
	edges := []Edge[int]{{0, 1}, {1, 2}}
	const last = 400
	for n := 2; n < last; n++ {
		edges = append(edges, Edge[int]{n, n + 1}, Edge[int]{n, n + 2})
	}
	edges = append(edges, Edge[int]{last, 1}, Edge[int]{last + 1, 1}, Edge[int]{1, 0})
	loops, more := Loops(edges, 100)
	if len(loops) != 100 || !more || !reflect.DeepEqual(loops[0], []int{0, len(edges) - 1}) {
		t.Errorf("%d loops, more %v", len(loops), more)
	}
}

// TestLoopsAreAllThereAre compares with a search that tries everything.
func TestLoopsAreAllThereAre(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		nodes := 1 + rnd.IntN(6)
		edges := make([]Edge[int], rnd.IntN(12))
		for i := range edges {
			edges[i] = Edge[int]{rnd.IntN(nodes), rnd.IntN(nodes)}
		}
		got, more := Loops(edges, 100_000)
		want := tryAll(edges)
		if more || !reflect.DeepEqual(sorted(got), sorted(want)) {
			t.Fatalf("%v: %v, want %v", edges, got, want)
		}
		on := make([]bool, len(edges))
		for _, loop := range want {
			for _, e := range loop {
				on[e] = true
			}
		}
		for e, k := range Knots(edges) {
			if on[e] != (k >= 0) {
				t.Fatalf("%v: edge %d: knot %d, on a loop %v", edges, e, k, on[e])
			}
		}
	}
}

// tryAll walks every path from every node that meets no node twice.
func tryAll(edges []Edge[int]) (loops [][]int) {
	var walk func(start, at int, path []int, met []int)
	walk = func(start, at int, path, met []int) {
		for i, e := range edges {
			switch {
			case e.From != at:
			case e.To == start:
				loops = append(loops, append(slices.Clone(path), i))
			case e.To > start && !slices.Contains(met, e.To):
				walk(start, e.To, append(slices.Clone(path), i), append(slices.Clone(met), e.To))
			}
		}
	}
	for n := range 6 {
		walk(n, n, nil, nil)
	}
	return loops
}

// sorted brings loops into an order that does not depend on where they begin.
func sorted(loops [][]int) []string {
	all := []string{}
	for _, loop := range loops {
		i := slices.Index(loop, slices.Min(loop))
		all = append(all, fmt.Sprint(slices.Concat(loop[i:], loop[:i])))
	}
	slices.Sort(all)
	return all
}
