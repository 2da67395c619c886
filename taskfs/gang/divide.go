package gang

import (
	"cmp"
	"slices"
)

// A capacity is what one of those who could take tasks has: of the machines that
// match what is asked for.
type capacity struct {
	slots, free int
}

// maxSlots bounds what is believed of a node, so that sums do not overflow.
const maxSlots = 1 << 20

// divide divides n tasks among those who could take them, and says where the
// cursor stands for the next session: who of equals gets one task more is
// whoever comes next.
//
// "even" goes by free slots, and when these are all taken by slots. "fill" takes
// the free slots of one after the other. "legacy" is what Inferno's taskfs did:
// to each the same number and to the first what is left over, or one each if
// there are more nodes than tasks.
func divide(n int, caps []capacity, policy string, cursor int) (counts []int, next int) {
	counts = make([]int, len(caps))
	if len(caps) == 0 {
		return counts, cursor
	}
	switch policy {
	case "legacy":
		return legacy(n, counts, cursor)
	case "fill":
		for i, c := range caps {
			counts[i] = min(n, bounded(c.free))
			n -= counts[i]
		}
	default:
		free := make([]int, len(caps))
		sum := 0
		for i, c := range caps {
			free[i] = bounded(c.free)
			sum += free[i]
		}
		fits := min(n, sum)
		cursor = spread(fits, free, counts, cursor)
		n -= fits
	}
	slots := make([]int, len(caps))
	for i, c := range caps {
		slots[i] = max(bounded(c.slots), 1)
	}
	return counts, spread(n, slots, counts, cursor)
}

func bounded(n int) int { return min(max(n, 0), maxSlots) }

// spread adds n tasks to counts in proportion to weights, each rounded down or
// up. Who is rounded up is whoever lacks most, and of equals who comes first
// from the cursor on.
func spread(n int, weights, counts []int, cursor int) (next int) {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	if n <= 0 || sum == 0 {
		return cursor
	}
	type rest struct{ i, lacks, turn int }
	rests := make([]rest, len(weights))
	left := n
	for i, w := range weights {
		whole := n / sum * w // n*w/sum, without a product that overflows
		part := n % sum * w
		whole += part / sum
		counts[i] += whole
		left -= whole
		rests[i] = rest{i, part % sum, ((i-cursor)%len(weights) + len(weights)) % len(weights)}
	}
	slices.SortFunc(rests, func(a, b rest) int {
		return cmp.Or(cmp.Compare(b.lacks, a.lacks), cmp.Compare(a.turn, b.turn))
	})
	for _, r := range rests[:left] {
		counts[r.i]++
	}
	return (cursor + left) % len(weights)
}

func legacy(n int, counts []int, cursor int) ([]int, int) {
	c := len(counts)
	if c >= n {
		for i := range n {
			counts[((cursor+i)%c+c)%c] = 1
		}
		return counts, (cursor + n) % c
	}
	for i := range counts {
		counts[i] = n / c
	}
	counts[0] += n % c
	return counts, cursor
}
