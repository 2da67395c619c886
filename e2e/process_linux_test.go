package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process is one of a world, held by a descriptor: its number may be given
// to another process, the descriptor never means another.
type process struct {
	pid  int
	fd   int
	exe  string
	args []string
}

// worldProcesses finds the processes that carry a world's mark. One that has
// ended and was not waited for has no environment any more, and is not found.
func worldProcesses(mark string) []process {
	want := []byte(markVar + "=" + mark)
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var found []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		env, _ := os.ReadFile(dir + "/environ")
		marked := false
		for v := range bytes.SplitSeq(env, []byte{0}) {
			marked = marked || bytes.Equal(v, want)
		}
		if !marked {
			unix.Close(fd)
			continue
		}
		p := process{pid: pid, fd: fd}
		p.exe, _ = os.Readlink(dir + "/exe")
		args, _ := os.ReadFile(dir + "/cmdline")
		p.args = strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")
		found = append(found, p)
	}
	return found
}

func (p process) String() string { return fmt.Sprintf("process %d: %q", p.pid, p.args) }

// isServer reports whether p is hubfs, or hub as a server. A supervisor of tasks is
// none: it ends with what it works for.
func (p process) isServer() bool {
	if len(p.args) > 1 && p.args[1] == "--taskfs-supervisor" {
		return false
	}
	// Linux says so of a program whose file is gone, as that of go run.
	switch strings.TrimSuffix(filepath.Base(p.exe), " (deleted)") {
	case "hubfs":
		return true
	case "hub":
		for _, a := range p.args[1:] {
			if a == "serve" {
				return true
			}
		}
	}
	return false
}

// names reports whether a word of p's command line holds text.
func (p process) names(text string) bool { return strings.Contains(strings.Join(p.args, " "), text) }

// terminate asks p to end in order, and fails the test if it does not.
func (p process) terminate(tb testing.TB, deadline time.Time) {
	unix.PidfdSendSignal(p.fd, unix.SIGTERM, nil, 0)
	if !p.gone(deadline) {
		tb.Errorf("still runs after SIGTERM: %v", p)
		p.kill()
	}
}

func (p process) close() { unix.Close(p.fd) }

func (p process) kill() { unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0) }

// gone waits until p has ended, or for the deadline.
func (p process) gone(deadline time.Time) bool {
	for {
		wait := max(time.Until(deadline), 0)
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(wait/time.Millisecond))
		if err == nil {
			return n > 0
		}
		if err != unix.EINTR {
			return false
		}
	}
}
