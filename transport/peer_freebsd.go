package transport

import "golang.org/x/sys/unix"

func credOf(fd int) (uid, pid int, err error) {
	const solLocal = 0 // SOL_LOCAL of <sys/un.h>
	c, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, 0, err
	}
	return int(c.Uid), 0, nil
}
