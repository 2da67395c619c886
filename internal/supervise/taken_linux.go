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
	var pollErr error
	err = c.Write(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		for {
			_, pollErr = unix.Poll(p, 0)
			if pollErr != unix.EINTR {
				break
			}
		}
		switch {
		case pollErr != nil:
			return true
		case p[0].Revents&unix.POLLERR != 0:
			pollErr = syscall.EPIPE
			return true
		}
		return p[0].Revents&unix.POLLOUT != 0
	})
	if err == nil {
		err = pollErr
	}
	return err
}
