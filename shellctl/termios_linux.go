package shellctl

import "golang.org/x/sys/unix"

const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS
	iutf8      = unix.IUTF8
	vdisable   = 0 // _POSIX_VDISABLE: this character does nothing
)
