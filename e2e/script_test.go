package e2e

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/*.txtar: what hub and hubfs do where no terminal
// is needed. Besides testscript's own commands there are those of scriptCmds.
func TestScripts(t *testing.T) {
	bin := programs.in(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			w := newWorld(e.T().(testing.TB))
			e.Vars = append(e.Vars, w.env...)
			e.Vars = append(e.Vars, "HOME="+e.WorkDir, "BIN="+bin)
			e.Values[worldKey{}] = w
			return nil
		},
		Cmds:               scriptCmds,
		RequireUniqueNames: true,
	})
}

type worldKey struct{}

func scriptWorld(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

var scriptCmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// named VAR: what was printed last is a name, and the variable's value from now
	// on. The number of a session is free again only when nothing runs any more
	// that was called so.
	"named": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: named VAR")
		}
		ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
	},

	// exits CODE PROGRAM ARG…: run it; its exit status is CODE.
	"exits": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: exits CODE PROGRAM ARG…")
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		got, err := exitCode(ts.Exec(args[1], args[2:]...))
		ts.Check(err)
		if got != want {
			ts.Fatalf("%q: exit %d, want %d", args[1:], got, want)
		}
	},

	// mode PERM FILE: the file has these permissions.
	"mode": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: mode PERM FILE")
		}
		want, err := strconv.ParseUint(args[0], 8, 32)
		ts.Check(err)
		fi, err := os.Lstat(ts.MkAbs(args[1]))
		ts.Check(err)
		if got := fi.Mode().Perm(); got != fs.FileMode(want) {
			ts.Fatalf("%s has mode %o, want %o", args[1], got, want)
		}
	},

	// follow HUB REGEXP: read the hub until a line of it matches.
	"follow": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: follow HUB REGEXP")
		}
		re, err := regexp.Compile(args[1])
		ts.Check(err)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w := scriptWorld(ts)
		cmd := exec.CommandContext(ctx, filepath.Join(ts.Getenv("BIN"), "hub"), "-s", ts.Getenv("HUB_SERVER"), "read", args[0])
		cmd.Env = w.env
		out, err := cmd.StdoutPipe()
		ts.Check(err)
		cmd.Stderr = os.Stderr
		ts.Check(cmd.Start())
		defer func() { // the reader has done its part
			cancel()
			cmd.Wait()
		}()
		var seen []string
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			seen = append(seen, lines.Text())
			if re.MatchString(lines.Text()) {
				return
			}
		}
		ts.Fatalf("%s ended, and no line matched %s: %q", args[0], args[1], seen)
	},

	// serve ARG…: start hubfs with these arguments, wait until it serves.
	"serve": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("usage: serve ARG…")
		}
		ts.Setenv("SERVER_PID", strconv.Itoa(scriptWorld(ts).serve(args...).cmd.Process.Pid))
	},

	// halt SIGNAL CODE: signal the server that serve started; it exits with CODE.
	"halt": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: halt SIGNAL CODE")
		}
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		w := scriptWorld(ts)
		s := w.servers[len(w.servers)-1]
		s.signal(args[0])
		if got := s.exit(); got != want {
			ts.Fatalf("the server: exit %d, want %d; it said:\n%s", got, want, s.said())
		}
	},
}
