package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/lend"
	"hubfs/cmd/hub/internal/server"
	"hubfs/internal/daemon"
	"hubfs/shellctl"
	"hubfs/transport"
)

func (a *app) hostCmd() *cobra.Command {
	var dir, size string
	var ready, orders bool
	cmd := &cobra.Command{
		Use:    "host [-d DIR] [--size RxC] NAME [-- CMD ARG...]",
		Short:  "run a shell here, for a server elsewhere; what %local starts",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tell := func(error) {}
			if ready {
				tell = daemon.Ready()
			}
			rows, cols := 24, 80
			var err error
			if size != "" {
				if rows, cols, err = server.ParseSize(size); err != nil {
					err = &usageError{err, helpFor(cmd)}
					tell(err)
					return err
				}
			}
			argv := args[1:]
			if len(argv) == 0 {
				argv = []string{loginShell()}
			}
			ctx, stop := lasting(cmd.Context())
			defer stop()
			h := lend.New(lend.Config{
				Name:    args[0],
				Spec:    shellctl.Spec{Argv: argv, Dir: dir, Rows: rows, Cols: cols},
				Env:     func(srv *server.Server) []string { return hostEnv(args[0], srv) },
				Connect: func(ctx context.Context) (*server.Server, error) { return a.reconnect(ctx, false) },
				Log:     slog.New(slog.NewTextHandler(a.stderr, nil)).With("shell", args[0]),
			})
			if orders {
				go a.obeySharer(ctx, h, os.NewFile(daemon.FirstFD, "orders")) // ends with the sharer
			}
			return h.Run(ctx, tell)
		},
	}
	cmd.Flags().StringVarP(&dir, "dir", "d", "", "start in `DIR`")
	cmd.Flags().StringVar(&size, "size", "", "size of its terminal, `RxC`")
	cmd.Flags().BoolVar(&ready, daemon.ReadyFlag, false, "")
	cmd.Flags().MarkHidden(daemon.ReadyFlag)
	cmd.Flags().BoolVar(&orders, "orders", false, "do what hub share says on a descriptor")
	return cmd
}

// lasting is a context that ends with a signal that is meant. A terminal that
// goes away is none: the shell outlives it.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	// Not ignored: the processes that we start would ignore it as well.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	return ctx, func() { stop(); signal.Stop(hup) }
}

// hostEnv is the environment of the process of a shell that runs here. What is
// secret of ours is not in it: a link, for one, that stood in $HUB_SERVER.
func hostEnv(name string, srv *server.Server) []string {
	return append(os.Environ(), "HUB_SHELL="+name, "HUB_SERVER="+srv.Addr.String())
}

// A hosting says which shell to run in a process in the background.
type hosting struct {
	addr   transport.Addr
	name   string
	argv   []string // none: the login shell
	size   func() (rows, cols int, ok bool)
	orders *os.File // of hub share; nil: there are none
}

// startHost starts a process that hosts a shell on this machine, and returns
// when the shell is there.
func startHost(ctx context.Context, h hosting) error {
	logs, err := daemon.Dir()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	args := []string{"host", "--" + daemon.ReadyFlag, "-s", h.addr.String(), "-d", dir}
	if h.size != nil {
		if rows, cols, ok := h.size(); ok {
			args = append(args, "--size", fmt.Sprintf("%dx%d", rows, cols))
		}
	}
	var files []*os.File
	if h.orders != nil {
		args = append(args, "--orders")
		files = append(files, h.orders)
	}
	args = append(append(args, "--", h.name), h.argv...)
	if err := daemon.Background(ctx, filepath.Join(logs, "host.log"), args, files...); err != nil {
		return fmt.Errorf("host shell %s: %w", h.name, err)
	}
	return nil
}

// loginShell is the user's.
func loginShell() string {
	if sh := os.Getenv("SHELL"); sh != "" {
		return sh
	}
	return "/bin/sh"
}
