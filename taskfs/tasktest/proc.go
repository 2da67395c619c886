package tasktest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"hubfs/pipes"
	"hubfs/taskfs/task"
)

// A Proc is a fake process, as its Command sees it.
type Proc struct {
	task.Task
	PID int

	world  *World
	node   string
	ctx    context.Context // done when it has ended, or a signal has ended it
	cancel context.CancelFunc

	mu    sync.Mutex
	ended bool
	by    string      // the signal that ended it
	trap  chan string // not nil: signals come here, all but KILL
}

func newProc(w *World, c *crew, pid int, t task.Task) *Proc {
	p := &Proc{Task: t, PID: pid, world: w, node: c.runner.node}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// run runs the command and says how it ended.
func (p *Proc) run(cmd Command) {
	defer p.world.wg.Done()
	defer p.cancel()
	begun := time.Now()
	status := cmd(p)
	p.mu.Lock()
	if p.by != "" {
		status = "signal " + p.by
	}
	p.ended = true
	p.mu.Unlock()
	p.world.end(p)
	if p.Exited != nil {
		p.Exited(task.Exit{Rank: p.Rank, PID: p.PID, Status: status, Real: time.Since(begun)})
	}
}

func (p *Proc) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ended && p.by == ""
}

// signal ends it, unless it has ended or traps that signal.
func (p *Proc) signal(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ended || p.by != "":
	case name == "0" || name == "CONT":
	case p.trap != nil && name != "KILL":
		select {
		case p.trap <- name:
		default:
		}
	default:
		p.by = name
		p.cancel()
		p.world.end(p)
	}
}

// Killed is closed when a signal has ended the process: its command is to
// return.
func (p *Proc) Killed() <-chan struct{} { return p.ctx.Done() }

// Node returns the name of the machine.
func (p *Proc) Node() string { return p.node }

// Trap has signals come over a channel instead, all but KILL.
func (p *Proc) Trap() <-chan string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trap == nil {
		p.trap = make(chan string, 8)
	}
	return p.trap
}

// Env returns a variable's value.
func (p *Proc) Env(name string) string {
	for i := len(p.Task.Env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(p.Task.Env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// Read reads standard input. It ends with io.EOF when the process is killed, too.
func (p *Proc) Read(b []byte) (int, error) {
	if p.Stdin == nil {
		return 0, io.EOF
	}
	n, err := p.Stdin.ReadContext(p.ctx, b)
	if err != nil && (errors.Is(err, io.EOF) || p.ctx.Err() != nil) {
		err = io.EOF
	}
	return n, err
}

// Out and Err write the standard streams. What a process wrote is delivered,
// though it is killed meanwhile; afterwards nothing is written.
func (p *Proc) Out(s string) { p.write(p.Stdout, s) }
func (p *Proc) Err(s string) { p.write(p.Stderr, s) }

func (p *Proc) write(to pipes.Sink, s string) {
	if to != nil && s != "" && p.ctx.Err() == nil {
		to.WriteContext(context.Background(), []byte(s))
	}
}
