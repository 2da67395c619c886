package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hubfs/cmd/hub/internal/follow"
	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
)

// watchRetry is how long hub watch tries a lost server if nothing else is said.
const watchRetry = time.Minute

// watchOptions are the flags of hub watch.
type watchOptions struct {
	at     follow.Place
	grep   *regexp.Regexp
	stamps bool
	json   bool
	retry  time.Duration
	key    string // the prefix
}

func (a *app) watchCmd() *cobra.Command {
	const all = -1
	var o watchOptions
	var lines int
	var since, grep string
	cmd := &cobra.Command{
		Use:   "watch [-n LINES] [--since TIME] [--grep RE] [-t] [--json] NAME...",
		Short: "follow hubs, or the output of shells and jobs; leave with the producer's status",
		Long: `Follow hub NAME, or the output of shell NAME, on standard output: from the
oldest byte that is retained, or with -n from the last LINES lines, or with
--since from the line that came then: 10m, 1h30m or 2d ago, at 15:04 or 15:04:05,
on 2006-01-02 or 2006-01-02 15:04, or a time of RFC 3339.

It ends when the stream ends, with the exit status of who wrote it: the command
of hub tee, or the shell. Marks of an end of file are passed over. If the writer
is faster than we are, "hub: skipped N bytes" says what was missed.

Of a job, as remote/3 (hub run), the output of all tasks is followed, and the
status is the largest.

Several are merged line by line, each line behind the name of its hub; the end is
that of the last, and the status the first, as they were named, that is not 0.
--grep shows only the lines that match, -t when each came: what lay there, to
about a second; --json makes each an object, as in {"hub":"build","offset":0,
"time":"...","text":"make: done"}, "base64" instead of "text" where it is no
UTF-8; "skipped" counts missed bytes, and "end" and "code" say how a hub ended. A
line is shown when it is complete; one of more than 1 MiB is taken apart.

A lost server is tried again for --retry, and the hub goes on at the very byte.

On a terminal the prefix key (-e, $HUB_ESCAPE, else Ctrl-\) and s say who
watches, d or q leave, and ? lists the keys. Signal USR1 is as good as s; it is
said on standard error, with --json in lines of JSON.`,
		Args: func(cmd *cobra.Command, args []string) error {
			usage := func(err error) error { return &usageError{err, helpFor(cmd)} }
			var err error
			switch {
			case len(args) == 0:
				return usage(usagef("%s: expected the NAME of a hub or shell", cmd.CommandPath()))
			case cmd.Flags().Changed("lines") && lines < 0:
				return usage(usagef("-n %d: expected a number of lines", lines))
			case o.retry < 0:
				return usage(usagef("--retry %v: expected a time, as 30s or 5m, or 0", o.retry))
			}
			o.at.Lines = lines
			if since != "" {
				if o.at.Since, err = parseSince(since, time.Now()); err != nil {
					return usage(fmt.Errorf("--since: %w", err))
				}
			}
			if grep != "" {
				if o.grep, err = regexp.Compile(grep); err != nil {
					return usage(fmt.Errorf("--grep: %w", err))
				}
			}
			return nil
		},
		ValidArgsFunction: a.completeEach,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.watch(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&lines, "lines", "n", all, "begin with the last `LINES` lines; 0: only what comes")
	f.Lookup("lines").DefValue = "0" // which the help passes over: it is all there are
	f.StringVar(&since, "since", "", "begin with what came since this `TIME`")
	f.StringVar(&grep, "grep", "", "only lines that match the regular expression `RE`")
	f.BoolVarP(&o.stamps, "time", "t", false, "the time before each line")
	f.BoolVar(&o.json, "json", false, "lines as objects of JSON")
	f.DurationVar(&o.retry, "retry", watchRetry, "how long to try a lost server, a `TIME`; 0: not at all")
	escapeFlag(cmd, &o.key)
	return cmd
}

// A watch is one run of hub watch.
type watch struct {
	app  *app
	o    watchOptions
	line *follow.Line
	many bool       // several names
	jobs []int      // of them, those that are jobs
	out  sync.Mutex // held while writing output: lines of several hubs do not mix
}

// watch follows hubs or the output of shells, and returns the status of their
// producers.
func (a *app) watch(ctx context.Context, names []string, o watchOptions) error {
	prefix, err := prefixKey(o.key)
	if err != nil {
		return err
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		prefix = session.NoPrefix // what is typed there is for somebody else
	}
	ctx, stop := interruptible(ctx, quits(prefix)...)
	defer stop()
	srv, err := a.connectKept(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	w := &watch{app: a, o: o, many: len(names) > 1}
	w.line = follow.NewLine(srv,
		a.connectAgain,
		o.retry, func() { fmt.Fprintf(a.stderr, "hub: server lost, trying again\n") })
	defer w.line.Close()
	streams, err := w.open(ctx, srv, names)
	if err != nil {
		return cause(ctx, err)
	}

	ctx, leave := context.WithCancelCause(ctx)
	who := &audience{app: a, json: o.json, server: w.line.Server}
	for _, s := range streams {
		who.hubs = append(who.hubs, s.Name)
	}
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	who.onSignals(watching)
	keys := who.onKeys(watching, prefix, func() { leave(errLeft) })
	defer keys.Wait()
	defer end()
	err = w.follow(ctx, streams)
	if err == nil {
		err = w.jobStatus(ctx)
	}
	if errors.Is(context.Cause(ctx), errLeft) {
		return nil
	}
	return cause(ctx, err)
}

// errLeft ends a watch because the person who watches wants it.
var errLeft = errors.New("left")

// A watched is a hub that is watched.
type watched struct {
	*follow.Stream
	name   string // by which it was asked for
	errors bool   // it is a job's standard error
	ofJob  bool   // whose status is not that of its hubs
}

// open opens all that is to be followed, so that a mistyped name is an error
// before there is any output.
func (w *watch) open(ctx context.Context, srv *server.Server, names []string) ([]watched, error) {
	timed := w.o.stamps || w.o.json || !w.o.at.Since.IsZero()
	var streams []watched
	for _, name := range names {
		hubs, number, ofJob := []string(nil), 0, false
		if number, ofJob = job.ParseName(name); ofJob {
			if _, err := job.Find(ctx, srv, number); err != nil {
				return nil, err
			}
			w.jobs = append(w.jobs, number)
			hubs = []string{job.Name(number) + "/stdout", job.Name(number) + "/stderr"}
		} else {
			hub, err := srv.Output(ctx, name)
			if err != nil {
				return nil, err
			}
			hubs = []string{hub}
		}
		for i, hub := range hubs {
			s, err := w.line.Open(ctx, hub, timed)
			if err != nil {
				return nil, srv.HubError(ctx, hub, err)
			}
			streams = append(streams, watched{s, name, i == 1, ofJob})
		}
	}
	return streams, nil
}

// jobStatus is the largest status of the jobs that were watched.
func (w *watch) jobStatus(ctx context.Context) error {
	code := 0
	for _, number := range w.jobs {
		j, err := job.Find(ctx, w.line.Server(), number)
		if err != nil {
			return err
		}
		wait, err := j.Wait(ctx)
		if err != nil {
			return err
		}
		var t job.Tally
		if err := wait.Each(ctx, t.Add); err != nil {
			return err
		}
		if code == 0 {
			code = t.Code()
		}
	}
	if code != 0 {
		return statusError(code)
	}
	return nil
}

// grace is how long a watch that was interrupted waits for what takes its
// output.
const grace = time.Second

// follow follows the streams to their ends.
func (w *watch) follow(ctx context.Context, streams []watched) error {
	width := 0
	for _, s := range streams {
		width = max(width, utf8.RuneCountInString(s.name))
	}
	colours := os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(os.Stdout.Fd()))
	errs := make([]error, len(streams))
	var work sync.WaitGroup
	for i, s := range streams {
		label := ""
		if w.many {
			label = labelled(s.name, width, i, colours)
		}
		// Ends with its stream, or with ctx, or if standard output takes
		// nothing, with this process.
		work.Go(func() { errs[i] = w.one(ctx, s, label) })
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }() // ends with them
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(grace):
			return ctx.Err()
		}
	}
	var first error
	for _, err := range errs {
		if w.many && err != nil && !errors.As(err, new(statusError)) && ctx.Err() == nil {
			report(w.app.stderr, err) // of several each has its own
			err = statusError(exitCode(err))
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// labelled is what stands before each line of a hub.
func labelled(name string, width, n int, colours bool) string {
	label := printable(name) + strings.Repeat(" ", width-utf8.RuneCountInString(name)) + "|"
	if colours {
		return fmt.Sprintf("\x1b[%dm%s\x1b[m ", 31+n%6, label)
	}
	return label + " "
}

// one follows one stream and returns its producer's status.
func (w *watch) one(ctx context.Context, s watched, label string) error {
	start, err := s.Start(ctx, w.o.at)
	if err != nil {
		return err
	}
	// Who asks for the beginning is to know that it is not the beginning.
	if gone := s.Hub.First; gone > 0 && w.o.at.Lines < 0 && w.o.at.Since.IsZero() {
		fmt.Fprintf(w.app.stderr, "hub: the first %d bytes of hub %s are not retained\n", gone, s.Name)
	}
	s.Back = func(off int64) {
		fmt.Fprintf(w.app.stderr, "hub: server is back, hub %s goes on at byte %d\n", s.Name, off)
	}
	s.Skipped = func(n int64) {
		of := ""
		if w.many {
			of = " of hub " + s.Name
		}
		fmt.Fprintf(w.app.stderr, "hub: skipped %d bytes%s\n", n, of)
	}
	if !w.many && w.o.grep == nil && !w.o.stamps && !w.o.json {
		out := w.app.stdout
		if s.errors {
			out = w.app.stderr
		}
		err = s.Copy(ctx, start, func(b follow.Block) error { return w.write(out, b.Data) })
	} else {
		err = w.lines(ctx, s.Stream, start, label)
	}
	if err != nil || s.ofJob {
		return err
	}
	st, complete := server.ParseEnd(s.Hub.End)
	if !complete {
		fmt.Fprintf(w.app.stderr, "hub: hub %s did not get all that its producer wrote\n", s.Name)
	}
	if code := st.ExitCode(); code != 0 {
		return statusError(code)
	}
	return nil
}

// lines copies a stream line by line.
func (w *watch) lines(ctx context.Context, s *follow.Stream, start int64, label string) error {
	split := follow.Splitter{}
	if w.o.stamps || w.o.json {
		split.Times = &s.Times
	}
	p := follow.Printer{Hub: s.Name, Label: label, Stamps: w.o.stamps, Grep: w.o.grep, JSON: w.o.json}
	var out []byte
	take := func(t follow.Text) error {
		if out = p.Append(out, t); len(out) < follow.MaxLine {
			return nil
		}
		err := w.write(w.app.stdout, out)
		out = out[:0]
		return err
	}
	next := start
	err := s.Copy(ctx, start, func(b follow.Block) error {
		if w.o.json && b.Off > next && next > start {
			if err := split.End(take); err != nil {
				return err
			}
			out = p.AppendSkip(out, b.Off, b.Off-next)
		}
		next = b.Off + int64(len(b.Data))
		if err := split.Split(b, take); err != nil {
			return err
		}
		err := w.write(w.app.stdout, out)
		out = out[:0]
		return err
	})
	// What has come is shown whatever happens then.
	if err := split.End(take); err != nil {
		return err
	}
	if err == nil && w.o.json {
		st, complete := server.ParseEnd(s.Hub.End)
		out = p.AppendEnd(out, next, st, complete)
	}
	return errors.Join(err, w.write(w.app.stdout, out))
}

func (w *watch) write(to io.Writer, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	w.out.Lock()
	defer w.out.Unlock()
	_, err := to.Write(p)
	return err
}
