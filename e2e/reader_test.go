package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLateReaderSeesHistory(t *testing.T) {
	w := newWorld(t)
	w.hubInput("one\ntwo\n", "write", "build")
	early := w.reader("build")
	early.line("one")
	early.line("two")
	w.hubInput("three\n", "write", "build")
	early.line("three")
	late := w.reader("build")
	for _, line := range []string{"one", "two", "three"} {
		late.line(line)
	}
	tail := w.reader("build@-6")
	tail.line("three")
	w.want("ctl", "end", "build")
	for _, r := range []*follower{early, late, tail} {
		if rest := r.exits(0); rest != "" {
			t.Errorf("%q after the end", rest)
		}
	}
}

// TestOvertakenReaderIsTold: what a reader gets and what it is told that it
// missed are all that was written.
func TestOvertakenReaderIsTold(t *testing.T) {
	const total = 8 << 20
	w := newWorld(t)
	w.hubInput("begin\n", "write", "busy")
	w.want("ctl", "size", "busy", "65536")
	r := w.reader("busy")
	r.line("begin")
	// The reader's pipe is full before long, for nobody reads it.
	w.hubInput(strings.Repeat("0123456789abcde\n", total/16), "write", "busy")
	w.want("ctl", "end", "busy")
	got := len(r.exits(0))
	missed := 0
	for line := range strings.Lines(r.said.String() + "\n") {
		var n int
		if _, err := fmt.Sscanf(line, "hub: skipped %d bytes", &n); err == nil {
			missed += n
		}
	}
	if missed == 0 || got+missed != total {
		t.Errorf("got %d bytes and was told of %d missed; %d were written\nstderr: %s", got, missed, total, &r.said)
	}
}

// TestInterruptedReaderSaysSo: with the status that a shell expects.
func TestInterruptedReaderSaysSo(t *testing.T) {
	w := newWorld(t)
	w.hubInput("begin\n", "write", "quiet")
	r := w.reader("quiet")
	r.line("begin")
	r.cmd.Process.Signal(syscall.SIGINT)
	r.exits(130)
}

// TestFearfulWriterWaits: the same, with a writer that waits for its reader.
func TestFearfulWriterWaits(t *testing.T) {
	text := strings.Repeat("0123456789abcde\n", 1<<20/16)
	w := newWorld(t)
	w.hubInput("begin\n", "write", "busy")
	w.want("ctl", "size", "busy", "65536")
	w.want("ctl", "fear", "busy")
	r := w.reader("busy")
	r.line("begin")
	writer := w.command("hub", "write", "busy")
	writer.Stdin = strings.NewReader(text)
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	for range strings.Count(text, "\n") {
		r.line("0123456789abcde")
	}
	if err := writer.Wait(); err != nil {
		t.Error(err)
	}
	w.want("ctl", "end", "busy")
	if rest := r.exits(0); rest != "" || r.said.String() != "" {
		t.Errorf("%q after the end, and said %q", rest, &r.said)
	}
}

// A follower is a hub command in the background whose output is read a line at a
// time.
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
	return w.background(nil, append([]string{"read"}, args...)...)
}

// background starts hub with these arguments and this standard input.
func (w *world) background(stdin io.Reader, args ...string) *follower {
	w.tb.Helper()
	f := &follower{w: w, cmd: w.command("hub", args...)}
	f.cmd.Stdin = stdin
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
