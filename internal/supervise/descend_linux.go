package supervise

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// children lists the children of this process, those who have ended and are not
// reaped among them. Some kernels do not have the list; then all processes are
// looked at.
func children() []int {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var pids []int
	for _, t := range threads {
		list, err := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		if err != nil {
			return childrenByLooking()
		}
		for f := range strings.FieldsSeq(string(list)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func childrenByLooking() (pids []int) {
	us := os.Getpid()
	for _, pid := range processes() {
		if st, ok := statOf(pid); ok && st.parent == us {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processes lists all processes.
func processes() (pids []int) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat is what /proc says of a process.
type stat struct {
	state                  byte
	parent, group, session int
}

func statOf(pid int) (st stat, ok bool) {
	p, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return st, false
	}
	// proc(5): PID (COMM) STATE PPID PGRP SESSION. COMM may hold anything.
	f := bytes.Fields(p[bytes.LastIndexByte(p, ')')+1:])
	if len(f) < 4 {
		return st, false
	}
	st.state = f[0][0]
	for i, v := range []*int{&st.parent, &st.group, &st.session} {
		if *v, err = strconv.Atoi(string(f[1+i])); err != nil {
			return st, false
		}
	}
	return st, true
}

// groupOf returns the process group of a process, or 0.
func groupOf(pid int) int {
	st, _ := statOf(pid)
	return st.group
}
