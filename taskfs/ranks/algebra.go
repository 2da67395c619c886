package ranks

import (
	"fmt"
	"slices"
)

// Union returns the ranks that are in either.
func (s Set) Union(t Set) Set {
	switch {
	case t.Empty():
		return s
	case s.Empty():
		return t
	}
	u := Set{make([]span, 0, len(s.spans)+len(t.spans))}
	a, b := s.spans, t.spans
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].lo <= b[0].lo {
			u.add(a[0].lo, a[0].hi)
			a = a[1:]
		} else {
			u.add(b[0].lo, b[0].hi)
			b = b[1:]
		}
	}
	return u
}

// Intersect returns the ranks that are in both.
func (s Set) Intersect(t Set) Set {
	var u Set
	a, b := s.spans, t.spans
	for len(a) > 0 && len(b) > 0 {
		if lo, hi := max(a[0].lo, b[0].lo), min(a[0].hi, b[0].hi); lo < hi {
			u.add(lo, hi)
		}
		if a[0].hi <= b[0].hi {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return u
}

// Minus returns the ranks of s that are not in t.
func (s Set) Minus(t Set) Set {
	if t.Empty() {
		return s
	}
	var u Set
	b := t.spans
	for _, p := range s.spans {
		for len(b) > 0 && b[0].hi <= p.lo {
			b = b[1:]
		}
		lo := p.lo
		// What of t reaches beyond p is looked at again for the next span.
		for _, q := range b {
			if q.lo >= p.hi {
				break
			}
			if lo < q.lo {
				u.add(lo, q.lo)
			}
			lo = q.hi
		}
		if lo < p.hi {
			u.add(lo, p.hi)
		}
	}
	return u
}

// Shift returns the set with by added to each rank. No rank may leave
// [0, Limit).
func (s Set) Shift(by int) Set {
	if by == 0 || s.Empty() {
		return s
	}
	if s.Min()+by < 0 || s.Max()+by >= Limit {
		panic(fmt.Sprintf("ranks: %d to %d shifted by %d is not within [0, %d)", s.Min(), s.Max(), by, Limit))
	}
	u := Set{make([]span, len(s.spans))}
	for i, p := range s.spans {
		u.spans[i] = span{p.lo + by, p.hi + by}
	}
	return u
}

// joined returns the set of spans in any order, which may overlap.
func joined(spans []span) (s Set) {
	slices.SortFunc(spans, func(a, b span) int { return a.lo - b.lo })
	for _, p := range spans {
		s.add(p.lo, p.hi)
	}
	return s
}
