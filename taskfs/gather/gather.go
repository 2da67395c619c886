// Package gather brings together what many tasks put out: on its way up the tree,
// so that what is equal travels once, and at the top, where it is streams and
// groups of tasks that said the same.
//
// A Relay is what a node has to send upward of a session, and a Decoder the other
// end of its link. Between the tasks and the top there are as many pairs of them
// as the tree is deep, and no node but the top keeps what has passed. A Store is
// the top: it writes the hubs that people read, keeps what is distinct once, and
// folds.
//
// # Ordering
//
// The bytes of a task, of both its streams, keep their order everywhere. Those of
// different tasks do not: pieces that are equal go together with the first of
// them. Merged and Errors have whole lines of each task, written one after the
// other: a line that is begun is held until it is complete, until the task has
// ended, or until 64 KiB of it are there. Nothing is added and nothing left out, so
// a task whose last line has no newline is followed at once by what comes next.
// With one task there is nothing to tear apart, and nothing is held. Labelled
// has both streams, each line with its label and with a newline.
//
// # Blocking
//
// Nothing waits but Store.Output, End and Reset, for a hub whose writers wait (one
// in fear, frozen, or limited): so do then whoever called, and in the end the tasks.
// The wake of a Relay may be called by a timer, up to 2 ms after Output, but
// only if a body was taken less than 2 ms before; the first bytes go at once.
//
// # Memory
//
// A Relay holds what waits for Next, and it is for its caller to stop the tasks
// when that is much. Both ends of a link with several tasks remember what was
// sent, 512 KiB at most, so that it need not travel again. A Store has about 25 bytes for each task and
// stream, and output that is equal once, as much of it as Options.Keep says: the
// first bytes of each task, of all tasks alike, as many as there is room for. What
// comes behind those is compared by its SHA-256, so that groups are right, and is
// said to be lost.
//
// # Ownership
//
// Output takes nothing of the caller's. What Decode hands out is good until the
// call returns.
//
// # Hostile input
//
// A Decoder takes what a node below sends for anything at all: what a body stands
// for, in bytes, pieces and tasks, is bounded, and so is what is remembered.
package gather

import "hubfs/taskfs/ranks"

// A Stream is one of the two that a task writes.
type Stream uint8

// The streams of a task.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// partition calls each for the ranks of set that have the same key, in the order
// of the lowest of them.
func partition[K comparable](set ranks.Set, key func(rank int) K, each func(K, ranks.Set)) {
	var first K
	var by map[K][]int // nil: all have the first key, up to now
	var keys []K
	passed := 0
	for r := range set.All() {
		k := key(r)
		if passed++; passed == 1 {
			first = k
			continue
		}
		if by == nil {
			if k == first {
				continue
			}
			keys = []K{first}
			by = map[K][]int{first: leading(set, passed-1)}
		}
		if by[k] == nil {
			keys = append(keys, k)
		}
		by[k] = append(by[k], r)
	}
	if by == nil {
		if passed > 0 {
			each(first, set)
		}
		return
	}
	for _, k := range keys {
		each(k, ranks.Of(by[k]...))
	}
}

// leading returns the n lowest ranks of a set.
func leading(set ranks.Set, n int) []int {
	low := make([]int, 0, n)
	for r := range set.All() {
		if len(low) == n {
			break
		}
		low = append(low, r)
	}
	return low
}
