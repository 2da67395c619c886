package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/shellctl"
)

func (a *app) newCmd() *cobra.Command {
	var dir, size string
	var env []string
	var pipe bool
	cmd := &cobra.Command{
		Use:   "new [-d DIR] [-e K=V]... [--size RxC] [--pipe] NAME [-- CMD ARG...]",
		Short: "start a shell, do not attach",
		Args: func(cmd *cobra.Command, args []string) error {
			n := len(args)
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				n = dash
			}
			if n != 1 {
				return &usageError{usagef("%s: expected the NAME of the shell, and -- before a command", cmd.CommandPath()), helpFor(cmd)}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), true, func(ctx context.Context, srv *server.Server) error {
				term, release := session.On(nil)
				release()
				spec := a.spec(srv, term)
				spec.Env = append(spec.Env, env...)
				spec.Pipe, spec.Argv = pipe, args[1:]
				if dir != "" {
					spec.Dir = dir
					if srv.Addr.Network == "unix" {
						var err error
						if spec.Dir, err = filepath.Abs(dir); err != nil {
							return err
						}
					}
				}
				if size != "" {
					var err error
					if spec.Rows, spec.Cols, err = server.ParseSize(size); err != nil {
						return &usageError{err, helpFor(cmd)}
					}
				}
				return srv.Start(ctx, args[0], *spec)
			})
		},
	}
	cmd.Flags().StringVarP(&dir, "dir", "d", "", "start in `DIR`; else here, or at home on another machine")
	cmd.Flags().StringArrayVarP(&env, "env", "e", nil, "set a variable, `K=V`; may be given more than once")
	cmd.Flags().StringVar(&size, "size", "", "size of its terminal, `RxC`")
	cmd.Flags().BoolVar(&pipe, "pipe", false, "three pipes instead of a terminal")
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		for _, kv := range env {
			if k, _, ok := strings.Cut(kv, "="); !ok || k == "" {
				return &usageError{usagef("-e %q: expected K=V", kv), helpFor(cmd)}
			}
		}
		if size != "" {
			if _, _, err := server.ParseSize(size); err != nil {
				return &usageError{err, helpFor(cmd)}
			}
		}
		return nil
	}
	return cmd
}

func (a *app) sendCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "send NAME TEXT...",
		Short: "type into a shell; escapes as in Go: \\n, \\x03",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return &usageError{usagef("%s: expected the NAME of a shell and a TEXT", cmd.CommandPath()), helpFor(cmd)}
			}
			return nil
		},
		ValidArgsFunction: a.completeFirst(a.completeShells),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := unescape(strings.Join(args[1:], " "))
			if err != nil {
				return &usageError{err, `write \\ for a backslash`}
			}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				return srv.Send(ctx, args[0], text)
			})
		},
	}
}

func (a *app) sizeCmd() *cobra.Command {
	return &cobra.Command{
		Use:               "size NAME RxC",
		Short:             "set the size of a shell's terminal",
		Args:              a.exactly(2, "the NAME of a shell and a size, as 24x80"),
		ValidArgsFunction: a.completeFirst(a.completeShells),
		RunE: func(cmd *cobra.Command, args []string) error {
			rows, cols, err := server.ParseSize(args[1])
			if err != nil {
				return &usageError{err, helpFor(cmd)}
			}
			return a.shellCtl(cmd, args[0], "size", fmt.Sprint(rows), fmt.Sprint(cols))
		},
	}
}

func (a *app) signalCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "signal NAME SIG",
		Short: "signal what runs in the foreground of a shell, or all tasks of a job",
		Args:  a.exactly(2, "the NAME of a shell or job and of a signal, as INT"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return server.SignalNames, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeFirst(a.completeShells)(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			is, err := a.onJob(cmd.Context(), args[0], func(ctx context.Context, j *job.Job) error {
				return j.Ctl(ctx, "signal", args[1])
			})
			if is {
				return err
			}
			return a.shellCtl(cmd, args[0], "signal", args[1])
		},
	}
}

func (a *app) killCmd() *cobra.Command {
	return &cobra.Command{
		Use:               "kill NAME",
		Short:             "end a shell and what it started, or all tasks of a job",
		Args:              a.exactly(1, "the NAME of a shell or job"),
		ValidArgsFunction: a.completeRunning,
		RunE: func(cmd *cobra.Command, args []string) error {
			is, err := a.onJob(cmd.Context(), args[0], func(ctx context.Context, j *job.Job) error {
				return j.Ctl(ctx, "kill")
			})
			if is {
				return err
			}
			return a.shellCtl(cmd, args[0], "kill")
		},
	}
}

func (a *app) shellCtl(cmd *cobra.Command, shell string, words ...string) error {
	return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
		return srv.ShellCtl(ctx, shell, words...)
	})
}

func (a *app) waitCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "wait NAME",
		Short: "wait for the end of a shell or job, print its status and leave with it",
		Long: `Wait for the end of a shell, print its status, as "exit 3", and leave with it. Of a
job, as remote/3, the summary is printed, and the status is the largest of its
tasks.`,
		Args:              a.exactly(1, "the NAME of a shell or job"),
		ValidArgsFunction: a.completeRunning,
		RunE: func(cmd *cobra.Command, args []string) error {
			if is, err := a.onJob(cmd.Context(), args[0], a.waitJob); is {
				return err
			}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				line, err := srv.ReadFile(ctx, "/shell/"+args[0]+"/wait")
				if err != nil {
					return srv.ShellError(ctx, args[0], err)
				}
				st, err := shellctl.ParseStatus(string(line))
				if err != nil {
					return fmt.Errorf("wait for shell %s: %w", args[0], err)
				}
				if _, err := a.stdout.Write(line); err != nil {
					return err
				}
				if code := st.ExitCode(); code != 0 {
					return statusError(code)
				}
				return nil
			})
		},
	}
}

func (a *app) rmCmd() *cobra.Command {
	return &cobra.Command{
		Use:               "rm NAME",
		Short:             "remove the files of an ended shell, a hub, or a job and end it",
		Args:              a.exactly(1, "the NAME of a shell, hub or job"),
		ValidArgsFunction: a.completeAll,
		RunE: func(cmd *cobra.Command, args []string) error {
			is, err := a.onJob(cmd.Context(), args[0], func(ctx context.Context, j *job.Job) error {
				return j.Wipe(ctx)
			})
			if is {
				return err
			}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				return srv.ThingError(ctx, args[0], srv.Ctl(ctx, "rm", args[0]))
			})
		},
	}
}

func (a *app) ctlCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ctl [WORD...]",
		Short: "write a line to the server's /ctl; without words, print it",
		Long: `Write a line to the server's /ctl; without words, print it. hubfs(4) has all the
words; among them, for hubs:

  fear HUB, calm HUB           writers wait for the slowest reader, or never do
  patience HUB SECONDS         in fear: drop a reader that holds them up so long
  nopatience HUB               in fear: wait for ever
  drop READER                  end a reader, by its number in /status
  spool HUB [-f always|second|never] [-k BYTES] [-a SECONDS] [DIR]
                               keep its whole history on the server's disk
  nospool HUB                  keep it in memory again
  size HUB BYTES               how much is retained in memory
  limit HUB BYTES/S, nolimit HUB
  freeze HUB, melt HUB, trunc HUB, notrunc HUB, eof HUB
  end HUB [STATUS], reopen HUB`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				switch len(args) {
				case 0:
					text, err := srv.ReadFile(ctx, "/ctl")
					err = srv.CtlError(err)
					if err != nil {
						return err
					}
					_, err = a.stdout.Write(text)
					return err
				case 1: // as it is: hub ctl 'fear build'
					err := quitIsNoLoss(args[0], srv.CtlError(srv.WriteFile(ctx, "/ctl", []byte(args[0]+"\n"))))
					if err == nil && strings.TrimSpace(args[0]) == "quit" {
						hungUp(ctx, srv)
					}
					return err
				}
				return srv.Ctl(ctx, args...)
			})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().SetInterspersed(false) // flags behind the first word are /ctl's
	return cmd
}

// hungUp waits for a server that was told to quit to hang up: then it takes no
// connections any more, and who asks next does not meet it.
func hungUp(ctx context.Context, srv *server.Server) {
	const most = 10 * time.Second
	select {
	case <-srv.Done():
	case <-ctx.Done():
	case <-time.After(most):
	}
}

// quitIsNoLoss drops the error of a connection that ended because we asked
// for it.
func quitIsNoLoss(word string, err error) error {
	if strings.TrimSpace(word) == "quit" && (errors.Is(err, client.ErrLost) || errors.Is(err, io.EOF)) {
		return nil
	}
	return err
}
