package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Aside takes the keys that are typed behind the prefix key at the controlling
// terminal, for a program that runs in front of it and reads it for nothing
// else. Everything else that is typed is dropped; the keys that send signals go
// on doing so, save the prefix.
//
// The terminal is touched only while this program is in its foreground, and is
// as it was whenever it is not, also while the program is stopped. Aside
// returns, and it is as it was, when ctx is done, or at once if there is no
// terminal. key is called by one goroutine and may take its time.
func Aside(ctx context.Context, prefix Prefix, key func(rune)) error {
	if prefix == NoPrefix {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("no terminal to take keys from: %w", err)
	}
	defer tty.Close()
	a := &aside{tty: tty, prefix: prefix, keys: make(chan rune), on: make(chan struct{}, 1), gone: make(chan struct{})}
	if a.raw, err = tty.SyscallConn(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGQUIT)
	defer signal.Stop(signals)

	ctx, cancel := context.WithCancel(ctx)
	var doing sync.WaitGroup
	defer doing.Wait()
	defer cancel()
	doing.Go(func() { // ends with ctx
		for {
			select {
			case k := <-a.keys:
				key(k)
			case <-ctx.Done():
				return
			}
		}
	})
	// Ends when the terminal is closed, or where that does not end a read of
	// it, with this process.
	go a.read(ctx)
	a.resume()
	defer a.pause()
	for {
		select {
		case sig := <-signals:
			switch sig {
			case syscall.SIGTSTP:
				a.pause()
				// As the signal would have done; SIGCONT takes us out of it.
				if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
					return err
				}
			case syscall.SIGCONT: // perhaps into the background, or out of it
				a.resume()
			case syscall.SIGQUIT: // not from a key: it is meant
				a.pause()
				signal.Reset(syscall.SIGQUIT)
				return syscall.Kill(os.Getpid(), syscall.SIGQUIT)
			}
		case <-a.gone:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// An aside is one run of Aside.
type aside struct {
	tty    *os.File
	raw    syscall.RawConn
	prefix Prefix
	keys   chan rune
	on     chan struct{} // gets a value when reading makes sense again
	gone   chan struct{} // closed when nothing more can be read

	was *modes // the loop's: how to put the terminal back; nil: it is as it was
}

// resume takes the keys if the terminal is ours.
func (a *aside) resume() {
	a.control(func(fd int) {
		if !foreground(fd) {
			return
		}
		was, err := a.was, error(nil)
		if was == nil { // else the shell may have set it up for itself since
			was, err = getModes(fd)
		}
		if err != nil || setModes(fd, was.keys(byte(a.prefix))) != nil {
			return
		}
		a.was = was
	})
	if a.was == nil {
		return
	}
	_ = a.tty.SetReadDeadline(never) // where a terminal has no deadlines, none was set
	select {
	case a.on <- struct{}{}:
	default:
	}
}

// pause gives the terminal back. If another program has it by now, that has set
// it up as it wants it.
func (a *aside) pause() {
	_ = a.tty.SetReadDeadline(past)
	a.control(func(fd int) {
		if a.was != nil && foreground(fd) {
			_ = setModes(fd, a.was)
		}
		a.was = nil
	})
}

func (a *aside) control(do func(fd int)) {
	_ = a.raw.Control(func(fd uintptr) { do(int(fd)) }) // fails only when it is closed
}

// read reads keys while the terminal is ours.
func (a *aside) read(ctx context.Context) {
	defer close(a.gone)
	scanner := keyScanner{prefix: a.prefix}
	buf := make([]byte, 256)
	for {
		select {
		case <-a.on:
		case <-ctx.Done():
			return
		}
		for {
			n, err := a.readOnce(buf)
			for rest := buf[:n]; len(rest) > 0; {
				var k rune
				if _, k, rest = scanner.scan(rest); k == 0 {
					break
				}
				select {
				case a.keys <- k:
				case <-ctx.Done():
					return
				}
			}
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errBackground) {
				break
			}
			if err != nil || n == 0 {
				return
			}
		}
	}
}

var errBackground = errors.New("the terminal is another program's")

// readOnce reads what is typed. Who reads a terminal in its background is
// stopped: so it looks first, each time that there is something.
func (a *aside) readOnce(buf []byte) (n int, err error) {
	rerr := a.raw.Read(func(fd uintptr) bool {
		if !foreground(int(fd)) {
			n, err = 0, errBackground
			return true
		}
		for {
			n, err = syscall.Read(int(fd), buf)
			if err != syscall.EINTR {
				break
			}
		}
		return err != syscall.EAGAIN
	})
	if rerr != nil {
		return 0, rerr
	}
	return max(n, 0), err
}
