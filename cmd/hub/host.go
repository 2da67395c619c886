package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/internal/daemon"
	"hubfs/shellctl"
	"hubfs/transport"
)

// hostGrace is how long a shell has to end after a hangup.
const hostGrace = 2 * time.Second

// A host runs a shell on this machine that belongs to a server elsewhere: it
// reads what others type from NAME0 and writes NAME1, and does what the server
// says on the open of /ctl on which it hosts. hub host is this process; it
// outlives the terminal from which %local started it.
type host struct {
	srv  *server.Server
	name string
	log  *slog.Logger
	ctl  *client.File // where we host
}

func (a *app) hostCmd() *cobra.Command {
	var dir, size string
	var ready bool
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
			spec := shellctl.Spec{Argv: args[1:], Dir: dir, Rows: rows, Cols: cols}
			return a.with(cmd.Context(), false, func(ctx context.Context, srv *server.Server) error {
				log := slog.New(slog.NewTextHandler(a.stderr, nil)).With("shell", args[0])
				h := &host{srv: srv, name: args[0], log: log}
				return h.run(ctx, spec, tell)
			})
		},
	}
	cmd.Flags().StringVarP(&dir, "dir", "d", "", "start in `DIR`")
	cmd.Flags().StringVar(&size, "size", "", "size of its terminal, `RxC`")
	cmd.Flags().BoolVar(&ready, daemon.ReadyFlag, false, "")
	cmd.Flags().MarkHidden(daemon.ReadyFlag)
	return cmd
}

// startHost starts a process that hosts a shell called name on this machine.
func (a *app) startHost(ctx context.Context, addr transport.Addr, name string, t session.Terminal) error {
	logs, err := daemon.Dir()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	args := []string{"host", "--" + daemon.ReadyFlag, "-s", addr.String(), "-d", dir}
	if t.Size != nil {
		if rows, cols, ok := t.Size(); ok {
			args = append(args, "--size", fmt.Sprintf("%dx%d", rows, cols))
		}
	}
	err = daemon.Background(ctx, filepath.Join(logs, "host.log"), append(args, "--", name))
	if err != nil {
		return fmt.Errorf("host shell %s: %w", name, err)
	}
	return nil
}

// run hosts the shell until its process has ended, or the server is gone.
// tell is called once, when the shell is there or cannot be.
func (h *host) run(ctx context.Context, spec shellctl.Spec, tell func(error)) error {
	sh, out, err := h.start(ctx, spec)
	tell(err)
	if err != nil {
		return err
	}
	words := make(chan string)
	go h.listen(ctx, words) // ends with the connection
	ended := sh.Done()
	for {
		select {
		case <-ended:
			return h.ended(ctx, sh, out)
		case line, ok := <-words:
			if !ok {
				words = nil
				continue
			}
			if err := obey(sh, line); err != nil {
				h.log.Warn("word of the server", "word", line, "err", err)
			}
		case <-h.srv.Done():
			h.log.Warn("server lost; the shell is hung up")
			sh.Kill(hostGrace)
			<-ended
			return fmt.Errorf("host shell %s: %w", h.name, h.srv.Err())
		case <-ctx.Done():
			sh.Kill(hostGrace)
			<-ended
			return h.ended(context.WithoutCancel(ctx), sh, out)
		}
	}
}

// start makes the shell at the server and starts its process here.
func (h *host) start(ctx context.Context, spec shellctl.Spec) (*shellctl.Shell, *client.PipeWriter, error) {
	var err error
	if h.ctl, err = h.srv.Open(ctx, "/ctl", client.ORDWR); err != nil {
		return nil, nil, err
	}
	if len(spec.Argv) == 0 {
		spec.Argv = []string{loginShell()}
	}
	words := append([]string{"host", h.name, "-s", fmt.Sprintf("%dx%d", spec.Rows, spec.Cols), "--"}, spec.Argv...)
	if err := h.say(ctx, words...); err != nil {
		if errors.Is(err, client.ErrExist) {
			err = &server.Error{Text: fmt.Sprintf("shell %s is there already on server %s", h.name, h.srv.Addr), Err: err}
		}
		return nil, nil, err
	}
	in, err := h.srv.Open(ctx, "/"+h.name+"0", client.OREAD)
	if err != nil {
		return nil, nil, err
	}
	out, err := h.srv.Open(ctx, "/"+h.name+"1", client.OWRITE)
	if err != nil {
		return nil, nil, err
	}
	spec.Env = append(os.Environ(), "HUB_SHELL="+h.name, "HUB_SERVER="+h.srv.Addr.String())
	w := out.Writer(outputAhead)
	sh, err := shellctl.Start(spec, shellctl.Streams{Stdin: h.input(in), Stdout: w}, h.log)
	if err != nil {
		// The server shall not keep a shell that never was.
		h.say(ctx, "exit", "127")
		return nil, nil, err
	}
	return sh, w, h.say(ctx, "pid", strconv.Itoa(sh.PID()))
}

// outputAhead is how many writes of output may be without an answer.
const outputAhead = 32

// say writes a line on the open of /ctl on which we host.
func (h *host) say(ctx context.Context, words ...string) error {
	_, err := h.ctl.WriteContext(ctx, []byte(server.Line(words...)))
	return err
}

// listen hands on the words of the server.
func (h *host) listen(ctx context.Context, words chan<- string) {
	defer close(words)
	r := bufio.NewReader(lineReader{ctx, h.ctl})
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			select {
			case words <- strings.TrimSpace(line):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

type lineReader struct {
	ctx context.Context
	f   *client.File
}

func (r lineReader) Read(p []byte) (int, error) { return r.f.ReadContext(r.ctx, p) }

// obey does a word of the server.
func obey(sh *shellctl.Shell, line string) error {
	f := strings.Fields(line)
	switch {
	case len(f) == 3 && f[0] == "size":
		rows, cols, err := server.ParseSize(f[1] + "x" + f[2])
		if err != nil {
			return err
		}
		return sh.Resize(rows, cols)
	case len(f) == 2 && f[0] == "signal":
		return sh.Signal(f[1])
	case len(f) == 1 && f[0] == "kill":
		sh.Kill(hostGrace)
		return nil
	}
	return errors.New("not known")
}

// ended tells the server how the process ended, when its last output is there.
func (h *host) ended(ctx context.Context, sh *shellctl.Shell, out *client.PipeWriter) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	st, err := sh.Wait(ctx)
	err = errors.Join(err, out.Flush(ctx))
	return errors.Join(err, h.say(ctx, strings.Fields(st.String())...))
}

// input is the shell's input hub as a Source.
func (h *host) input(f *client.File) *hostInput { return &hostInput{h: h, f: f} }

type hostInput struct {
	h *host
	f *client.File
}

// ReadContext reads on. A hub that has ended gives nothing, for ever: that is
// told apart from a mark, which gives nothing once.
func (in *hostInput) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, err := in.f.ReadContext(ctx, p)
	if errors.Is(err, io.EOF) {
		hub, ok, serr := in.h.srv.Hub(ctx, in.h.name+"0")
		if serr == nil && (!ok || hub.Is("ended")) {
			return 0, inputEnded{}
		}
	}
	return n, err
}

// inputEnded says that nothing more will be typed.
type inputEnded struct{}

func (inputEnded) Error() string        { return "the hub has ended" }
func (inputEnded) Is(target error) bool { return target == io.EOF }
func (inputEnded) Ended() bool          { return true }

// loginShell is the user's.
func loginShell() string {
	if sh := os.Getenv("SHELL"); sh != "" {
		return sh
	}
	return "/bin/sh"
}
