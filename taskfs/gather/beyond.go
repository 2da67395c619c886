package gather

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"hash"
	"maps"
	"slices"

	"hubfs/taskfs/ranks"
)

// A beyond is output of which only the beginning is kept. Two that have the same
// hash are the same.
type beyond struct {
	key   [sha256.Size]byte // of all the output
	begun []byte            // of a line, and not written yet: somebody must have it
	tasks int               // whose cursor this is
}

// lose returns the cursor behind rest, which is not kept: the end of p, which
// tasks of number n say at c. The beginning of p has brought them to to.
func (h *history) lose(n int, c, to cursor, p, rest []byte) cursor {
	above, sum, begun := to.n, hash.Hash(nil), []byte(nil)
	switch b := c.n.beyond; {
	case b == nil:
		sum = clone(h.sumTo(above))
		begun = h.tail(c)
	case b.tasks == n: // it goes with them
		above, sum, begun = c.n.parent, c.n.sum, b.begun
	default:
		above, sum, begun = c.n.parent, clone(c.n.sum), slices.Clip(b.begun)
	}
	sum.Write(rest)
	if k := int(to.begun); k <= len(p) {
		begun = bytes.Clone(p[len(p)-k:])
	} else {
		begun = append(begun, p...)
	}
	return cursor{n: h.lost(above, sum, begun), at: to.at + int64(len(rest)), begun: to.begun}
}

// lost returns the node of output with this hash.
func (h *history) lost(above *node, sum hash.Hash, begun []byte) *node {
	b := &beyond{begun: begun}
	sum.Sum(b.key[:0])
	if n := h.beyond[b.key]; n != nil {
		return n
	}
	n := &node{parent: above, sum: sum, beyond: b}
	h.beyond[b.key] = n
	return n
}

// sumTo returns the hash of everything up to the end of n. It is not to be
// written to.
func (h *history) sumTo(n *node) hash.Hash {
	switch {
	case n.sum != nil:
	case n.parent == nil:
		n.sum = sha256.New()
	default:
		n.sum = clone(h.sumTo(n.parent))
		n.sum.Write(n.data)
	}
	return n.sum
}

// clone returns a hash that goes on from where h is.
func clone(h hash.Hash) hash.Hash {
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // all of the standard library can
	}
	return c
}

// trim makes histories, which are more together, fit into limit: of each task as
// many bytes are kept as are possible for all.
func trim(limit int64, hs ...*history) {
	deepest, kept := int64(0), int64(0)
	for _, h := range hs {
		h.sweep()
		deepest = max(deepest, h.root.deepest())
		kept += h.kept
	}
	if kept <= limit {
		return
	}
	// With some room, for this looks at everything.
	target := limit - limit/8
	lo, hi := int64(0), deepest // lo fits, hi does not
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		size := int64(0)
		for _, h := range hs {
			size += h.root.sizeTo(mid)
		}
		if size <= target {
			lo = mid
		} else {
			hi = mid
		}
	}
	for _, h := range hs {
		h.cut(lo)
	}
}

// deepest returns the end of the longest output.
func (n *node) deepest() int64 {
	end := n.end()
	for _, k := range n.kids {
		end = max(end, k.deepest())
	}
	return end
}

// sizeTo returns what is kept if the bytes before depth are.
func (n *node) sizeTo(depth int64) int64 {
	if n.parent != nil && n.start >= depth {
		return 0
	}
	size := min(n.end(), depth) - n.start
	if n.parent != nil {
		size += nodeCost
	}
	for _, k := range n.kids {
		size += k.sizeTo(depth)
	}
	return size
}

// above returns the node in which the byte before depth lies, on the way to n.
func (n *node) above(depth int64) *node {
	for n.parent != nil && n.start >= depth {
		n = n.parent
	}
	return n
}

// cut keeps no more than depth bytes of each task, from now on.
func (h *history) cut(depth int64) {
	for _, n := range h.beyond {
		n.parent = n.parent.above(depth)
	}
	// What tasks have said behind depth gets a hash before it goes.
	deep := map[*node]map[cursor][]int{}
	for r := range h.pos {
		c := h.cursor(r)
		if c.n.beyond != nil || c.at <= depth {
			continue
		}
		if deep[c.n] == nil {
			deep[c.n] = map[cursor][]int{}
		}
		deep[c.n][c] = append(deep[c.n][c], r)
	}
	for n, at := range deep {
		sum, done := clone(h.sumTo(n.parent)), n.start
		for _, c := range slices.SortedFunc(maps.Keys(at), func(a, b cursor) int { return cmp.Compare(a.at, b.at) }) {
			sum.Write(n.data[done-n.start : c.at-n.start])
			done = c.at
			to := cursor{n: h.lost(n.above(depth), clone(sum), h.tail(c)), at: c.at, begun: c.begun}
			h.move(ranks.Of(at[c]...), c, to)
		}
	}
	h.depth = depth
	h.kept = 0
	h.prune(h.root, func(n *node) int64 { return min(n.end(), depth) })
}
