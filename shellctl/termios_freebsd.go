package shellctl

import "golang.org/x/sys/unix"

const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
	iutf8      = 0    // the system has no such flag
	vdisable   = 0xff // _POSIX_VDISABLE: this character does nothing
)
