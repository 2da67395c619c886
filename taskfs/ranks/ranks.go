// Package ranks is sets of task numbers. The tasks of a gang are numbered from
// 0; most sets are a few runs of neighbours, and are kept so: what a set costs
// follows its runs, not its ranks.
//
// Ranks lie in [0, Limit). Span and Of take what is outside for a mistake of the
// caller and panic; Parse, which reads what others have written, returns an
// error.
//
// # Ownership
//
// A Set is a value: nothing that has been made changes any more. It may be
// shared, also between goroutines.
package ranks

import (
	"fmt"
	"iter"
	"slices"
	"sort"
)

// Limit is above every rank.
const Limit = 1 << 30

// A Set is a set of ranks. The zero value is empty.
type Set struct {
	spans []span // ascending, not empty, apart from one another
}

// A span is the ranks from lo to before hi.
type span struct{ lo, hi int }

// Span returns the ranks from lo to before hi.
func Span(lo, hi int) Set {
	if lo >= hi {
		return Set{}
	}
	if lo < 0 || hi > Limit {
		panic(fmt.Sprintf("ranks: span [%d, %d) is not within [0, %d)", lo, hi, Limit))
	}
	return Set{[]span{{lo, hi}}}
}

// Of returns a set of these ranks, in any order, any of them several times.
func Of(r ...int) Set {
	if len(r) == 0 {
		return Set{}
	}
	if !slices.IsSorted(r) {
		r = slices.Clone(r)
		slices.Sort(r)
	}
	if r[0] < 0 || r[len(r)-1] >= Limit {
		panic(fmt.Sprintf("ranks: %d to %d is not within [0, %d)", r[0], r[len(r)-1], Limit))
	}
	var s Set
	for _, n := range r {
		s.add(n, n+1)
	}
	return s
}

// add appends a span that begins at or behind the beginning of the last one. It
// is for sets that are being made.
func (s *Set) add(lo, hi int) {
	if n := len(s.spans); n > 0 && lo <= s.spans[n-1].hi {
		s.spans[n-1].hi = max(s.spans[n-1].hi, hi)
		return
	}
	s.spans = append(s.spans, span{lo, hi})
}

// Len returns how many ranks there are.
func (s Set) Len() (n int) {
	for _, p := range s.spans {
		n += p.hi - p.lo
	}
	return n
}

// Empty reports whether there is no rank.
func (s Set) Empty() bool { return len(s.spans) == 0 }

// Contains reports whether r is one of the ranks.
func (s Set) Contains(r int) bool {
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].hi > r })
	return i < len(s.spans) && s.spans[i].lo <= r
}

// Min returns the lowest rank, Max the highest. Of an empty set both are -1.
func (s Set) Min() int {
	if s.Empty() {
		return -1
	}
	return s.spans[0].lo
}

// Max returns the highest rank, and -1 of an empty set.
func (s Set) Max() int {
	if s.Empty() {
		return -1
	}
	return s.spans[len(s.spans)-1].hi - 1
}

// Equal reports whether both have the same ranks.
func (s Set) Equal(t Set) bool { return slices.Equal(s.spans, t.spans) }

// Spans yields the runs of neighbours, ascending: from lo to before hi.
func (s Set) Spans() iter.Seq2[int, int] {
	return func(yield func(lo, hi int) bool) {
		for _, p := range s.spans {
			if !yield(p.lo, p.hi) {
				return
			}
		}
	}
}

// All yields the ranks, ascending.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, p := range s.spans {
			for r := p.lo; r < p.hi; r++ {
				if !yield(r) {
					return
				}
			}
		}
	}
}
