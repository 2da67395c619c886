package gang

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hubfs/taskfs/ranks"
)

// A Spec is what to run.
type Spec struct {
	Argv    []string
	Dir     string   `json:",omitempty"` // "": the node's, or the folder of the session's files
	Env     []string `json:",omitempty"`
	Umask   int      // negative: the node's
	Session string   `json:",omitempty"` // what TASKFS_SESSION is
	Records bool     `json:",omitempty"` // stdin is given by records, to those who ask (Above.Ready)
	NoInput bool     `json:",omitempty"` // stdin is empty
}

// maxSpec is about how long a Spec may be: it has to fit into a frame, in base 64.
const maxSpec = 700 << 10

func (s *Spec) check() error {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return errors.New("exec: a command was expected")
	}
	n := len(s.Dir) + len(s.Session)
	for _, a := range slices.Concat(s.Argv, s.Env) {
		if strings.ContainsRune(a, 0) {
			return errors.New("exec: an argument or a variable has a zero byte")
		}
		n += len(a) + 4
	}
	if n > maxSpec {
		return fmt.Errorf("exec: arguments and environment are %d bytes, more than the %d that travel; put them into a file", n, maxSpec)
	}
	return nil
}

// Exec runs a command as these tasks, none of which may run. It does not wait for
// them to start: Above is told, and of those that cannot be started that they
// have ended, with a status that begins with "fail". What Input gave to a task
// that has never run is for its first run.
func (g *Gang) Exec(ctx context.Context, set ranks.Set, s Spec) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := g.within(set); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return g.run(set, &s)
}

// run runs a command as these tasks, or says why it cannot as one of them.
func (g *Gang) run(set ranks.Set, s *Spec) error {
	g.mu.Lock()
	for r := range set.All() {
		if err := g.idleLocked(r, s); err != nil {
			g.mu.Unlock()
			return err
		}
	}
	runs := g.beginLocked(set, s)
	g.mu.Unlock()
	begin(runs, s)
	return nil
}

// execute runs a command for a node above: as those of the tasks that can. Of the
// others that node has been told, or will be.
func (g *Gang) execute(set ranks.Set, s *Spec) error {
	if err := s.check(); err != nil {
		return err
	}
	if set = set.Intersect(ranks.Span(0, g.req.N)); set.Empty() {
		return nil
	}
	g.mu.Lock()
	var able []int
	for r := range set.All() {
		if g.idleLocked(r, s) == nil {
			able = append(able, r)
		}
	}
	runs := g.beginLocked(ranks.Of(able...), s)
	g.mu.Unlock()
	begin(runs, s)
	return nil
}

// A run is a command for a part.
type run struct {
	p   *part
	own ranks.Set
}

func (g *Gang) beginLocked(set ranks.Set, s *Spec) []run {
	var runs []run
	for r := range set.All() {
		t := &g.tasks[r]
		t.state, t.dir = Execute, s.Dir
		t.tries++
	}
	g.eachLocked(set, func(p *part, own ranks.Set) { runs = append(runs, run{p, own}) })
	return runs
}

// begin has parts run a command, nodes below first: they begin while this one
// starts its own.
func begin(runs []run, s *Spec) {
	for _, below := range []bool{true, false} {
		for _, r := range runs {
			if (r.p.child != "") == below {
				r.p.exec(r.own, s)
			}
		}
	}
}

// idleLocked refuses to run what cannot be run now.
func (g *Gang) idleLocked(r int, s *Spec) error {
	t := &g.tasks[r]
	switch {
	case g.released:
		return ErrReleased
	case s.Dir != "" && len(g.pushed) > 0:
		return fmt.Errorf("exec: the tasks start where the session's files are, not in %s", s.Dir)
	case t.state == Execute:
		return ErrInUse
	case t.state == Lost || t.state == Fenced || t.part.lost:
		return fmt.Errorf("task %d: its node, %s, is lost", r, t.part.child)
	case t.part.gone:
		return ErrReleased
	}
	return nil
}

// signals are the names that Signal knows: those of POSIX, and what nearly every
// system has besides.
var signals = strings.Fields("ABRT ALRM BUS CHLD CONT FPE HUP ILL INT IO KILL PIPE PROF QUIT " +
	"SEGV STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ")

// Signal sends a signal to tasks, by a name as "TERM" or "SIGTERM". To one that
// has ended it is no error; if none has ever begun, it is.
func (g *Gang) Signal(ctx context.Context, set ranks.Set, name string) error {
	short := strings.TrimPrefix(strings.ToUpper(name), "SIG")
	if !slices.Contains(signals, short) {
		return fmt.Errorf("signal %q: a name as TERM was expected", name)
	}
	if err := g.within(set); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	begun := false
	for r := range set.All() {
		begun = begun || g.tasks[r].tries > 0
	}
	released := g.released
	g.mu.Unlock()
	switch {
	case released:
		return ErrReleased
	case !begun:
		return ErrNotStarted
	}
	g.send(set, short)
	return nil
}

// send sends a signal to those of the tasks that run.
func (g *Gang) send(set ranks.Set, name string) {
	var running []int
	var to []run
	g.mu.Lock()
	for r := range set.Intersect(ranks.Span(0, g.req.N)).All() {
		if g.tasks[r].state == Execute {
			running = append(running, r)
		}
	}
	g.eachLocked(ranks.Of(running...), func(p *part, own ranks.Set) { to = append(to, run{p, own}) })
	g.mu.Unlock()
	for _, r := range to {
		r.p.signal(r.own, name)
	}
}
