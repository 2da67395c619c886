//go:build linux

package mount

// WithoutHelper has this process mount as one does where no fusermount is
// installed.
func WithoutHelper() { helpers = nil }
