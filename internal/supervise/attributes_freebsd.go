package supervise

import "syscall"

// attributes are those of a task's process. The kernel kills it when the
// supervisor ends.
func attributes(int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
