package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"hubfs/e2e/internal/dialogue"
)

func TestKilledClientHarmsNobody(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.shell("work")
	events := w.events()

	victim, survivor := w.terminal("attach", "work"), w.terminal("attach", "work")
	answers(victim, "one", 1001)
	survivor.Expect("one-1001")
	victim.Kill()
	events.expect("client detach work")
	answers(survivor, "two", 1002)

	// One more with a read that waits on a hub, and nothing else to do.
	w.hubInput("begin\n", "write", "quiet")
	reader, other := w.reader("quiet"), w.reader("quiet")
	reader.line("begin")
	other.line("begin")
	reader.kill()
	w.hubInput("end\n", "write", "quiet")
	other.line("end")
	w.want("ctl", "end", "quiet")
	other.exits(0)

	answers(survivor, "three", 1003)
	survivor.Type(detach)
	survivor.Exits(0)
}

// TestStoppedServer: who is attached when the server is stopped, in order or
// not, says so, leaves the terminal as it was, and exits with 125.
func TestStoppedServer(t *testing.T) {
	for _, sig := range []string{"TERM", "KILL"} {
		t.Run(sig, func(t *testing.T) {
			w := newWorld(t)
			s := w.serve("-s", "default")
			w.shell("work")
			w.hubInput("begin\n", "write", "quiet")
			a, b := w.terminal("attach", "work"), w.terminal("attach", "-r", "work")
			answers(a, "one", 1001)
			b.Expect("one-1001")
			reader := w.reader("quiet")
			reader.line("begin")
			s.signal(sig)
			for _, term := range []*dialogue.Terminal{a, b} {
				term.ExpectMatch(`hub: .*(server|connection)`)
				term.Exits(125)
			}
			reader.exits(125)
			if want := map[string]int{"TERM": 0, "KILL": 137}[sig]; s.exit() != want {
				t.Errorf("the server: exit %d, want %d", s.exit(), want)
			}
		})
	}
}

// A follower is a hub read in the background, a line at a time.
type follower struct {
	w     *world
	cmd   *exec.Cmd
	out   *bufio.Reader
	said  lockedBuffer
	ended bool
}

// reader starts hub read with these arguments.
func (w *world) reader(args ...string) *follower {
	w.tb.Helper()
	f := &follower{w: w, cmd: w.command("hub", append([]string{"read"}, args...)...)}
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		w.tb.Fatal(err)
	}
	f.out = bufio.NewReader(out)
	f.cmd.Stderr = &f.said
	if err := f.cmd.Start(); err != nil {
		w.tb.Fatal(err)
	}
	// A read of the pipe has no other deadline than the program's end.
	deadline := time.AfterFunc(patience, func() { f.cmd.Process.Kill() })
	w.tb.Cleanup(func() {
		deadline.Stop()
		f.kill()
	})
	return f
}

// until reads lines until one holds text.
func (f *follower) until(text string) {
	f.w.tb.Helper()
	var seen strings.Builder
	for {
		line, err := f.out.ReadString('\n')
		seen.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			f.w.tb.Fatalf("%v: %q did not come: %v\nstdout: %q\nstderr: %s", f.cmd.Args[1:], text, err, &seen, &f.said)
		}
	}
}

// line reads the next line, which must be this one.
func (f *follower) line(want string) {
	f.w.tb.Helper()
	if got, err := f.out.ReadString('\n'); got != want+"\n" {
		f.w.tb.Fatalf("%v: read %q (%v), want the line %q\nstderr: %s", f.cmd.Args[1:], got, err, want, &f.said)
	}
}

// exits reads the rest and waits for the end with this status.
func (f *follower) exits(want int) (rest string) {
	f.w.tb.Helper()
	data, _ := io.ReadAll(f.out)
	f.ended = true
	code, err := exitCode(f.cmd.Wait())
	if err != nil || code != want {
		f.w.tb.Errorf("%v: exit %d (%v), want %d\nstderr: %s", f.cmd.Args[1:], code, err, want, &f.said)
	}
	return string(data)
}

func (f *follower) kill() {
	if !f.ended {
		f.ended = true
		f.cmd.Process.Signal(syscall.SIGKILL)
		f.cmd.Wait()
	}
}

// follow reads a hub until a line of it holds text.
func (w *world) follow(hub, text string) {
	w.tb.Helper()
	f := w.reader(hub)
	f.until(text)
	f.kill()
}
