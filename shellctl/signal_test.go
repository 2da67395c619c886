package shellctl

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestResize(t *testing.T) {
	out := newScreen()
	s := sh(t, Spec{Rows: 30, Cols: 100}, Streams{Stdout: out},
		`stty size; trap "stty size; exit 5" WINCH; echo ready; sleep 1000 & wait`)
	out.after(t, "ready")
	if err := s.Resize(0, 80); err == nil || !strings.Contains(err.Error(), "bad size") {
		t.Errorf("size 0 80: %v", err)
	}
	if err := s.Resize(33, 111); err != nil {
		t.Fatal(err)
	}
	if st := end(t, s); st.Code != 5 || out.String() != "30 100\r\nready\r\n33 111\r\n" {
		t.Errorf("status %v, output %q", st, out)
	}
	if err := s.Resize(33, 111); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

func TestDefaultSize(t *testing.T) {
	out := newScreen()
	end(t, sh(t, Spec{}, Streams{Stdout: out}, `stty size`))
	if out.String() != "24 80\r\n" {
		t.Errorf("size %q", out)
	}
	s := sh(t, Spec{Pipe: true}, Streams{Stdin: newKeyboard(), Stdout: out}, `read x`)
	if err := s.Resize(1, 1); err != nil {
		t.Errorf("on pipes: %v", err)
	}
}

func TestSignalReachesTheForeground(t *testing.T) {
	out := newScreen()
	s := sh(t, Spec{}, Streams{Stdout: out}, `set -m; sh -c "echo ready; exec sleep 1000"; echo status=$?; exit 6`)
	out.after(t, "ready")
	// Not INT, at which some shells end as well when it ended a program.
	if err := s.Signal("TERM"); err != nil {
		t.Fatal(err)
	}
	if got := out.after(t, "status="); got != "143" {
		t.Errorf("the program ended with %s", got)
	}
	if st := end(t, s); st.Code != 6 {
		t.Errorf("the shell ended with %v", st)
	}
}

func TestSignalEndsAProcess(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		s := sh(t, spec, Streams{Stdout: out}, `echo ready; exec sleep 1000`)
		out.after(t, "ready")
		if err := s.Signal("FOO"); err == nil || !strings.Contains(err.Error(), "expected INT") {
			t.Errorf("unknown signal: %v", err)
		}
		if err := s.Signal("term"); err != nil {
			t.Fatal(err)
		}
		if st := end(t, s); st.Signal != "TERM" || st.ExitCode() != 143 {
			t.Errorf("status %v", st)
		}
		if err := s.Signal("TERM"); !errors.Is(err, ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
		s.Kill(0) // no harm
	})
}

func TestHangupIsEnoughForMost(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		s := sh(t, spec, Streams{Stdout: out}, `echo ready; exec sleep 1000`)
		out.after(t, "ready")
		s.Kill(time.Hour)
		if st := end(t, s); st.Signal != "HUP" {
			t.Errorf("status %v", st)
		}
	})
}

// A process that is stopped cannot end until it is continued.
func TestHangupContinues(t *testing.T) {
	out := newScreen()
	s := sh(t, Spec{Pipe: true}, Streams{Stdout: out}, `trap "exit 8" HUP; echo ready; kill -STOP $$; while :; do :; done`)
	out.after(t, "ready")
	var ws unix.WaitStatus
	if _, err := unix.Wait4(s.PID(), &ws, unix.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatalf("wait for it to stop: %v, %v", ws, err)
	}
	s.Kill(time.Hour)
	if st := end(t, s); st.Code != 8 {
		t.Errorf("status %v", st)
	}
}

// Who needs a moment for its end is not kept waiting for the grace of those
// who want none.
func TestKillIsOverWhenTheLastHasEnded(t *testing.T) {
	listsSessions(t)
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		gate := newFifo(t)
		s := sh(t, spec, Streams{Stdout: out}, `
			(trap "trap '' HUP; cat $1; exit" HUP
			sh -c "echo background; exec sleep 1000" & wait) &
			wait`, gate)
		out.after(t, "background")
		s.Kill(time.Hour)
		<-s.reaped
		select {
		case <-s.Done():
			t.Error("over while a process of the session lives")
		default:
		}
		if err := os.WriteFile(gate, nil, 0); err != nil { // its cat ends
			t.Fatal(err)
		}
		end(t, s)
	})
}

// Kill reaches who ignores the hangup, and who has a group of its own in the
// background; Done comes when they had theirs.
func TestKillEndsTheWholeSession(t *testing.T) {
	listsSessions(t)
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		life := newLifeline(t)
		s := sh(t, spec, Streams{Stdout: out}, `
			trap "" HUP; set -m
			sh -c "exec 3>\"$1\"; echo background; exec sleep 1000" &
			while :; do wait; done`, life.path)
		out.after(t, "background")
		s.Kill(10 * time.Millisecond)
		if st := end(t, s); st.Signal != "KILL" {
			t.Errorf("status %v", st)
		}
		life.wait(t)
	})
}

// The shell itself goes at once; what it leaves behind gets the grace, and the
// end waits for it.
func TestKillWaitsForWhoSurvivesTheShell(t *testing.T) {
	both(t, func(t *testing.T, spec Spec) {
		out := newScreen()
		life := newLifeline(t)
		s := sh(t, spec, Streams{Stdout: out},
			`(trap "" HUP; exec 3>"$1"; echo background; exec sleep 1000) & wait`, life.path)
		out.after(t, "background")
		const grace = 300 * time.Millisecond // more than it has to be quiet
		start := time.Now()
		s.Kill(grace)
		if st := end(t, s); st.Signal != "HUP" {
			t.Errorf("status %v", st)
		}
		if took := time.Since(start); took < grace {
			t.Errorf("over after %v, before the grace of %v", took, grace)
		}
		life.wait(t)
	})
}

func listsSessions(t *testing.T) {
	t.Helper()
	if _, err := sessionPIDs(1); err != nil {
		t.Skip("this system does not list the processes of a session: ", err)
	}
}
