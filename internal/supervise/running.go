package supervise

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"hubfs/internal/stdio"
	"hubfs/pipes"
	"hubfs/shellctl"
	"hubfs/taskfs/task"
)

// A running is a task that the supervisor was told to start.
type running struct {
	c  *crew
	t  task.Task
	id int64

	pid int // 0: it has not begun, as far as we know; guarded by mu of the crew

	in    *input          // nil: it has none
	outs  []*stdio.Outlet // of what it puts out
	ours  []*os.File      // our ends of its pipes
	fds   [3]int          // its own ends, until they are sent; -1: none
	pumps sync.WaitGroup  // what brings its input and output

	// reaped is closed when the process has been waited for and exit is set.
	reaped chan struct{}
	exit   exit
}

// Start implements task.Crew.
func (c *crew) Start(t task.Task) error {
	if len(t.Argv) == 0 || t.Argv[0] == "" {
		return errors.New("no command to run")
	}
	r := &running{c: c, t: t, fds: [3]int{-1, -1, -1}, reaped: make(chan struct{})}
	err := r.start()
	for _, fd := range r.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if err != nil {
		for _, f := range r.ours {
			f.Close()
		}
		return err
	}
	return nil
}

// start makes the pipes and tells the supervisor. If it fails there is no
// goroutine, and files are the caller's to close.
func (r *running) start() error {
	if err := r.open(); err != nil {
		return err
	}
	if err := r.enter(); err != nil {
		return err
	}
	m := start{ID: r.id, Argv: r.t.Argv, Dir: r.t.Dir, Env: r.c.environment(r.t), Umask: r.t.Umask}
	var fds []int
	for i, fd := range r.fds {
		if m.Has[i] = fd >= 0; m.Has[i] {
			fds = append(fds, fd)
		}
	}
	p, err := m.frame()
	if err == nil {
		err = r.c.send(p, fds)
	}
	if err != nil && r.leave() {
		r.c.tasks.Done()
		return err
	}
	r.run()
	return nil
}

// enter gives the task its number and folder among those of the crew.
func (r *running) enter() error {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return errClosed
	case c.byRank[r.t.Rank] != nil:
		return errors.New("the task is running")
	case r.t.Dir == "" && c.made:
		r.t.Dir = c.h.Dir
	case !filepath.IsAbs(r.t.Dir):
		r.t.Dir = filepath.Join(c.r.o.Dir, r.t.Dir)
	}
	c.next++
	r.id = c.next
	c.byID[r.id], c.byRank[r.t.Rank] = r, r
	c.tasks.Add(1)
	return nil
}

// leave takes the task out again, unless it has been told its end already.
func (r *running) leave() bool {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[r.id] != r {
		return false
	}
	delete(c.byID, r.id)
	delete(c.byRank, r.t.Rank)
	return true
}

// open makes the pipes.
func (r *running) open() error {
	if r.t.Stdin != nil {
		f, err := r.pipe(0)
		if err != nil {
			return err
		}
		if r.in, err = newInput(r.t.Stdin, f, r.t.Records, r.c.r.o.Log); err != nil {
			return err
		}
	}
	for i, sink := range []pipes.Sink{1: r.t.Stdout, 2: r.t.Stderr} {
		if sink == nil {
			continue
		}
		f, err := r.pipe(i)
		if err != nil {
			return err
		}
		o, err := stdio.NewOutlet(f, sink, r.reaped)
		if err != nil {
			return err
		}
		r.outs = append(r.outs, o)
	}
	return nil
}

// pipe makes the pipe for descriptor i of the task, and returns our end. It
// alone does not block: programs do not expect that of theirs.
func (r *running) pipe(i int) (*os.File, error) {
	read, write, err := pipe()
	if err != nil {
		return nil, err
	}
	ours := read
	if r.fds[i] = write; i == 0 {
		ours, r.fds[i] = write, read
	}
	if err := syscall.SetNonblock(ours, true); err != nil {
		unix.Close(ours)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(ours), "task")
	r.ours = append(r.ours, f)
	return f, nil
}

// run starts what sees the task through to its end.
func (r *running) run() {
	if r.in != nil {
		r.pumps.Go(r.in.run) // ends when wait stops it; wait waits for it
	}
	for i, o := range r.outs {
		if i > 0 {
			r.pumps.Go(func() { r.take(o) }) // ends with the output; wait waits for it
		}
	}
	go r.wait() // ends with the process and its output; crew.finish waits for it
}

// take copies one stream of output. When nobody takes it any more the task is
// told as a pipe tells it.
func (r *running) take(o *stdio.Outlet) {
	o.Run(func(err error) {
		r.c.r.o.Log.Warn("output of a task is lost", "session", r.c.o.Session, "rank", r.t.Rank, "err", err)
		o.Close()
	})
}

// wait sees the task through. The order is the law: reaped, then the last of the
// output taken, then Exited.
func (r *running) wait() {
	if len(r.outs) > 0 {
		r.take(r.outs[0])
	}
	<-r.reaped
	if r.in != nil {
		r.in.stop()
	}
	r.pumps.Wait()
	for _, f := range r.ours {
		f.Close() // again, perhaps: then it is an error that nobody needs
	}
	if r.t.Exited != nil {
		r.t.Exited(r.result())
	}
	r.c.tasks.Done()
}

// end is called once, when the process has been waited for.
func (r *running) end(x exit) {
	r.exit = x
	for _, o := range r.outs {
		o.Wake()
	}
	close(r.reaped)
}

// result says how the task has ended.
func (r *running) result() task.Exit {
	x := task.Exit{
		Rank: r.t.Rank, PID: r.exit.PID,
		User: r.exit.User, Sys: r.exit.Sys, Real: r.exit.Real,
	}
	if r.exit.Fail != "" {
		x.Status = "fail " + r.exit.Fail
		return x
	}
	ws := syscall.WaitStatus(r.exit.Wait)
	st := shellctl.Status{Code: ws.ExitStatus()}
	if ws.Signaled() {
		st = shellctl.SignalStatus(ws.Signal())
	}
	x.Status = st.String()
	return x
}
