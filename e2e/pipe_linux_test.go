package e2e

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlargePipe makes a pipe hold as much as our sockets do, if the system lets
// us.
func enlargePipe(f *os.File) {
	if conn, err := f.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, socketBuffer) })
	}
}
