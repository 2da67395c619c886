package shellctl

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// markAll marks all descriptors beyond the standard ones close-on-exec.
func markAll() error {
	return unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

// sessionPIDs lists the living processes of session sid.
func sessionPIDs(sid int) ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, err // a directory, but no proc file system
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // gone
		}
		// proc(5): PID (COMM) STATE PPID PGRP SESSION. COMM may hold anything.
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(f) > 3 && string(f[3]) == strconv.Itoa(sid) && f[0][0] != 'Z' && f[0][0] != 'X' {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// sessionEnds waits until nobody of the session is left, at most for the time
// given, and reports whether that is so.
func (s *Shell) sessionEnds(within time.Duration) bool {
	for deadline := time.Now().Add(within); ; {
		pids, err := sessionPIDs(s.pid)
		if err != nil {
			return s.groupEnds(time.Until(deadline))
		}
		if len(pids) == 0 {
			return true
		}
		// They are not our children, but for one: the kernel tells of their
		// end all the same. Who is born meanwhile is found in the next round.
		for _, pid := range pids {
			if !processEnds(pid, deadline) {
				return false
			}
		}
	}
}

// processEnds waits for the end of a process that need not be a child of ours.
func processEnds(pid int, deadline time.Time) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return true
	} else if err != nil {
		return false
	}
	defer unix.Close(fd)
	for {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int((left + time.Millisecond - 1).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}
