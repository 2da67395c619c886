package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/shellctl"
	"hubfs/taskfs/task"
)

// markName is the variable in a task's environment by which it is known as the
// crew's.
const markName = "TASKFS_CREW"

// errClosed is the answer to a start when the crew has ended, or is about to.
var errClosed = errors.New("the session has ended")

// A crew is our side of a supervisor.
type crew struct {
	r    *Runner
	o    task.CrewOptions
	mark string // NAME=VALUE
	h    hello

	cmd   *exec.Cmd // the supervisor
	conn  *net.UnixConn
	ready chan struct{} // closed when it can take tasks

	sending sync.Mutex     // orders what is sent, and is held while it is
	tasks   sync.WaitGroup // those for whom Exited has not been called; added to under mu

	mu     sync.Mutex
	next   int64              // number of the next task; guarded by mu
	byID   map[int64]*running // guarded by mu
	byRank map[int]*running   // guarded by mu
	closed bool               // no task may start: it is not ready yet, or was closed, or is over; guarded by mu
	lease  *lease             // nil when all is over; guarded by mu
	made   bool               // the folder is there; guarded by mu
	gone   chan struct{}      // closed when the supervisor is gone, and all that it has run
}

func newCrew(ctx context.Context, r *Runner, o task.CrewOptions) (*crew, error) {
	c := &crew{
		r: r, o: o, closed: true, ready: make(chan struct{}), gone: make(chan struct{}),
		byID: make(map[int64]*running), byRank: make(map[int]*running),
	}
	token := rand.Text()
	c.mark = markName + "=" + token
	c.h.Dir = filepath.Join(r.o.Folder, "taskfs-"+token)
	var err error
	if c.lease, err = newLease(); err != nil {
		return nil, err
	}
	c.lease.renew(o.Lease)
	if !r.o.noCgroup {
		c.h.Cgroup = makeCgroup("taskfs-" + token)
	}
	if err := c.spawn(); err != nil {
		c.lease.close()
		if c.h.Cgroup != "" {
			removeCgroup(c.h.Cgroup)
		}
		return nil, err
	}
	go c.read() // ends with the supervisor and the output of its tasks; closes gone
	c.send(c.h.frame(), nil)
	select {
	case <-c.ready:
	case <-c.gone:
		return nil, errors.New("it ended at once: the program has to call Main")
	case <-ctx.Done():
		c.cmd.Process.Kill()
		<-c.gone
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lease == nil {
		return nil, errors.New("it ended at once")
	}
	c.closed = false
	return c, nil
}

// spawn starts the supervisor.
func (c *crew) spawn() error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return err
	}
	c.conn = conn.(*net.UnixConn)
	c.cmd = &exec.Cmd{
		Path: c.r.exe,
		// The session is for a person who looks at a list of processes.
		Args:        []string{"taskfs", flag, c.o.Session},
		Dir:         "/",
		Stderr:      os.Stderr, // for a panic
		ExtraFiles:  []*os.File{socketFD - 3: theirs, leaseFD - 3: c.lease.f},
		SysProcAttr: ownAttributes(),
	}
	if err := c.cmd.Start(); err != nil {
		c.conn.Close()
		return err
	}
	return nil
}

// socketPair returns two ends of a socket that no other program gets.
func socketPair() (a, b *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return os.NewFile(uintptr(p[0]), "supervisor"), os.NewFile(uintptr(p[1]), "supervised"), nil
}

// send sends a frame with descriptors to the supervisor. The error is errClosed if
// it is gone.
func (c *crew) send(p []byte, fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	n, _, err := c.conn.WriteMsgUnix(p, oob, nil)
	if err == nil && n < len(p) {
		_, err = c.conn.Write(p[n:])
	}
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		return errClosed
	}
	return err
}

// read takes what the supervisor says, until it has ended, and sees to it
// that nothing is left.
func (c *crew) read() {
	why, orderly := c.messages()
	c.conn.Close()
	if !orderly {
		// It was killed, or is of no use any more.
		c.cmd.Process.Kill()
		c.sweep()
		why = "its supervisor was killed"
	}
	c.cmd.Wait()
	c.finish(why)
}

// messages handles what the supervisor says. The end is orderly if it has said
// that all is over.
func (c *crew) messages() (why string, orderly bool) {
	buf := make([]byte, 16<<10)
	var p []byte
	for {
		n, err := c.conn.Read(buf)
		if n <= 0 || err != nil {
			return "", false
		}
		p = append(p, buf[:n]...)
		for {
			kind, body, rest, err := cut(p)
			if err != nil {
				return "", false
			}
			if kind == 0 {
				break
			}
			switch kind {
			case kindReady:
				close(c.ready)
			case kindBegun:
				d := decoder{p: body}
				c.begun(d.int(), int(d.int()))
			case kindExits:
				exits, err := decodeExits(body)
				if err != nil {
					return "", false
				}
				c.exited(exits)
			case kindOver:
				d := decoder{p: body}
				return d.string(), true
			default:
				return "", false
			}
			p = rest
		}
		p = append(p[:0:0], p...)
	}
}

// begun notes which process a task is.
func (c *crew) begun(id int64, pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.byID[id]; t != nil { // it has not ended meanwhile
		t.pid = pid
	}
}

// pids are the processes of the tasks that run.
func (c *crew) pids() (pids []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.byID {
		if t.pid != 0 {
			pids = append(pids, t.pid)
		}
	}
	return pids
}

// exited tells tasks that they have ended.
func (c *crew) exited(exits []exit) {
	for _, x := range exits {
		c.mu.Lock()
		t := c.byID[x.ID]
		delete(c.byID, x.ID)
		if t != nil {
			delete(c.byRank, t.t.Rank)
		}
		c.mu.Unlock()
		if t != nil {
			t.end(x)
		}
	}
}

// sweep ends what a supervisor that was killed has left. It returns when none is
// left: what hinders it, as too many open files do, may go.
func (c *crew) sweep() {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		if c.h.Cgroup != "" {
			os.WriteFile(filepath.Join(c.h.Cgroup, cgroupKill), []byte("1"), 0)
		}
		err := c.r.sweep(c.mark, c.cmd.Process.Pid, c.pids())
		if err == nil {
			break
		}
		c.r.o.Log.Error("processes of a session are left", "session", c.o.Session, "err", err)
		<-time.After(pause)
	}
	if c.h.Cgroup != "" {
		removeCgroup(c.h.Cgroup)
	}
	if err := removeAll(c.h.Dir); err != nil {
		c.r.o.Log.Warn("the folder of a session is left", "session", c.o.Session, "err", err)
	}
}

// finish is called when the supervisor is gone, and all of its tasks with it.
func (c *crew) finish(why string) {
	c.mu.Lock()
	wanted := c.closed
	c.closed = true
	var rest []exit
	for id, t := range c.byID {
		rest = append(rest, exit{ID: id, PID: t.pid, Wait: uint32(unix.SIGKILL)})
	}
	c.lease.close()
	c.lease = nil
	c.mu.Unlock()

	close(c.gone)
	c.exited(rest)
	c.tasks.Wait()
	if !wanted && c.o.Lost != nil {
		c.o.Lost(fmt.Errorf("session %s has ended: %s", c.o.Session, why))
	}
}

// Signal implements task.Crew.
func (c *crew) Signal(rank int, name string) error {
	sig, err := shellctl.ParseSignal(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	t := c.byRank[rank]
	c.mu.Unlock()
	if t == nil {
		return nil
	}
	err = c.send(signalFrame(t.id, int(sig)), nil)
	if err != nil && !errors.Is(err, errClosed) {
		return fmt.Errorf("signal %s to task %d: %w", name, rank, err)
	}
	return nil
}

// Dir implements task.Crew.
func (c *crew) Dir() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dirLocked()
}

func (c *crew) dirLocked() (string, error) {
	if c.closed {
		return "", errClosed
	}
	if !c.made {
		if err := os.Mkdir(c.h.Dir, 0o700); err != nil {
			return "", fmt.Errorf("folder of session %s: %w", c.o.Session, err)
		}
		c.made = true
	}
	return c.h.Dir, nil
}

// Renew implements task.Crew.
func (c *crew) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lease != nil {
		c.lease.renew(c.o.Lease)
	}
}

// Close implements task.Crew.
func (c *crew) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	// A signal, which waits for nobody. Errors say that it has ended.
	c.cmd.Process.Signal(unix.SIGTERM)
	c.cmd.Process.Signal(unix.SIGCONT) // somebody may have stopped it
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("processes of session %s may be left: %w", c.o.Session, ctx.Err())
	}
}

// environment returns the environment of a task: of a name that comes twice the
// last, and the crew's mark.
func (c *crew) environment(t task.Task) []string {
	env := make([]string, 0, len(t.Env)+2)
	at := make(map[string]int, len(t.Env)+2)
	add := func(kv string) {
		name, _, _ := strings.Cut(kv, "=")
		if i, ok := at[name]; ok {
			env[i] = kv
			return
		}
		at[name] = len(env)
		env = append(env, kv)
	}
	for _, kv := range t.Env {
		add(kv)
	}
	add("PWD=" + t.Dir) // the name that was given, which may lead through links
	add(c.mark)
	return env
}
