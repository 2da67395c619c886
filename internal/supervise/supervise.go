// Package supervise runs the tasks of a session under a process of its own, the
// supervisor, which ends them, and all that they have started, when the session
// ends, when its lease has passed, or when the program that it works for is gone.
//
// The supervisor is this very program, started with a flag that Main knows: a
// program that uses a Runner calls Main before anything else. There is one
// for each crew and no process beside it but the tasks: starting one is a
// message, and the fork and exec of a small process.
//
// # What ends a task
//
//   - Crew.Close.
//   - The end of this program, however it comes: the supervisor sees its socket
//     end.
//   - The lease. It is a time in memory that both share, on a clock that also
//     counts the machine's sleep, so that it holds while this program is stopped.
//   - The end of the supervisor, however it comes: on Linux and FreeBSD the
//     kernel kills the tasks then, and this program what they have left.
//
// On Linux the supervisor adopts every orphan among the descendants of its
// tasks, whatever sessions or groups these have made, and goes on killing
// until the kernel says that it has no child any more. Where there is a
// cgroup of version 2 in which a folder can be made, the tasks run in it and
// are ended with it, too. If the supervisor itself is killed, this program
// ends whoever has the crew's mark in its environment or is in the
// supervisor's session. On other systems it is the tasks and their process
// groups that are ended; who has left these may stay.
//
// If both are killed at the same time, what is left of this are the tasks' own
// deaths: what they have started may stay.
//
// Nothing ends a process that the user of this program may not signal, as one
// that runs as root by sudo(8): the supervisor waits for it, and Close says so.
//
// # Ordering
//
// Tasks of a crew are started, and get their signals, in the order of the
// calls. Exited comes after the last byte of output has been taken, and a
// process that a task leaves with its output open does not keep it from
// coming, as package stdio says.
//
// # Blocking
//
// Start and Signal may wait for the supervisor to take the message, which it
// does as fast as it can start tasks. Close waits for the end of all
// processes, and not for the sinks. Exited is called from a goroutine of the
// task and may wait; Lost comes when all have returned.
//
// # Ownership
//
// A task's Source and Sinks are used from Start until Exited is called, and are
// not closed. The Source must heed its context.
package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"hubfs/taskfs/task"
)

// Options are a Runner's.
type Options struct {
	Dir    string // where tasks start if nothing else is said; "": our own directory
	Folder string // a private folder for those of the crews; "": the system's for temporary files
	Log    *slog.Logger

	noCgroup bool // for tests: the other ways have to do
}

// A Runner makes crews on this machine. It is a task.Runner.
type Runner struct {
	o     Options
	exe   string
	sweep func(mark string, supervisor int, tasks []int) error // the function, but in tests
}

// New returns a Runner.
func New(o Options) (*Runner, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Folder == "" {
		o.Folder = os.TempDir()
	}
	var err error
	for _, p := range []*string{&o.Dir, &o.Folder} {
		if *p, err = filepath.Abs(*p); err != nil {
			return nil, fmt.Errorf("run tasks: %w", err)
		}
	}
	// On Linux this is our own file even when another has taken its place, so
	// that both sides speak the same version.
	exe := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		if exe, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("run tasks: %w", err)
		}
	}
	return &Runner{o: o, exe: exe, sweep: sweep}, nil
}

// Crew starts a supervisor and waits until it is ready.
func (r *Runner) Crew(ctx context.Context, o task.CrewOptions) (task.Crew, error) {
	c, err := newCrew(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("supervisor of session %s: %w", o.Session, err)
	}
	return c, nil
}
