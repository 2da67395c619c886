package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/e2e/internal/proxy"
)

// lentThrough starts a process that runs shell name on this side of a proxy, and
// returns when the server has the shell.
func (w *world) lentThrough(p *proxy.Proxy, name string, argv ...string) (wait func() int, said *lockedBuffer) {
	w.tb.Helper()
	at := "tcp!127.0.0.1!" + p.Addr().String()[strings.LastIndex(p.Addr().String(), ":")+1:]
	cmd := w.command("hub", append([]string{"-s", at, "host", "--ready", name, "--"}, argv...)...)
	// Quickly, so that a test of many losses takes seconds.
	cmd.Env = append(cmd.Env, "HUB_KEEPALIVE=200ms")
	said = &lockedBuffer{}
	cmd.Stderr = said
	ready, theirs, err := os.Pipe()
	if err != nil {
		w.tb.Fatal(err)
	}
	defer ready.Close()
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		w.tb.Fatal(err)
	}
	ready.SetReadDeadline(time.Now().Add(patience))
	if answer, err := io.ReadAll(ready); string(answer) != "ready" {
		w.tb.Fatalf("host: %q, %v; it said:\n%s", answer, err, said)
	}
	done := make(chan int, 1)
	go func() { // ends with the process, which ends with the shell
		code, _ := exitCode(cmd.Wait())
		done <- code
	}()
	return func() int {
		select {
		case code := <-done:
			return code
		case <-time.After(2 * patience):
			w.tb.Fatalf("the host runs on; it said:\n%s", said)
			return -1
		}
	}, said
}

func (w *world) proxy(server string) *proxy.Proxy {
	w.tb.Helper()
	p, err := proxy.Listen("tcp", "127.0.0.1:0", "unix", w.socket(server))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(p.Close)
	return p
}

// TestLentShellSurvivesTheNetworkToTheByte: the way between the machine that
// runs a shell and the server is cut and reset, all the time, in the middle of
// output and of typed input; every byte is compared.
func TestLentShellSurvivesTheNetworkToTheByte(t *testing.T) {
	lendAllBytes(t, 4<<20, 300_000, 10, proxy.Random(4, 150_000, proxy.Cut, proxy.Reset))
}

// TestLentShellSurvivesASilentNetwork: nothing says that the connection is gone.
func TestLentShellSurvivesASilentNetwork(t *testing.T) {
	lendAllBytes(t, 1<<20, 100_000, 4, proxy.Random(5, 300_000, proxy.SilentUp, proxy.SilentDown, proxy.Blackhole))
}

// lendAllBytes has a program on this side of a proxy take and give so many
// bytes, over some connections at least, which end as the plan says.
func lendAllBytes(t *testing.T, prints, types, connections int, plan func(nth int) proxy.Fault) {
	w := newWorld(t)
	w.serve("-s", "default", "-q", "64M")
	printed, typed := numbered(prints), numbered(types)
	out, in := filepath.Join(w.dir, "out"), filepath.Join(w.dir, "typed")
	if err := os.WriteFile(out, printed, 0o600); err != nil {
		t.Fatal(err)
	}
	p := w.proxy("default")
	start := w.fifo("start")
	wait, said := w.lentThrough(p, "far", "sh", "-c", fmt.Sprintf(
		`stty raw -echo; echo ready; cat %s; cat %s & head -c %d >%s; wait; exit 7`, start, out, len(typed), in))
	w.follow("far1", "ready")
	p.Plan(plan)
	p.Cut()
	if err := os.WriteFile(string(start), nil, 0); err != nil { // not before: a quick one would be done by now
		t.Fatal(err)
	}

	reader := w.reader("far1")
	var work sync.WaitGroup
	work.Go(func() { w.hubInput(string(typed), "write", "far0") })
	got := reader.exits(0)
	work.Wait()
	wait()
	if want := "ready\n" + string(printed); got != want {
		t.Errorf("%d bytes of output came, %d were written", len(got), len(want))
	}
	came, err := os.ReadFile(in)
	if err != nil || !bytes.Equal(came, typed) {
		t.Errorf("%d bytes of input came, %d were typed (%v)", len(came), len(typed), err)
	}
	if r := w.hub("wait", "far"); r.code != 7 {
		t.Errorf("hub wait: %+v", r)
	}
	if n := p.Count(); n < connections {
		t.Errorf("%d connections: the network was too good", n)
	}
	if t.Failed() {
		t.Logf("the host said:\n%s", said)
	}
}

// TestLentShellOutlivesItsServer: the server is stopped and another started;
// the shell is made anew there, with what it is doing.
func TestLentShellOutlivesItsServer(t *testing.T) {
	w := newWorld(t)
	first := w.serve("-s", "default")
	p := w.proxy("default")
	wait, said := w.lentThrough(p, "far", "sh", "-i")
	term := w.terminal("attach", "far")
	answers(term, "before", 1001)
	term.Type("kept=still-here\r")
	answers(term, "kept", 1002)
	term.Type(detach)
	term.Exits(0)

	first.signal("TERM")
	first.exit()
	w.serve("-s", "default")
	events := w.reader("events")
	// Perhaps it is there before the events are open.
	if !strings.Contains(w.want("ls"), "far") {
		events.until("shell new far")
	}
	again := w.terminal("attach", "far")
	again.Type("echo $kept-$((1+2))\r")
	again.Expect("still-here-3")
	again.Type("exit 4\r")
	again.Exits(4)
	wait()
	if !strings.Contains(said.String(), "made anew") {
		t.Errorf("nobody was told: %s", said)
	}
	events.kill()
}
