package shellctl

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Status says how a process ended: with an exit code, or by a signal.
type Status struct {
	Code   int    // 0 to 255; 0 if Signal is set
	Signal string // "KILL", or a number where the system has no name; "" for an exit
}

// String returns "exit 3" or "signal KILL".
func (s Status) String() string {
	if s.Signal != "" {
		return "signal " + s.Signal
	}
	return "exit " + strconv.Itoa(s.Code)
}

// ExitCode returns what a shell's $? would be: the code, or 128+N for signal N.
func (s Status) ExitCode() int {
	if s.Signal == "" {
		return s.Code
	}
	if n, err := strconv.Atoi(s.Signal); err == nil {
		return 128 + n
	}
	return 128 + int(unix.SignalNum("SIG"+s.Signal))
}

// ParseStatus reads what String wrote, perhaps on another machine.
func ParseStatus(text string) (Status, error) {
	switch f := strings.Fields(text); {
	case len(f) != 2:
	case f[0] == "exit":
		if n, err := strconv.ParseUint(f[1], 10, 8); err == nil {
			return Status{Code: int(n)}, nil
		}
	case f[0] == "signal":
		if sig, err := ParseSignal(f[1]); err == nil {
			return Status{Signal: signalName(sig)}, nil
		}
	}
	return Status{}, fmt.Errorf("bad exit status %q: expected exit CODE or signal NAME", text)
}

// SignalStatus is the status of a process that sig ended.
func SignalStatus(sig syscall.Signal) Status { return Status{Signal: signalName(sig)} }

// StatusOf says how a process ended that has been waited for.
func StatusOf(p *os.ProcessState) Status {
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return SignalStatus(ws.Signal())
	}
	return Status{Code: p.ExitCode()}
}
