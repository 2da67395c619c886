//go:build unix && (!linux || race)

package fdio

import "syscall"

// Elsewhere, and under the race detector, which has to see what a system call
// does to memory, the calls are the standard library's.

// readFD reads into p alone: there is no readv in the standard library either.
func readFD(fd uintptr, p, _ []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// writeFD writes the first of vec without its first skip bytes: there is no
// writev in the standard library.
func writeFD(fd uintptr, vec [][]byte, skip int) (int, error) {
	for {
		n, err := syscall.Write(int(fd), vec[0][skip:])
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
