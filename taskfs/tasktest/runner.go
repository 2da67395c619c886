package tasktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"hubfs/taskfs/task"
)

// A Runner is one machine of a World.
type Runner struct {
	world *World
	node  string

	mu     sync.Mutex
	crews  map[*crew]bool
	pid    int
	refuse error
	slow   time.Duration
}

// Runner returns a machine. The name is for Running and Faults.
func (w *World) Runner(node string) *Runner {
	return &Runner{world: w, node: node, crews: map[*crew]bool{}}
}

// Refuse has the next crews fail to be made with err; nil ends that.
func (r *Runner) Refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = err
}

// Slow has the next crews take a time to be made.
func (r *Runner) Slow(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = d
}

// Crews returns how many there are.
func (r *Runner) Crews() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.crews)
}

// Crash ends everything that runs here at once, as when the machine loses its
// power: nothing is said to anybody.
func (r *Runner) Crash() {
	r.mu.Lock()
	var crews []*crew
	for c := range r.crews {
		crews = append(crews, c)
	}
	r.mu.Unlock()
	for _, c := range crews {
		c.end()
	}
}

// Crew implements task.Runner.
func (r *Runner) Crew(ctx context.Context, o task.CrewOptions) (task.Crew, error) {
	r.mu.Lock()
	slow := r.slow
	r.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return nil, r.refuse
	}
	c := &crew{runner: r, opts: o, procs: map[int]*Proc{}}
	if o.Lease > 0 {
		// It ends with the crew, in end.
		c.lease = time.AfterFunc(o.Lease, func() {
			if c.end() && o.Lost != nil {
				o.Lost(errors.New("the lease has run out"))
			}
		})
	}
	r.crews[c] = true
	return c, nil
}

// A crew is the tasks of one session on one machine.
type crew struct {
	runner *Runner
	opts   task.CrewOptions
	lease  *time.Timer // nil: for ever

	mu    sync.Mutex
	ended bool
	procs map[int]*Proc
	dir   string
}

func (c *crew) Start(t task.Task) error {
	if len(t.Argv) == 0 {
		return errors.New("no command")
	}
	w := c.runner.world
	w.mu.Lock()
	cmd := w.commands[t.Argv[0]]
	w.mu.Unlock()
	if cmd == nil {
		return fmt.Errorf("exec: %q: executable file not found in $PATH", t.Argv[0])
	}
	c.runner.mu.Lock()
	c.runner.pid++
	pid := c.runner.pid
	c.runner.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errors.New("the crew has ended")
	}
	if old := c.procs[t.Rank]; old != nil && old.runs() {
		w.fault("%s: rank %d is started while it runs", c.runner.node, t.Rank)
		return errors.New("it runs")
	}
	if t.Dir == "" {
		t.Dir = c.dir
	}
	p := newProc(w, c, pid, t)
	c.procs[t.Rank] = p
	w.begin(p)
	w.wg.Add(1)
	go p.run(cmd) // ends when the command returns or is killed; World.Wait waits for it
	return nil
}

func (c *crew) Signal(rank int, name string) error {
	c.mu.Lock()
	p := c.procs[rank]
	c.mu.Unlock()
	if p != nil {
		p.signal(name)
	}
	return nil
}

func (c *crew) Dir() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return "", errors.New("the crew has ended")
	}
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "tasktest")
		if err != nil {
			return "", err
		}
		c.dir = dir
	}
	return c.dir, nil
}

func (c *crew) Renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && c.lease != nil {
		c.lease.Reset(c.opts.Lease)
	}
}

func (c *crew) Close(ctx context.Context) error {
	c.end()
	return nil
}

// end kills everything, and reports whether there was a crew.

func (c *crew) end() bool {
	c.mu.Lock()
	was := !c.ended
	c.ended = true
	if c.lease != nil {
		c.lease.Stop()
	}
	procs, dir := c.procs, c.dir
	c.procs = map[int]*Proc{}
	c.mu.Unlock()
	for _, p := range procs {
		p.signal("KILL")
	}
	if dir != "" && was {
		os.RemoveAll(dir)
	}
	c.runner.mu.Lock()
	delete(c.runner.crews, c)
	c.runner.mu.Unlock()
	return was
}
