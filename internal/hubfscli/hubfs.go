// Package hubfscli is the command line of hubfs(8), for the program of that name
// and for hub where it is run under that name.
package hubfscli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"hubfs/internal/daemon"
	"hubfs/transport"
)

const usage = `usage: hubfs [-s NAME] [-a ADDR]... [-t] [-z] [-q BYTES] [-l BYTES]
             [-b BYTES/S] [-i NS] [-r S] [-D] [--insecure]
             [--state DIR] [--metrics HOST:PORT] [-m DIR]
             [--join ADDR]... [--node-name NAME] [--slots N] [--label LABEL]...
             [--executor] [--heartbeat PERIOD[,MISSED]] [--fence FILE]
       hubfs -stdio [-s NAME] [--alive] [--node]

Serve hubs, shells and tasks over 9P2000: on the user's own socket of NAME and
on every ADDR. hub(1) is the client, and starts such a server by itself.

  -s NAME       the server's name, or unix!PATH; else $HUB_SERVER, else "default"
  -a ADDR       also listen on ADDR; may be given more than once:
                unix!PATH, unix:PATH
                tls!HOST!PORT, tls://HOST:PORT    for who has a link, see hub(1)
                tcp!HOST!PORT, tcp://HOST:PORT    plain, on the loopback only
                fd!N                              a socket, open as descriptor N
                systemd, systemd!NAME             a socket from systemd
  -stdio        speak 9P on standard input and output: with the server NAME,
                which is started if it does not run
  --node        with -stdio: be a node of a tree that is gone with the
                connection, if the server NAME does not run
  --alive       with -stdio: say that 9P follows, and end when the client has
                said nothing for 20 seconds; hub asks for it over ssh
  -t            readers start at the end of a hub
  -z            opening a hub with truncation empties it
  -q BYTES      what a hub retains (1M)
  -l BYTES      what one write may bring
  -b BYTES/S    how fast a hub may be written
  -i NS         the least time between two writes of a hub, in nanoseconds
  -r S          seconds after which the count for -b starts again (60)
  -D            log every 9P message
  --idle TIME   end after this time with no shell, hub or client (30s, 5m)
  --log FILE    log there, not to standard error
  --insecure    plain TCP may leave this machine
  --state DIR   spool hubs there, and find them again at the start; "none" for
                nowhere ($XDG_STATE_HOME/hub/NAME, else ~/.local/state/hub/NAME)
  --access FILE keep there who may do what; "none" for nowhere
                (~/.config/hub/access/NAME.json)
  --metrics HOST:PORT
                serve /metrics over HTTP, for Prometheus; loopback only
  --join ADDR   be a node below the server at ADDR, or of a link, which is dialed
                and dialed again; may be given more than once
  --node-name NAME
                what it is called there (the host's name)
  --slots N     how many tasks it runs at a time (one for each processor)
  --label LABEL[,LABEL]...
                what it has, as gpu, for who asks for nodes with that
  --executor    run tasks though there are nodes below
  --heartbeat PERIOD[,MISSED]
                how often nodes below say that they are there, and after how
                many missed beats one is lost (5s,2)
  --fence FILE  how a lost node is made sure to run nothing: lines of
                NODE METHOD [KEY=VALUE]..., see hubfs(8) (* watchdog)
  -m DIR        mount the tree there, without root, for as long as it serves;
                Linux, with fusermount3. hub mount does it for any server
`

// A usageError is the caller's mistake.
type usageError struct{ error }

// Run is the program; it returns its exit status.
func Run(args []string, stdout, stderr io.Writer) int {
	err := serve(args, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 0
	}
	fmt.Fprintf(stderr, "hubfs: %v\n", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "hubfs: hint: hubfs -h shows the flags")
		return 2
	}
	if hint := cmp.Or(transport.Hint(err), mountHint(err)); hint != "" {
		fmt.Fprintf(stderr, "hubfs: hint: %s\n", hint)
	} else if errors.Is(err, transport.ErrRefused) {
		fmt.Fprintln(stderr, "hubfs: hint: --insecure permits it")
	}
	return 1
}

func serve(args []string, stdout, stderr io.Writer) error {
	var c daemon.Config
	var name, dir, log string
	var stdio, alive, node, ready, mounter bool
	fs := flag.NewFlagSet("hubfs", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // run prints
	fs.StringVar(&name, "s", serverName(), "")
	fs.Var(&c.Also, "a", "")
	fs.BoolVar(&stdio, "stdio", false, "")
	fs.BoolVar(&alive, "alive", false, "")
	fs.BoolVar(&node, "node", false, "")
	fs.StringVar(&dir, "m", "", "")
	fs.BoolVar(&mounter, mounterFlag, false, "")
	fs.BoolVar(&c.Trunc, "t", false, "")
	fs.BoolVar(&c.Zap, "z", false, "")
	fs.Var(&c.Size, "q", "")
	fs.Var(&c.MaxWrite, "l", "")
	fs.Var(&c.Rate, "b", "")
	fs.Var(&c.Interval, "i", "")
	fs.Var(&c.Reset, "r", "")
	fs.BoolVar(&c.Trace, "D", false, "")
	fs.DurationVar(&c.Idle, "idle", 0, "")
	fs.StringVar(&log, "log", "", "")
	fs.BoolVar(&c.Insecure, "insecure", false, "")
	fs.StringVar(&c.State, "state", "", "")
	fs.StringVar(&c.Access, "access", "", "")
	fs.StringVar(&c.Metrics, "metrics", "", "")
	fs.Var(&c.Node.Join, "join", "")
	fs.StringVar(&c.Node.Name, "node-name", "", "")
	fs.Var(&c.Node.Slots, "slots", "")
	fs.Var(&c.Node.Labels, "label", "")
	fs.BoolVar(&c.Node.Executor, "executor", false, "")
	fs.Var(&c.Node.Heartbeat, "heartbeat", "")
	fs.StringVar(&c.Node.Fence, "fence", "", "")
	fs.BoolVar(&ready, daemon.ReadyFlag, false, "")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, usage)
		return err
	} else if err != nil {
		return usageError{err}
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", fs.Arg(0))}
	}
	if c.Idle < 0 {
		return usageError{errors.New("-idle: expected a time above 0, as 30s or 5m")}
	}
	var err error
	if c.Addr, err = transport.Parse(name); err != nil {
		return usageError{err}
	}
	if alive && !stdio {
		return usageError{errors.New("--alive: expected -stdio too")}
	}
	if stdio && dir != "" {
		return usageError{errors.New("-m: expected a server, not -stdio; hub mount mounts one that runs")}
	}
	if node && !stdio {
		return usageError{errors.New("--node: expected -stdio too")}
	}
	if stdio && node {
		return stdioNode(c, log, stderr, alive)
	}
	if stdio {
		return daemon.Stdio(context.Background(), c.Addr, []string{"-s", c.Addr.String()}, alive)
	}
	c.Ready = func(error) {}
	if ready {
		c.Ready = daemon.Ready()
	}
	if mounter {
		return runMounter(context.Background(), c.Addr, dir, stderr, c.Ready)
	}
	var closeLog func() error
	if c.Log, closeLog, err = daemon.Log(log, stderr, c.Trace); err != nil {
		return err
	}
	defer closeLog()
	if dir != "" {
		return ServeMounted(context.Background(), c, dir, stderr)
	}
	return daemon.Run(context.Background(), c)
}

// stdioNode is the program as a node on standard input and output.
func stdioNode(c daemon.Config, log string, stderr io.Writer, alive bool) error {
	var closeLog func() error
	var err error
	if c.Log, closeLog, err = daemon.Log(log, stderr, c.Trace); err != nil {
		return err
	}
	defer closeLog()
	return daemon.StdioNode(context.Background(), c, alive)
}

// serverName is the name of a server that was given none.
func serverName() string {
	if s := os.Getenv("HUB_SERVER"); s != "" {
		return s
	}
	return "default"
}
