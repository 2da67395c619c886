// Package task says what a task is, and what runs tasks: the words that the tree
// of nodes (package gang) and those who start processes share.
package task

import (
	"context"
	"time"

	"hubfs/pipes"
)

// A Task is one command of a session on one node.
type Task struct {
	Rank  int      // number in the session as this node knows it
	Argv  []string // the command and its arguments; it is looked up in Env's PATH
	Dir   string   // where it starts; "": the crew's folder if there is one, else the runner's
	Env   []string // all of its environment
	Umask int      // negative: the runner's

	// Stdin is what the task reads; nil is nothing, at once. The end of the
	// stream, and an eof mark, are that of its standard input. When the task has
	// closed that, the source is read on and dropped, for what others get as well
	// must not wait for it. With Records the source is read only when the task has
	// taken all that came before, which is how it asks for the next, and not at
	// all when it has closed its input.
	Stdin   pipes.Source
	Records bool

	// Stdout and Stderr take what it puts out. They may wait, and then the task
	// does; nil is nobody. When one fails, the task gets a broken pipe.
	Stdout, Stderr pipes.Sink

	// Exited is called once, when the task has ended and the sinks have taken its
	// last byte.
	Exited func(Exit)
}

// An Exit says how a task ended.
type Exit struct {
	Rank            int
	PID             int           // 0: it never ran
	Status          string        // "exit 3", "signal KILL", or "fail REASON" if it could not be started
	User, Sys, Real time.Duration // processor time in the program and in the kernel, and time from start to end
}

// A Runner makes crews on this machine.
type Runner interface {
	// Crew makes ready to run the tasks of one session, so that to start one is
	// quick.
	Crew(ctx context.Context, o CrewOptions) (Crew, error)
}

// CrewOptions are a crew's.
type CrewOptions struct {
	Session string // the session's name, for people
	// Lease is how long the tasks may run without a Renew. It holds whatever
	// becomes of this process: when it has passed nothing of the session runs
	// any more.
	Lease time.Duration
	// Lost is called once if the crew has ended by itself, when its tasks have,
	// too, and Exited was called for each.
	Lost func(error)
}

// A Crew is the tasks of one session on this machine. All methods may be called
// from several goroutines.
type Crew interface {
	// Start starts a task. An error means that it did not run, and Exited is not
	// called.
	Start(t Task) error
	// Signal sends a signal to the process group of a task, by the name that
	// kill(1) knows, as "TERM". To one that has ended it is no error.
	Signal(rank int, name string) error
	// Dir returns the folder of this session's files, which it makes when it is
	// first asked. It goes with the crew.
	Dir() (string, error)
	// Renew begins the lease anew.
	Renew()
	// Close ends every process of the session, and all that these have
	// started. When it returns none is left; the error says that this is not
	// known. Exited may still be under way for tasks whose sinks wait.
	Close(ctx context.Context) error
}
