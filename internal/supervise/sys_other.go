//go:build unix && !linux

package supervise

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adopts says that orphans become children of the supervisor. Here the group of a
// task is remembered as long as somebody may be in it.
const adopts = false

// recvFlags keep received descriptors from the programs that are started.
const recvFlags = 0

// now reads a clock that is the same in each process.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("supervise: no CLOCK_MONOTONIC: " + err.Error())
	}
	return time.Duration(ts.Nano())
}

// sleepUntil sleeps until now is t.
func sleepUntil(t time.Duration) { time.Sleep(t - now()) }

// sharedFile returns a file for a page that is shared with a child.
func sharedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "hub-lease")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// pipe makes a pipe whose ends no other program gets.
func pipe() (r, w int, err error) {
	var p [2]int
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := unix.Pipe(p[:]); err != nil {
		return 0, 0, os.NewSyscallError("pipe", err)
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return p[0], p[1], nil
}

// prepare keeps what the supervisor was started with from the tasks.
func prepare() error {
	unix.CloseOnExec(socketFD)
	unix.CloseOnExec(leaseFD)
	return nil
}

// ownAttributes are those of a supervisor's process. It has a session of its own:
// what is meant for us does not reach it.
func ownAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// awaiter returns what waits until a child has ended since it was called last.
func awaiter() func() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	return func() { <-ended }
}

// children would list the children of this process: those that we have started
// are all that are known.
func children() []int { return nil }

// groupOf would return the process group of a child.
func groupOf(int) int { return 0 }

// makeCgroup would make a cgroup.
func makeCgroup(string) string { return "" }

// removeCgroup would remove one.
func removeCgroup(string) error { return nil }

// sweep ends what a supervisor that was killed has left: the groups of its tasks,
// as far as they are known.
func sweep(_ string, _ int, tasks []int) error {
	for _, pid := range tasks {
		unix.Kill(-pid, unix.SIGKILL)
	}
	return nil
}
