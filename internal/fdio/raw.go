//go:build linux && !race

package fdio

import (
	"syscall"
	"unsafe"
)

// readFD is read(2) of p without entersyscall, or readv(2) of p and next.
func readFD(fd uintptr, p, next []byte) (int, error) {
	for {
		var n uintptr
		var errno syscall.Errno
		if len(next) == 0 {
			n, _, errno = syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		} else {
			var iov [2]syscall.Iovec
			iov[0].Base, iov[1].Base = unsafe.SliceData(p), unsafe.SliceData(next)
			iov[0].SetLen(len(p))
			iov[1].SetLen(len(next))
			n, _, errno = syscall.RawSyscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
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
