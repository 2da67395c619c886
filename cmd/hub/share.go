package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/lend"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/transport"
)

// endPatience is how long the end of a share waits for the server, for the
// shell to end, and for it to come home.
const endPatience = 10 * time.Second

type shareOptions struct {
	inviteOptions
	attachOptions
	keep bool
}

func (a *app) shareCmd(at *attachOptions) *cobra.Command {
	var o shareOptions
	var watch bool
	cmd := &cobra.Command{
		Use:   "share [-r] [--ask] [--keep] [--for TIME] [--uses N] [--listen ADDR] NAME [-- CMD ARG...]",
		Short: "run a shell here, and let somebody else come to it",
		Long: `Run a shell on this machine, show it to a server, and let others come to it there:
print one line for them to paste, as hub invite does, and attach this terminal.
The server executes nothing; what others type comes here. With -r they only watch.
With --ask they only watch until you approve: hub says who asks, the prefix key
and y lets them type, the prefix key and x sends them away. The prefix key and w
shows who is there.

The shell goes on when the network is lost, or this terminal: hub attach NAME
comes back. To detach ends the share: who is there is cut, the link is worth
nothing any more, and the shell is hung up; with --keep it goes on, on the user's
own server.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch dash := cmd.ArgsLenAtDash(); {
			case len(args) == 0 || dash == 0:
				return &usageError{usagef("hub share: expected a NAME for the shell"), helpFor(cmd)}
			case dash < 0 && len(args) > 1, dash > 1:
				return &usageError{usagef("hub share: unexpected argument %q: a command stands behind --", args[1]), helpFor(cmd)}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, argv := args[0], args[1:]
			o.view = watch
			o.attachOptions = *at
			if err := o.check(); err != nil {
				return err
			}
			return a.share(cmd.Context(), name, argv, o)
		},
	}
	at.escape(cmd)
	o.inviteOptions.flags(cmd, 0)
	cmd.Flags().BoolVarP(&watch, "view", "r", false, "guests may only watch")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "the shell outlives the share")
	return cmd
}

// A share is a shell that runs here for as long as we are in front of it, and
// an invitation to it.
type share struct {
	app    *app
	name   string
	keep   bool
	srv    *server.Server
	orders *os.File // to the process that runs the shell
}

// share is hub share.
func (a *app) share(ctx context.Context, name string, argv []string, o shareOptions) error {
	prefix, err := prefixKey(o.key)
	if err != nil {
		return err
	}
	srv, term, release, err := a.open(ctx, true)
	if err != nil {
		return err
	}
	defer release()
	defer srv.Close()
	// Nothing is started for guests who could not come.
	addr, err := guestAddr(ctx, srv, o.inviteOptions)
	if err != nil {
		return err
	}
	s := &share{app: a, name: name, keep: o.keep, srv: srv}
	if err := s.start(ctx, argv, term); err != nil {
		return err
	}
	defer s.orders.Close()
	_, token, err := srv.Invite(ctx, o.invitation(name))
	if err != nil {
		return errors.Join(err, s.hangup(ctx, srv))
	}
	if _, err := fmt.Fprintln(s.orders, "shared"); err != nil {
		return errors.Join(err, s.end(ctx))
	}
	fmt.Fprintf(a.stdout, "hub attach '%s'\n", transport.Link{Addr: addr, Name: name, Token: token})
	end, err := session.Attach(ctx, session.Config{
		Server:   srv,
		Again:    func(ctx context.Context) (*server.Server, error) { return a.reconnect(ctx, false) },
		Terminal: term,
		Prefix:   prefix,
		History:  o.history,
		Host: func(ctx context.Context, name string) error {
			return startHost(ctx, hosting{addr: srv.Addr, name: name, size: term.Size})
		},
	}, name)
	switch {
	case err == nil && end.Left():
		fmt.Fprintf(a.stderr, "hub: %s\n", end)
		return s.end(ctx)
	case err == nil && end.Exited:
		fmt.Fprintf(a.stderr, "hub: %s\n", end)
		if code := end.ExitCode(); code != 0 {
			return statusError(code)
		}
		return nil
	case err == nil:
		fmt.Fprintf(a.stderr, "hub: %s\n", end)
		fallthrough
	default:
		// We have not left: the terminal or the connection was lost.
		fmt.Fprintf(a.stderr, "hub: shell %s is shared on; hub attach %s comes back, hub kill %s ends it\n", name, name, name)
		return err
	}
}

// start starts the process that runs the shell.
func (s *share) start(ctx context.Context, argv []string, term session.Terminal) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	err = startHost(ctx, hosting{addr: s.srv.Addr, name: s.name, argv: argv, size: term.Size, orders: theirs})
	if err != nil {
		ours.Close()
		return err
	}
	s.orders = ours
	return nil
}

// socketPair is a connection of this process to one that it starts.
func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	syscall.CloseOnExec(fds[0])
	syscall.CloseOnExec(fds[1])
	return os.NewFile(uintptr(fds[0]), "orders"), os.NewFile(uintptr(fds[1]), "orders"), nil
}

// end ends the share. The guests are cut before anything else.
func (s *share) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	srv := s.srv
	select {
	case <-srv.Done(): // the session has gone on with another
		var err error
		if srv, err = s.app.reconnect(ctx, false); err != nil {
			return err
		}
		defer srv.Close()
	default:
	}
	cut := s.guests(ctx, srv)
	err := srv.RevokeAll(ctx, s.name)
	if !s.keep {
		if err = errors.Join(err, s.hangup(ctx, srv)); err == nil {
			fmt.Fprintf(s.app.stderr, "hub: the share has ended%s\nhub: shell %s has ended\n", cut, s.name)
		}
		return err
	}
	home, herr := transport.Parse("default")
	if herr == nil && srv.Addr != home {
		herr = s.home()
	}
	if err = errors.Join(err, herr); err == nil {
		fmt.Fprintf(s.app.stderr, "hub: the share has ended%s\nhub: shell %s goes on; hub -s default attach %s comes back\n", cut, s.name, s.name)
	}
	return err
}

// guests says who is cut by the end of the share, as far as that is known.
func (s *share) guests(ctx context.Context, srv *server.Server) string {
	clients, err := srv.Clients(ctx, s.name)
	if err != nil {
		return ""
	}
	var who []string
	for _, c := range clients {
		if strings.HasPrefix(c.User, "guest:") && !slices.Contains(who, c.User) {
			who = append(who, printable(c.User))
		}
	}
	switch len(who) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(": %s was cut", who[0])
	}
	return fmt.Sprintf(": %s were cut", strings.Join(who, ", "))
}

// hangup ends the shell, and waits for that.
func (s *share) hangup(ctx context.Context, srv *server.Server) error {
	if err := srv.ShellCtl(ctx, s.name, "kill"); err != nil && !ended(err) {
		return fmt.Errorf("end shell %s: %w", s.name, err)
	}
	_, err := srv.ReadFile(ctx, "/shell/"+s.name+"/wait")
	if ended(err) {
		err = nil
	}
	return err
}

// ended reports whether an error says that a shell has ended, or has gone.
func ended(err error) bool {
	return errors.Is(err, client.ErrNotExist) || err != nil && strings.Contains(err.Error(), "has ended")
}

// home has the process that runs the shell bring it to the user's own server.
func (s *share) home() error {
	if _, err := fmt.Fprintln(s.orders, "home"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(s.orders).ReadString('\n')
	switch answer = strings.TrimSpace(answer); {
	case answer == "done":
		return nil
	case answer != "":
		return errors.New(answer)
	}
	return fmt.Errorf("bring shell %s to the server default: %w", s.name, err)
}

// obeySharer does what hub share, which has started this process, says: the
// lines "shared", which is that guests may come until the end of the shell, and
// "home", to bring the shell to the user's own server, which is answered. When
// its terminal is gone it says nothing more, and the shell goes on.
func (a *app) obeySharer(ctx context.Context, h *lend.Host, orders io.ReadWriteCloser) {
	defer orders.Close()
	lines := bufio.NewScanner(orders)
	for lines.Scan() {
		switch lines.Text() {
		case "shared":
			h.Shared()
		case "home":
			answer := "done"
			if err := a.moveHome(ctx, h); err != nil {
				answer = strings.ReplaceAll(err.Error(), "\n", " ")
			}
			fmt.Fprintln(orders, answer)
		}
	}
}

// moveHome brings a shell to the user's own server, which is started if need
// be.
func (a *app) moveHome(ctx context.Context, h *lend.Host) error {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	home, err := transport.Parse("default")
	if err != nil {
		return err
	}
	return h.Move(ctx, func(ctx context.Context) (*server.Server, error) {
		return a.connectTo(ctx, transport.Link{Addr: home}, true)
	})
}
