//go:build race

package gang

// raced says that the race detector looks on, which takes its time.
const raced = true
