package supervise

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// shrink makes a pipe hold one page: a pipe of one slot can be written when it is
// empty, and only then.
func shrink(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var shrinkErr error
	err = c.Control(func(fd uintptr) {
		_, shrinkErr = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, os.Getpagesize())
	})
	if err == nil && shrinkErr != nil {
		err = fmt.Errorf("size of a pipe: %w", shrinkErr)
	}
	return err
}

// taken waits until all that was written to a pipe that was shrunk has been read. The
// error is EPIPE if nobody can read it any more.
func taken(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lost error
	err = c.Write(func(fd uintptr) bool {
		var empty bool
		empty, lost = drained(int(fd))
		return empty || lost != nil
	})
	if err == nil {
		err = lost
	}
	return err
}

// drained reports whether a pipe that was shrunk is empty.
func drained(fd int) (bool, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		_, err := unix.Poll(p, 0)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false, os.NewSyscallError("poll", err)
		case p[0].Revents&unix.POLLERR != 0:
			return false, syscall.EPIPE
		default:
			return p[0].Revents&unix.POLLOUT != 0, nil
		}
	}
}
