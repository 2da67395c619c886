package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hubfs/cmd/hub/internal/server"
	"hubfs/internal/daemon"
	"hubfs/transport"
)

// usage is what hub help and hub -h print.
const usage = `hub keeps shells alive without a terminal, and shares them.

usage: hub [-s SERVER] [-e KEY] [--history LINES] [NAME]
       hub [-s SERVER] COMMAND [ARG...]

hub attaches this terminal to shell NAME ("io" unless given), and starts the
shell if it does not run, and a server if there is none. Ctrl-\ d detaches;
hub NAME comes back, from any terminal, several at once.

In a session
  Ctrl-\ d            detach                 Ctrl-\ n, p   next, previous shell
  Ctrl-\ %            a command, see %help   Ctrl-\ l      choose from a list
  Ctrl-\ r            redraw                 Ctrl-\ s, ?   status, help
  Ctrl-\ w            who is here            Ctrl-\ x, y   throw out, let type
  Ctrl-\ Ctrl-\       sends Ctrl-\

Shells
  attach [-r] [-x] NAME     attach; -r only watches, -x detaches the others;
                            for NAME also a link, or - for one on stdin
  new [-d DIR] [-e K=V]... [--size RxC] [--pipe] NAME [-- CMD ARG...]
                            start a shell, do not attach
  ls [--json | --graph]     list shells, hubs and pipes, or draw them
  send NAME TEXT...         type into a shell; \n, \x03 as in Go
  size NAME RxC             set the size of its terminal
  signal NAME SIG           signal what runs in its foreground
  kill NAME                 end it
  wait NAME                 wait for its end; leave with its exit status
  rm NAME                   remove an ended shell's files, or a hub

Others
  share [-r] [--ask] [--keep] [--listen ADDR] NAME [-- CMD ARG...]
                            run a shell here, print a link that lets others in
  invite [--view] [--for TIME] [--uses N] [--ask] [--listen ADDR] NAME
                            a link to a shell or hub of the server
  invite --list | --revoke ID
                            who may come; end that, and cut them

Hubs
  tee [-q BYTES] [--spool] [--fear] [--wait] NAME [-- CMD ARG...]
                            stdin, or CMD's output, to stdout and into a hub
  watch [-n LINES] [--since TIME] [--grep RE] [-t] NAME...
                            follow hubs or shells' output; leave with the exit
                            status of who wrote it
  read HUB[@POS]            the hub on stdout until it ends; HUB@end, HUB@-N
  write HUB                 stdin into the hub, which is made if need be
  pipe [-e] FROM [-- CMD ARG... --] TO
                            carry one hub into another, on the server
  pipe --to SERVER FROM TO  the same, into a hub of another server
  unpipe ID                 end a pipe

Jobs
  run [-n N] [-w HOSTS] [-l | -b | -k] [FLAG...] CMD ARG...
                            one command on many nodes; -l names the node before
                            each line, -b shows equal output once; --detach
                            prints the job's name, as remote/3, which attach,
                            watch, wait, signal, kill and rm take too
  nodes [--json]            the nodes of the server
  node add ADDR [NAME]      dial a server, or ssh://HOST, and make it one
  node drain | undrain | rm | ack | fence NODES...
                            no new tasks; again; let go; vouch that a lost one
                            runs nothing; make sure of it

Files
  mount [-f] DIR            the server's files in a folder, for cat, echo, Python;
                            -f stays in the foreground
  umount DIR                end that

Server
  ctl [WORD...]             a line for /ctl; without words, print it
  serve                     be a server, in the foreground
  install ssh://HOST        copy this hub to ~/.local/bin on another machine
  fingerprint               by which key your servers here are known, with tls
  completion SHELL          a completion script for bash, zsh, fish
  version, help [COMMAND]

Flags
  -s, --server SERVER       which server; else $HUB_SERVER, else "default":
                            NAME                  this user's own, which is
                                                  started when missing
                            ssh://[USER@]HOST[:PORT][/NAME]
                                                  the same on another machine
                            hub://HOST:PORT/NAME  where a link has let us in
                            tls://HOST:PORT#KEY   a server of that key
                            unix:PATH, tcp://HOST:PORT, fd:N
                                                  and as Plan 9 writes them:
                                                  ssh!HOST, unix!PATH, ...
  -e, --escape KEY          the prefix key: ^A, C-a, or none; else $HUB_ESCAPE
      --history LINES       output to show again on attaching (500; -1 all)

Exit status: 0 done or detached; the shell's own where there is one, 128+N for
signal N; 1 our error; 2 wrong usage; 125 no server, refused, or lost; 130
interrupted. See hub(1).
`

// An app is what the commands share.
type app struct {
	serverFlag     string
	terminal       *os.File // of a session; nil: standard input
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run is the program; it returns its exit status.
func run(args []string) int {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	return a.run(args)
}

func (a *app) run(args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	// To attach is to be quick: what it does not need is not made.
	if slices.ContainsFunc(args, func(arg string) bool {
		return arg == "completion" || arg == "help" || strings.HasPrefix(arg, cobra.ShellCompRequestCmd)
	}) {
		completionCmd(root)
	}
	root.CompletionOptions.DisableDefaultCmd = true
	err := root.Execute()
	report(a.stderr, err)
	return exitCode(err)
}

// root makes the tree of commands.
func (a *app) root() *cobra.Command {
	var o attachOptions
	root := &cobra.Command{
		Use:   "hub [NAME]",
		Short: "keep shells alive without a terminal, and share them",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 { // a NAME has nothing behind it: a command was meant
				return noCommand(cmd, args[0])
			}
			return nil
		},
		// Its own flags stand before a command: hub -e ^A attach work.
		TraverseChildren:  true,
		SilenceErrors:     true,
		SilenceUsage:      true,
		ValidArgsFunction: a.completeShells,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "io"
			if len(args) == 1 {
				name = args[0]
			}
			if transport.IsLink(name) {
				return a.attachTo(cmd.Context(), name, o)
			}
			return a.attach(cmd.Context(), name, o, true)
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, hint: helpFor(cmd)}
	})
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd == root {
			io.WriteString(a.stdout, usage)
			return
		}
		help(cmd, args)
	})
	root.SetHelpCommand(helpCmd())
	root.PersistentFlags().StringVarP(&a.serverFlag, "server", "s", "", "which `SERVER`; else $HUB_SERVER, else \"default\"")
	o.escape(root)
	o.flags(root)
	root.AddCommand(
		a.attachCmd(&o), a.newCmd(), a.lsCmd(), a.sendCmd(), a.sizeCmd(), a.signalCmd(), a.killCmd(),
		a.waitCmd(), a.rmCmd(), a.teeCmd(), a.watchCmd(), a.readCmd(), a.writeCmd(), a.pipeCmd(), a.unpipeCmd(), a.runCmd(), a.nodesCmd(), a.nodeCmd(), a.ctlCmd(), a.serveCmd(), a.installCmd(), a.fingerprintCmd(), a.hostCmd(), a.shareCmd(&o), a.inviteCmd(), a.mountCmd(), a.umountCmd(), a.versionCmd(),
	)
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true // -- CMD ARG... ends the line
	}
	return root
}

// noCommand is the error for a word that is no command.
func noCommand(root *cobra.Command, word string) error {
	root.SuggestionsMinimumDistance = 2
	hint := helpFor(root)
	if near := root.SuggestionsFor(word); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q? %s", near[0], hint)
	}
	return &usageError{usagef("no command %q", word), hint}
}

func helpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "help about hub, or about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, _, err := cmd.Root().Find(args)
			if err != nil || len(args) > 0 && of == cmd.Root() {
				return noCommand(cmd.Root(), args[0])
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) (names []string, d cobra.ShellCompDirective) {
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// completionCmd adds cobra's command of that name, which is to say when it
// knows no such shell.
func completionCmd(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			return &usageError{usagef("%s: expected bash, zsh, fish or powershell", cmd.CommandPath()), helpFor(cmd)}
		}
	}
}

func helpFor(cmd *cobra.Command) string { return cmd.CommandPath() + " -h shows how" }

// exactly is an Args of cobra whose error is wrong usage.
func (a *app) exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return &usageError{usagef("%s: expected %s", cmd.CommandPath(), what), helpFor(cmd)}
		}
		return nil
	}
}

func (a *app) atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return &usageError{usagef("%s: unexpected argument %q", cmd.CommandPath(), args[n]), helpFor(cmd)}
		}
		return nil
	}
}

// where is the server that the commands are about, and what lets us in.
func (a *app) where() (transport.Link, error) {
	s := a.serverFlag
	if s == "" {
		s = os.Getenv("HUB_SERVER")
	}
	if s == "" {
		s = "default"
	}
	l, err := parseServer(s)
	if err != nil {
		return l, &usageError{err: err, hint: "-s and $HUB_SERVER say which server"}
	}
	return l, nil
}

// addr is where alone.
func (a *app) addr() (transport.Addr, error) {
	l, err := a.where()
	return l.Addr, err
}

// connect connects to the server. If start is set, one that is this user's
// own is started when it does not run.
func (a *app) connect(ctx context.Context, start bool) (*server.Server, error) {
	l, err := a.where()
	if err != nil {
		return nil, err
	}
	return a.connectTo(ctx, l, start)
}

// reconnect is connect for those whose connection was lost. Nobody is asked for a
// password in the middle of something else, and a link that has let our key in
// has done so.
func (a *app) reconnect(ctx context.Context, start bool) (*server.Server, error) {
	l, err := a.where()
	if err != nil {
		return nil, err
	}
	o := server.Options{Token: l.Token, Batch: true}
	if l.Addr.Network == "tls" {
		o.Token = ""
	}
	if start {
		o.Start = []string{"serve", "-s", l.Addr.String()}
	}
	return server.Connect(ctx, l.Addr, o)
}

func (a *app) connectTo(ctx context.Context, l transport.Link, start bool) (*server.Server, error) {
	o := server.Options{Token: l.Token, Stderr: a.stderr}
	if start {
		o.Start = []string{"serve", "-s", l.Addr.String()}
	}
	return server.Connect(ctx, l.Addr, o)
}

// connectAgain is connect for those whose server was lost. If it is this user's
// own, has died and has kept hubs on the disk it is started again; one that
// somebody has stopped stays so.
func (a *app) connectAgain(ctx context.Context) (*server.Server, error) {
	addr, err := a.addr()
	if err != nil {
		return nil, err
	}
	return a.reconnect(ctx, daemon.Kept(addr) && daemon.Died(addr))
}

// connectKept is connect for those who want what is there: a server that does
// not run is started only if it has kept hubs on the disk.
func (a *app) connectKept(ctx context.Context) (*server.Server, error) {
	addr, err := a.addr()
	if err != nil {
		return nil, err
	}
	return a.connect(ctx, daemon.Kept(addr))
}

// with connects to the server and does the work of a command, which a signal
// can interrupt.
func (a *app) with(ctx context.Context, start bool, do func(ctx context.Context, srv *server.Server) error) error {
	return a.connected(ctx, func(ctx context.Context) (*server.Server, error) { return a.connect(ctx, start) }, do)
}

// withKept is with and connectKept.
func (a *app) withKept(ctx context.Context, do func(ctx context.Context, srv *server.Server) error) error {
	return a.connected(ctx, a.connectKept, do)
}

func (a *app) connected(ctx context.Context, connect func(context.Context) (*server.Server, error), do func(ctx context.Context, srv *server.Server) error) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	srv, err := connect(ctx)
	if err != nil {
		return cause(ctx, err)
	}
	defer srv.Close()
	return cause(ctx, do(ctx, srv))
}
