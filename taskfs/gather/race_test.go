//go:build race

package gather

// race says that the race detector looks on.
const race = true
