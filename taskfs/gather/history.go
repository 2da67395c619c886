package gather

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"math"

	"hubfs/taskfs/ranks"
)

// nodeCost is what a node counts for in what is kept, besides its bytes.
const nodeCost = 128

// A node is a stretch of output that tasks have in common. What a task has said
// is the path from the root to its cursor: tasks that have said the same share
// all of it, and where they part a node has kids.
type node struct {
	parent *node
	start  int64 // of data, in the output of a task
	data   []byte
	kids   []*node // in no order; each begins with another byte

	// sum is the hash of everything up to the end of data. nil: nobody has asked.
	sum hash.Hash

	// beyond is set if this is what a task has said behind the bytes that are
	// kept. Such a node has no data and no kids, and the parent has no such kid.
	beyond *beyond
}

func (n *node) end() int64 { return n.start + int64(len(n.data)) }

// kid returns the one that begins with b.
func (n *node) kid(b byte) *node {
	for _, k := range n.kids {
		if k.data[0] == b {
			return k
		}
	}
	return nil
}

// A cursor is how far a task is. Two tasks of a history have said the same if
// their cursors are equal after climb.
type cursor struct {
	n     *node // nil: nothing was said
	at    int64 // bytes said
	begun int32 // bytes at the end that are of a line not complete
}

// A history is what all tasks have said on one stream.
type history struct {
	root  *node
	pos   []cursor // by rank
	kept  int64    // bytes, and nodeCost for each node
	depth int64    // bytes of each task that are kept at most

	beyond map[[sha256.Size]byte]*node
	reset  int // tasks that were reset since the last sweep
}

func newHistory(tasks int) *history {
	return &history{
		root:   &node{},
		pos:    make([]cursor, tasks),
		depth:  math.MaxInt64,
		beyond: map[[sha256.Size]byte]*node{},
	}
}

// cursor returns that of a task, as it is compared.
func (h *history) cursor(rank int) cursor {
	c := h.pos[rank]
	if c.n == nil {
		return cursor{n: h.root}
	}
	return c.climb()
}

// climb returns the cursor with the node in which its last byte lies. A node that
// is split keeps its end, so the byte may have gone to a new one above.
func (c cursor) climb() cursor {
	if c.n.beyond == nil {
		for c.n.parent != nil && c.at <= c.n.start {
			c.n = c.n.parent
		}
	}
	return c
}

// move puts the cursors of tasks, which all are from, to another place.
func (h *history) move(set ranks.Set, from, to cursor) {
	n := set.Len()
	if b := to.n.beyond; b != nil {
		b.tasks += n
	}
	for r := range set.All() {
		h.pos[r] = to
	}
	if b := from.n.beyond; b != nil {
		if b.tasks -= n; b.tasks == 0 {
			delete(h.beyond, b.key)
		}
	}
}

// walk adds p to what was said at a cursor that is not beyond. There must be
// room for it: at+len(p) <= depth.
func (h *history) walk(c cursor, p []byte) cursor {
	n, at := c.n, c.at
	for len(p) > 0 {
		if rest := n.data[at-n.start:]; len(rest) > 0 {
			same := common(rest, p)
			at += int64(same)
			p = p[same:]
			if len(p) > 0 && same < len(rest) {
				n = h.split(n, at)
				n, at, p = h.sprout(n, p), at+int64(len(p)), nil
			}
			continue
		}
		switch kid := n.kid(p[0]); {
		case kid != nil:
			n = kid
		case len(n.kids) == 0 && n != h.root:
			n.data = append(n.data, p...)
			n.sum = nil
			h.kept += int64(len(p))
			at, p = at+int64(len(p)), nil
		default:
			n, at, p = h.sprout(n, p), at+int64(len(p)), nil
		}
	}
	return cursor{n: n, at: at}
}

// sprout makes a kid of n.
func (h *history) sprout(n *node, p []byte) *node {
	kid := &node{parent: n, start: n.end(), data: bytes.Clone(p)}
	n.kids = append(n.kids, kid)
	h.kept += nodeCost + int64(len(p))
	return kid
}

// split cuts a node in two, and returns the first half. The second is n still,
// so that the cursors behind the cut are right, and those before it climb.
func (h *history) split(n *node, at int64) *node {
	cut := at - n.start
	head := &node{parent: n.parent, start: n.start, data: n.data[:cut:cut], kids: []*node{n}}
	for i, k := range n.parent.kids {
		if k == n {
			n.parent.kids[i] = head
		}
	}
	n.parent, n.start, n.data = head, at, n.data[cut:]
	h.kept += nodeCost
	return head
}

// tail returns the last bytes that were said at a cursor: those of the line that
// is begun.
func (h *history) tail(c cursor) []byte {
	if c.begun == 0 {
		return nil
	}
	if b := c.n.beyond; b != nil {
		return b.begun
	}
	c = c.climb() // the node may have been split since
	out := make([]byte, c.begun)
	left := len(out)
	for n, at := c.n, c.at; left > 0; n, at = n.parent, n.start {
		data := n.data[:at-n.start]
		if len(data) > left {
			data = data[len(data)-left:]
		}
		left -= copy(out[left-len(data):], data)
	}
	return out
}

// say adds p to what tasks have said that all are at c.
func (h *history) say(set ranks.Set, c cursor, p []byte) {
	c = c.climb() // the node may have been split for tasks before these
	to, rest := c, p
	if c.n.beyond == nil {
		keep := p[:min(int64(len(p)), h.depth-c.at)]
		to, rest = h.walk(c, keep), p[len(keep):]
	}
	to.begun = unfinished(c.begun, p)
	if len(rest) > 0 {
		to = h.lose(set.Len(), c, to, p, rest)
	}
	h.move(set, c, to)
}

// common returns how many bytes a and b begin with alike.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	// By halves: the comparison of many bytes is quick.
	lo, hi := 0, n // a[:lo] and b[:lo] are equal, a[:hi] and b[:hi] are not
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; bytes.Equal(a[lo:mid], b[lo:mid]) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// forget has tasks begin anew.
func (h *history) forget(set ranks.Set) {
	partition(set, h.cursor, func(c cursor, same ranks.Set) {
		h.move(same, c, cursor{n: h.root})
	})
	// What nobody has said any more goes when it may be much: a sweep looks at
	// all tasks.
	if h.reset += set.Len(); h.reset*8 >= len(h.pos) {
		h.sweep()
	}
}

// sweep gives up what no task has said.
func (h *history) sweep() {
	h.reset = 0
	reach := map[*node]int64{} // how far some task came
	for r := range h.pos {
		c := h.cursor(r)
		if c.n.beyond != nil {
			c = cursor{n: c.n.parent, at: c.n.parent.end()}
		}
		for n, at := c.n, c.at; n != nil && reach[n] < at; n = n.parent {
			reach[n] = at
			at = n.start
		}
	}
	h.kept = 0
	h.prune(h.root, func(n *node) int64 { return reach[n] })
	if h.kept == 0 && len(h.beyond) == 0 {
		h.depth = math.MaxInt64
	}
}

// prune leaves of each node only what is before the offset that upto returns for
// it, and counts what is kept. It reports whether anything went.
func (h *history) prune(n *node, upto func(*node) int64) (less bool) {
	if end := upto(n); end < n.end() {
		n.data = n.data[:end-n.start]
		n.kids, n.sum = nil, nil
		less = true
	}
	kids := n.kids[:0]
	for _, k := range n.kids {
		if upto(k) > k.start {
			kids = append(kids, k)
			less = h.prune(k, upto) || less
		}
	}
	less = less || len(kids) < len(n.kids)
	clear(n.kids[len(kids):])
	n.kids = kids
	if less {
		n.data = bytes.Clone(n.data) // it may share memory with what went
	}
	if n != h.root {
		h.kept += nodeCost + int64(len(n.data))
	}
	return less
}
