package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
)

// An Aside takes the keys that are typed behind the prefix key at the
// controlling terminal, for a program that runs in front of it and reads it for
// nothing else. Everything else that is typed is dropped; the keys that send
// signals go on doing so, save the prefix.
//
// The terminal is touched only while this program is in its foreground, and is
// as it was whenever it is not, also while the program is stopped.
type Aside struct {
	tty     *os.File
	raw     syscall.RawConn
	prefix  Prefix
	signals chan os.Signal
	keys    chan rune
	on      chan struct{} // gets a value when reading makes sense again
	gone    chan struct{} // closed when nothing more can be read
	armed   atomic.Bool   // the prefix key came as a signal: the next key is ours

	was *modes // Run's: how to put the terminal back; nil: it is as it was
}

// NewAside begins to take keys. Run must be called, and ends it.
func NewAside(prefix Prefix) (*Aside, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("no terminal to take keys from: %w", err)
	}
	a := &Aside{
		tty: tty, prefix: prefix,
		signals: make(chan os.Signal, 4),
		keys:    make(chan rune),
		on:      make(chan struct{}, 1),
		gone:    make(chan struct{}),
	}
	if a.raw, err = tty.SyscallConn(); err != nil {
		tty.Close()
		return nil, err
	}
	signal.Notify(a.signals, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGQUIT)
	a.resume()
	return a, nil
}

// Run calls key for each key behind the prefix, one after another, until ctx is
// done or the terminal is gone. When it returns the terminal is as it was.
func (a *Aside) Run(ctx context.Context, key func(rune)) error {
	defer a.tty.Close()
	defer signal.Stop(a.signals)
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
	defer a.pause()
	for {
		select {
		case sig := <-a.signals:
			switch sig {
			case syscall.SIGTSTP:
				a.pause()
				// As the signal would have done; SIGCONT takes us out of it.
				if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
					return err
				}
			case syscall.SIGCONT: // perhaps into the background, or out of it
				a.resume()
			case syscall.SIGQUIT:
				if a.was == nil {
					// The prefix key, perhaps, of a terminal that a shell has
					// given us without a word: bash does so.
					a.armed.Store(true) // before anything is read
					if a.resume(); a.was != nil && a.was.quits(byte(a.prefix)) {
						continue
					}
				}
				a.pause() // it is not from a key: it is meant
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

// resume takes the keys if the terminal is ours.
func (a *Aside) resume() {
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
func (a *Aside) pause() {
	_ = a.tty.SetReadDeadline(past)
	a.control(func(fd int) {
		if a.was != nil && foreground(fd) {
			_ = setModes(fd, a.was)
		}
		a.was = nil
	})
}

func (a *Aside) control(do func(fd int)) {
	_ = a.raw.Control(func(fd uintptr) { do(int(fd)) }) // fails only when it is closed
}

// read reads keys while the terminal is ours.
func (a *Aside) read(ctx context.Context) {
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
			if n > 0 && a.armed.Swap(false) {
				scanner.armed = true
			}
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
func (a *Aside) readOnce(buf []byte) (n int, err error) {
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
