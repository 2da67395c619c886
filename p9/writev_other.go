//go:build unix && !linux

package p9

import "syscall"

// canTry reports whether writeFD is worth a try: without a writev in the
// standard library it is for what lies in one piece.
func canTry(vec [][]byte) bool { return len(vec) == 1 }

// writeFD writes the first of vec to a descriptor.
func writeFD(fd uintptr, vec [][]byte) (int, error) { return syscall.Write(int(fd), vec[0]) }
