package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"hubfs/e2e/internal/dialogue"
)

// TestTeeGoesOnWhereItsConnectionWasCut: again and again, and each time
// somewhere in a write. The hub has each byte once.
func TestTeeGoesOnWhereItsConnectionWasCut(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default", "-q", "64M")
	r := w.relay("default")
	r.carries(700_001)
	input := numbered(8 << 20)
	cmd := w.command("hub", "-s", r.addr(), "tee", "--wait", "build")
	var out bytes.Buffer
	var said lockedBuffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	if !bytes.Equal(out.Bytes(), input) {
		t.Errorf("what it passed on has %d bytes, and is not its input", out.Len())
	}
	if got := w.want("watch", "build"); got != string(input) {
		t.Errorf("the hub has %d bytes, want these %d", len(got), len(input))
	}
	lost := strings.Count(said.String(), "hub: server lost, trying again\n")
	if back := strings.Count(said.String(), "hub: server is back, hub build goes on at byte "); lost < 5 || back != lost {
		t.Errorf("lost %d times, back %d times:\n%s", lost, back, &said)
	}
}

// TestWatchGoesOnWhereItsConnectionWasCut: one hub alone, and two merged.
func TestWatchGoesOnWhereItsConnectionWasCut(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default", "-q", "64M")
	r := w.relay("default")
	pr, pw := io.Pipe()
	defer pw.Close()
	job := w.background(pr, "tee", "build")
	w.hubInput("of the other\n", "tee", "other")
	write := func(line string) {
		if _, err := io.WriteString(pw, line+"\n"); err != nil {
			t.Fatal(err)
		}
		job.line(line)
	}
	write("one")
	alone := w.background(nil, "-s", r.addr(), "watch", "build")
	alone.line("one")
	merged := w.background(nil, "-s", r.addr(), "watch", "build", "other")
	merged.until("build| one")
	for _, line := range []string{"two", "three", "four"} {
		r.cut()
		write(line)
		alone.line(line)
		merged.until("build| " + line)
	}
	pw.Close()
	job.exits(0)
	if rest := alone.exits(0); rest != "" {
		t.Errorf("%q after the end", rest)
	}
	if rest := merged.exits(0); strings.Contains(rest, "build|") {
		t.Errorf("%q after the end", rest)
	}
	if n := strings.Count(alone.said.String(), "hub: server is back, hub build goes on at byte "); n != 3 {
		t.Errorf("it said:\n%s", &alone.said)
	}
}

// TestWatchWithoutRetry ends with the connection.
func TestWatchWithoutRetry(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	r := w.relay("default")
	w.hubInput("one\n", "write", "build")
	f := w.background(nil, "-s", r.addr(), "watch", "--retry", "0", "build")
	f.line("one")
	r.cut()
	f.exits(125)
}

// TestSignalAsksWhoWatches: of tee in JSON, and of watch in text.
func TestSignalAsksWhoWatches(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	pr, pw := io.Pipe()
	asked := func(stdin io.Reader, want string, args ...string) *exec.Cmd {
		cmd := w.command("hub", args...)
		cmd.Stdin = stdin
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		said, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		t.Cleanup(func() { deadline.Stop() })
		if stdin != nil {
			io.WriteString(pw, "one\n")
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "one\n" {
			t.Fatalf("%q: %q, %v", args, line, err)
		}
		w.follow("build", "one")
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(said).ReadString('\n'); !strings.HasPrefix(line, want) {
			t.Errorf("%q said %q (%v), want %q", args, line, err, want)
		}
		return cmd
	}
	job := asked(pr, `{"hub":"build","bytes":4,"mode":"calm","writers":1,"readers":[`, "tee", "--json", "build")
	watcher := asked(nil, "hub: build: 4B so far, read by ", "watch", "build")
	pw.Close()
	for _, cmd := range []*exec.Cmd{job, watcher} {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%q: %v", cmd.Args, err)
		}
	}
}

// TestKeysOfAWatch: on a terminal s says who watches and d leaves, and the
// terminal is put back. The prefix can be another.
func TestKeysOfAWatch(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.hubInput("one\n", "write", "build")
	for prefix, args := range map[string][]string{
		"\x1c": {"watch", "build"},
		"\x01": {"watch", "-e", "^A", "build"},
	} {
		term := w.terminal(args...)
		term.Expect("one")
		term.Type(prefix + "s")
		term.Expect("hub: build: 4B so far, read by 1")
		term.Type(prefix + "?")
		term.Expect("d or q leave")
		term.Type(prefix + "d")
		term.Exits(0)
	}
	// Ctrl-C is what it always is, and so is the terminal behind it.
	term := w.terminal("watch", "build")
	term.Expect("one")
	term.Type("\x03")
	term.Exits(130)
	term = w.terminal("watch", "-e", "none", "build")
	term.Expect("one")
	if term.Raw() {
		t.Error("the terminal was changed though no key is taken")
	}
	w.want("ctl", "end", "build")
	term.Exits(0)
}

// TestWatchInTheBackgroundLeavesTheTerminalAlone, and puts it back when it is
// stopped.
func TestWatchInTheBackgroundLeavesTheTerminalAlone(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.hubInput("one\n", "write", "build")
	term := dialogue.Start(t, w.command("sh", "-i"), dialogue.Options{Timeout: patience})
	ask := func(n int) {
		t.Helper()
		term.Type(fmt.Sprintf("echo still-here-$((%d+1))\r", n-1))
		term.Expect(fmt.Sprintf("still-here-%d", n))
	}
	term.Type("hub watch build &\r")
	term.Expect("one\r\n")
	ask(1001)
	if term.Raw() {
		t.Error("changed from the background")
	}
	w.hubInput("two\n", "write", "build")
	term.Expect("two\r\n")
	ask(1002)
	term.Type("kill %1; wait %1\r")
	ask(1003)

	term.Type("hub watch build\r")
	term.Expect("two\r\n")
	if !term.Raw() {
		t.Error("no keys are taken in the foreground")
	}
	term.Type("\x1a")
	term.Expect("Stopped")
	ask(1004)
	if term.Raw() {
		t.Error("not put back by who is stopped")
	}
	term.Type("bg; wait_for=it\r")
	ask(1005)
	if term.Raw() {
		t.Error("changed from the background")
	}
	term.Type("kill %1; wait %1; exit 0\r")
	term.Exits(0)
}

// TestFirstPrefixKeyInTheForegroundCounts: bash makes a job that it has in the
// background the one of its foreground without a word to it.
func TestFirstPrefixKeyInTheForegroundCounts(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skipf("it is about bash: %v", err)
	}
	w := newWorld(t)
	w.serve("-s", "default")
	w.hubInput("one\n", "write", "build")
	term := dialogue.Start(t, w.command("bash", "--norc", "-i"), dialogue.Options{Timeout: patience})
	term.Type("hub watch build &\r")
	term.Expect("one\r\n")
	// One that stands by says when it is there: bash announces it before.
	term.Type("(until ps -o stat= -p $! | grep -q +; do :; done; echo in-front-$((1+1))) & fg %1; echo left-$((1000+1))\r")
	term.Expect("in-front-2")
	term.Type("\x1cs")
	term.Expect("hub: build: 4B so far, read by 1")
	term.Type("\x1cd")
	term.Expect("left-1001")
	term.Type("exit 0\r")
	term.Exits(0)
}

// TestQuitEndsTheHub: Ctrl-\, typed where it is no prefix, ends the job and with
// it the hub, for those who watch.
func TestQuitEndsTheHub(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	term := w.terminal("tee", "build")
	term.Type("one\r")
	term.Expect("one\r\none\r\n")
	w.follow("build", "one")
	watcher := w.terminal("watch", "-e", "none", "build")
	watcher.Expect("one")
	term.Type("\x1c")
	term.Exits(131)
	watcher.Exits(131)

	w.hubInput("", "write", "other")
	watcher = w.terminal("watch", "-e", "none", "other", "build")
	watcher.Expect("one\r\n")
	watcher.Type("\x1c")
	watcher.Expect("hub: ended by signal: quit")
	watcher.Exits(131)
}

// TestKeysOfATee are taken only when that is asked for.
func TestKeysOfATee(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	job := []string{"build", "--", "sh", "-c", "echo one; exec sleep 1000"}
	term := w.terminal(append([]string{"tee", "--keys"}, job...)...)
	term.Expect("one")
	w.follow("build", "one") // the terminal may have it before the hub does
	term.Type("\x1cs")
	term.Expect("hub: build: 4B so far, read by ")
	term.Type("\x03")
	term.Exits(130)

	term = w.terminal(append([]string{"tee"}, job...)...)
	term.Expect("one")
	if term.Raw() {
		t.Error("the terminal was changed")
	}
	term.Type("\x03")
	term.Exits(130)
}
