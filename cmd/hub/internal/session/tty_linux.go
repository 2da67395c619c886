package session

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"hubfs/internal/fdio"
)

// openTerminal opens the terminal of a descriptor once more, in a way that the
// runtime's poller can watch: keys and output then need no thread that blocks,
// and a terminal that was stopped with Ctrl-S stops nobody else. The flag that
// this takes belongs to the open file, which the descriptor shares with the
// user's shell; an open of our own leaves that alone. If it cannot be had, as
// after su to another user, the descriptor will do.
func openTerminal(fd int) (*fdio.File, func(), bool) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, false
	}
	if f.SetReadDeadline(time.Time{}) == nil {
		if tty, err := fdio.New(f); err == nil {
			return tty, func() { f.Close() }, true
		}
	}
	f.Close()
	return nil, nil, false
}
