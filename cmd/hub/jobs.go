package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
)

// jobForm are the flags that say how the output of a job is shown.
type jobForm struct{ labelled, folded, ordered bool }

func (f *jobForm) flags(cmd *cobra.Command, of string) {
	fl := cmd.Flags()
	fl.BoolVarP(&f.labelled, "labels", "l", false, of+"the node before each line")
	fl.BoolVarP(&f.folded, "fold", "b", false, of+"at the end, equal output once")
	fl.BoolVarP(&f.ordered, "ordered", "k", false, of+"one task's output after another's")
}

// check finds flags that contradict each other.
func (f jobForm) check() error {
	n := 0
	for _, set := range []bool{f.labelled, f.folded, f.ordered} {
		if set {
			n++
		}
	}
	if n > 1 {
		return usagef("-l, -b and -k are three ways to show the output: expected one")
	}
	return nil
}

func (f jobForm) plain() bool { return f == jobForm{} }

func (f jobForm) form() outputForm {
	switch {
	case f.labelled:
		return byLabel
	case f.folded:
		return groups
	case f.ordered:
		return oneByOne
	}
	return asItComes
}

// attachJob is hub attach of a job: its output from the beginning, and what is
// typed for its tasks.
func (a *app) attachJob(ctx context.Context, number int, f jobForm, readOnly bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	srv, err := a.connectKept(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	defer srv.Close()
	j, err := job.Find(ctx, srv, number)
	if err != nil {
		return cause(ctx, err)
	}
	tasks, err := j.Size(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	typed := !readOnly && isTerminalFile(a.stdin)
	v := a.newView(j, f.form(), tasks == 1, typed)
	if ctx.Err() != nil {
		return cause(ctx, ctx.Err())
	}
	ctx = context.WithoutCancel(ctx)
	stop()
	v.guest = true
	v.tally.Size(tasks)
	v.tally.Begin(time.Time{})
	err = v.follow(ctx, func(ctx context.Context) error {
		switch {
		case typed:
			fmt.Fprintf(a.stderr, "hub: job %s: lines go to its tasks, %%help lists what else they can be\n", j.Name())
			go v.typing(ctx, a.stdin) // ends with standard input, or with this process
		case !readOnly:
			go v.pipeIn(ctx, a.stdin) // likewise
		}
		return nil
	})
	if errors.Is(err, errDetached) {
		fmt.Fprintf(a.stderr, "hub: detached from job %s\n", j.Name())
		return nil
	}
	return err
}

func isTerminalFile(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// pipeIn gives the tasks what src has, and its end. Nothing at all is no input.
func (v *view) pipeIn(ctx context.Context, src io.Reader) {
	first := bufio.NewReader(src)
	if _, err := first.Peek(1); errors.Is(err, io.EOF) {
		return
	}
	in, err := v.job.Input(ctx)
	if err == nil {
		err = in.Copy(ctx, first)
	}
	if err != nil && ctx.Err() == nil {
		v.fail(err)
	}
}

// jobHelp is what lines can be that are typed into a job.
const jobHelp = `  %detach        leave it running; so does Ctrl-\
  %status        how far it is; so does Ctrl-C, and typed twice it ends the job
  %eof           the end of its input; so does Ctrl-D
  %signal NAME   signal all tasks
  %kill          end it
  %%...          a line that begins with %
`

// typing gives the tasks lines that are typed. Those that begin with % are for
// us.
func (v *view) typing(ctx context.Context, src io.Reader) {
	lines := bufio.NewReader(src)
	for {
		line, err := lines.ReadBytes('\n')
		if ctx.Err() != nil {
			return
		}
		if len(line) > 0 {
			if err := v.typed(ctx, line); err != nil {
				v.say("%v", err)
			}
		}
		if err != nil { // Ctrl-D, or the terminal is gone, of which SIGHUP tells
			if err := v.job.Ctl(ctx, "close", "stdin"); err != nil && ctx.Err() == nil {
				v.say("%v", err)
			}
			return
		}
	}
}

// typed does what a line says, or gives it to the tasks.
func (v *view) typed(ctx context.Context, line []byte) error {
	word := strings.Fields(string(line))
	switch {
	case bytes.HasPrefix(line, []byte("%%")):
		line = line[1:]
	case len(word) > 0 && line[0] == '%':
		switch {
		case word[0] == "%detach" && len(word) == 1:
			v.fail(errDetached)
		case word[0] == "%status" && len(word) == 1:
			v.say("job %s: %s", v.job.Name(), v.state(ctx))
		case word[0] == "%eof" && len(word) == 1:
			return v.job.Ctl(ctx, "close", "stdin")
		case word[0] == "%kill" && len(word) == 1:
			return v.kill(ctx)
		case word[0] == "%signal" && len(word) == 2:
			return v.job.Ctl(ctx, "signal", word[1])
		case word[0] == "%help":
			io.WriteString(v.notes, jobHelp)
		default:
			return fmt.Errorf("%s: expected one of %%detach %%status %%eof %%signal NAME %%kill %%help, or %%%% for a line that begins with %%", strings.Join(word, " "))
		}
		return nil
	}
	return v.job.Type(ctx, line)
}

// onJob does something to the job of that name, if it is the name of one.
func (a *app) onJob(ctx context.Context, name string, do func(context.Context, *job.Job) error) (is bool, err error) {
	number, is := job.ParseName(name)
	if !is {
		return false, nil
	}
	return true, a.with(ctx, false, func(ctx context.Context, srv *server.Server) error {
		j, err := job.Find(ctx, srv, number)
		if err != nil {
			return err
		}
		return do(ctx, j)
	})
}

// waitJob waits for the end of a job, prints how it ended, and leaves with its
// largest exit status.
func (a *app) waitJob(ctx context.Context, j *job.Job) error {
	wait, err := j.Wait(ctx)
	if err != nil {
		return err
	}
	var t job.Tally
	if err := wait.Each(ctx, t.Add); err != nil {
		return err
	}
	summary, err := j.ReadFile(ctx, "summary")
	if err != nil {
		return err
	}
	if _, err := a.stdout.Write(summary); err != nil {
		return err
	}
	if code := t.Code(); code != 0 {
		return statusError(code)
	}
	return nil
}
