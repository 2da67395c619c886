package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"hubfs/client"
	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
)

const (
	// secondSoon is how soon after a Ctrl-C another one ends a job. Who asks
	// again much later wants to know again.
	secondSoon = 5 * time.Second
	// killPatience is how long the tasks of a job may take to end when it is
	// killed, and to tell their last.
	killPatience = 10 * time.Second
	// askPatience is how long a server may take to say how far a job is.
	askPatience = 2 * time.Second
)

// How the output of a job is shown.
type outputForm int

const (
	asItComes outputForm = iota // as it comes, line by line
	byLabel                     // each line behind its node
	groups                      // at the end, equal output once
	oneByOne                    // one task after another
)

// A view is a job in front of this terminal: its output, how far it is, and what
// Ctrl-C does to it.
type view struct {
	app    *app
	job    *job.Job
	form   outputForm
	tally  *job.Tally
	screen *job.Screen
	stdout io.Writer // through the screen, as the next
	stderr io.Writer
	notes  io.Writer // what we say ourselves

	// guest says that the job is none that we have started.
	guest bool

	// records says that the input is divided: what of it no task has got is told
	// when the session is over, and that is to be waited for.
	records bool

	// keep makes the job outlive us, for Ctrl-\; nil: it does so anyway.
	keep func(context.Context) error

	signals chan os.Signal
	fail    context.CancelCauseFunc // ends it; set by follow before start is called
	over    chan struct{}           // closed when every task has ended
	told    chan struct{}           // closed when nothing more is told of the job
	started atomic.Bool             // the tasks run, or have run
	placed  atomic.Bool             // the tally knows where tasks are
}

// newView returns a view of a job. From now on signals are the job's. one says
// that it is a single task, whose output is shown as it comes: what waits for an
// answer has no end of line. typed says that a person types into it, who wants no
// other line on the terminal.
func (a *app) newView(j *job.Job, form outputForm, one, typed bool) *view {
	v := &view{app: a, job: j, form: form, tally: new(job.Tally),
		signals: make(chan os.Signal, 8), over: make(chan struct{}), told: make(chan struct{})}
	notify(v.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	notify(v.signals, infoSignals...)
	line := a.progressTerminal()
	if line == nil || typed {
		v.screen = job.NewScreen(nil, nil)
	} else {
		v.screen = job.NewScreen(line, func() int {
			if cols, _, err := term.GetSize(int(line.Fd())); err == nil && cols > 0 {
				return cols
			}
			return 80
		})
	}
	v.stdout = v.screen.Output(a.stdout, isTerminal(a.stdout))
	v.stderr = v.screen.Output(a.stderr, isTerminal(a.stderr))
	v.notes = v.stderr
	if !one {
		v.stdout, v.stderr = job.NewLines(v.stdout), job.NewLines(v.stderr)
	}
	return v
}

// progressTerminal is where a line may stand that says how far a job is; nil:
// nowhere.
func (a *app) progressTerminal() *os.File {
	f, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return f
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// say writes a line for people.
func (v *view) say(format string, arg ...any) {
	fmt.Fprintf(v.notes, "hub: %s\n", printableLines(fmt.Sprintf(format, arg...)))
}

// outputs opens the streams that are to be shown, before the tasks write them.
func (v *view) outputs(ctx context.Context) (map[*job.Output]io.Writer, error) {
	files := map[string]io.Writer{}
	switch v.form {
	case asItComes:
		files["stdout"], files["stderr"] = v.stdout, v.stderr
	case byLabel:
		files["out/labelled"] = v.stdout
	case oneByOne:
		files["stderr"] = v.stderr
	}
	open := map[*job.Output]io.Writer{}
	for file, w := range files {
		o, err := v.job.Output(ctx, file)
		if err != nil {
			return nil, err
		}
		o.Skipped = func(n int64) { v.say("skipped %d bytes of %s", n, file) }
		open[o] = w
	}
	return open, nil
}

// lastWords ends the session, and waits for what there is to tell then.
func (v *view) lastWords() {
	if err := v.job.Close(); err != nil {
		return // lost, which the others say
	}
	select {
	case <-v.told:
	case <-time.After(askPatience):
	}
}

// tell says what happens to the job that people do not see from its output.
func (v *view) tell(ctx context.Context, events *job.Events) {
	defer close(v.told)
	// What ends it is the end of the others, too, who say so.
	_ = events.Each(ctx, func(e job.Event) {
		if e.Word == "restarted" {
			v.placed.Store(false) // the tasks are elsewhere now
		}
		if text := e.Text(); text != "" {
			v.say("%s", text)
		}
	})
}

// A work is goroutines of which the first that fails ends the others.
type work struct {
	sync.WaitGroup
	fail context.CancelCauseFunc
}

func (w *work) do(f func() error) {
	w.Go(func() {
		if err := f(); err != nil {
			w.fail(err)
		}
	})
}

// errDetached ends a view because the person who watches wants it.
var errDetached = errors.New("detached")

// follow shows the job until it is over, and returns its status. start is called
// when everything is open: it starts the tasks, if they do not run yet.
func (v *view) follow(ctx context.Context, start func(context.Context) error) error {
	defer signal.Stop(v.signals)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	v.fail = fail
	w := &work{fail: fail}
	w.do(func() error { return v.begin(ctx, w, start) }) // ends when all is begun, or with ctx
	done := make(chan struct{})
	go func() { w.Wait(); close(done) }() // ends with the job's streams
	progress := make(chan struct{})
	go func() { // ends with ctx
		defer close(progress)
		v.screen.Keep(ctx.Done(), func() string { return "hub: " + v.state(ctx) })
	}()
	killed := v.obey(ctx, fail, done)
	err := context.Cause(ctx)
	if err == nil && v.form == groups {
		err = v.folded(ctx)
	}
	if err == nil && v.records {
		v.lastWords()
	}
	fail(nil)
	<-progress
	for _, w := range []io.Writer{v.stdout, v.stderr} {
		if l, ok := w.(*job.Lines); ok {
			if ferr := l.Flush(); err == nil {
				err = ferr
			}
		}
	}
	switch {
	case killed != nil:
		select {
		case <-done: // who has ended it wants to know that it has
			v.say("job %s was ended: %s", v.job.Name(), v.tally.State(time.Now()))
		default:
		}
		return killed
	case errors.Is(err, syscall.EPIPE): // who reads our output has left
		return session.SignalError{Signal: syscall.SIGPIPE}
	case err != nil:
		return lostJob(v.job.Name(), err)
	}
	v.failures()
	if code := v.tally.Code(); code != 0 {
		return statusError(code)
	}
	return nil
}

// begin opens what is to be shown, starts the tasks, and has everything copied.
func (v *view) begin(ctx context.Context, w *work, start func(context.Context) error) error {
	wait, err := v.job.Wait(ctx)
	if err != nil {
		return err
	}
	streams, err := v.outputs(ctx)
	if err != nil {
		return err
	}
	events, err := v.job.Events(ctx)
	if err != nil {
		return err
	}
	if err := start(ctx); err != nil {
		return &oursError{err}
	}
	v.started.Store(true)
	go v.tell(ctx, events) // ends with the session, with ctx, or with the connection
	w.do(func() error {    // ends with the tasks, or with ctx
		if err := wait.Each(ctx, v.tally.Add); err != nil {
			return err
		}
		close(v.over)
		return nil
	})
	for o, to := range streams {
		w.do(func() error { return o.Copy(ctx, v.over, writeTo(to)) }) // ends with the stream, or with ctx
	}
	if v.form == oneByOne {
		w.do(func() error { return v.inOrder(ctx) }) // likewise
	}
	return nil
}

func writeTo(w io.Writer) func([]byte) error {
	return func(p []byte) error {
		if _, err := w.Write(p); err != nil {
			return &writeError{err}
		}
		return nil
	}
}

// obey does what signals ask for until done is closed, or ctx is. It returns
// what the job was killed by, if it was.
func (v *view) obey(ctx context.Context, fail context.CancelCauseFunc, done <-chan struct{}) (killed error) {
	var asked time.Time // when Ctrl-C was typed last
	var late <-chan time.Time
	kill := func(sig syscall.Signal) {
		again := killed != nil
		killed = session.SignalError{Signal: sig}
		if again || !v.started.Load() { // what does not run yet ends with the connection
			fail(killed)
			return
		}
		late = time.After(killPatience)
		if err := v.kill(ctx); err != nil {
			v.say("%v", err)
			fail(killed)
		}
	}
	for {
		select {
		case <-done:
			return killed
		case <-ctx.Done():
			if killed == nil && errors.As(context.Cause(ctx), new(*writeError)) && v.started.Load() {
				_ = v.kill(ctx) // nobody reads what it writes; it ends with the connection, too
			}
			// Who waits for the server ends now; who waits for our output to be
			// taken, with this process.
			select {
			case <-done:
			case <-time.After(grace):
			}
			return killed
		case <-late:
			v.say("job %s has not ended %v after it was killed", v.job.Name(), killPatience)
			fail(killed)
		case s := <-v.signals:
			switch sig := s.(syscall.Signal); sig {
			case syscall.SIGPIPE: // the write fails, too, and says which it was
			case syscall.SIGQUIT:
				if err := v.leave(ctx); err != nil {
					v.say("%v", err)
					continue
				}
				fail(errDetached)
			case syscall.SIGTERM, syscall.SIGHUP:
				if v.guest { // it is not ours to end because our terminal does
					fail(session.SignalError{Signal: sig})
					continue
				}
				kill(sig)
			case syscall.SIGINT:
				if killed != nil || !v.started.Load() || !asked.IsZero() && time.Since(asked) <= secondSoon {
					kill(sig)
					continue
				}
				asked = time.Now()
				v.say("job %s: %s", v.job.Name(), v.state(ctx))
				v.say("Ctrl-C again within %v ends it, Ctrl-\\ leaves it running", secondSoon)
			default:
				v.say("job %s: %s", v.job.Name(), v.state(ctx))
			}
		}
	}
}

// leave lets the job go on without us.
func (v *view) leave(ctx context.Context) error {
	switch {
	case v.keep == nil:
		return nil
	case !v.started.Load():
		return errors.New("the job does not run yet")
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	return v.keep(ctx)
}

// kill ends all tasks.
func (v *view) kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killPatience)
	defer cancel()
	err := v.job.Ctl(ctx, "kill")
	if err != nil && !server.Lost(err) {
		return fmt.Errorf("kill job %s: %w", v.job.Name(), err)
	}
	return err
}

// state says how far the job is. Where its tasks are it asks the server, once.
func (v *view) state(ctx context.Context) string {
	if v.placed.CompareAndSwap(false, true) {
		ctx, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		if tasks, err := v.job.Tasks(ctx); err == nil { // else we know only less
			v.tally.Place(tasks)
		}
	}
	return v.tally.State(time.Now())
}

// failures says which tasks have failed.
func (v *view) failures() {
	for _, line := range v.tally.Failures() {
		v.say("%s", line)
	}
}

// inOrder copies the output of one task after another.
func (v *view) inOrder(ctx context.Context) error {
	ended := make(chan struct{}) // the stream of a task is over with the task
	close(ended)
	all, _ := v.tally.Tasks()
	for rank := range all {
		o, err := v.job.Output(ctx, fmt.Sprintf("out/bynode/%d", rank))
		if err != nil {
			return err
		}
		o.Skipped = func(n int64) { v.say("skipped %d bytes of task %d", n, rank) }
		err = o.Copy(ctx, ended, writeTo(v.stdout))
		go o.Close() // ends with the server's answer
		if err != nil {
			return err
		}
	}
	return nil
}

// folded shows the output of all tasks, equal output once.
func (v *view) folded(ctx context.Context) error {
	if err := v.text(ctx, "out/folded", v.stdout); err != nil {
		return err
	}
	return v.text(ctx, "out/folded.err", v.stderr)
}

// text copies a file of the job.
func (v *view) text(ctx context.Context, file string, to io.Writer) error {
	f, err := v.job.Open(ctx, file, client.OREAD)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	for {
		n, err := f.ReadContext(ctx, buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return &writeError{err}
		}
	}
}

// lossless are the streams that are shown of which nothing may be skipped,
// however slow our output is.
func (v *view) lossless() []string {
	switch v.form {
	case asItComes:
		return []string{"stdout", "stderr"}
	case byLabel:
		return []string{"out/labelled"}
	case oneByOne:
		return []string{"stderr"}
	}
	return nil
}

// lostJob says what it means for a job that its server was lost.
func lostJob(name string, err error) error {
	if !server.Lost(err) {
		return err
	}
	return &server.Error{
		Text: fmt.Sprintf("connection to the server lost: job %s has ended with it: %s", name, lostReason(err)),
		Hint: "hub run --detach starts one that goes on without us",
		Err:  err,
	}
}
