// Package flock waits for the lock of a file or folder, flock(2), which goes
// when the file is closed, or whoever has it dies.
package flock

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// Lock takes the lock of f, which nobody else has then, and waits for it until
// ctx is done. If it fails it closes f, perhaps later: f is not the caller's any
// more.
func Lock(ctx context.Context, f *os.File) error {
	locked := make(chan error, 1)
	// Ends when whoever has the lock has let go, at the latest when it is gone.
	go func() {
		for {
			err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
			if !errors.Is(err, syscall.EINTR) {
				locked <- err
				return
			}
		}
	}()
	select {
	case err := <-locked:
		if err != nil {
			f.Close()
		}
		return err
	case <-ctx.Done():
		go func() { <-locked; f.Close() }() // ends with the one above
		return ctx.Err()
	}
}
