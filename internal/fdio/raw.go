//go:build linux && !race

package fdio

import (
	"syscall"
	"unsafe"
)

// readFD is read(2) without entersyscall.
func readFD(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// writeFD is write(2), or writev(2), of vec without the first skip bytes of its
// first element.
func writeFD(fd uintptr, vec [][]byte, skip int) (int, error) {
	for {
		var n uintptr
		var errno syscall.Errno
		if len(vec) == 1 {
			p := vec[0][skip:]
			n, _, errno = syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		} else {
			var iov [64]syscall.Iovec
			k := fillIovec(iov[:], vec, skip)
			n, _, errno = syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(k))
		}
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

func fillIovec(iov []syscall.Iovec, vec [][]byte, skip int) int {
	n := min(len(iov), len(vec))
	for i, p := range vec[:n] {
		p = p[skip:]
		skip = 0
		iov[i].Base = unsafe.SliceData(p)
		iov[i].SetLen(len(p))
	}
	return n
}
