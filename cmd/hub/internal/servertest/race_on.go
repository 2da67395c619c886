//go:build race

package servertest

// Stride is from one place to cut to the next: the race detector sees the same
// in a few.
const Stride = 13
