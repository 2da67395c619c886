package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/server"
	"hubfs/internal/daemon"
	"hubfs/internal/hubfscli"
	"hubfs/transport"
)

func (a *app) serveCmd() *cobra.Command {
	var c daemon.Config
	var stdio, alive, node, ready bool
	var log, dir string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "be a server, in the foreground",
		Long: `Be a server, in the foreground: hubfs(8) is the same program. With --stdio,
speak 9P on standard input and output, with the server that runs or is started.
With --join, be a node below another server: what it is asked to run runs here.`,
		Args:              a.atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if c.Addr, err = a.addr(); err != nil {
				return err
			}
			if c.Idle < 0 {
				return usagef("--idle: expected a time above 0, as 30s or 5m")
			}
			if alive && !stdio {
				return usagef("--alive: expected --stdio too")
			}
			if node && !stdio {
				return usagef("--node: expected --stdio too")
			}
			if stdio && !node {
				return daemon.Stdio(cmd.Context(), c.Addr, []string{"serve", "-s", c.Addr.String()}, alive)
			}
			if ready {
				c.Ready = daemon.Ready()
			}
			var closeLog func() error
			if c.Log, closeLog, err = daemon.Log(log, a.stderr, c.Trace); err != nil {
				return err
			}
			defer closeLog()
			switch {
			case stdio:
				return daemon.StdioNode(cmd.Context(), c, alive)
			case dir != "":
				err = hubfscli.ServeMounted(cmd.Context(), c, dir, a.stderr)
			default:
				err = daemon.Run(cmd.Context(), c)
			}
			return serveError(err)
		},
	}
	f := cmd.Flags()
	f.VarP(&c.Also, "listen", "a", "also listen on `ADDR`; may be given more than once")
	f.BoolVar(&stdio, "stdio", false, "9P on standard input and output")
	f.BoolVar(&alive, "alive", false, "with --stdio: say that 9P follows, and end when the client is silent for 20 s")
	f.BoolVar(&node, "node", false, "with --stdio: be a node that is gone with the connection, if the server does not run")
	f.Var(&c.Node.Join, "join", "be a node below the server at `ADDR`, or of a link; may be given more than once")
	f.StringVar(&c.Node.Name, "node-name", "", "`NAME` of the node (the host's)")
	f.Var(&c.Node.Slots, "slots", "`N` tasks run here at a time (one for each processor)")
	f.Var(&c.Node.Labels, "label", "what the node has, as gpu: `LABEL`, or several with commas")
	f.BoolVar(&c.Node.Executor, "executor", false, "run tasks though there are nodes below")
	f.Var(&c.Node.Heartbeat, "heartbeat", "how often nodes below say that they are there, and how many beats may be missed: `PERIOD[,MISSED]`")
	f.StringVar(&c.Node.Fence, "fence", "", "`FILE` that says how lost nodes are made sure to run nothing")
	f.BoolVarP(&c.Trunc, "trunc", "t", false, "readers start at the end of a hub")
	f.BoolVarP(&c.Zap, "zap", "z", false, "opening with truncation empties a hub")
	f.VarP(&c.Size, "size", "q", "what a hub retains, in `BYTES`")
	f.VarP(&c.MaxWrite, "max-write", "l", "what one write may bring, in `BYTES`")
	f.VarP(&c.Rate, "rate", "b", "how fast a hub may be written, in `BYTES/S`")
	f.VarP(&c.Interval, "interval", "i", "least time between two writes of a hub, in `NS`")
	f.VarP(&c.Reset, "reset", "r", "seconds `S` after which the count for -b starts again")
	f.StringVarP(&dir, "mount", "m", "", "mount the tree on `DIR`, for as long as it serves")
	f.BoolVarP(&c.Trace, "debug", "D", false, "log every 9P message")
	f.DurationVar(&c.Idle, "idle", 0, "end after this `TIME` with no shell, hub or client")
	f.StringVar(&log, "log", "", "log to `FILE`, not to standard error")
	f.BoolVar(&c.Insecure, "insecure", false, "plain TCP may leave this machine")
	f.StringVar(&c.State, "state", "", "spool hubs in `DIR`, and find them again at the start; none for nowhere")
	f.StringVar(&c.Access, "access", "", "keep in `FILE` who may do what; none for nowhere")
	f.StringVar(&c.Metrics, "metrics", "", "serve /metrics over HTTP on `HOST:PORT`, loopback only")
	f.BoolVar(&ready, daemon.ReadyFlag, false, "")
	f.MarkHidden(daemon.ReadyFlag)
	return cmd
}

// serveError is an error of the server itself: its own, not a client's.
func serveError(err error) error {
	if hint := transport.Hint(err); hint != "" {
		return &server.Error{Text: err.Error(), Hint: hint}
	}
	if errors.Is(err, transport.ErrRefused) {
		return &server.Error{Text: err.Error(), Hint: "--insecure permits it"}
	}
	return mountError(err)
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "print the version",
		Args:              a.atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := fmt.Fprintf(a.stdout, "hub %s %s/%s\n", version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is that of the module, or of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v := "devel"
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v += "-" + s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				v += " of " + t.Format(time.DateOnly)
			}
		}
	}
	return v
}
