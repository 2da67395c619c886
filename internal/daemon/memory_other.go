//go:build !linux && !darwin && !freebsd

package daemon

// memory is how many bytes of memory the machine has; 0: not known.
func memory() int64 { return 0 }
