package supervise

import (
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// adopts says that orphans become children of the supervisor.
const adopts = true

// recvFlags keep received descriptors from the programs that are started.
const recvFlags = unix.MSG_CMSG_CLOEXEC

// now reads a clock that counts while the machine sleeps, too, and is the same
// in each process.
func now() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		panic("supervise: no CLOCK_BOOTTIME, which every Linux has since 2.6.39")
	}
	return time.Duration(ts.Nano())
}

// sleepUntil sleeps until now is t, or a signal comes.
func sleepUntil(t time.Duration) {
	ts := unix.NsecToTimespec(int64(t))
	unix.ClockNanosleep(unix.CLOCK_BOOTTIME, unix.TIMER_ABSTIME, &ts, nil)
}

// sharedFile returns a file for a page that is shared with a child.
func sharedFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("lease", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "lease"), nil
}

// pipe makes a pipe whose ends no other program gets.
func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], os.NewSyscallError("pipe2", err)
}

// prepare makes the supervisor the parent of all orphans among the descendants
// of its children, names it, and keeps what it was started with from the tasks.
func prepare() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	// The name that killall(1) knows: who means hubfs does not mean this.
	os.WriteFile("/proc/self/comm", []byte("taskfs"), 0)
	return os.NewSyscallError("close_range", unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC))
}

// attributes are those of a task's process. The kernel kills it when the thread
// that has forked it ends.
func attributes(cgroup int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Setpgid: true, Pdeathsig: syscall.SIGKILL,
		UseCgroupFD: cgroup >= 0, CgroupFD: cgroup,
	}
}

// ownAttributes are those of a supervisor's process. It has a session of its
// own: what is meant for us does not reach it, and nobody but its tasks can
// be in it. One that somebody has stopped is continued when we end, to see
// that and to end its tasks.
func ownAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGCONT}
}

// awaiter returns what waits until a child has ended, and leaves it as it is. It
// returns at once if there is none.
func awaiter() func() {
	return func() {
		for unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}
}
