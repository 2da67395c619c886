package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"hubfs/cmd/hub/internal/session"
	"hubfs/shellctl"
)

// copy copies src to dst and into the hub.
func (t *tee) copy(dst io.Writer, src io.Reader) error {
	widen(src)
	in := t.feed.Intake()
	for {
		buf := in.Room()
		n, err := src.Read(buf)
		if n > 0 {
			in.Add(n)
			if _, err := dst.Write(buf[:n]); err != nil {
				return &writeError{err}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
}

// A writeError says that our own output takes no more.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() } // "write /dev/stdout: ..."
func (e *writeError) Unwrap() error { return e.err }

// copyStdin passes standard input on, and returns the status that the hub gets.
func (t *tee) copyStdin(ctx context.Context) (shellctl.Status, error) {
	copied := make(chan error, 1)
	go func() { copied <- t.copy(t.app.stdout, t.app.stdin) }() // ends with standard input, or with this process
	var err error
	select {
	case err = <-copied:
	case <-ctx.Done():
		t.feed.Hurry()
		err = cause(ctx, ctx.Err())
	}
	var sig session.SignalError
	switch {
	case err == nil:
		return shellctl.Status{}, nil
	case errors.As(err, &sig):
		return shellctl.SignalStatus(sig.Signal), err
	case errors.Is(err, syscall.EPIPE):
		return shellctl.SignalStatus(syscall.SIGPIPE), nil // as tee(1) ends, without a word
	}
	return shellctl.Status{Code: exitError}, err
}

// run runs a command and passes its output on. It ends, as a pipe does, when
// the command has ended and nobody has its output open any more.
func (t *tee) run(argv []string) (shellctl.Status, error) {
	failed := shellctl.Status{Code: exitError}
	stdout, outW, err := os.Pipe()
	if err != nil {
		return failed, err
	}
	defer stdout.Close()
	defer outW.Close()
	stderr, errW, err := os.Pipe()
	if err != nil {
		return failed, err
	}
	defer stderr.Close()
	defer errW.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.app.stdin, outW, errW

	// A terminal sends INT and QUIT to the command too: it decides what comes
	// of them. Those that are meant for one process are passed on.
	signals := make(chan os.Signal, 4)
	notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return failed, cannotRun(argv[0], err)
	}
	outW.Close()
	errW.Close()

	// These end with the output of the command, and at the latest when our
	// ends of the pipes are closed.
	var copies sync.WaitGroup
	copies.Go(func() { t.copyOutput(t.app.stdout, stdout) })
	copies.Go(func() { t.copyOutput(t.app.stderr, stderr) })
	copied := make(chan struct{})
	go func() { // ends with them
		copies.Wait()
		close(copied)
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the command
	for running := true; running || copied != nil; {
		select {
		case err := <-exited:
			running = false
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				fmt.Fprintf(t.app.stderr, "hub: %s: %v\n", argv[0], err)
			}
		case <-copied:
			copied = nil
		case sig := <-signals:
			t.feed.Hurry()
			switch {
			case !running: // what it has left behind holds its output open
				stdout.Close()
				stderr.Close()
			case sig == syscall.SIGTERM || sig == syscall.SIGHUP:
				cmd.Process.Signal(sig) // unless it ends just now
			}
		}
	}
	return shellctl.StatusOf(cmd.ProcessState), nil
}

// copyOutput is copy of what a command writes. Where our own output takes no
// more, the command gets to know it as it would without us: its own does not.
func (t *tee) copyOutput(dst io.Writer, src *os.File) {
	defer src.Close()
	err := t.copy(dst, src)
	var w *writeError
	if errors.As(err, &w) && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintf(t.app.stderr, "hub: %v\n", err)
	}
}
