package dialogue

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Leader()
	os.Exit(m.Run())
}

func sh(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

func TestDialogue(t *testing.T) {
	term := Start(t, sh(`read line; echo "<$line>"; exit 3`), Options{})
	term.Type("hello\n")
	term.Expect("hello") // the terminal's echo
	if m := term.ExpectMatch(`<(\w+)>`); m[1] != "hello" {
		t.Errorf("got %q", m)
	}
	term.Exits(3)
}

func TestSignalIsExitStatus(t *testing.T) {
	term := Start(t, sh("echo ready; exec cat"), Options{})
	term.Expect("ready")
	term.Type("\x03") // the interrupt character: the program is in the foreground
	term.waitFor("the end", func() bool { return term.status != nil })
	if got := *term.status; got != "signal interrupt" {
		t.Errorf("status %q", got)
	}
}

func TestResizeIsSeen(t *testing.T) {
	term := Start(t, sh("trap 'stty size; exit 0' WINCH; stty size; echo ready; while read x; do :; done"), Options{Rows: 10, Cols: 40})
	term.Expect("10 40")
	term.Expect("ready")
	term.Resize(33, 77)
	term.Expect("33 77")
	term.Exits(0)
}

func TestHangupEndsTheProgram(t *testing.T) {
	term := Start(t, sh("echo ready; exec sleep 1000"), Options{})
	term.Expect("ready")
	term.Close()
	if got := *term.status; got != "signal hangup" {
		t.Errorf("status %q", got)
	}
}

func TestUnstalledTerminalShowsEverything(t *testing.T) {
	term := Start(t, sh("yes | head -c 200000; echo END"), Options{Stalled: true})
	term.Unstall()
	term.Expect("END")
	term.Exits(0)
}

// A recorder is a test that is expected to fail.
type recorder struct {
	testing.TB
	failed   string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Failed() bool     { return false }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failed += fmt.Sprintf(format, args...)
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

// run runs f as a test of its own and returns what it failed with.
func run(t *testing.T, f func(testing.TB)) string {
	r := &recorder{TB: t}
	defer func() {
		for _, c := range r.cleanups {
			c()
		}
	}()
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		f(r)
	}()
	return r.failed
}

func TestLeftRawTerminalFails(t *testing.T) {
	failed := run(t, func(tb testing.TB) {
		Start(tb, sh("stty raw -echo"), Options{}).Exits(0)
	})
	if !strings.Contains(failed, "not put back") {
		t.Errorf("a terminal left raw passed: %q", failed)
	}
}

func TestWaitEndsWithTheProgram(t *testing.T) {
	failed := run(t, func(tb testing.TB) {
		Start(tb, sh("echo something else; exit 7"), Options{}).Expect("never")
	})
	if !strings.Contains(failed, "the program has ended: exit 7") {
		t.Errorf("failed with %q", failed)
	}
}

func TestWaitHasADeadline(t *testing.T) {
	failed := run(t, func(tb testing.TB) {
		Start(tb, exec.Command("cat"), Options{Timeout: time.Millisecond * 300}).Expect("never")
	})
	if !strings.Contains(failed, "nothing within") {
		t.Errorf("failed with %q", failed)
	}
}

func TestKilledProgramIsGone(t *testing.T) {
	term := Start(t, exec.Command("cat"), Options{})
	term.Kill()
	if err := syscall.Kill(term.PID(), 0); err == nil {
		t.Error("still there")
	}
}
