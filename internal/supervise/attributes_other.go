//go:build unix && !linux && !freebsd

package supervise

import "syscall"

// attributes are those of a task's process.
func attributes(int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
