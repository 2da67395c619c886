package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/feed"
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

// teeOptions are the flags of hub tee.
type teeOptions struct {
	size     daemon.Bytes
	spool    bool
	fear     bool
	wait     bool
	patience time.Duration
	retry    time.Duration
	json     bool
	keys     bool
	key      string // the prefix
}

func (a *app) teeCmd() *cobra.Command {
	var o teeOptions
	cmd := &cobra.Command{
		Use:   "tee [-q BYTES] [--spool] [--fear] [--wait] [--json] NAME [-- CMD ARG...]",
		Short: "stdin, or a command's output, to stdout and into a hub",
		Long: `Copy standard input to standard output and into hub NAME; or run CMD here, its
output and error output copied to ours and both into the hub. Any number of
"hub watch NAME" follow, from the start or late.

The hub is made if there is none, and a new one takes the place of one that has
ended. At the end it ends with CMD's exit status, which is also ours. With
--spool its whole history is kept on the server's disk, and outlives the server.

The output never stops for the server, unless that is asked for. Up to 64 MiB
wait for one that is slow or lost; a slow one may cost a second and a fifth of
the time. A lost one is tried again, and if it comes back with the hub, the hub
goes on at the very byte; one of yours that has died is started again for a hub
that is spooled. Beyond that one line says that the output goes on here alone.

With --wait the output waits for the server instead, and with --fear for the
slowest of those who watch, who then miss nothing; who it is is said after 5 s.
--patience drops a watcher that holds the output up for so long without taking a
byte. A signal ends the waiting.

Signal USR1 asks who watches, and how much there is; it is said on standard
error, with --json in a line of JSON. With --keys the prefix key and s do the
same (see -e): not unless asked, because then keys are taken from the terminal,
and no CMD that asks for a password, as sudo does, would get them.`,
		Args: func(cmd *cobra.Command, args []string) error {
			n := len(args)
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				n = dash
			}
			switch {
			case n != 1 || args[0] == "":
				return &usageError{usagef("%s: expected the NAME of the hub, and -- before a command", cmd.CommandPath()), helpFor(cmd)}
			case cmd.ArgsLenAtDash() == len(args): // as of an empty $CMD: standard input is not meant
				return &usageError{usagef("%s: expected a command after --", cmd.CommandPath()), helpFor(cmd)}
			}
			for name, d := range map[string]time.Duration{"patience": o.patience, "retry": o.retry} {
				if cmd.Flags().Changed(name) && (d < 0 || d == 0 && name == "patience") {
					return &usageError{usagef("--%s %v: expected a time, as 30s or 5m", name, d), helpFor(cmd)}
				}
			}
			if o.patience > 0 && !o.fear {
				return &usageError{usagef("--patience is for a hub whose writer waits: with --fear"), helpFor(cmd)}
			}
			return nil
		},
		ValidArgsFunction: a.completeHubs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("retry") {
				o.retry = -1
			}
			return a.tee(cmd.Context(), args[0], args[1:], o)
		},
	}
	f := cmd.Flags()
	f.VarP(&o.size, "size", "q", "what the hub retains, in `BYTES`")
	f.BoolVar(&o.spool, "spool", false, "keep the hub's whole history on the server's disk")
	f.BoolVar(&o.fear, "fear", false, "wait for the slowest watcher, who so misses nothing")
	f.BoolVar(&o.wait, "wait", false, "wait for a server that is slow or lost")
	f.DurationVar(&o.patience, "patience", 0, "with --fear: drop a watcher that takes nothing for this `TIME`")
	f.DurationVar(&o.retry, "retry", 0, "how long to try a lost server, a `TIME`; 0: not at all; else as long as the job runs")
	f.BoolVar(&o.json, "json", false, "what is said about the hub as lines of JSON")
	f.BoolVar(&o.keys, "keys", false, "take the prefix key from the terminal")
	escapeFlag(cmd, &o.key)
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
	name string
	json bool
	feed *feed.Feed
}

// tee does all that can fail before it runs or reads anything: from then on the
// job goes on whatever happens to the server.
func (a *app) tee(ctx context.Context, name string, argv []string, o teeOptions) error {
	if len(argv) > 0 {
		if _, err := exec.LookPath(argv[0]); err != nil {
			return cannotRun(argv[0], err)
		}
	}
	prefix := session.NoPrefix
	if o.keys {
		var err error
		if prefix, err = prefixKey(o.key); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(ctx, quits(prefix)...)
	defer stop()
	t := &tee{app: a, name: name, json: o.json}
	if err := t.begin(ctx, o); err != nil {
		return cause(ctx, err)
	}
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	who := &audience{app: a, json: o.json, hubs: []string{name}, server: t.feed.Server}
	who.onSignals(watching)
	keys := who.onKeys(watching, prefix, nil)
	defer keys.Wait()
	defer end()

	// Who reads our output may leave. Then writing is to fail, and not to end
	// us before the hub has its end. The commands that we run know nothing of
	// this, as they would if the signal were ignored.
	pipe := make(chan os.Signal, 1)
	notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	var st shellctl.Status
	var err error
	if len(argv) > 0 {
		st, err = t.run(argv)
	} else {
		st, err = t.copyStdin(ctx)
	}
	t.feed.Finish(st.String()) // what it lacks has been said
	if o.spool {
		t.kept(context.WithoutCancel(ctx))
	}
	if err == nil && st.ExitCode() != 0 {
		return statusError(st.ExitCode())
	}
	return err
}

// begin makes the hub and the way to it.
func (t *tee) begin(ctx context.Context, o teeOptions) error {
	ctx, cancel := context.WithTimeout(ctx, teePatience)
	defer cancel()
	srv, err := t.app.connect(ctx, true)
	if err != nil {
		return err
	}
	if err := t.claim(ctx, srv, o); err != nil {
		srv.Close()
		return err
	}
	return nil
}

func (t *tee) claim(ctx context.Context, srv *server.Server, o teeOptions) error {
	claimed, err := srv.Claim(ctx, t.name)
	if err != nil {
		return err
	}
	var words [][]string
	if o.size > 0 {
		words = append(words, []string{"size", t.name, strconv.FormatInt(int64(o.size), 10)})
	}
	if o.spool {
		words = append(words, []string{"spool", t.name})
	}
	if o.fear {
		words = append(words, []string{"fear", t.name})
	}
	if o.patience > 0 {
		words = append(words, []string{"patience", t.name, strconv.FormatInt(wholeSeconds(o.patience), 10)})
	}
	for _, w := range words {
		if err := srv.Ctl(ctx, w...); err != nil {
			// A hub that we have made would keep its watchers waiting.
			if h, ok, herr := srv.Hub(ctx, t.name); herr == nil && ok && h.Next == 0 && h.Readers == 0 {
				_ = claimed.Remove(ctx)
			}
			return err
		}
	}
	t.feed, err = feed.Begin(ctx, srv, t.name,
		t.app.connectAgain,
		feed.Config{
			Say: t.say, Slow: t.slow,
			Fear: o.fear, Wait: o.wait,
			Backlog: teeBacklog, Patience: teePatience, Retry: o.retry,
		})
	if err != nil {
		return err
	}
	// The feed has an open of its own: until then nobody else could claim it.
	return claimed.Close()
}

// wholeSeconds is d in seconds, rounded up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// kept says so if the hub that was to be on the server's disk is not: a disk
// that is full or broken leaves it in memory, where it does not outlive the
// server.
func (t *tee) kept(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, audiencePatience)
	defer cancel()
	srv, err := t.app.connect(ctx, false)
	if err != nil {
		return // that it is lost has been said
	}
	defer srv.Close()
	if h, ok, err := srv.Hub(ctx, t.name); err == nil && ok && !h.Is("spool") {
		t.note("memory", 0, fmt.Sprintf("hub %s is only in the server's memory now, not on its disk; its log says why", t.name))
	}
}

// say says what happens to the hub.
func (t *tee) say(n feed.Note) {
	switch n.Kind {
	case feed.Lost:
		t.note("lost", n.At, "server lost, trying again")
	case feed.Back:
		t.note("back", n.At, fmt.Sprintf("server is back, hub %s goes on at byte %d", t.name, n.At))
	case feed.NotEnded:
		t.note("not ended", n.At, fmt.Sprintf("end hub %s: %v", t.name, n.Err))
	case feed.Alone:
		err := n.Err
		if errors.Is(err, client.ErrLost) {
			err = errors.New("server lost")
		}
		what := "output goes on here alone"
		if n.Over {
			what = "hub " + t.name + " lacks the end of the output"
		}
		t.note("alone", n.At, fmt.Sprintf("%v, %s", err, what))
	}
}

// note writes a note to standard error: for people, or as a line of JSON.
func (t *tee) note(event string, at int64, text string) {
	if !t.json {
		fmt.Fprintf(t.app.stderr, "hub: %s\n", printableLines(text))
		return
	}
	line, err := json.Marshal(struct {
		Hub    string `json:"hub"`
		Event  string `json:"event"`
		Offset int64  `json:"offset,omitempty"`
		Text   string `json:"text"`
	}{t.name, event, at, text})
	if err == nil { // strings and numbers: it is
		fmt.Fprintf(t.app.stderr, "%s\n", line)
	}
}

// slow says for whom the output waits.
func (t *tee) slow(ctx context.Context) {
	srv := t.feed.Server()
	if srv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, audiencePatience)
	defer cancel()
	st, err := srv.Status(ctx)
	if err != nil {
		return
	}
	h, ok := st.Hub(t.name)
	readers := readersOf(h, st.Readers)
	if !ok || len(readers) == 0 {
		return
	}
	text := "output waits for " + describe(readers[0], h)
	if id := readers[0].ID; id != "" {
		command := "hub"
		if t.app.serverFlag != "" { // the number means another reader elsewhere
			command += " -s " + t.app.serverFlag
		}
		text += "; " + command + " ctl drop " + id + " goes on without"
	}
	t.note("waits", 0, text)
}
