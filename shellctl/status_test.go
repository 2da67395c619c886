package shellctl

import (
	"strings"
	"syscall"
	"testing"
)

func TestStatusText(t *testing.T) {
	for _, tc := range []struct {
		status Status
		text   string
		code   int
	}{
		{Status{}, "exit 0", 0},
		{Status{Code: 3}, "exit 3", 3},
		{Status{Code: 255}, "exit 255", 255},
		{Status{Signal: "KILL"}, "signal KILL", 137},
		{Status{Signal: "INT"}, "signal INT", 130},
		{Status{Signal: "40"}, "signal 40", 168},
	} {
		if got := tc.status.String(); got != tc.text {
			t.Errorf("%+v: %q, want %q", tc.status, got, tc.text)
		}
		if got := tc.status.ExitCode(); got != tc.code {
			t.Errorf("%v: code %d, want %d", tc.status, got, tc.code)
		}
		if got, err := ParseStatus(tc.text + "\n"); got != tc.status || err != nil {
			t.Errorf("ParseStatus(%q) = %+v, %v", tc.text, got, err)
		}
	}
	for _, text := range []string{"", "exit", "exit -1", "exit 256", "exit 3 4", "signal", "signal FOO", "signal 0", "killed 9"} {
		if got, err := ParseStatus(text); err == nil {
			t.Errorf("ParseStatus(%q) = %+v", text, got)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for name, want := range map[string]syscall.Signal{
		"INT": syscall.SIGINT, "SIGINT": syscall.SIGINT, "int": syscall.SIGINT, "sigInt": syscall.SIGINT,
		"interrupt": syscall.SIGINT, "Interrupt": syscall.SIGINT, "hangup": syscall.SIGHUP,
		"TERM": syscall.SIGTERM, "terminate": syscall.SIGTERM, "alarm": syscall.SIGALRM,
		"kill": syscall.SIGKILL, "9": syscall.SIGKILL, "USR1": syscall.SIGUSR1, "WINCH": syscall.SIGWINCH,
	} {
		if got, err := ParseSignal(name); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "SIG", "FOO", "SIGSIGINT", "0", "-9", "128", "999", " INT"} {
		if got, err := ParseSignal(name); err == nil || !strings.Contains(err.Error(), "expected INT, TERM") {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
}
