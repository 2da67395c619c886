// Package ranks is sets of task numbers. The tasks of a gang are numbered from
// 0; most sets are a few runs of neighbours, and are kept so.
//
// # Ownership
//
// A Set is a value: nothing that has been made changes any more.
package ranks

// A Set is a set of ranks. The zero value is empty.
type Set struct {
	spans []span // ascending, apart from one another
}

// A span is the ranks from lo to before hi.
type span struct{ lo, hi int }

// Span returns the ranks from lo to before hi.
func Span(lo, hi int) Set {
	if lo >= hi {
		return Set{}
	}
	return Set{[]span{{lo, hi}}}
}

// Len returns how many ranks there are.
func (s Set) Len() (n int) {
	for _, p := range s.spans {
		n += p.hi - p.lo
	}
	return n
}
