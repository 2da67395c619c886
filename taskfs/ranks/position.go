package ranks

// Who runs a part of the ranks numbers its own from 0. These translate: the
// i-th rank of s, counted from its lowest, is at position i.

// Nth returns the rank at position i, and -1 if there is none.
func (s Set) Nth(i int) int {
	if i < 0 {
		return -1
	}
	for _, p := range s.spans {
		if n := p.hi - p.lo; i >= n {
			i -= n
			continue
		}
		return p.lo + i
	}
	return -1
}

// At returns the ranks of s at these positions. Positions that s does not have
// are left out.
func (s Set) At(positions Set) Set {
	if len(s.spans) == 1 {
		return positions.Intersect(Span(0, s.Len())).Shift(s.spans[0].lo)
	}
	var u Set
	at := 0 // position of the span's lowest
	b := positions.spans
	for _, p := range s.spans {
		end := at + p.hi - p.lo
		for len(b) > 0 && b[0].lo < end {
			if lo, hi := max(b[0].lo, at), min(b[0].hi, end); lo < hi {
				u.add(p.lo+lo-at, p.lo+hi-at)
			}
			if b[0].hi > end {
				break // the rest of it is in the next span
			}
			b = b[1:]
		}
		at = end
	}
	return u
}

// Positions returns the positions in s of those ranks of t that s has.
func (s Set) Positions(t Set) Set {
	if len(s.spans) == 1 {
		return t.Intersect(s).Shift(-s.spans[0].lo)
	}
	var u Set
	at := 0
	b := t.spans
	for _, p := range s.spans {
		for len(b) > 0 && b[0].lo < p.hi {
			if lo, hi := max(b[0].lo, p.lo), min(b[0].hi, p.hi); lo < hi {
				u.add(at+lo-p.lo, at+hi-p.lo)
			}
			if b[0].hi > p.hi {
				break
			}
			b = b[1:]
		}
		at += p.hi - p.lo
	}
	return u
}
