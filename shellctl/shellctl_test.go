package shellctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExitStatusFollowsOutput(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		var s *Shell
		started := make(chan struct{})
		out := newScreen()
		writes := 0
		out.before = func() error {
			<-started
			// As slow a sink as there can be: it takes nothing until the
			// process is no more.
			<-s.reaped
			select {
			case <-s.Done():
				t.Error("done before the output was taken")
			default:
			}
			writes++
			return nil
		}
		s = sh(t, spec, Streams{Stdout: out}, `printf %03000d 7; exit 3`)
		close(started)
		if st := end(t, s); st != (Status{Code: 3}) {
			t.Errorf("status %v", st)
		}
		if got := out.String(); len(got) != 3000 || !strings.HasSuffix(got, "7") {
			t.Errorf("%d bytes of output", len(got))
		}
		if writes == 0 {
			t.Error("nothing written")
		}
	})
}

func TestAllOutputArrives(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		s := sh(t, spec, Streams{Stdout: out}, `i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done`)
		end(t, s)
		var want strings.Builder
		for i := range 20000 {
			fmt.Fprintf(&want, "%d\n", i)
		}
		if got := strings.ReplaceAll(out.String(), "\r\n", "\n"); got != want.String() {
			t.Errorf("%d bytes, want %d", len(got), want.Len())
		}
	})
}

func TestNothingIsLeft(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		run := func() *Shell {
			s := sh(t, spec, Streams{Stdin: newKeyboard("x\n"), Stdout: newScreen(), Stderr: newScreen()}, `read x`)
			end(t, s)
			return s
		}
		run() // what the runtime opens once
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		for range 10 {
			s := run()
			if err := unix.Kill(s.PID(), 0); err != unix.ESRCH {
				t.Errorf("process %d: %v", s.PID(), err)
			}
			if _, err := unix.Wait4(s.PID(), nil, unix.WNOHANG, nil); err != unix.ECHILD {
				t.Errorf("zombie %d: %v", s.PID(), err)
			}
		}
		goroutinesDownTo(t, goroutines)
		if n := openFiles(t); n > files {
			t.Errorf("%d files open, before %d", n, files)
		}
	})
}

func TestFailedStartLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte{1, 2, 3}, 0o755); err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, spec Spec) {
		try := func() error {
			spec.Argv = []string{junk}
			_, err := Start(spec, Streams{Stdin: newKeyboard(), Stdout: newScreen()}, nil)
			return err
		}
		try()
		goroutines, files := runtime.NumGoroutine(), openFiles(t)
		if err := try(); err == nil || err.Error() != "cannot run "+junk+": exec format error" {
			t.Error(err)
		}
		goroutinesDownTo(t, goroutines)
		if n := openFiles(t); n > files {
			t.Errorf("%d files open, before %d", n, files)
		}
	})
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "no command to run"},
		{Spec{Argv: []string{""}}, "no command to run"},
		{Spec{Argv: []string{"no-such-cmd"}}, "command not found: no-such-cmd"},
		{Spec{Argv: []string{"./no-such-cmd"}, Dir: dir}, "command not found: ./no-such-cmd"},
		{Spec{Argv: []string{"sh"}, Env: []string{"PATH=" + dir}}, "command not found: sh"},
		{Spec{Argv: []string{"sh"}, Env: []string{}}, "command not found: sh"},
		{Spec{Argv: []string{"plain"}, Env: []string{"PATH=/x:" + dir}}, "cannot run plain: permission denied"},
		{Spec{Argv: []string{plain}}, "cannot run " + plain + ": permission denied"},
		{Spec{Argv: []string{plain + "/x"}}, "cannot run " + plain + "/x: not a directory"},
		{Spec{Argv: []string{dir}}, "cannot run " + dir + ": permission denied"},
		{Spec{Argv: []string{"sh"}, Dir: dir + "/x"}, "no such directory: " + dir + "/x"},
		{Spec{Argv: []string{"sh"}, Dir: plain}, "not a directory: " + plain},
		{Spec{Argv: []string{"sh"}, Rows: -1, Cols: 80}, "bad size -1 80: expected rows and columns from 1 to 65535"},
		{Spec{Argv: []string{"sh"}, Rows: 24}, "bad size 24 0: expected rows and columns from 1 to 65535"},
	} {
		s, err := Start(tc.spec, Streams{Stdout: newScreen()}, nil)
		if err == nil {
			s.Kill(0)
		}
		if err == nil || err.Error() != tc.want {
			t.Errorf("%+v: %v, want %s", tc.spec, err, tc.want)
		}
	}
}

func TestProcessHasWhatWeGiveIt(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// A descriptor that this process might have been started with.
	fd, err := unix.FcntlInt(0, unix.F_DUPFD, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	both(t, func(t *testing.T, spec Spec) {
		spec.Dir, spec.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "GREETING=hello"}
		out := newScreen()
		s := sh(t, spec, Streams{Stdout: out}, `
			echo pid=$$; echo dir=$(pwd); echo greeting=$GREETING
			if (echo tty >/dev/tty) 2>/dev/null; then echo control=yes; else echo control=no; fi
			if [ -e /dev/fd/$1 ]; then echo inherited=yes; else echo inherited=no; fi`, fmt.Sprint(fd))
		end(t, s)
		for _, v := range []struct{ name, want string }{
			{"pid=", fmt.Sprint(s.PID())},
			{"dir=", dir},
			{"greeting=", "hello"},
			{"control=", map[bool]string{false: "yes", true: "no"}[spec.Pipe]},
			{"inherited=", "no"},
		} {
			if got := out.after(t, v.name); got != v.want {
				t.Errorf("%s%s, want %s", v.name, got, v.want)
			}
		}
	})
}

func TestErrorOutputApartOrJoined(t *testing.T) {
	out, errs := newScreen(), newScreen()
	const script = `echo out; echo err >&2`
	end(t, sh(t, Spec{Pipe: true}, Streams{Stdout: out, Stderr: errs}, script))
	if out.String() != "out\n" || errs.String() != "err\n" {
		t.Errorf("%q and %q", out, errs)
	}
	out = newScreen()
	end(t, sh(t, Spec{Pipe: true}, Streams{Stdout: out}, script))
	if out.String() != "out\nerr\n" {
		t.Errorf("%q", out)
	}
	out = newScreen()
	end(t, sh(t, Spec{}, Streams{Stdout: out}, script))
	if out.String() != "out\r\nerr\r\n" {
		t.Errorf("%q", out)
	}
}

// A process in the background has the terminal or the pipe open for ever.
func TestLeftoverDoesNotHoldTheEnd(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		gate := newFifo(t)
		var s *Shell
		started := make(chan struct{})
		out := newScreen()
		first := true
		out.before = func() error {
			if first {
				// The rest is written after this read, and waits in the
				// kernel until the process is no more.
				first = false
				<-started
				if err := os.WriteFile(gate, nil, 0); err != nil {
					t.Error(err)
				}
				<-s.reaped
			}
			return nil
		}
		s = sh(t, spec, Streams{Stdin: newKeyboard(), Stdout: out}, `
			(trap "" HUP; exec sleep 1000) & echo bg=$!
			cat "$1"; printf %03000d 7; exit 4`, gate)
		close(started)
		if st := end(t, s); st.Code != 4 {
			t.Errorf("status %v", st)
		}
		if got := out.String(); strings.Count(got, "0") < 2999 {
			t.Errorf("%d bytes of output", len(got))
		}
		var pid int
		if _, err := fmt.Sscan(out.after(t, "bg="), &pid); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(pid, 0); err != nil {
			t.Errorf("the leftover was killed: %v", err)
		}
		unix.Kill(pid, unix.SIGKILL)
	})
}

// The same, but it never stops to write.
func TestChattyLeftoverDoesNotHoldTheEnd(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		s := sh(t, spec, Streams{Stdout: out}, `(trap "" HUP; while echo chat; do :; done 2>/dev/null) & echo bye`)
		end(t, s)
		out.after(t, "bye")
	})
}

func TestSinkThatFailsHangsUp(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		full := errors.New("full")
		out := newScreen()
		out.before = func() error { return full }
		s := sh(t, spec, Streams{Stdout: out}, `while :; do echo more and more; done`)
		st, err := s.Wait(t.Context())
		// A write to a terminal that hangs up may be seen first.
		if st.Signal != "HUP" {
			t.Errorf("status %v", st)
		}
		if !errors.Is(err, full) {
			t.Errorf("error %v", err)
		}
	})
}

func TestWaitHeedsItsContext(t *testing.T) {
	s := sh(t, Spec{}, Streams{Stdin: newKeyboard(), Stdout: newScreen()}, `read x`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if st, err := s.Wait(ctx); err != context.Canceled {
		t.Errorf("%v, %v", st, err)
	}
}
