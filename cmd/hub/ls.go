package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

func (a *app) lsCmd() *cobra.Command {
	var asJSON, asGraph bool
	cmd := &cobra.Command{
		Use:   "ls [--json | --graph]",
		Short: "list shells, hubs, jobs and pipes",
		Long: `List the shells of a server, and the hubs that belong to no shell: name, state
or mode, or "ended" with the status of who wrote it, size of the terminal or bytes
retained, clients or readers, since when the shell runs or when the hub was
written last, and the command. The mode, or what stands for it, begins with
"spool" where the history is on the disk. Jobs (hub run) follow, if there are any,
and the pipes between hubs.

With --graph it is a drawing for dot(1): hubs with what they retain and get a
second, shells as boxes, pipes as arrows with their commands and their gain, the
bytes that come out for each that goes in. What is part of a loop is coloured.
"hub ls --graph | dot -Tsvg" makes a picture of it.

If this user's server does not run it is started if it has kept hubs on the disk.
Else there is nothing to list: standard error says so, and the exit status is 0.`,
		Args:              a.atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case asGraph && asJSON:
				return &usageError{usagef("--json and --graph are two things"), helpFor(cmd)}
			case asGraph:
				return a.graph(cmd.Context())
			}
			st, err := a.status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, st)
			}
			return writeTable(a.stdout, st, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asGraph, "graph", false, "draw hubs, shells and pipes, for dot(1)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs: all there is to know, and the hubs of shells too")
	return cmd
}

// status is what is there on the server. Where the user's own server does not
// run, nothing is.
func (a *app) status(ctx context.Context) (server.Status, error) {
	var st server.Status
	err := a.withKept(ctx, func(ctx context.Context, srv *server.Server) (err error) {
		st, err = srv.StatusSince(ctx)
		return err
	})
	if addr, aerr := a.addr(); errors.Is(err, transport.ErrNotRunning) && aerr == nil && addr.Local() {
		fmt.Fprintf(a.stderr, "hub: no server %s is running\n", addr)
		return st, nil
	}
	return st, err
}

func writeJSON(w io.Writer, st server.Status) error {
	if st.Shells == nil {
		st.Shells = []server.Shell{}
	}
	if st.Hubs == nil {
		st.Hubs = []server.Hub{}
	}
	if st.Pipes == nil {
		st.Pipes = []server.Pipe{}
	}
	if st.Jobs == nil {
		st.Jobs = []server.Job{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(st)
}

func writeTable(w io.Writer, st server.Status, now time.Time) error {
	ofShells := map[string]bool{}
	for _, sh := range st.Shells {
		for _, n := range []string{"0", "1", "2"} {
			ofShells[sh.Name+n] = true
		}
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(f ...string) {
		for i := range f {
			f[i] = printable(f[i])
		}
		fmt.Fprintln(t, strings.Join(f, "\t"))
	}
	header := false
	title := func() {
		if !header {
			row("NAME", "STATE", "SIZE", "CLIENTS", "SINCE", "COMMAND")
			header = true
		}
	}
	for _, sh := range st.Shells {
		size := "pipes"
		if sh.Rows > 0 {
			size = fmt.Sprintf("%dx%d", sh.Rows, sh.Cols)
		}
		title()
		row(sh.Name, sh.State, size, fmt.Sprint(sh.Clients), when(sh.Since, now), sh.Command)
	}
	for _, h := range st.Hubs {
		if _, ofJob := job.Of(h.Name); ofJob || ofShells[h.Name] {
			continue
		}
		title()
		row(h.Name, hubState(h), amount(h.Next-h.First), fmt.Sprint(h.Readers), when(h.Since, now), "-")
	}
	// section begins another table below the ones before.
	section := func(f ...string) error {
		if err := t.Flush(); err != nil {
			return err
		}
		if header {
			fmt.Fprintln(w)
		}
		header = true
		row(f...)
		return nil
	}
	if len(st.Jobs) > 0 {
		if err := section("JOB", "STATE", "TASKS", "DONE", "FAILED", "USER", "COMMAND"); err != nil {
			return err
		}
	}
	for _, j := range st.Jobs {
		row(j.Name, j.State, fmt.Sprint(j.Tasks), fmt.Sprint(j.Done), fmt.Sprint(j.Failed), j.User, cmp.Or(j.Command, "-"))
	}
	if len(st.Pipes) > 0 {
		if err := section("PIPE", "FROM", "TO", "STATE", "IN", "OUT", "COMMAND"); err != nil {
			return err
		}
	}
	for _, p := range st.Pipes {
		row(fmt.Sprint(p.ID), p.From, p.To, pipeState(p), amount(p.In), amount(p.Out), cmp.Or(p.Command, "-"))
	}
	return t.Flush()
}

// pipeState says what a pipe is doing; of one that has ended why, and the last
// words of its command; and what it has missed.
func pipeState(p server.Pipe) string {
	s := p.State
	if p.Ended() {
		s = strings.TrimSpace(s + " " + p.End)
		if p.Said != "" {
			s += ": " + p.Said
		}
	}
	if p.Lost > 0 {
		s += fmt.Sprintf(", missed %d bytes", p.Lost)
	}
	return s
}

// hubState says the modes of a hub that flows, and how one ended that does not:
// "ended 3" with its producer's exit code, "ended KILL" by a signal, and with
// "spool" before it if its history is on the server's disk.
func hubState(h server.Hub) string {
	if !h.Ended() {
		return "hub " + h.Mode
	}
	end := h.End
	for _, word := range []string{"exit ", "signal "} {
		end = strings.TrimPrefix(end, word)
	}
	end = strings.TrimSpace("ended " + end)
	if h.Is("spool") {
		return "spool, " + end
	}
	return end
}

// when says a time: of day, if it was today.
func when(t, now time.Time) string {
	switch {
	case t.IsZero() || t.Unix() == 0:
		return "-"
	case t.Local().Format(time.DateOnly) == now.Local().Format(time.DateOnly):
		return t.Local().Format("15:04:05")
	}
	return t.Local().Format(time.DateOnly)
}

// amount says a number of bytes.
func amount(n int64) string {
	f, unit := float64(n), 0
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%dB", n)
	}
	return fmt.Sprintf("%.1f%c", f, "BKMGT"[unit])
}

// printable makes what others have named harmless on a terminal, and keeps it
// in its column.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
