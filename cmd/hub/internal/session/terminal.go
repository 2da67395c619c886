package session

import (
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// A Terminal is a person's end of a session: what is typed and what is shown.
// Where In is no terminal, Raw and Size are nil.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	Name     string // $TERM

	// Raw makes the terminal pass on every key as it is typed, and returns
	// what puts it back; that may be called more than once, from anywhere.
	Raw func() (restore func(), err error)
	// Size is the terminal's size; ok is false if it has none.
	Size func() (rows, cols int, ok bool)
	// polled says that reading In blocks no thread.
	polled bool
	// Signals are those that the process gets: SIGWINCH, SIGINT, SIGTERM,
	// SIGHUP, SIGTSTP, SIGCONT.
	Signals <-chan os.Signal
}

// On is the terminal that a file is, or standard input if that is nil, with
// standard output and standard error. stop gives back the signals.
func On(in *os.File) (t Terminal, stop func()) {
	if in == nil {
		in = os.Stdin
	}
	// A signal that comes while another is being handled is not lost, but two
	// of a kind are one: only the last size of a terminal matters.
	signals := make(chan os.Signal, 8)
	// SIGPIPE on standard output would end us before the terminal is put back.
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP,
		syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGCONT)
	t = Terminal{In: in, Out: os.Stdout, Err: os.Stderr, Name: os.Getenv("TERM"), Signals: signals}
	stop = func() { signal.Stop(signals) }
	fd := int(in.Fd())
	if term.IsTerminal(fd) {
		if tty, closeTTY, ok := openTerminal(fd); ok {
			t.In, t.polled = tty, true
			if sameFile(in, os.Stdout) {
				t.Out = tty
			}
			stop = func() { signal.Stop(signals); closeTTY() }
		}
		t.Raw = func() (func(), error) { return rawMode(fd) }
		t.Size = func() (int, int, bool) {
			cols, rows, err := term.GetSize(fd)
			return rows, cols, err == nil && rows > 0 && cols > 0
		}
	}
	return t, stop
}

// sameFile reports whether two files are one, as where both are the terminal.
func sameFile(a, b *os.File) bool {
	fa, erra := a.Stat()
	fb, errb := b.Stat()
	return erra == nil && errb == nil && os.SameFile(fa, fb)
}

// IsTerminal reports whether somebody types at t.
func (t Terminal) IsTerminal() bool { return t.Raw != nil }

func (t Terminal) size() (rows, cols int) {
	if t.Size != nil {
		if r, c, ok := t.Size(); ok {
			return r, c
		}
	}
	return 24, 80
}

func rawMode(fd int) (restore func(), err error) {
	was, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { term.Restore(fd, was) }), nil
}
