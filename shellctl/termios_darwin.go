package shellctl

import "golang.org/x/sys/unix"

const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
	iutf8      = unix.IUTF8
	vdisable   = 0xff // _POSIX_VDISABLE: this character does nothing
)
