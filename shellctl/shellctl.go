// Package shellctl runs one process on a terminal of its own, or on three
// pipes, and attaches it to any Source and Sink: streams of the same process,
// or of a server far away. It knows nothing of either.
//
// # Ordering
//
// Bytes reach the process in the order of the Source and the Sink in the order
// in which the process wrote them. The exit status is known when the last byte
// of output has been taken by the Sink, however slow that is.
//
// # Blocking
//
// Start, Resize, Signal, Hangup and Kill never wait for the process, the
// Source or a Sink. A process that does not read its input stops the copying
// of input and nothing else.
//
// A process that another leaves in the background with the terminal open does
// not keep the end from coming: what it has written is delivered, and then it
// has a moment to be quiet.
//
// # Ownership
//
// The package reads the Source and writes the Sinks from Start until Done is
// closed; they stay the caller's and are not closed. A Source must heed its
// context, which ends with the process. When Done is closed, the process has
// been waited for, and no file and no goroutine is left.
package shellctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"

	"hubfs/internal/stdio"
	"hubfs/pipes"
)

// A Spec says what to run, and on what.
type Spec struct {
	Argv []string // the command and its arguments; the command is looked up in Env's PATH
	Dir  string   // where it starts; "" is our own directory
	Env  []string // all of its environment, but for PWD; nil is our own

	Rows, Cols int // of the terminal; 0 is 24 by 80

	Pipe bool // three pipes instead of a terminal
}

// Streams are what a process is attached to.
type Streams struct {
	// Stdin is what the process reads; nil is nothing. At an eof mark the
	// terminal's end-of-file character is typed, usually ^D; on pipes the
	// process's standard input is closed for good. The end of the stream
	// means the same.
	Stdin pipes.Source

	// Stdout takes the output, of a terminal all of it. It is not nil. When
	// a Sink fails, the process gets a hangup, as if its terminal had gone away, and
	// the rest of its output is dropped.
	Stdout pipes.Sink

	// Stderr takes the error output of a process on pipes; nil joins it to
	// Stdout.
	Stderr pipes.Sink
}

// A Shell is a process that Start has started.
type Shell struct {
	cmd  *exec.Cmd
	pid  int       // of the process, its group and its session
	term *terminal // nil on pipes
	log  *slog.Logger

	in    *inlet          // nil without input
	outs  []*stdio.Outlet // one, or two on pipes
	ours  []*os.File      // our ends of the terminal or the pipes
	pumps sync.WaitGroup

	reaped chan struct{} // closed when the process has been waited for
	done   chan struct{} // closed when all is over
	status Status        // set before done is closed
	err    error         // what became of the output; set before done is closed

	hangup sync.Once // for the Sink that fails first

	mu       sync.Mutex
	finished bool           // too late for a kill; guarded by mu
	kills    sync.WaitGroup // kills under way; added to under mu
}

// Start runs the process of spec on io. A nil log is silent.
func Start(spec Spec, io Streams, log *slog.Logger) (*Shell, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cmd, err := command(spec)
	if err != nil {
		return nil, err
	}
	s := &Shell{cmd: cmd, reaped: make(chan struct{}), done: make(chan struct{})}
	var theirs []*os.File
	if spec.Pipe {
		theirs, err = s.openPipes(io)
	} else {
		err = s.openTerminal(spec, io)
	}
	if err == nil {
		closeOnExec()
		if err = cmd.Start(); err != nil {
			err = cannotRun(spec.Argv[0], err)
		}
	}
	closeAll(theirs)
	if err != nil {
		closeAll(s.ours)
		return nil, err
	}
	s.pid = cmd.Process.Pid
	s.log = log.With("pid", s.pid)

	for _, o := range s.outs {
		s.pumps.Go(func() { o.Run(s.sinkFailed) }) // ends with the output; wait waits for it
	}
	if s.in != nil {
		s.pumps.Go(func() { s.in.run(s.log) }) // ends when wait stops it; wait waits for it
	}
	go s.wait() // ends with the process and its output; closes done
	return s, nil
}

func (s *Shell) openTerminal(spec Spec, io Streams) error {
	rows, cols := spec.Rows, spec.Cols
	if rows == 0 && cols == 0 {
		rows, cols = 24, 80
	}
	t, err := openTerminal(rows, cols)
	if err != nil {
		return err
	}
	s.term = t
	s.ours = append(s.ours, t.master, t.slave)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = t.slave, t.slave, t.slave
	s.cmd.SysProcAttr.Setctty = true // the terminal is its descriptor 0
	if io.Stdin != nil {
		s.in = newInlet(io.Stdin, t.master, t)
	}
	return s.addOutlet(t.master, io.Stdout)
}

// openPipes makes the pipes and returns the ends that are the process's.
func (s *Shell) openPipes(io Streams) (theirs []*os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, r)
	s.ours = append(s.ours, w)
	s.cmd.Stdin = r
	if io.Stdin != nil {
		s.in = newInlet(io.Stdin, w, nil)
	} else {
		w.Close()
	}
	outPipe := func(sink pipes.Sink) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, w)
		s.ours = append(s.ours, r)
		return w, s.addOutlet(r, sink)
	}
	if w, err = outPipe(io.Stdout); err != nil {
		return theirs, err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if io.Stderr != nil {
		if w, err = outPipe(io.Stderr); err != nil {
			return theirs, err
		}
		s.cmd.Stderr = w
	}
	return theirs, nil
}

func (s *Shell) addOutlet(f *os.File, sink pipes.Sink) error {
	o, err := stdio.NewOutlet(f, sink, s.reaped)
	if err == nil {
		s.outs = append(s.outs, o)
	}
	return err
}

// wait sees the process through to its end. The order is the law: reaped,
// then the last of the output taken, then everything closed, then the status.
func (s *Shell) wait() {
	s.cmd.Wait() // its error is the status once more
	if s.in != nil {
		s.in.stop()
	}
	if s.term != nil {
		s.term.slave.Close() // now the master sees an end, if we were the last
	}
	for _, o := range s.outs {
		o.Wake()
	}
	close(s.reaped)
	s.pumps.Wait()

	s.mu.Lock()
	s.finished = true
	s.mu.Unlock()
	closeAll(s.ours)
	s.kills.Wait()

	s.status = StatusOf(s.cmd.ProcessState)
	for _, o := range s.outs {
		if lost := o.Lost(); lost != nil {
			s.err = errors.Join(s.err, fmt.Errorf("output of process %d: %w", s.pid, lost))
		}
	}
	close(s.done)
}

// sinkFailed hangs up: nobody sees what the process writes any more.
func (s *Shell) sinkFailed(err error) {
	s.hangup.Do(func() {
		s.log.Warn("output of the shell is lost, hanging up", "err", err)
		s.Hangup()
	})
}

// PID returns the number of the process, which is that of its session.
func (s *Shell) PID() int { return s.pid }

// Resize sets the size of the terminal, and tells the foreground process. A
// process on pipes has no size: nothing happens.
func (s *Shell) Resize(rows, cols int) error {
	if s.term == nil {
		return nil
	}
	select {
	case <-s.reaped:
		return fmt.Errorf("resize: %w", ErrEnded)
	default:
		return s.term.resize(rows, cols)
	}
}

// Done is closed when the process has ended, its last output has been taken,
// and nothing of it is left here.
func (s *Shell) Done() <-chan struct{} { return s.done }

// Wait waits until Done is closed and returns how the process ended. The error
// is that of ctx, or of the Sink that did not take all of the output; the
// status is valid in the second case.
func (s *Shell) Wait(ctx context.Context) (Status, error) {
	select {
	case <-s.done:
		return s.status, s.err
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() // again, perhaps: then it is an error that nobody needs
	}
}
