package soak

import (
	"slices"
	"testing"
)

// TestCheckersSeeEveryFault has the checkers look at streams with faults, lest
// they find everything in order.
func TestCheckersSeeEveryFault(t *testing.T) {
	const tag = 5
	hub := &ledger{tag: tag}
	for range 2 {
		hub.newAuthor().sent.Store(100)
	}
	by := func(author, counter uint64, words int) []byte {
		p := make([]byte, words*wordSize)
		write(p, tag, author, counter)
		return p
	}
	at := func(off int64, n int) []byte {
		p := make([]byte, n)
		fill(p, tag, off)
		return p
	}
	other := at(0, 80)
	other[0] ^= 1
	flipped := by(0, 0, 4)
	flipped[19] ^= 1
	newPlaced := func() checker { return (&ledger{tag: tag, placed: true}).checker(0) }
	newMixed := func() checker { return hub.checker(0) }
	skip, strict := true, false
	for _, c := range []struct {
		name  string
		of    func() checker
		reads [][]byte
		skip  bool
		ok    bool
		lacks int64
	}{
		{"placed: in order", newPlaced, [][]byte{at(0, 5), at(5, 1), at(6, 90)}, strict, true, 0},
		{"placed: hole", newPlaced, [][]byte{at(0, 10), at(11, 40)}, strict, false, 0},
		{"placed: hole of one who may skip", newPlaced, [][]byte{at(0, 10), at(41, 40)}, skip, true, 31},
		{"placed: hole seen late", newPlaced, [][]byte{at(0, 10), at(43, 3), at(46, 40)}, skip, true, 33},
		{"placed: twice", newPlaced, [][]byte{at(0, 40), at(39, 40)}, skip, false, 0},
		{"placed: hole inside a read", newPlaced, [][]byte{append(at(0, 40), at(48, 40)...)}, skip, false, 0},
		{"placed: another hub", newPlaced, [][]byte{other}, skip, false, 0},
		{"mixed: in order", newMixed, [][]byte{by(0, 0, 4), by(1, 0, 9), by(0, 4, 1)}, strict, true, 0},
		{"mixed: in pieces", newMixed, [][]byte{by(0, 0, 4)[:13], by(0, 0, 4)[13:], by(1, 0, 9)}, strict, true, 0},
		{"mixed: hole", newMixed, [][]byte{by(0, 0, 4), by(0, 5, 1)}, strict, false, 0},
		{"mixed: hole of one who may skip", newMixed, [][]byte{by(0, 0, 4), by(1, 3, 1), by(0, 6, 1)}, skip, true, 40},
		{"mixed: hole in a word", newMixed, [][]byte{by(0, 0, 4)[:29], by(0, 5, 1)}, skip, true, 11},
		{"mixed: hole inside a read", newMixed, [][]byte{slices.Concat(by(0, 0, 4), by(0, 5, 1))}, skip, false, 0},
		{"mixed: twice", newMixed, [][]byte{by(0, 0, 4), by(0, 3, 1)}, skip, false, 0},
		{"mixed: one write in another", newMixed, [][]byte{slices.Concat(by(0, 0, 4)[:16], by(1, 0, 1))}, skip, false, 0},
		{"mixed: not sent", newMixed, [][]byte{by(0, 0, 101)}, strict, false, 0},
		{"mixed: wrong bit", newMixed, [][]byte{flipped}, strict, false, 0},
	} {
		check := c.of()
		var err error
		for _, p := range c.reads {
			if err = check.take(p, c.skip); err != nil {
				break
			}
		}
		if (err == nil) != c.ok || c.ok && check.lacks() != c.lacks {
			t.Errorf("%s: %v, it lacks %d bytes, want %d", c.name, err, check.lacks(), c.lacks)
		}
	}
}
