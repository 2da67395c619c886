package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/job"
	"hubfs/cmd/hub/internal/server"
	"hubfs/hostlist"
)

func (a *app) nodesCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "nodes [--json]",
		Short: "list the nodes that hub run runs on",
		Long: `List the server itself, which is the first, and the nodes below it: name, where
it is, system, tasks that it runs at a time without being crowded and how many of
these are free, one-minute load, state, when it was heard of last, and epoch, the
number of this stay of the node.

States are up; torpid, whose beats are late: it gets no new tasks; suspect; lost,
whose tasks are given up; fencing, until it is certain that nothing of it runs;
fenced, when it is; unfenced, when that cannot be known but by a person ("hub node
ack NAME" says so); drained. A name as a/b is node b below node a.`,
		Args:              a.atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				nodes, err := job.Nodes(ctx, srv)
				if err != nil {
					return err
				}
				if asJSON {
					return writeNodesJSON(a.stdout, nodes)
				}
				return writeNodes(a.stdout, nodes)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs: all there is to know")
	return cmd
}

func writeNodesJSON(w io.Writer, nodes []job.Node) error {
	if nodes == nil {
		nodes = []job.Node{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(nodes)
}

func writeNodes(w io.Writer, nodes []job.Node) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tADDRESS\tSYSTEM\tSLOTS\tFREE\tLOAD\tSTATE\tHEARD\tEPOCH\tMEMORY\tLABELS")
	for _, n := range nodes {
		heard, memory := "-", "-"
		if n.Age > 0 {
			heard = job.Elapsed(n.Age) + " ago"
		}
		if n.Memory > 0 {
			memory = amount(n.Memory)
		}
		fields := []string{n.Name, orDash(n.Addr), n.OS + "/" + n.Arch, fmt.Sprint(n.Slots), fmt.Sprint(n.Free),
			fmt.Sprintf("%.2f", n.Load), n.State, heard, fmt.Sprint(n.Epoch), memory, orDash(strings.Join(n.Labels, ","))}
		for i := range fields {
			fields[i] = printable(fields[i])
		}
		fmt.Fprintln(t, strings.Join(fields, "\t"))
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// nodeVerbs are what can be done to nodes that there are, in the words of the
// server and for people.
var nodeVerbs = []struct{ word, short, long string }{
	{"drain", "give nodes no new tasks", `Give nodes no new tasks; what runs there goes on. It holds when the node comes
back, until "hub node undrain".`},
	{"undrain", "give drained nodes tasks again", ""},
	{"rm", "let nodes go", `Drain nodes, and let them go when their last task has ended. They are told not to
come back.`},
	{"ack", "vouch that lost nodes run nothing", `Vouch that nothing runs on a lost node any more, as when you have switched it off.
Its tasks may then be run elsewhere: if something does run there, two copies of a
task may run at the same time.`},
	{"fence", "make sure now that nodes run nothing", `Give nodes up and make sure that nothing runs on them, by the methods that the
server was started with (--fence).`},
}

func (a *app) nodeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node add|drain|undrain|rm|ack|fence ...",
		Short: "add a node, drain one, let one go",
		Long: `Change which nodes there are. A node can also come by itself: hubfs --join SERVER
on its machine dials this server. NODES are names as hub nodes shows them, or host
lists as node[1-16].`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{usagef("hub node: expected add, drain, undrain, rm, ack or fence"), helpFor(cmd)}
			}
			return &usageError{usagef("hub node: no command %q: expected add, drain, undrain, rm, ack or fence", args[0]), helpFor(cmd)}
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.AddCommand(a.nodeAddCmd())
	for _, verb := range nodeVerbs {
		cmd.AddCommand(&cobra.Command{
			Use:   verb.word + " NODES...",
			Short: verb.short,
			Long:  verb.long,
			Args: func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return &usageError{usagef("hub node %s: expected the NAME of a node", verb.word), helpFor(cmd)}
				}
				return nil
			},
			ValidArgsFunction: a.completeNodes,
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.eachNode(cmd.Context(), verb.word, args)
			},
		})
	}
	for _, sub := range cmd.Commands() {
		sub.DisableFlagsInUseLine = true
	}
	return cmd
}

func (a *app) nodeAddCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "add ADDR [NAME]",
		Short: "dial a server and make it a node",
		Long: `Have the server dial ADDR, which is another server or a host where one is started
(ssh://HOST), and make that a node, called NAME or as it calls itself.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return &usageError{usagef("hub node add: expected the ADDR of a server, and perhaps a NAME"), helpFor(cmd)}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), true, func(ctx context.Context, srv *server.Server) error {
				return job.NodesCtl(ctx, srv, append([]string{"add"}, args...)...)
			})
		},
	}
}

// eachNode does to each of some nodes what a word says, and to the others too
// where one fails.
func (a *app) eachNode(ctx context.Context, word string, lists []string) error {
	var names []string
	for _, l := range lists {
		hosts, err := hostlist.Expand(l, 1<<16)
		if err != nil {
			return &usageError{err: fmt.Errorf("%s: %w", l, err)}
		}
		names = append(names, hosts...)
	}
	return a.with(ctx, false, func(ctx context.Context, srv *server.Server) error {
		var failed error
		for _, name := range names {
			err := job.NodesCtl(ctx, srv, word, name)
			if server.Lost(err) || ctx.Err() != nil {
				return err
			}
			if err == nil {
				continue
			}
			err = job.NodeError(ctx, srv, name, err)
			if len(names) == 1 {
				return err
			}
			report(a.stderr, err)
			failed = statusError(exitError)
		}
		return failed
	})
}

// completeNodes completes names of nodes.
func (a *app) completeNodes(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completePatience)
	defer cancel()
	srv, err := a.connect(ctx, false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer srv.Close()
	nodes, err := job.Nodes(ctx, srv)
	if err != nil || len(nodes) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, n := range nodes[1:] {
		names = append(names, n.Name+"\t"+n.State)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
