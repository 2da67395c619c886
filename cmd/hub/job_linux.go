package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is how much a pipe that we read is to hold: each time that it is full
// costs a switch to who writes it, and back. It is what anybody may ask for.
const pipeSize = 1 << 20

// widen makes src larger if it is a pipe.
func widen(src io.Reader) {
	f, ok := src.(*os.File)
	if !ok {
		return
	}
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) // as it is it will do too
		})
	}
}
