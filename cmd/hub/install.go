package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hubfs/cmd/hub/internal/server"
	"hubfs/internal/daemon"
	"hubfs/transport"
)

func (a *app) installCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "install [--force] ssh://[USER@]HOST[:PORT]",
		Short: "copy this hub to another machine, over ssh",
		Long: `Copy this very program to ~/.local/bin/hub of an account on another machine, which
must be of the same kind, and make hubfs there a link to it. hub -s ssh://HOST
finds it there, also where that folder is not in PATH.`,
		Args:              a.exactly(1, "ssh://[USER@]HOST[:PORT]"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := transport.Parse(args[0])
			if err != nil {
				return &usageError{err: err, hint: helpFor(cmd)}
			}
			if addr.Network != "ssh" {
				return &usageError{err: usagef("hub install %s: expected ssh://[USER@]HOST[:PORT]", addr), hint: helpFor(cmd)}
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return cause(ctx, a.install(ctx, addr, force))
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace what is there")
	return cmd
}

// install copies this program to the account at addr.
func (a *app) install(ctx context.Context, addr transport.Addr, force bool) error {
	there, err := a.look(ctx, addr)
	if err != nil {
		return err
	}
	if here := runtime.GOOS + "/" + runtime.GOARCH; there.platform != here {
		return &server.Error{
			Text: fmt.Sprintf("%s is %s, and this hub is for %s", addr, there.platform, here),
			Hint: "build one with GOOS and GOARCH set, and copy it to ~/.local/bin/hub there",
		}
	}
	if there.has != "" && !force {
		return &server.Error{
			Text: fmt.Sprintf("%s has a %s already", addr, there.has),
			Hint: "hub install --force replaces it",
		}
	}
	return a.copyTo(ctx, addr)
}

// A remote is what look has found.
type remote struct {
	platform string // GOOS/GOARCH, or what uname says where that is not known
	has      string // the path of a hub or hubfs that is there; "": none
}

// lookScript says on which kind of machine it is and what is there.
const lookScript = `echo "hub-install $(uname -sm)"
for f in hub hubfs; do if [ -e "$HOME/.local/bin/$f" ]; then echo "has ~/.local/bin/$f"; fi; done`

func (a *app) look(ctx context.Context, addr transport.Addr) (remote, error) {
	cmd, err := transport.Dialer{}.SSHCommand(ctx, addr, lookScript)
	if err != nil {
		return remote{}, err
	}
	cmd.Stderr = a.stderr
	out, err := cmd.Output()
	if err != nil {
		return remote{}, sshFailed(addr, err)
	}
	// Login scripts may have talked before.
	var r remote
	for line := range strings.Lines(string(out)) {
		if uname, ok := strings.CutPrefix(line, "hub-install "); ok {
			r.platform = platform(strings.TrimSpace(uname))
		} else if r.platform != "" && r.has == "" {
			r.has = strings.TrimPrefix(strings.TrimSpace(line), "has ")
		}
	}
	if r.platform == "" {
		return remote{}, &server.Error{Text: fmt.Sprintf("%s: expected a Unix system there, which knows uname -sm", addr)}
	}
	return r, nil
}

// platform is what uname -sm says, in Go's words where they are known.
func platform(uname string) string {
	system, machine, _ := strings.Cut(uname, " ")
	words := map[string]string{
		"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i486": "386", "i586": "386", "i686": "386",
		"armv5tel": "arm", "armv6l": "arm", "armv7l": "arm", "loongarch64": "loong64",
	}
	if w := words[machine]; w != "" {
		machine = w
	}
	return strings.ToLower(system) + "/" + machine
}

// copyScript takes a program of $1 bytes on its standard input. It gets its name
// when it is whole and runs: a hub that is running, or is started meanwhile, is
// the old one or the new one.
const copyScript = `set -e; umask 022
d=$HOME/.local/bin; mkdir -p "$d"
t=$(mktemp "$d/.hub.XXXXXX"); clean() { rm -f "$t"; }; trap clean EXIT
cat >"$t"
if [ $(wc -c <"$t") -ne "$1" ]; then echo "hub: the copy is not whole" >&2; exit 1; fi
chmod 755 "$t"
v=$("$t" version)
mv -f "$t" "$d/hub"
ln -sf hub "$d/hubfs"
echo "hub-installed $v"`

func (a *app) copyTo(ctx context.Context, addr transport.Addr) error {
	exe, err := daemon.Executable()
	if err != nil {
		return err
	}
	f, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	cmd, err := transport.Dialer{}.SSHCommand(ctx, addr, copyScript, strconv.FormatInt(fi.Size(), 10))
	if err != nil {
		return err
	}
	p := &progress{r: f, size: fi.Size(), to: a.progressTo(), what: fmt.Sprintf("copying hub to %s", addr)}
	defer p.end()
	cmd.Stdin, cmd.Stderr = p, a.stderr
	out, err := cmd.Output()
	p.end()
	if err != nil {
		return sshFailed(addr, err)
	}
	_, version, ok := bytes.Cut(out, []byte("hub-installed "))
	if !ok {
		return &server.Error{Text: fmt.Sprintf("%s: the copy did not answer", addr)}
	}
	fmt.Fprintf(a.stderr, "hub: %s has %s in ~/.local/bin\n", addr, printable(strings.TrimSpace(string(version))))
	return nil
}

// sshFailed is the error for a command over ssh, which has said why.
func sshFailed(addr transport.Addr, err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &server.Error{Text: fmt.Sprintf("%s: nothing was installed (%v)", addr, exit), Err: errors.Join(server.ErrUnreachable, err)}
	}
	return fmt.Errorf("%s: %w", addr, err)
}

// progressTo is where progress is shown: on a terminal, or nowhere.
func (a *app) progressTo() io.Writer {
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// A progress is a reader that shows how much was read.
type progress struct {
	r     io.Reader
	size  int64
	to    io.Writer // nil: nowhere
	what  string
	n     int64
	shown time.Time // when the line was written last; zero: never
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	if now := time.Now(); p.to != nil && now.Sub(p.shown) > 100*time.Millisecond {
		p.shown = now
		fmt.Fprintf(p.to, "\rhub: %s, %d%%", p.what, 100*p.n/max(p.size, 1))
	}
	return n, err
}

// end takes the line away.
func (p *progress) end() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.shown = time.Time{}
	}
}
