package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/transport"
)

type attachOptions struct {
	key      string
	history  int
	readOnly bool
	alone    bool
}

// escape adds the flag for the prefix key, which attach has from its parent
// as well as by itself.
func (o *attachOptions) escape(cmd *cobra.Command) { escapeFlag(cmd, &o.key) }

func escapeFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVarP(key, "escape", "e", *key, "the prefix `KEY`: ^A, C-a, or none; else $HUB_ESCAPE, else ^\\")
}

// prefixKey is the prefix key that key says, which is that of the flag: else
// that of the environment, else the default.
func prefixKey(key string) (session.Prefix, error) {
	if key == "" {
		key = os.Getenv("HUB_ESCAPE")
	}
	if key == "" {
		return session.DefaultPrefix, nil
	}
	prefix, err := session.ParsePrefix(key)
	if err != nil {
		return 0, &usageError{err: fmt.Errorf("prefix key: %w", err), hint: "-e and $HUB_ESCAPE say which"}
	}
	return prefix, nil
}

func (o *attachOptions) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&o.history, "history", session.DefaultHistory, "`LINES` of output to show again; 0 none, -1 all")
}

func (a *app) attachCmd(o *attachOptions) *cobra.Command {
	var form jobForm
	cmd := &cobra.Command{
		Use:   "attach [-r] [-x] NAME|LINK|-",
		Short: "attach to a shell that there is, or to a job",
		Long: `Attach to a shell that there is; hub NAME starts it if need be.

A LINK, which hub invite and hub share print, leads to a shell of somebody else:
its first use makes this user's key known there, and later uses need only
hub://HOST:PORT/NAME. With - the link is read from standard input, where it is
seen neither in a list of processes nor in a shell's history.

Every key goes to the shell but the prefix key, Ctrl-\ unless -e says otherwise,
and the key behind it: d detaches, ? lists the others. In front of a shell on
pipes, and where standard input is no terminal, it is lines that go to the
shell, and a line that begins with % is a command: %detach, %help. Ctrl-D is
then an end of file for the shell's program, and Ctrl-C interrupts it. Where
standard input is no terminal, its end detaches.

When the shell ends, hub leaves with its exit status; when we detach, with 0.

Of a job, as remote/3 (hub run), the output is shown from the beginning, or from
what is retained of it, in the ways of hub run. Lines that are typed go to all of
its tasks; %help lists what else they can be. Ctrl-C shows how far it is, twice
within 5 s ends it, and Ctrl-\ detaches.`,
		Args:              a.exactly(1, "the NAME of a shell, a link, or - for a link on standard input"),
		ValidArgsFunction: a.completeShells,
		RunE: func(cmd *cobra.Command, args []string) error {
			if number, ok := job.ParseName(args[0]); ok {
				if err := form.check(); err != nil {
					return err
				}
				return a.attachJob(cmd.Context(), number, form, o.readOnly)
			}
			if !form.plain() {
				return usagef("-l, -b and -k are for jobs, as remote/3")
			}
			return a.attachTo(cmd.Context(), args[0], *o)
		},
	}
	form.flags(cmd, "of a job: ")
	o.escape(cmd)
	o.flags(cmd)
	cmd.Flags().BoolVarP(&o.readOnly, "read-only", "r", false, "only watch")
	cmd.Flags().BoolVarP(&o.alone, "exclusive", "x", false, "detach the others first")
	return cmd
}

// attachTo is attach to a shell that there is, which is named, or to which a
// link leads.
func (a *app) attachTo(ctx context.Context, to string, o attachOptions) (err error) {
	if to == "-" {
		if to, err = a.readLink(); err != nil {
			return err
		}
	}
	if transport.IsLink(to) {
		if to, err = a.follow(to); err != nil {
			return err
		}
	}
	return a.attach(ctx, to, o, false)
}

// attach is a session in the shell called name, which is started if need be
// and start is set.
func (a *app) attach(ctx context.Context, name string, o attachOptions, start bool) error {
	prefix, err := prefixKey(o.key)
	if err != nil {
		return err
	}
	if o.history < -1 {
		return usagef("--history %d: expected a number of lines, 0 or -1", o.history)
	}

	srv, term, release, err := a.open(ctx, start)
	if err != nil {
		return err
	}
	defer release()
	defer srv.Close()
	if os.Getenv("HUB_SHELL") == name && os.Getenv("HUB_SERVER") == srv.Addr.String() {
		return &server.Error{
			Text: fmt.Sprintf("this is shell %s already", name),
			Hint: "attached to itself it would show its own output for ever",
		}
	}
	cfg := session.Config{
		Server:   srv,
		Again:    func(ctx context.Context) (*server.Server, error) { return a.reconnect(ctx, false) },
		Terminal: term,
		Prefix:   prefix,
		History:  o.history,
		ReadOnly: o.readOnly,
		Alone:    o.alone,
		Host: func(ctx context.Context, name string) error {
			return startHost(ctx, hosting{addr: srv.Addr, name: name, size: term.Size})
		},
	}
	if start {
		cfg.Start = a.spec(srv, term)
	}
	end, err := session.Attach(ctx, cfg, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "hub: %s\n", end)
	if code := end.ExitCode(); code != 0 {
		return statusError(code)
	}
	return nil
}

// open connects to the server, and opens the terminal meanwhile: to ask for each
// of its signals is a round trip to a thread of the runtime, and all of them
// take as long as the server's answers. A signal that means to end us ends the
// connecting.
func (a *app) open(ctx context.Context, start bool) (srv *server.Server, t session.Terminal, release func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	connected, opened := make(chan struct{}), make(chan struct{})
	go func() { // ends when we are connected, or cannot be
		defer close(opened)
		t, release = session.On(a.terminal)
		for {
			select {
			case sig := <-t.Signals:
				switch sig {
				case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
					cancel(session.SignalError{Signal: sig.(syscall.Signal)})
				}
			case <-connected:
				return
			}
		}
	}()
	srv, err = a.connect(ctx, start)
	close(connected)
	<-opened
	if err != nil {
		release()
		return nil, t, nil, cause(ctx, err)
	}
	return srv, t, release, nil
}

// spec is the shell that somebody at this terminal wants who says no more: in
// this folder if the server is on this machine, and knowing the terminal.
func (a *app) spec(srv *server.Server, t session.Terminal) *server.Spec {
	s := &server.Spec{}
	if t.Name != "" {
		s.Env = append(s.Env, "TERM="+t.Name)
	}
	if srv.Addr.Network == "unix" {
		if dir, err := os.Getwd(); err == nil {
			s.Dir = dir
		}
	}
	if t.Size != nil {
		if rows, cols, ok := t.Size(); ok {
			s.Rows, s.Cols = rows, cols
		}
	}
	return s
}
