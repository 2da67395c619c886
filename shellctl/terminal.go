package shellctl

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// A terminal is the master side of a PTY, and a hold on the other side.
type terminal struct {
	// master is in the runtime's poller: it has deadlines, and a goroutine
	// that waits for it costs no thread. Nobody calls its Fd, which would take
	// that away.
	master *os.File
	raw    syscall.RawConn

	// slave is what the process has as 0, 1 and 2. We keep it open while the
	// process lives. Else the master would read EIO as soon as nobody has it
	// open, which may be for a moment only: login(1) closes and opens it.
	slave *os.File
}

func openTerminal(rows, cols int) (_ *terminal, err error) {
	opened, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	defer opened.Close() // pty has called its Fd
	t := &terminal{slave: slave}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	fd, err := unix.FcntlInt(opened.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	t.master = os.NewFile(uintptr(fd), opened.Name())
	if err := t.master.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("wait for a terminal: %w", err) // not in the poller
	}
	if t.raw, err = t.master.SyscallConn(); err != nil {
		return nil, err
	}
	if err := t.resize(rows, cols); err != nil {
		return nil, err
	}
	return t, t.control("set the terminal to UTF-8", func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, getTermios)
		if err != nil {
			return err
		}
		tio.Iflag |= iutf8 // erase takes a character away, not a byte
		return unix.IoctlSetTermios(fd, setTermios, tio)
	})
}

// control runs f with the master's descriptor. It waits for no reader and no
// writer of the terminal, which may be blocked for long.
func (t *terminal) control(what string, f func(fd int) error) error {
	var ferr error
	err := t.raw.Control(func(fd uintptr) { ferr = f(int(fd)) })
	if err == nil {
		err = ferr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (t *terminal) resize(rows, cols int) error {
	const most = 1<<16 - 1
	if rows < 1 || rows > most || cols < 1 || cols > most {
		return fmt.Errorf("bad size %d %d: expected rows and columns from 1 to %d", rows, cols, most)
	}
	return t.control("resize the terminal", func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)})
	})
}

// foreground returns the process group that has the terminal now.
func (t *terminal) foreground() (pgid int, err error) {
	err = t.control("foreground group", func(fd int) (err error) {
		pgid, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		return err
	})
	if err == nil && pgid <= 0 {
		err = fmt.Errorf("foreground group: %w", unix.ESRCH)
	}
	return pgid, err
}

// eofChar returns the character that a person would type for an end of file;
// ok is false if the program has switched it off.
func (t *terminal) eofChar() (c byte, ok bool, err error) {
	err = t.control("the terminal's end-of-file character", func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, getTermios)
		if err == nil {
			c = tio.Cc[unix.VEOF]
		}
		return err
	})
	return c, err == nil && c != vdisable, err
}

func (t *terminal) close() {
	t.slave.Close()
	t.master.Close() // a nil file has an answer for that
}
