package session

import (
	"time"

	"golang.org/x/sys/unix"
)

// Deadlines that have passed, and that never do.
var (
	past  = time.Unix(1, 0)
	never time.Time
)

// foreground reports whether this process is in the foreground of its
// controlling terminal.
func foreground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// modes are how a terminal treats what is typed and what is shown.
type modes unix.Termios

func getModes(fd int) (*modes, error) {
	t, err := unix.IoctlGetTermios(fd, getTermios)
	return (*modes)(t), err
}

func setModes(fd int, m *modes) error {
	return unix.IoctlSetTermios(fd, setTermios, (*unix.Termios)(m))
}

// keys returns modes in which keys are read as they are typed and not shown.
// Those that send signals still do, but for the prefix; output is treated as
// before, for other programs may show theirs on the same terminal.
func (m *modes) keys(prefix byte) *modes {
	t := *m
	t.Lflag &^= unix.ICANON | unix.ECHO
	for i := range t.Cc {
		if t.Cc[i] == prefix {
			t.Cc[i] = disabled
		}
	}
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return &t
}

// quits reports whether this key sends SIGQUIT.
func (m *modes) quits(key byte) bool {
	return m.Lflag&unix.ISIG != 0 && m.Cc[unix.VQUIT] == key
}
