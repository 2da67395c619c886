package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// afterlife is how long we wait for the effect of a KILL. It has one at once, but
// for who is stuck in the kernel.
const afterlife = 2 * time.Second

// sweep ends what a supervisor that was killed has left, and waits for its end: who
// has the crew's mark in the environment that it was started with, who is in the
// supervisor's session, and their descendants. The supervisor has not been
// waited for, so that its number, which is that of the session, is nobody else's.
// The tasks themselves the kernel has killed.
func sweep(mark string, supervisor int, _ []int) error {
	// It has ended when we hear of it, or is about to.
	if p, err := hold(process{pid: supervisor}); err == nil && p.fd >= 0 {
		err = p.await()
		unix.Close(p.fd)
		if err != nil {
			return err
		}
	}
	for {
		left := leftovers(mark, supervisor)
		if len(left) == 0 {
			return nil
		}
		if err := killAll(left); err != nil {
			return err
		}
	}
}

// killAll kills processes and waits for their end. All are held before the first
// is killed: its end changes who is whose child.
func killAll(list []process) error {
	var held []process
	defer func() {
		for _, p := range held {
			unix.Close(p.fd)
		}
	}()
	for _, p := range list {
		p, err := hold(p)
		if err != nil {
			return err
		}
		if p.fd >= 0 {
			held = append(held, p)
		}
	}
	for _, p := range held {
		if err := unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("process %d: %w", p.pid, err)
		}
	}
	for _, p := range held {
		if err := p.await(); err != nil {
			return err
		}
	}
	return nil
}

// A process is one that sweep looks at.
type process struct {
	pid int
	stat
	fd int // refers to this process, whoever has its number later
}

// hold opens a process; fd is -1 if it is gone.
func hold(p process) (process, error) {
	var err error
	if p.fd, err = unix.PidfdOpen(p.pid, 0); errors.Is(err, unix.ESRCH) {
		p.fd = -1
		return p, nil
	} else if err != nil {
		return p, fmt.Errorf("process %d: %w", p.pid, err)
	}
	// Another may have had the number when it was opened: then it has another
	// parent or session, too.
	if st, ok := statOf(p.pid); p.session != 0 && (!ok || st.session != p.session || st.parent != p.parent) {
		unix.Close(p.fd)
		p.fd = -1
	}
	return p, nil
}

// await waits until a process that was killed has ended.
func (p process) await() error {
	for deadline := time.Now().Add(afterlife); ; {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("process %d: %w", p.pid, err)
		case n == 0:
			return fmt.Errorf("process %d was killed and has not ended", p.pid)
		default:
			return nil
		}
	}
}

// leftovers lists the living processes that sweep is to end.
func leftovers(mark string, supervisor int) []process {
	all := make(map[int]process)
	root := make(map[int]bool)
	for _, pid := range processes() {
		st, ok := statOf(pid)
		if !ok || st.state == 'Z' || st.state == 'X' || pid == supervisor {
			continue
		}
		all[pid] = process{pid: pid, stat: st}
		root[pid] = st.session == supervisor || marked(pid, mark)
	}
	var left []process
	for pid, p := range all {
		// A chain of parents has no loop, but the list was not made at one moment.
		for at, n := pid, 0; at > 1 && n < len(all); at, n = all[at].parent, n+1 {
			if root[at] {
				left = append(left, p)
				break
			}
		}
	}
	return left
}

// marked reports whether a process was started with mark in its environment.
func marked(pid int, mark string) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00"+mark+"\x00"))
}
