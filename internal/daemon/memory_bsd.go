//go:build darwin || freebsd

package daemon

import (
	"encoding/binary"
	"runtime"
	"syscall"
)

// memory is how many bytes of memory the machine has; 0: not known.
func memory() int64 {
	name := "hw.physmem"
	if runtime.GOOS == "darwin" {
		name = "hw.memsize"
	}
	s, err := syscall.Sysctl(name) // less a NUL at its end, as if it were text
	if err != nil || len(s) > 8 {
		return 0
	}
	var b [8]byte
	copy(b[:], s)
	return int64(binary.LittleEndian.Uint64(b[:]))
}
