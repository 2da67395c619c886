package supervise

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/shellctl"
)

// A supervisor runs in a process of its own. One goroutine receives messages
// and forks, one reaps, and one watches the lease.
type supervisor struct {
	sock  int
	null  int    // /dev/null, for tasks that have no input or whose output nobody takes
	await func() // waits for the end of a child

	// Of the receiver.
	cgroup int               // descriptor of the cgroup's folder, or -1
	found  map[string]string // files of commands, by name and PATH

	sending sync.Mutex // orders what is sent, and is held while it is

	born chan struct{} // has a token if a child may have come, or the end

	// mu is also held while children are looked at and killed: they are reaped
	// under it, so that the number of none is another's by then.
	mu      sync.Mutex
	hello   hello            // whom we work for; guarded by mu
	tasks   map[int64]*child // living tasks; guarded by mu
	byPID   map[int]*child   // the same; guarded by mu
	forking bool             // the receiver is starting one; guarded by mu
	early   map[int]exit     // strangers who ended meanwhile; it may be that one; guarded by mu
	over    bool             // everything is to end; guarded by mu
	reason  string           // why; guarded by mu
	deaf    bool             // nobody may be there to read what we send; guarded by mu
	stuck   bool             // a send waits; guarded by mu
	killed  map[int]bool     // children that were sent KILL; guarded by mu
	groups  []int            // of tasks that have ended, with members who have not; guarded by mu; none where we adopt them
}

// A child is a task's process.
type child struct {
	id    int64
	pid   int
	start time.Time
}

func newSupervisor(sock int) (*supervisor, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	return &supervisor{
		sock: sock, null: null, cgroup: -1, await: awaiter(),
		found: make(map[string]string), born: make(chan struct{}, 1),
		tasks: make(map[int64]*child), byPID: make(map[int]*child),
		early: make(map[int]exit), killed: make(map[int]bool),
	}, nil
}

// receive does what it is told until the other end is gone.
func (s *supervisor) receive() {
	// The kernel kills the tasks when the thread that has forked them ends. This
	// one does so with the process, or when everything is being killed anyway.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.messages()
	why := "the program that it works for is gone"
	if err != nil {
		why = err.Error()
	}
	s.end(why, true)
}

// messages handles messages until there are no more.
func (s *supervisor) messages() error {
	buf := make([]byte, 64<<10)
	oob := make([]byte, unix.CmsgSpace(4*253)) // as many as one message can carry
	var p []byte                               // what is received and not handled
	var fds []int                              // the same
	for {
		n, oobn, _, _, err := unix.Recvmsg(s.sock, buf, oob, recvFlags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 || err != nil {
			return nil
		}
		if fds, err = appendFDs(fds, oob[:oobn]); err != nil {
			return err
		}
		p = append(p, buf[:n]...)
		for {
			kind, body, rest, err := cut(p)
			if err != nil {
				return err
			}
			if kind == 0 {
				break
			}
			if fds, err = s.handle(kind, body, fds); err != nil {
				return err
			}
			p = rest
		}
		p = append(make([]byte, 0, len(p)), p...) // let go of what is handled
	}
}

// appendFDs appends the descriptors that came in oob.
func appendFDs(fds []int, oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return fds, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fds, fmt.Errorf("receive descriptors: %w", err)
	}
	for _, m := range msgs {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, fmt.Errorf("receive descriptors: %w", err)
		}
		for _, fd := range got {
			unix.CloseOnExec(fd)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

// handle does what one message says, and returns the descriptors that are left
// for those behind it.
func (s *supervisor) handle(kind byte, body []byte, fds []int) ([]int, error) {
	switch kind {
	case kindHello:
		var h hello
		if err := h.decode(body); err != nil {
			return fds, err
		}
		if h.Cgroup != "" {
			// Without it the other ways have to do: then it is -1.
			s.cgroup, _ = unix.Open(h.Cgroup, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		s.mu.Lock()
		s.hello = h
		s.mu.Unlock()
		// Not before: what it does not know of it cannot clean up.
		s.send(newFrame(kindReady).frame())
	case kindStart:
		var m start
		if err := m.decode(body); err != nil {
			return fds, err
		}
		files := [3]int{s.null, s.null, s.null}
		for i, has := range m.Has {
			if !has {
				continue
			}
			if len(fds) == 0 {
				return fds, errors.New("a descriptor did not come: too many files are open")
			}
			files[i], fds = fds[0], fds[1:]
		}
		s.start(&m, files)
		for i, has := range m.Has {
			if has {
				unix.Close(files[i])
			}
		}
	case kindSignal:
		d := decoder{p: body}
		id, sig := d.int(), d.int()
		if err := d.end(); err != nil {
			return fds, err
		}
		s.signal(id, syscall.Signal(sig))
	default:
		return fds, errBadFrame
	}
	return fds, nil
}

// start starts a task, and says so if that cannot be done.
func (s *supervisor) start(m *start, files [3]int) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		s.send(exitsFrame([]exit{{ID: m.ID, Fail: "the session has ended"}}))
		return
	}
	s.forking = true
	s.mu.Unlock()

	began := time.Now()
	pid, err := s.fork(m, files)

	s.mu.Lock()
	s.forking = false
	x, early := s.early[pid]
	if early && unix.Kill(pid, 0) == nil {
		early = false // that was an orphan who had the same number a moment ago
	}
	clear(s.early)
	switch {
	case err != nil:
		x = exit{ID: m.ID, Fail: err.Error()}
	case early:
		x.ID, x.Real = m.ID, time.Since(began)
	default:
		c := &child{m.ID, pid, began}
		s.tasks[c.id], s.byPID[pid] = c, c
		if s.over {
			s.killLocked()
		}
	}
	s.mu.Unlock()
	if err != nil || early {
		s.send(exitsFrame([]exit{x}))
	} else {
		s.send(begunFrame(m.ID, pid))
	}
	s.wake()
}

// fork starts the process of m. The files of commands are remembered: to look
// for one takes longer than everything else but the fork itself.
func (s *supervisor) fork(m *start, files [3]int) (pid int, err error) {
	name, key := m.Argv[0], ""
	if !strings.Contains(name, "/") {
		for _, kv := range m.Env {
			if strings.HasPrefix(kv, "PATH=") {
				key = name + "\x00" + kv
			}
		}
	}
	path, known := s.found[key]
	if known {
		if pid, err = s.forkExec(path, m, files); err == nil {
			return pid, nil
		}
		// The kernel says little, and what was remembered may be wrong by now.
	}
	if path, err = shellctl.Find(name, m.Dir, m.Env); err != nil {
		return 0, err
	}
	if pid, err = s.forkExec(path, m, files); err != nil {
		return 0, fmt.Errorf("cannot run %s: %w", name, err)
	}
	if key != "" {
		s.found[key] = path
	}
	return pid, nil
}

func (s *supervisor) forkExec(path string, m *start, files [3]int) (int, error) {
	if m.Umask >= 0 {
		defer syscall.Umask(syscall.Umask(m.Umask))
	}
	attr := &syscall.ProcAttr{
		Dir: m.Dir, Env: m.Env,
		Files: []uintptr{uintptr(files[0]), uintptr(files[1]), uintptr(files[2])},
		Sys:   attributes(s.cgroup),
	}
	pid, err := syscall.ForkExec(path, m.Argv, attr)
	if err == nil || s.cgroup < 0 {
		return pid, err
	}
	// It may be the cgroup that this system does not let us use.
	attr.Sys = attributes(-1)
	pid, err = syscall.ForkExec(path, m.Argv, attr)
	if err == nil {
		unix.Close(s.cgroup)
		s.cgroup = -1
	}
	return pid, err
}

// signal sends a signal to the group of a task that lives.
func (s *supervisor) signal(id int64, sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.tasks[id]; c != nil {
		unix.Kill(-c.pid, sig)
	}
}

// send sends a frame.
func (s *supervisor) send(p []byte) {
	s.sending.Lock()
	defer s.sending.Unlock()
	flags := unix.MSG_DONTWAIT
	for len(p) > 0 {
		n, err := unix.SendmsgN(s.sock, p, nil, nil, flags)
		if n > 0 {
			p = p[n:]
		}
		switch {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && flags&unix.MSG_DONTWAIT != 0:
			// The other end is slow, or does not read at all any more, in which
			// case end cuts the wait.
			s.mu.Lock()
			drop := s.deaf
			s.stuck = true
			s.mu.Unlock()
			if drop {
				return
			}
			flags &^= unix.MSG_DONTWAIT
		default:
			return // it is gone, which the receiver will see
		}
	}
	s.mu.Lock()
	s.stuck = false
	s.mu.Unlock()
}
