package gang

import "math/bits"

// numbers gives out the lowest free numbers. The owner's lock guards it.
type numbers struct {
	words []uint64 // a bit for each number that is taken
	from  int      // all words before are full
}

func (n *numbers) take() int {
	for i := n.from; i < len(n.words); i++ {
		if w := ^n.words[i]; w != 0 {
			n.from = i
			b := bits.TrailingZeros64(w)
			n.words[i] |= 1 << b
			return i*64 + b
		}
	}
	n.from = len(n.words)
	n.words = append(n.words, 1)
	return n.from * 64
}

// free gives a number back, and reports whether it was taken.
func (n *numbers) free(num int) bool {
	if num < 0 || num/64 >= len(n.words) {
		return false
	}
	i, bit := num/64, uint64(1)<<(num%64)
	if n.words[i]&bit == 0 {
		return false
	}
	n.words[i] &^= bit
	n.from = min(n.from, i)
	return true
}
