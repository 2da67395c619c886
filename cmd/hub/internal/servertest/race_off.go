//go:build !race

package servertest

// Stride is from one place to cut to the next: every place counts.
const Stride = 1
