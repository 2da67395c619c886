package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
)

// runOptions are the flags of hub run.
type runOptions struct {
	tasks         int // -1: not said
	with, without string
	os, arch, mem string
	labels        []string
	policy        string
	min           int

	jobForm

	noInput, enum bool
	pull          string
	records       string

	push           []string
	dir            string
	env            []string
	retry          int
	run, idle, all time.Duration
	halt           string
	detach         bool
}

func (a *app) runCmd() *cobra.Command {
	o := runOptions{tasks: -1}
	cmd := &cobra.Command{
		Use:   "run [-n N] [-w HOSTS] [-x HOSTS] [-l | -b | -k] [FLAG...] CMD ARG...",
		Short: "one command on many nodes",
		Long: `Run CMD on the nodes of the server, and leave with the largest exit status of its
tasks. Without -n it runs once on each node; -n says how many tasks there are in
all, divided among the nodes by their free slots, or with -w how many on each
host of the list. hub nodes shows what there is. A server without nodes runs the
tasks itself.

HOSTS are names as pdsh(1) and clush(1) have them: node[1-16,20],login. A host that
is no node of the server is reached over ssh and is one until the job ends: it
needs hub, and hubfs as a link to it, in its PATH (hub install), and nobody is
asked for a password. If it cannot be reached nothing is run, unless --min says
that fewer tasks will do.

The output comes as it is written, whole lines of one task at a time. -l puts the
name of the node before each line; -b waits for the end and shows equal output
once, under the nodes that wrote it; -k shows one task's after another's.

Standard input goes to every task, unless it is a terminal; --no-input says that
it is none of theirs. With --enum record I of it is for task I modulo N, with
--pull each record of a FILE (- is standard input) for the next task that asks:
fast ones get more. Records are lines, or what --records says: nul, len (each
behind its length), n=BYTES or sep=TEXT. --push copies files and folders into the
folder in which the tasks then start.

On a terminal a line says how far the job is. Ctrl-C shows that and the nodes that
are still at it, and typed twice within 5 s it ends the job; Ctrl-\ leaves it
running, as --detach does from the start, which prints its name: hub attach
remote/3 comes back, hub watch looks on, hub wait, hub kill and hub rm do what
they do to shells, and hub write remote/3/stdin gives it input.

A task whose node is lost has status 125, unless --retry runs it elsewhere, which
is done when it is certain that it runs no more. One that could not be started
has 127 if there is no such command, else 126. If nobody reads our output the
tasks wait; what watchers read, too: hub ctl calm remote/3/stdout.`,
		Example: `  hub run uname -a
  hub run -n 100 --os linux -l -- uname -a
  hub run -w node[1-16] -b uptime
  hub run -n 8 --pull jobs.txt --push work.sh ./work.sh`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return &usageError{err, helpFor(cmd)}
			}
			return nil
		},
		// CMD and its arguments are, as a rule, files that are here, too.
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runJob(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what is behind CMD is its own
	f.IntVarP(&o.tasks, "tasks", "n", -1, "`N` tasks in all; with -w, on each host; 0: one, on the server itself")
	f.Lookup("tasks").DefValue = "0" // which the help passes over: it is one on each node
	f.StringVarP(&o.with, "hosts", "w", "", "on these `HOSTS`, as node[1-16,20]")
	f.StringVarP(&o.without, "exclude", "x", "", "not on these `HOSTS`")
	f.StringVar(&o.os, "os", "", "on nodes of this `OS`, as linux")
	f.StringVar(&o.arch, "arch", "", "on nodes of this `ARCH`, as amd64")
	f.StringVar(&o.mem, "mem", "", "on nodes with so much memory, `BYTES` as 4g")
	f.StringArrayVar(&o.labels, "label", nil, "on nodes with this `LABEL`; may be given more than once")
	f.IntVar(&o.min, "min", 0, "`M` tasks will do")
	f.StringVar(&o.policy, "policy", "", "how tasks are divided: even, fill or legacy, a `POLICY`")
	o.jobForm.flags(cmd, "")
	f.BoolVar(&o.noInput, "no-input", false, "standard input is not for the tasks")
	f.BoolVar(&o.enum, "enum", false, "record I of the input for task I modulo N")
	f.StringVar(&o.pull, "pull", "", "records of `FILE`, or - for stdin, for the next task that asks")
	f.StringVar(&o.records, "records", "", "what a record is, a `FORM`: line, nul, len, n=BYTES, sep=TEXT")
	f.StringArrayVar(&o.push, "push", nil, "give the tasks `PATH` in their folder; may be given more than once")
	f.StringVarP(&o.dir, "dir", "d", "", "start in `DIR`; else in the folder of what was pushed, or the server's")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set a variable, `K=V`; may be given more than once")
	f.IntVar(&o.retry, "retry", 0, "run a task up to `N` times more if its node is lost")
	f.DurationVar(&o.run, "timeout", 0, "end a task that runs longer than this `TIME`")
	f.DurationVar(&o.idle, "idle", 0, "end a task that writes nothing for this `TIME`")
	f.DurationVar(&o.all, "total", 0, "end the job after this `TIME`")
	f.StringVar(&o.halt, "halt", "", "end the job `WHEN` fail=1, fail=10% or success=1 of its tasks have ended so")
	f.BoolVar(&o.detach, "detach", false, "print the job's name and leave it running")
	return cmd
}

// check finds what is wrong with the flags before anything is done.
func (o *runOptions) check(cmd *cobra.Command, args []string) error {
	set := cmd.Flags().Changed
	switch {
	case len(args) == 0:
		return usagef("hub run: expected a command")
	case set("tasks") && o.tasks < 0:
		return usagef("-n %d: expected a number of tasks", o.tasks)
	case set("min") && o.min < 1:
		return usagef("--min %d: expected a number of tasks, at least 1", o.min)
	case o.min > 0 && o.tasks < 0 && o.with == "":
		return usagef("--min %d needs -n or -w: else it is one task on each node that there is", o.min)
	case o.min > o.tasks && o.min > 0 && o.with == "":
		return usagef("--min %d: more than the %d tasks of -n", o.min, o.tasks)
	case o.tasks == 0 && (o.with+o.without+o.os+o.mem+o.policy != "" || len(o.labels) > 0 || o.min > 0):
		return usagef("-n 0 is one task on the server itself: it takes nothing that says where")
	case o.policy != "" && (o.with != "" || o.tasks < 0):
		return usagef("--policy is about how -n tasks are divided")
	case o.detach && !o.plain():
		return usagef("--detach shows no output: hub attach has -l, -b and -k too")
	case o.arch != "" && o.os == "":
		return usagef("--arch needs --os, as --os linux --arch %s", o.arch)
	case o.noInput && (o.enum || o.pull != ""):
		return usagef("--no-input leaves nothing for --enum and --pull")
	case o.enum && o.pull != "":
		return usagef("--enum and --pull are two ways to divide the input: expected one")
	case o.records != "" && !o.enum && o.pull == "":
		return usagef("--records is for --enum or --pull")
	case !recordForm(o.records):
		return usagef("--records %q: expected line, nul, len, n=BYTES or sep=TEXT", o.records)
	case set("retry") && o.retry < 1:
		return usagef("--retry %d: expected how often, at least 1", o.retry)
	case o.halt != "" && !haltForm(o.halt):
		return usagef("--halt %q: expected fail=N, fail=N%% or success=N", o.halt)
	case len(o.push) > 0 && o.dir != "":
		return usagef("-d and --push are two folders to start in: expected one")
	}
	for flag, d := range map[string]time.Duration{"timeout": o.run, "idle": o.idle, "total": o.all} {
		if set(flag) && d <= 0 {
			return usagef("--%s %v: expected a time, as 30s or 5m", flag, d)
		}
	}
	for _, kv := range o.env {
		if k, v, ok := strings.Cut(kv, "="); !ok || k == "" || strings.ContainsAny(v, "\x00") {
			return usagef("-e %q: expected K=V", kv)
		}
	}
	if err := o.jobForm.check(); err != nil {
		return err
	}
	return job.CheckHosts(o.with, o.without)
}

func recordForm(s string) bool {
	word, value, valued := strings.Cut(s, "=")
	switch word {
	case "", "line", "nul", "len":
		return !valued
	case "sep":
		return value != ""
	case "n":
		n, err := strconv.Atoi(value)
		return err == nil && n > 0
	}
	return false
}

func haltForm(s string) bool {
	word, value, _ := strings.Cut(s, "=")
	if word == "fail" {
		value = strings.TrimSuffix(value, "%")
	}
	n, err := strconv.Atoi(value)
	return (word == "fail" || word == "success") && err == nil && n > 0
}

// A launch is one run of hub run.
type launch struct {
	app  *app
	o    runOptions
	argv []string
	srv  *server.Server
	job  *job.Job
}

// runJob is hub run.
func (a *app) runJob(ctx context.Context, argv []string, o runOptions) error {
	// What cannot be read is an error before anything is asked of others.
	input, closeInput, err := o.input(a)
	if err != nil {
		return &oursError{err}
	}
	defer closeInput()
	ctx, stop := interruptible(ctx)
	defer stop()
	srv, err := a.connect(ctx, true)
	if err != nil {
		return cause(ctx, err)
	}
	defer srv.Close()
	r := &launch{app: a, o: o, argv: argv, srv: srv}
	tasks, err := r.reserve(ctx)
	if err != nil {
		return r.failed(ctx, err)
	}
	if err := r.prepare(ctx, input != nil); err != nil {
		return r.failed(ctx, err)
	}
	if o.detach {
		return r.failed(ctx, r.leave(ctx, input))
	}
	return r.attend(ctx, stop, tasks, input)
}

// failed is the error of what was done before the tasks ran.
func (r *launch) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if r.job != nil {
		err = lostJob(r.job.Name(), err)
	}
	err = cause(ctx, err)
	return &oursError{err}
}

// input is what the tasks are to read; nil: nothing.
func (o *runOptions) input(a *app) (src io.Reader, closeInput func(), err error) {
	none := func() {}
	switch {
	case o.noInput:
		return nil, none, nil
	case o.pull != "" && o.pull != "-":
		f, err := os.Open(o.pull)
		if err != nil {
			return nil, none, fmt.Errorf("--pull: %w", err)
		}
		return f, func() { f.Close() }, nil
	case o.pull == "-", o.enum:
		return a.stdin, none, nil
	case o.detach: // who has left gives no input
		return nil, none, nil
	}
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, none, nil
	}
	return a.stdin, none, nil
}

// exec starts the tasks.
func (r *launch) exec(ctx context.Context) error {
	return r.job.Ctl(ctx, append([]string{"exec"}, r.argv...)...)
}

// leave starts the job and lets it go on without us. Input that was asked for is
// given first: it takes as long as the tasks take to read it.
func (r *launch) leave(ctx context.Context, input io.Reader) error {
	in, err := r.openInput(ctx, input)
	if err != nil {
		return err
	}
	if err := r.exec(ctx); err != nil {
		return err
	}
	if in != nil {
		if err := in.Copy(ctx, input); err != nil {
			return err
		}
	}
	if err := r.job.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(r.app.stdout, r.job.Name())
	return err
}

// openInput opens the tasks' input, if they are to have any.
func (r *launch) openInput(ctx context.Context, input io.Reader) (*job.Input, error) {
	if input == nil {
		return nil, nil
	}
	return r.job.Input(ctx)
}

// attend starts the job and sees it to its end. From now on signals are the
// job's, and forget is called to say so to whom they were before.
func (r *launch) attend(ctx context.Context, forget func(), tasks int, input io.Reader) error {
	if tasks == 0 {
		var err error
		if tasks, err = r.job.Size(ctx); err != nil {
			return r.failed(ctx, err)
		}
	}
	v := r.app.newView(r.job, r.o.form(), tasks == 1, false)
	if ctx.Err() != nil {
		return r.failed(ctx, ctx.Err())
	}
	ctx = context.WithoutCancel(ctx)
	forget()
	v.keep = func(ctx context.Context) error {
		return r.job.Ctl(ctx, "persist")
	}
	v.records = r.o.enum || r.o.pull != ""
	v.tally.Size(tasks)
	err := v.follow(ctx, func(ctx context.Context) error {
		in, err := r.openInput(ctx, input)
		if err != nil {
			return err
		}
		for _, stream := range v.lossless() {
			if err := r.srv.Ctl(ctx, "fear", r.job.Name()+"/"+stream); err != nil {
				return err
			}
		}
		if err := r.exec(ctx); err != nil {
			return err
		}
		v.tally.Begin(time.Now())
		if in != nil {
			go func() { // ends with the input, with ctx, or with this process
				if err := in.Copy(ctx, input); err != nil && ctx.Err() == nil {
					v.fail(err)
				}
			}()
		}
		return nil
	})
	if errors.Is(err, errDetached) {
		fmt.Fprintf(r.app.stderr, "hub: detached from job %[1]s; hub attach %[1]s comes back\n", r.job.Name())
		return nil
	}
	return err
}
