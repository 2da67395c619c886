package p9

import (
	"syscall"
	"unsafe"
)

// canTry reports whether writeFD is worth a try.
func canTry([][]byte) bool { return true }

// writeFD writes vec to a descriptor.
func writeFD(fd uintptr, vec [][]byte) (int, error) {
	if len(vec) == 1 {
		return syscall.Write(int(fd), vec[0])
	}
	var iov [64]syscall.Iovec
	n := 0
	for _, p := range vec {
		if n == len(iov) {
			break
		}
		iov[n].Base = unsafe.SliceData(p)
		iov[n].SetLen(len(p))
		n++
	}
	got, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(n))
	if errno != 0 {
		return 0, errno
	}
	return int(got), nil
}
