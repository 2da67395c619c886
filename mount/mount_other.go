//go:build !linux

package mount

import (
	"errors"
	"runtime"

	"hubfs/client"
)

// A Mount is a tree that is mounted.
type Mount struct{}

func unsupported() error {
	return &Error{
		Text: "mounting is there on Linux alone, not on " + runtime.GOOS,
		Hint: "hub read, hub write and hub ctl need no mount; 9pfuse of plan9port mounts a server that listens with -a",
		Err:  errors.ErrUnsupported,
	}
}

// New is an error here.
func New(*client.Conn, string, Options) (*Mount, error) { return nil, unsupported() }

// Unmount is an error here.
func Unmount(string) error { return unsupported() }

// Check is an error here.
func Check(string) error { return unsupported() }

// Done returns nil: there are no mounts.
func (*Mount) Done() <-chan struct{} { return nil }

// Close does nothing.
func (*Mount) Close() error { return nil }
