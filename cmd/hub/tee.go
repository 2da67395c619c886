package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/internal/daemon"
	"hubfs/shellctl"
)

const (
	// teeBacklog is how far the server may be behind the job.
	teeBacklog = 64 << 20
	// teePatience is how long a server may take to answer when nothing is
	// held up by it: before the job begins, and when it has ended.
	teePatience = 10 * time.Second
)

func (a *app) teeCmd() *cobra.Command {
	var size daemon.Bytes
	var wait bool
	cmd := &cobra.Command{
		Use:   "tee [-q BYTES] [--wait] NAME [-- CMD ARG...]",
		Short: "stdin, or a command's output, to stdout and into a hub",
		Long: `Copy standard input to standard output and into hub NAME; or run CMD here, its
output and error output copied to ours and both into the hub. Any number of
"hub watch NAME" follow, from the start or late.

The hub is made if there is none, and a new one takes the place of one that has
ended. At the end it ends with CMD's exit status, which is also ours.

The server never slows the output: if it does not keep up, or goes away, that is
said once and the output goes on here alone. With --wait the output waits for
the slowest watcher instead, until a signal comes.`,
		Args: func(cmd *cobra.Command, args []string) error {
			n := len(args)
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				n = dash
			}
			if n != 1 {
				return &usageError{usagef("%s: expected the NAME of the hub, and -- before a command", cmd.CommandPath()), helpFor(cmd)}
			}
			return nil
		},
		ValidArgsFunction: a.completeHubs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.tee(cmd.Context(), args[0], args[1:], int64(size), wait)
		},
	}
	cmd.Flags().VarP(&size, "size", "q", "what the hub retains, in `BYTES`")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the slowest watcher, who so misses nothing")
	return cmd
}

// cannotRun leaves out what os/exec says of a command besides the reason.
func cannotRun(name string, err error) error {
	if reason := errors.Unwrap(err); reason != nil {
		err = reason
	}
	return fmt.Errorf("cannot run %s: %w", name, err)
}

// A tee is one run of hub tee.
type tee struct {
	app  *app
	srv  *server.Server
	name string
	feed *feed
}

// tee does all that can fail before it runs or reads anything: from then on the
// job goes on whatever happens to the server.
func (a *app) tee(ctx context.Context, name string, argv []string, size int64, wait bool) error {
	if len(argv) > 0 {
		if _, err := exec.LookPath(argv[0]); err != nil {
			return cannotRun(argv[0], err)
		}
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	soon, cancel := context.WithTimeout(ctx, teePatience)
	defer cancel()
	srv, err := a.connect(soon, true)
	if err != nil {
		return cause(ctx, err)
	}
	defer srv.Close()
	t := &tee{app: a, srv: srv, name: name}
	if err := t.begin(soon, size, wait); err != nil {
		return cause(ctx, err)
	}

	// Who reads our output may leave. Then writing is to fail, and not to end
	// us before the hub has its end. The commands that we run know nothing of
	// this, as they would if the signal were ignored.
	pipe := make(chan os.Signal, 1)
	notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	var st shellctl.Status
	if len(argv) > 0 {
		st, err = t.run(argv)
	} else {
		st, err = t.copyStdin(ctx)
	}
	t.end(st)
	if err == nil && st.ExitCode() != 0 {
		return statusError(st.ExitCode())
	}
	return err
}

// begin makes the hub and the way to it.
func (t *tee) begin(ctx context.Context, size int64, wait bool) error {
	f, err := t.srv.Claim(ctx, t.name)
	if err != nil {
		return err
	}
	if size > 0 {
		if err := t.srv.Ctl(ctx, "size", t.name, strconv.FormatInt(size, 10)); err != nil {
			return err
		}
	}
	if wait {
		if err := t.srv.Ctl(ctx, "fear", t.name); err != nil {
			return err
		}
	}
	t.feed = &feed{
		w:        f.Writer(writesAhead),
		limit:    teeBacklog,
		patience: teePatience,
		lost:     t.srv.Done(),
		why:      t.srv.Err,
		cut:      func() { t.srv.Close() },
		say:      t.alone,
		done:     make(chan struct{}),
		wait:     wait,
	}
	go t.feed.run() // until end has finished it, or the server takes no more
	return nil
}

// alone says that the hub does not get all, and why: when the job is over, or
// before.
func (t *tee) alone(err error, over bool) {
	if errors.Is(err, client.ErrLost) {
		err = errors.New("server lost")
	}
	what := "output goes on here alone"
	if over {
		what = "hub " + t.name + " lacks the end of the output"
	}
	fmt.Fprintf(t.app.stderr, "hub: %v, %s\n", err, what)
}

// end ends the hub with the status of the job, when it has got everything.
func (t *tee) end(st shellctl.Status) {
	lack := t.feed.finish()
	if errors.Is(lack, client.ErrLost) {
		return // which has been said
	}
	ctx, cancel := context.WithTimeout(context.Background(), teePatience)
	defer cancel()
	// A server that has stopped reading heeds nothing else.
	defer context.AfterFunc(ctx, func() { t.srv.Close() })()
	if err := t.srv.End(ctx, t.name, st, lack == nil); err != nil {
		fmt.Fprintf(t.app.stderr, "hub: end hub %s: %v\n", t.name, err)
	}
}

// copy copies src to dst and into the hub.
func (t *tee) copy(dst io.Writer, src io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			t.feed.add(buf[:n])
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

func (e *writeError) Error() string { return "write: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// copyStdin passes standard input on, and returns the status that the hub gets.
func (t *tee) copyStdin(ctx context.Context) (shellctl.Status, error) {
	copied := make(chan error, 1)
	go func() { copied <- t.copy(t.app.stdout, t.app.stdin) }() // ends with standard input, or with this process
	var err error
	select {
	case err = <-copied:
	case <-ctx.Done():
		t.feed.hurry()
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
			t.feed.hurry()
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
