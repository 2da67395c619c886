// Package graph finds the loops of a directed graph, in which several edges may
// lead from one node to another, and from a node to itself.
//
// Nodes are numbered in the order in which the edges name them, and all that is
// returned follows that order: equal edges give equal answers.
package graph

// An Edge leads from one node to another.
type Edge[N comparable] struct{ From, To N }

// Loops returns the elementary loops, each as the indices of its edges in the
// order in which they are gone along: no loop meets a node twice. There may be
// very many of them: at most most are returned, and more says that there are
// others. The time is bounded by most times the size of the graph.
func Loops[N comparable](edges []Edge[N], most int) (loops [][]int, more bool) {
	s := search{graph: number(edges), most: most}
	for node := range s.nodes() {
		if s.from(node); len(s.loops) > most {
			return s.loops[:most], true
		}
	}
	return s.loops, false
}

// Knots returns for each edge the number of the knot that it is part of, or -1
// if it lies on no loop. A knot is all the loops that hang together; knots are
// numbered from 0 in the order of their first edges.
func Knots[N comparable](edges []Edge[N]) []int {
	g := number(edges)
	node := make([]int, g.nodes()) // the knot of a node, counted from 1; 0: not known
	next := 1
	knots := make([]int, len(edges))
	for e := range edges {
		knots[e] = -1
		from, to := g.from[e], g.to[e]
		if node[from] == 0 {
			for n, in := range g.knot(from, 0) {
				if in {
					node[n] = next
				}
			}
			next++
		}
		if node[to] == node[from] {
			knots[e] = node[from]
		}
	}
	return renumber(knots)
}

// renumber makes the numbers in knots those from 0 on, as they come.
func renumber(knots []int) []int {
	as := map[int]int{-1: -1}
	for i, k := range knots {
		if _, ok := as[k]; !ok {
			as[k] = len(as) - 1
		}
		knots[i] = as[k]
	}
	return knots
}

// A graph has its nodes as numbers from 0 on.
type graph struct {
	from, to []int   // the ends of each edge
	out, in  [][]int // the edges that leave and enter each node
}

func number[N comparable](edges []Edge[N]) *graph {
	g := &graph{}
	names := map[N]int{}
	node := func(name N) int {
		n, ok := names[name]
		if !ok {
			n = len(names)
			names[name] = n
			g.out, g.in = append(g.out, nil), append(g.in, nil)
		}
		return n
	}
	for i, e := range edges {
		from, to := node(e.From), node(e.To)
		g.from, g.to = append(g.from, from), append(g.to, to)
		g.out[from], g.in[to] = append(g.out[from], i), append(g.in[to], i)
	}
	return g
}

func (g *graph) nodes() int { return len(g.out) }

// knot returns the nodes that can be reached from start and from which start
// can be reached, in the graph of the nodes from least on.
func (g *graph) knot(start, least int) []bool {
	both := g.reach(start, least, g.out, g.to)
	back := g.reach(start, least, g.in, g.from)
	for n := range both {
		both[n] = both[n] && back[n]
	}
	return both
}

// reach returns the nodes that the edges of each node, to their ends, lead to.
func (g *graph) reach(start, least int, edges [][]int, ends []int) []bool {
	seen := make([]bool, g.nodes())
	seen[start] = true
	for todo := []int{start}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, e := range edges[n] {
			if to := ends[e]; to >= least && !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return seen
}

// A search is D. B. Johnson's, "Finding all the elementary circuits of a
// directed graph" (1975): the loops whose least node is start, for every start.
// What makes it fast is that a node from which start was not reached stays
// blocked until something on the way there is free again.
type search struct {
	*graph
	most  int
	loops [][]int

	start   int
	knot    []bool  // the nodes that loops through start can meet
	path    []int   // edges from start to here
	blocked []bool  // not to be gone to
	waiting [][]int // the nodes to be freed when a node is
}

func (s *search) from(start int) {
	s.start, s.knot = start, s.graph.knot(start, start)
	s.blocked, s.waiting = make([]bool, s.nodes()), make([][]int, s.nodes())
	s.visit(start)
}

// visit goes on from node, and reports whether start was reached.
func (s *search) visit(node int) (found bool) {
	s.blocked[node] = true
	for _, e := range s.out[node] {
		to := s.to[e]
		if !s.knot[to] {
			continue
		}
		s.path = append(s.path, e)
		switch {
		case to == s.start:
			s.loops = append(s.loops, append([]int(nil), s.path...))
			found = true
		case !s.blocked[to]:
			found = s.visit(to) || found
		}
		s.path = s.path[:len(s.path)-1]
		if len(s.loops) > s.most {
			return true
		}
	}
	if found {
		s.free(node)
		return true
	}
	for _, e := range s.out[node] {
		if to := s.to[e]; s.knot[to] {
			s.waiting[to] = append(s.waiting[to], node)
		}
	}
	return false
}

func (s *search) free(node int) {
	s.blocked[node] = false
	wait := s.waiting[node]
	s.waiting[node] = nil
	for _, n := range wait {
		if s.blocked[n] {
			s.free(n)
		}
	}
}
