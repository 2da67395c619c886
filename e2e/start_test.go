package e2e

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// TestManyStartersMakeOneServer: they all find the server missing, one of
// them starts it, and all are served.
func TestManyStartersMakeOneServer(t *testing.T) {
	const starters = 8
	w := newWorld(t)
	var wg sync.WaitGroup
	errs := make([]error, starters)
	for i := range starters {
		wg.Go(func() {
			out, err := w.command("hub", "new", fmt.Sprintf("shell%d", i), "--", "sleep", "1000").CombinedOutput()
			if err != nil {
				errs[i] = fmt.Errorf("%w: %s", err, out)
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("hub new shell%d: %v", i, err)
		}
	}
	if got := strings.Count(w.want("ls"), "running"); got != starters {
		t.Errorf("%d shells run, not %d", got, starters)
	}
	if runtime.GOOS != "linux" {
		return // nobody to count
	}
	servers := 0
	for _, p := range worldProcesses(w.dir) {
		if p.isServer() {
			servers++
		}
		p.close()
	}
	if servers != 1 {
		t.Errorf("%d servers run", servers)
	}
}

// TestIdleServerEnds: when the last shell has ended, and its end was seen, a
// server that was started by the way has nothing left to do.
func TestIdleServerEnds(t *testing.T) {
	w := newWorld(t)
	s := w.serve("-s", "default", "--idle", "1s")
	// Between these commands it is in use: by the shell.
	w.want("new", "work", "--", "sh", "-c", "read line; exit 0")
	w.want("send", "work", `\n`)
	w.want("wait", "work")
	if code := s.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestGoRunStartsAServerThatStays: the program of go run is a file that is
// deleted when it ends, and the server it started runs on.
func TestGoRunStartsAServerThatStays(t *testing.T) {
	w := newWorld(t)
	// The go command shall find its caches, and nothing else of ours.
	env, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS").Output()
	if err != nil {
		t.Fatal(err)
	}
	v := strings.Split(string(env), "\n")
	cmd := exec.CommandContext(t.Context(), "go", "run", "hubfs/cmd/hub", "new", "work", "--", "sh", "-i")
	cmd.Env = append(w.env, "GOCACHE="+v[0], "GOMODCACHE="+v[1], "GOPATH="+v[2], "GOFLAGS="+v[3])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	term := w.terminal("attach", "work")
	answers(term, "here", 1001)
	term.Type(detach)
	term.Exits(0)
}
