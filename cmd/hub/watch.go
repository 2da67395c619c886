package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

func (a *app) watchCmd() *cobra.Command {
	const all = -1
	lines := all
	cmd := &cobra.Command{
		Use:   "watch [-n LINES] NAME",
		Short: "follow a hub or a shell's output; leave with its producer's status",
		Long: `Follow hub NAME, or the output of shell NAME, on standard output: from the
oldest byte that is retained, or with -n from the last LINES lines.

It ends when the stream ends, with the exit status of who wrote it: the command
of hub tee, or the shell. Marks of an end of file are passed over. If the writer
is faster than we are, "hub: skipped N bytes" says what was missed.`,
		Args:              a.exactly(1, "the NAME of a hub or shell"),
		ValidArgsFunction: a.completeAll,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("lines") && lines < 0 {
				return &usageError{usagef("-n %d: expected a number of lines", lines), helpFor(cmd)}
			}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				return a.watch(ctx, srv, args[0], lines)
			})
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", all, "begin with the last `LINES` lines; 0: only what comes")
	cmd.Flags().Lookup("lines").DefValue = "" // all there are
	return cmd
}

// watch follows a hub or the output of a shell, and returns its producer's
// status.
func (a *app) watch(ctx context.Context, srv *server.Server, name string, lines int) error {
	name, err := srv.Output(ctx, name)
	if err != nil {
		return err
	}
	f, err := srv.Open(ctx, "/"+name+"@", client.OREAD)
	if err != nil {
		return srv.HubError(ctx, name, err)
	}
	opened, err := f.Stat(ctx)
	if err != nil {
		return err
	}
	// same returns the status of the hub that is open. Another may have taken
	// its name: a status that was read before a look at the name is ours.
	same := func() (server.Hub, error) {
		h, ok, err := srv.Hub(ctx, name)
		if err != nil {
			return h, err
		}
		now, err := srv.Stat(ctx, f.Path())
		if !ok || err != nil || now.Path != opened.Path {
			return h, &server.Error{
				Text: fmt.Sprintf("hub %s was removed: how its producer ended is not known", name),
				Err:  err,
			}
		}
		return h, nil
	}
	h, err := same()
	if err != nil {
		return err
	}
	off := h.First
	if lines >= 0 {
		last, err := server.LastLines(ctx, f, h, lines)
		if err != nil {
			return err
		}
		off = h.Next - int64(len(last))
	}
	var end server.Hub
	err = a.copyOut(ctx, f, off, false, func(off int64) (bool, error) {
		h, err := same()
		switch {
		case err != nil:
			return false, err
		case h.Ended() && h.Next <= off:
			end = h
			return true, nil
		case h.Is("frozen") && h.Next <= off:
			return false, srv.Melted(ctx, name)
		}
		return false, nil // a mark
	})
	if err != nil {
		return err
	}
	st, complete := server.ParseEnd(end.End)
	if !complete {
		fmt.Fprintf(a.stderr, "hub: hub %s did not get all that its producer wrote\n", name)
	}
	if code := st.ExitCode(); code != 0 {
		return statusError(code)
	}
	return nil
}
