package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/transport"
)

// Exit statuses of our own.
const (
	exitError = 1   // an error of ours
	exitUsage = 2   // wrong usage
	exitOurs  = 125 // the failure is ours and not the command's: refused, lost, no such server
)

// A usageError is the caller's mistake.
type usageError struct {
	err  error
	hint string // "": how to get help
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, arg ...any) error {
	return &usageError{err: fmt.Errorf(format, arg...)}
}

// A statusError is no error but the exit status of a shell, which is to be
// ours. What there is to say has been said.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// An oursError is a failure that is ours and not that of a command which has a
// status of its own.
type oursError struct{ error }

func (e *oursError) Unwrap() error { return e.error }

// exitCode maps what a command returned to the exit status of the program.
func exitCode(err error) int {
	var status statusError
	var sig session.SignalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &sig):
		return 128 + int(sig.Signal)
	case errors.As(err, new(*usageError)):
		return exitUsage
	case errors.As(err, new(*oursError)):
		return exitOurs
	case errors.Is(err, client.ErrLost), errors.Is(err, server.ErrUnreachable), errors.Is(err, transport.ErrRefused):
		return exitOurs
	}
	return exitError
}

// report says for people what went wrong, and what to do where we know.
func report(w io.Writer, err error) {
	var status statusError
	var sig session.SignalError
	switch {
	case err == nil, errors.As(err, &status):
		return
	case errors.As(err, &sig) && sig.Signal == syscall.SIGINT:
		return // who has typed Ctrl-C knows
	}
	fmt.Fprintf(w, "hub: %s\n", printableLines(textOf(err)))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "hub: hint: %s\n", printableLines(hint))
	}
}

// textOf is what went wrong. That a server does not let us in is said in its own
// words, whatever it was that we asked for first.
func textOf(err error) string {
	var said *client.Error
	if !errors.As(err, new(*server.Error)) && server.Refused(err) && errors.As(err, &said) {
		return "the server does not let us in: " + said.Text
	}
	return err.Error()
}

// printableLines is printable of each line: a server may have said it, and names
// may hold anything.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

func hintOf(err error) string {
	var e *server.Error
	var u *usageError
	switch {
	case errors.As(err, &u) && u.hint != "":
		return u.hint
	case errors.As(err, &u):
		return "hub help shows how"
	case errors.As(err, &e):
		return e.Hint
	case server.Refused(err):
		return "what let us in has expired, or its owner has ended it; a new link from hub invite lets us in"
	}
	return ""
}

// interruptible returns a context that ends with a signal that asks for the
// end of the program, or with one of also. The cause says which it was.
func interruptible(ctx context.Context, also ...os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	notify(signals, append(also, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)...)
	go func() { // ends with ctx
		select {
		case s := <-signals:
			cancel(session.SignalError{Signal: s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(context.Canceled)
	}
}

// quits are what ends tee and watch besides: where nobody takes the prefix key,
// who types it, out of habit, sends SIGQUIT. It is not to fill the screen with
// the stacks of the program, and not to leave a hub behind that never ends.
func quits(prefix session.Prefix) []os.Signal {
	if prefix != session.NoPrefix {
		return nil
	}
	return []os.Signal{syscall.SIGQUIT}
}

// notify has signals sent to c, but for those that we were started to ignore, as
// nohup(1) does it: they stay so, also for what we start.
func notify(c chan<- os.Signal, signals ...os.Signal) {
	for _, s := range signals {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
}

// cause replaces the error of work that was given up by the reason for it.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		if sig := (session.SignalError{}); errors.As(context.Cause(ctx), &sig) {
			return sig
		}
	}
	return err
}
