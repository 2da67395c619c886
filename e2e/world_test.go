package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hubfs/e2e/internal/dialogue"
)

// patience is how long a test waits for one thing. It is generous: a machine
// that does other work besides must not fail a test.
const patience = 30 * time.Second

// A world is what the programs can see of a machine: a runtime directory with
// the servers' sockets, a home, a PATH. A test has one of its own, and when
// it is over nothing of it is left running.
type world struct {
	tb    testing.TB
	dir   string // short, for a socket's path has 108 bytes at most
	home  string
	run   string // XDG_RUNTIME_DIR
	env   []string
	peers bool // not our programs: what is left of them is killed

	servers []*server // that the test started itself
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, dir: shortTempDir(tb)}
	w.make(programs.in(tb) + string(filepath.ListSeparator) + os.Getenv("PATH"))
	return w
}

// newPeerWorld makes a world for other people's programs.
func newPeerWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, dir: shortTempDir(tb), peers: true}
	w.make(os.Getenv("PATH"))
	return w
}

func (w *world) make(path string) {
	w.tb.Helper()
	w.tb.Cleanup(w.end)
	w.home, w.run = filepath.Join(w.dir, "home"), filepath.Join(w.dir, "run")
	for _, dir := range []string{w.home, w.run} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			w.tb.Fatal(err)
		}
	}
	w.env = worldEnv(w.dir, w.home, w.run, path)
}

// shortTempDir makes a directory whose path leaves room for a socket's name,
// and removes it with the test.
func shortTempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "e2e")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// markVar is in the environment of every process of a world, and names it.
const markVar = "HUB_E2E_WORLD"

// worldEnv is the whole environment of a world: nothing of the tester's own
// shell may decide whether a test passes.
func worldEnv(mark, home, run, path string) []string {
	env := []string{
		markVar + "=" + mark,
		"HOME=" + home,
		"XDG_RUNTIME_DIR=" + run,
		"PATH=" + path,
		"SHELL=/bin/sh",
		"TERM=xterm",
		"LANG=C.UTF-8",
		"TMPDIR=" + os.TempDir(),
	}
	if raceEnabled {
		// A race in a program ends it with a status that no test expects.
		env = append(env, "GORACE=atexit_sleep_ms=0 halt_on_error=1 exitcode=66")
	}
	return env
}

// socket is the path of the socket of the server called name.
func (w *world) socket(name string) string {
	return filepath.Join(w.run, "hub", name+".sock")
}

// command is a program of the world, not yet started.
func (w *world) command(name string, args ...string) *exec.Cmd {
	path := name
	if name == "hub" || name == "hubfs" {
		path = filepath.Join(programs.in(w.tb), name)
	}
	cmd := exec.CommandContext(w.tb.Context(), path, args...)
	cmd.Env, cmd.Dir = slices.Clip(w.env), w.home // what one adds is its own
	return cmd
}

// A result is what a command that needed no terminal did.
type result struct {
	stdout, stderr string
	code           int
}

// hub runs hub with these arguments and nothing on its standard input.
func (w *world) hub(args ...string) result {
	w.tb.Helper()
	return w.hubInput("", args...)
}

// hubInput runs hub with input on its standard input.
func (w *world) hubInput(input string, args ...string) result {
	w.tb.Helper()
	cmd := w.command("hub", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	deadline := time.AfterFunc(patience, func() { cmd.Cancel() })
	defer deadline.Stop()
	// A server that hub starts must not keep hub's own output open; if it
	// does, this ends the wait and the test.
	cmd.WaitDelay = 5 * time.Second
	code, err := exitCode(cmd.Run())
	if err != nil {
		w.tb.Fatalf("hub %q: %v\nstdout: %s\nstderr: %s", args, err, &stdout, &stderr)
	}
	return result{stdout.String(), stderr.String(), code}
}

// want runs hub, which must succeed, and returns its output.
func (w *world) want(args ...string) string {
	w.tb.Helper()
	r := w.hub(args...)
	if r.code != 0 {
		w.tb.Fatalf("hub %q: exit %d\nstdout: %s\nstderr: %s", args, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// terminal runs hub on a terminal of 24 rows and 80 columns.
func (w *world) terminal(args ...string) *dialogue.Terminal {
	w.tb.Helper()
	return dialogue.Start(w.tb, w.command("hub", args...), dialogue.Options{Timeout: patience})
}

// end stops the world's servers, and then expects everything else to be gone
// by itself.
func (w *world) end() {
	if w.tb.Failed() {
		w.autopsy()
	}
	deadline := time.Now().Add(patience)
	for _, s := range w.servers {
		s.cmd.Process.Signal(syscall.SIGTERM) // if it has not ended yet
		s.exit()
	}
	for _, p := range worldProcesses(w.dir) {
		switch {
		case w.peers || w.tb.Failed() && !p.isServer():
			p.kill() // nobody has told it to end
		case p.isServer():
			p.terminate(w.tb, deadline)
		}
		p.close()
	}
	for _, p := range worldProcesses(w.dir) {
		if !p.gone(deadline) {
			w.tb.Errorf("left behind: %v", p)
			p.kill()
		}
		p.close()
	}
	w.readLogs()
}

// autopsy logs what the servers of a test that has failed say, while they run.
func (w *world) autopsy() {
	sockets, _ := filepath.Glob(filepath.Join(w.run, "hub", "*.sock"))
	for _, socket := range sockets {
		// Not the test's context, which has ended.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		cmd := exec.CommandContext(ctx, w.command("hub").Path, "-s", "unix:"+socket, "ls", "--json")
		cmd.Env = w.env
		out, err := cmd.CombinedOutput()
		cancel()
		w.tb.Logf("%s: hub ls (%v):\n%s", socket, err, out)
	}
	for _, p := range worldProcesses(w.dir) {
		w.tb.Log(p)
		p.close()
	}
}

// readLogs looks at what the servers have written when they have ended. A
// panic is survived, and a race may be: neither passes here.
func (w *world) readLogs() {
	said := map[string]string{}
	for i, s := range w.servers {
		said[fmt.Sprintf("server %d", i)] = s.said()
	}
	logs, _ := filepath.Glob(filepath.Join(w.run, "hub", "*.log"))
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			w.tb.Error(err)
		}
		said[log] = string(text)
	}
	for _, text := range said {
		if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
			w.tb.Error("a server has met a bug of its own: see below")
		}
	}
	if w.tb.Failed() {
		for name, text := range said {
			w.tb.Logf("%s said:\n%s", name, text)
		}
	}
}
