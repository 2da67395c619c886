package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/session"
	"hubfs/transport"
)

func TestExitCodes(t *testing.T) {
	lost := fmt.Errorf("read work1: %w", client.ErrLost)
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"an error", errors.New("x"), 1},
		{"no such shell", &server.Error{Text: "x", Err: client.ErrNotExist}, 1},
		{"usage", usagef("x"), 2},
		{"wrapped usage", fmt.Errorf("x: %w", usagef("x")), 2},
		{"lost", lost, 125},
		{"session lost", &server.Error{Text: "x", Err: errors.Join(session.ErrLost, lost)}, 125},
		{"no server", &server.Error{Text: "x", Err: errors.Join(server.ErrUnreachable, transport.ErrNotRunning)}, 125},
		{"refused", fmt.Errorf("x: %w", transport.ErrRefused), 125},
		{"the shell's", statusError(3), 3},
		{"interrupted", session.SignalError{Signal: syscall.SIGINT}, 130},
		{"terminated", fmt.Errorf("x: %w", session.SignalError{Signal: syscall.SIGTERM}), 143},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{statusError(3), ""},
		{errors.New("x happened"), "hub: x happened\n"},
		{&server.Error{Text: `no shell "wrok" on server default`, Hint: `did you mean "work"? hub ls shows all`},
			"hub: no shell \"wrok\" on server default\nhub: hint: did you mean \"work\"? hub ls shows all\n"},
		{errors.New("a server said \x1b]0;x\a\nand more"), "hub: a server said ?]0;x?\nand more\n"},
		{&writeError{&os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}}, "hub: write /dev/stdout: no space left on device\n"},
		{usagef("x"), "hub: x\nhub: hint: hub help shows how\n"},
		{fmt.Errorf("read /status: %w: attach: %w", client.ErrLost, &client.Error{Text: "permission denied: this server wants a key"}),
			"hub: the server does not let us in: permission denied: this server wants a key\n" +
				"hub: hint: what let us in has expired, or its owner has ended it; a new link from hub invite lets us in\n"},
	} {
		var b bytes.Buffer
		report(&b, tt.err)
		if b.String() != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, b.String(), tt.want)
		}
	}
}

// hub runs the program in this process, without a server.
func hub(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return hubInput(t, "", args...)
}

// hubInput is hub with something on its standard input.
func hubInput(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("HUB_SERVER", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	var out, err bytes.Buffer
	a := &app{stdin: strings.NewReader(input), stdout: &out, stderr: &err}
	code = a.run(args)
	return code, out.String(), err.String()
}

func TestUsageErrorsAre2AndOnStderr(t *testing.T) {
	for _, args := range []string{
		"--nosuch", "-e toolong", "attach", "attach a b", "a b", "new", "new a b", "new -e novalue a", "new --size 24 a",
		"send a", "send a \\q", "size a", "size a big", "signal a", "kill", "wait", "rm", "read", "read a@b", "read a@-x",
		"write", "pipe", "pipe a", "pipe a b c", "pipe a@1 b", "pipe -d", "pipe -d x", "unpipe", "unpipe x", "ls --json --graph", "tee", "tee a b", "tee -q 0 a", "tee -- ls", "tee a --", "tee --retry -1s a", "tee --fear --patience 0s a", "tee --patience 5s a", "watch", "watch --since never a", "watch --grep [ a", "watch --retry -1s a", "watch -e toolong a", "watch -n -1 a", "watch -n x a", "ls x", "ls --nosuch", "serve x", "serve -q none", "serve -a gopher://x", "version x",
		"run", "run --", "run -n -1 a", "run -n x a", "run --min 0 a", "run -n 2 --min 3 a", "run --min 3 a", "run -n 0 -w x a", "run -n 0 --os linux a", "run --policy fill a", "run -l -b a", "run --detach -l a", "run --arch 386 a", "run --no-input --enum a", "run --enum --pull f a", "run --records len a", "run --enum --records n=0 a", "run --enum --records sep= a", "run --retry 0 a", "run --halt fail a", "run --halt fail=0 a", "run --halt success=1% a", "run --timeout 0s a", "run -e novalue a", "run -d /x --push /y a", "run -w n[ a", "run -x n[2-1] a", "nodes x", "node", "node frob", "node add", "node add a b c", "node ack", "node rm n[", "attach -l work", "attach -l -b remote/1",
		"-s tcp!x ls", "-s a/b ls", "--history -2 a",
	} {
		code, stdout, stderr := hub(t, strings.Fields(args)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "hub: ") || !strings.Contains(stderr, "\nhub: hint: ") {
			t.Errorf("hub %s: exit %d\nstdout: %q\nstderr: %q", args, code, stdout, stderr)
		}
	}
}

func TestWordsThatAreNoCommands(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"atach", "x"}, `no command "atach"` + "\nhub: hint: did you mean \"attach\"?"},
		{[]string{"frob", "2"}, `no command "frob"` + "\nhub: hint: hub -h"},
		{[]string{"help", "frob"}, `no command "frob"`},
		{[]string{"completion"}, "expected bash, zsh"},
		{[]string{"completion", "frob"}, "expected bash, zsh"},
	} {
		code, stdout, stderr := hub(t, tt.args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("hub %q: exit %d\nstdout: %q\nstderr: %q, want %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

func TestHelpIsOnStdout(t *testing.T) {
	for _, args := range []string{"-h", "--help", "help", "new -h", "help new", "serve --help", "version", "completion bash"} {
		code, stdout, stderr := hub(t, strings.Fields(args)...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("hub %s: exit %d\nstdout: %.60q\nstderr: %q", args, code, stdout, stderr)
		}
	}
}

// TestUsageNamesEveryCommand: usage is prose, so nothing else keeps it true.
func TestUsageNamesEveryCommand(t *testing.T) {
	for _, cmd := range new(app).root().Commands() {
		if !cmd.Hidden && !strings.Contains(usage, "\n  "+cmd.Name()) {
			t.Errorf("usage lacks %s", cmd.Name())
		}
		if cmd.ValidArgsFunction == nil && !cmd.Hidden {
			t.Errorf("%s completes file names", cmd.Name())
		}
	}
}

func TestWithoutAServer(t *testing.T) {
	code, stdout, stderr := hub(t, "ls")
	if code != 0 || stdout != "" || stderr != "hub: no server default is running\n" {
		t.Errorf("ls: exit %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, _ = hub(t, "ls", "--json")
	if code != 0 || strings.Join(strings.Fields(stdout), "") != `{"shells":[],"hubs":[],"pipes":[],"jobs":[]}` {
		t.Errorf("ls --json: exit %d, %q", code, stdout)
	}
	for _, args := range []string{"attach x", "read x", "watch x", "pipe x y", "unpipe 1", "send x y", "kill x", "wait x", "rm x", "ctl", "ctl fear", "signal x INT", "size x 1x1"} {
		code, stdout, stderr := hub(t, strings.Fields(args)...)
		if code != 125 || stdout != "" || !strings.HasPrefix(stderr, "hub: no server default is running\nhub: hint: ") {
			t.Errorf("hub %s: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
	code, _, stderr = hub(t, "-s", "unix:/nosuch/socket", "ls")
	if code != 125 || stderr != "hub: no server is running at unix!/nosuch/socket\nhub: hint: hubfs -a 'unix!/nosuch/socket' serves there\n" {
		t.Errorf("elsewhere: exit %d, %q", code, stderr)
	}
	// Completion is silent.
	code, stdout, _ = hub(t, cobra.ShellCompRequestCmd, "attach", "")
	if code != 0 || stdout != ":4\n" {
		t.Errorf("completion: exit %d, %q", code, stdout)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`plain`: "plain", `a\nb`: "a\nb", `\x03`: "\x03", `\x1b[A`: "\x1b[A", `\xff`: "\xff", `\u00e9`: "é", `é`: "é",
		`\\n`: `\n`, `\"\'`: `"'`, `\101`: "A", "raw\xff": "raw\xff", ``: "",
	} {
		if got, err := unescape(in); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`\`, `\q`, `\x1`, `a\u12`, `\400`} {
		if got, err := unescape(in); err == nil {
			t.Errorf("%q: %q, want an error", in, got)
		}
	}
}

func TestPosition(t *testing.T) {
	h := server.Hub{First: 100, Next: 1000}
	for in, want := range map[string]int64{"h": 100, "h@end": 1000, "h@-1": 999, "h@-5000": 100, "h@0": 0, "h@500": 500} {
		name, p, err := parsePosition(in)
		if err != nil || name != "h" || p.offset(h) != want {
			t.Errorf("%s: %s %d, %v; want %d", in, name, p.offset(h), err, want)
		}
	}
	_, p, _ := parsePosition("h")
	h.Mode = "calm,trunc"
	if p.offset(h) != 1000 {
		t.Error("in trunc mode a reader starts at the end")
	}
	for _, in := range []string{"h@", "h@x", "h@-", "h@--1", "h@+1", "h@-end"} {
		if _, _, err := parsePosition(in); err == nil {
			t.Errorf("%s is no position", in)
		}
	}
}

func TestTable(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 0, 0, 0, time.Local)
	st := server.Status{
		Shells: []server.Shell{
			{Name: "work", State: "running", Rows: 24, Cols: 80, Clients: 2, Since: now.Add(-time.Hour), Command: "sh -c 'a\x1b[2J'"},
			{Name: "p", State: "exited", Since: now.AddDate(0, 0, -1), Command: "make"},
		},
		Hubs: []server.Hub{{Name: "work0"}, {Name: "work1"}, {Name: "work2"}, {Name: "build", Mode: "calm", First: 0, Next: 3 << 20, Readers: 1},
			{Name: "done", Mode: "calm,ended", End: "exit 3"}, {Name: "killed", Mode: "fear,ended", End: "signal KILL"}, {Name: "over", Mode: "calm,ended"}, {Name: "kept", Mode: "spool,calm,ended", End: "exit 0"}},
	}
	var b bytes.Buffer
	if err := writeTable(&b, st, now); err != nil {
		t.Fatal(err)
	}
	want := `NAME    STATE           SIZE   CLIENTS  SINCE       COMMAND
work    running         24x80  2        14:00:00    sh -c 'a?[2J'
p       exited          pipes  0        2026-03-03  make
build   hub calm        3.0M   1        -           -
done    ended 3         0B     0        -           -
killed  ended KILL      0B     0        -           -
over    ended           0B     0        -           -
kept    spool, ended 0  0B     0        -           -
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	b.Reset()
	if err := writeTable(&b, server.Status{}, now); err != nil || b.Len() > 0 {
		t.Errorf("nothing: %q, %v", &b, err)
	}
}

func TestOnlySignalsReplaceAnError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := cause(ctx, io.EOF); err != io.EOF {
		t.Error(err)
	}
	cancel(session.SignalError{Signal: syscall.SIGINT})
	if err := cause(ctx, ctx.Err()); exitCode(err) != 130 {
		t.Error(err)
	}
	if err := cause(ctx, nil); err != nil {
		t.Error(err)
	}
}
