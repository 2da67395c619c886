package gather

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"hubfs/taskfs/ranks"
)

// A Group is the tasks that have put out the same. It does not change any more.
type Group struct {
	Ranks ranks.Set
	Kept  int64 // bytes of the output, from its beginning, that are there
	Lost  int64 // bytes behind those

	last *stretch
}

// A stretch is output that several Groups may share, with what is before it.
type stretch struct {
	before *stretch
	data   []byte
}

// Output returns what is kept of the group's output. It may be shared.
func (g Group) Output() []byte {
	pieces := g.pieces()
	if len(pieces) == 1 {
		return pieces[0]
	}
	return slices.Concat(pieces...)
}

func (g Group) pieces() (list [][]byte) {
	for s := g.last; s != nil; s = s.before {
		list = append(list, s.data)
	}
	slices.Reverse(list)
	return list
}

// Folded returns the groups of what has come up to now, the largest first, then by
// lowest rank. Tasks that have said nothing are a group, too. It copies nothing.
func (s *Store) Folded(set ranks.Set, st Stream) (groups []Group) {
	set = set.Intersect(s.all)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.said[st-1]; h != nil {
		groups = h.groups(set)
	} else if !set.Empty() {
		groups = []Group{{Ranks: set}}
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Ranks.Len(), a.Ranks.Len()), cmp.Compare(a.Ranks.Min(), b.Ranks.Min()))
	})
	return groups
}

// groups returns the groups of some tasks, in no order.
func (h *history) groups(set ranks.Set) (groups []Group) {
	whole := map[*node]*stretch{} // up to the end of a node
	var upto func(*node) *stretch
	upto = func(n *node) *stretch {
		if n == h.root {
			return nil
		}
		if whole[n] == nil {
			whole[n] = &stretch{upto(n.parent), n.data}
		}
		return whole[n]
	}
	key := func(rank int) cursor {
		c := h.cursor(rank)
		c.begun = 0 // a line that is begun is one when the task has ended
		return c
	}
	partition(set, key, func(c cursor, same ranks.Set) {
		g := Group{Ranks: same}
		g.Kept, g.Lost = h.measure(c, true)
		switch n := c.n; {
		case n.beyond != nil:
			g.last = upto(n.parent)
		case n != h.root:
			g.last = &stretch{upto(n.parent), n.data[:c.at-n.start]}
		}
		groups = append(groups, g)
	})
	return groups
}

// RenderFolded writes groups as clubak -b does: a head with the names of the
// tasks and how many they are, then what they have put out. Those that have put
// out nothing are left out.
func RenderFolded(w io.Writer, groups []Group, names func(ranks.Set) string) error {
	const rule = "---------------\n"
	b := bufio.NewWriterSize(w, 64<<10) // keeps the first error, for Flush
	for _, g := range groups {
		if g.Kept+g.Lost == 0 {
			continue
		}
		head := names(g.Ranks)
		if n := g.Ranks.Len(); n > 1 {
			head = fmt.Sprintf("%s (%d)", head, n)
		}
		b.WriteString(rule + strings.ReplaceAll(head, "\n", " ") + "\n" + rule)
		line := true // at the beginning of one
		for _, p := range g.pieces() {
			b.Write(p)
			line = p[len(p)-1] == '\n'
		}
		if !line {
			b.WriteByte('\n')
		}
		if g.Lost > 0 {
			fmt.Fprintf(b, "taskfs: %d bytes were not kept\n", g.Lost)
		}
	}
	return b.Flush()
}
