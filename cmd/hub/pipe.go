package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

func (a *app) pipeCmd() *cobra.Command {
	var ends, remove bool
	var to string
	var retry time.Duration
	cmd := &cobra.Command{
		Use:   "pipe [-e] FROM[@POS] [-- CMD ARG... --] TO | --to SERVER FROM TO | -d ID",
		Short: "carry one hub into another on the server, through a command or not",
		Long: `Carry what is in hub FROM, and what comes, into hub TO, on the server, and print
the number of the pipe. FROM@end begins at the end, FROM@-N with the last N
bytes. FROM may also be a shell, for what it writes, and TO one, for what it
reads; a hub TO is made if there is none.

With --to TO is a hub of another server. Then it is this process that carries,
for as long as it runs: a server that is lost is tried again, and both hubs go on
at the very byte.

A command is run on the server, at home; what it writes to its standard error is
in "hub ls" when it has ended. The pipe ends with the command, or when FROM has
ended; with -e TO ends then too, with the status of the command or of FROM.

Pipes may form loops. "hub ls" lists them, "hub ls --graph" draws them.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completePipe,
		RunE: func(cmd *cobra.Command, args []string) error {
			if remove {
				return a.unpipe(cmd, args)
			}
			p, err := parsePipe(args, cmd.ArgsLenAtDash())
			if err == nil && to != "" && len(p.Argv) > 0 {
				err = usagef("hub pipe: a command runs on a server: --to is without one")
			}
			if err != nil {
				return &usageError{err, helpFor(cmd)}
			}
			p.Ends = ends
			if to != "" {
				if !cmd.Flags().Changed("retry") {
					retry = -1
				}
				return a.carry(cmd.Context(), p, to, retry)
			}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				return a.pipe(ctx, srv, p)
			})
		},
	}
	cmd.Flags().BoolVarP(&ends, "end", "e", false, "end TO with the pipe")
	cmd.Flags().BoolVarP(&remove, "delete", "d", false, "end pipe `ID`, as hub unpipe")
	cmd.Flags().StringVar(&to, "to", "", "TO is a hub of `SERVER`")
	cmd.Flags().DurationVar(&retry, "retry", 0, "with --to: how long to try a lost server, a `TIME`; 0: not at all; else for ever")
	return cmd
}

func (a *app) unpipeCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "unpipe ID",
		Short: "end a pipe; its command gets the end of its input and a moment",
		Args:  a.exactly(1, "the ID of a pipe, which hub ls shows"),
		RunE:  a.unpipe,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.complete(pipeNumbers)
		},
	}
}

func pipeNumbers(st server.Status) (ids []string) {
	for _, p := range st.Pipes {
		ids = append(ids, strings.TrimSpace(fmt.Sprintf("%d\t%s %s %s", p.ID, p.From, p.To, p.Command)))
	}
	return ids
}

// completePipe completes hubs and shells: FROM, and TO.
func (a *app) completePipe(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeAll(cmd, nil, word)
}

// parsePipe reads the arguments of hub pipe, in which the first -- was at index
// dash and is not there any more; -1: there was none.
func parsePipe(args []string, dash int) (server.PipeSpec, error) {
	var p server.PipeSpec
	if dash > 0 { // else it only says that no flags follow
		args = slices.Insert(slices.Clone(args), dash, "--")
	}
	switch n := len(args); {
	case n == 2 && dash <= 0:
	case n > 4 && args[1] == "--" && args[n-2] == "--":
		p.Argv = args[2 : n-2]
	default:
		return p, usagef("hub pipe: expected FROM TO, or FROM -- CMD ARG... -- TO")
	}
	name, pos, err := parsePosition(args[0])
	if err != nil || pos.kind == "at" {
		return p, usagef("%s: expected FROM, FROM@end or FROM@-N", args[0])
	}
	p.From, p.To = name, args[len(args)-1]
	switch pos.kind {
	case "end":
		p.At = "@end"
	case "back":
		p.At = "@-" + strconv.FormatInt(pos.n, 10)
	}
	for _, name := range []string{p.From, p.To} {
		if name == "" || strings.Contains(name, "@") {
			return p, usagef("hub pipe: %q is not the name of a hub", name)
		}
	}
	return p, nil
}

// pipe makes a pipe and prints its number.
func (a *app) pipe(ctx context.Context, srv *server.Server, p server.PipeSpec) error {
	var err error
	if p.From, err = srv.Output(ctx, p.From); err != nil {
		return err
	}
	if p.To, err = pipeInto(ctx, srv, p.To); err != nil {
		return err
	}
	id, err := srv.Pipe(ctx, p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, id)
	return err
}

// pipeInto returns the hub that name is for a pipe, and makes it if there is
// none.
func pipeInto(ctx context.Context, srv *server.Server, name string) (string, error) {
	st, err := srv.Status(ctx)
	if err != nil {
		return "", err
	}
	if hub, ok := st.Input(name); ok {
		return hub, nil
	}
	f, err := openOrCreate(ctx, srv, "/"+name)
	if err != nil {
		return "", err
	}
	return name, f.Close()
}

func (a *app) unpipe(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &usageError{usagef("%s: expected the ID of a pipe", cmd.CommandPath()), helpFor(cmd)}
	}
	if _, err := strconv.Atoi(args[0]); err != nil {
		return &usageError{usagef("%q: expected the ID of a pipe, a number that hub ls shows", args[0]), helpFor(cmd)}
	}
	return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
		err := srv.Ctl(ctx, "unpipe", args[0])
		if errors.Is(err, client.ErrNotExist) {
			return &server.Error{
				Text: fmt.Sprintf("no pipe %s on server %s", args[0], srv.Addr),
				Hint: "hub ls shows all",
				Err:  err,
			}
		}
		return err
	})
}
