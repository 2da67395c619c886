package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/internal/lex"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/scatter"
	"hubfs/tree"
)

// Exec runs a command on the tasks of the part; without one it is what args says.
// What has no tasks yet gets one on this node.
func (p *Part) Exec(argv []string) error {
	if err := p.s.begin("exec"); err != nil {
		return err
	}
	defer p.s.end()
	return p.exec(argv)
}

func (p *Part) exec(argv []string) error {
	s := p.s
	s.mu.Lock()
	none := len(p.argvLocked(argv)) == 0
	s.mu.Unlock()
	if none {
		return lex.Malformed("no command, and args has none")
	}
	if err := s.forExec(); err != nil {
		return err
	}
	s.mu.Lock()
	g, set := s.gang, p.ranksLocked()
	if set.Empty() {
		s.mu.Unlock()
		return gang.ErrReleased
	}
	for r := range set.All() {
		if s.tasks[r].run != nil {
			s.mu.Unlock()
			return fmt.Errorf("%w: exec is once, and after again", gang.ErrInUse)
		}
	}
	run := p.runLocked(p.argvLocked(argv))
	s.mu.Unlock()
	if err := s.push(g); err != nil {
		return s.orReleased(err)
	}

	// What becomes of the tasks may be told before Exec returns.
	s.mu.Lock()
	for r := range set.All() {
		t := &s.tasks[r]
		*t = taskState{run: run, tries: 1, heard: time.Now()}
	}
	s.counts.ran += set.Len()
	rest := p.othersLocked(set)
	inputs := s.readyLocked(g)
	s.limits.totalFrom(time.Now())
	s.mu.Unlock()
	err := g.Exec(s.ctx, set, run.spec)
	if err != nil {
		s.mu.Lock()
		for r := range set.All() {
			s.tasks[r] = taskState{}
		}
		s.counts.ran -= set.Len()
		for _, in := range inputs {
			in.scatter = nil
		}
		s.mu.Unlock()
		return s.orReleased(err)
	}
	s.mu.Lock()
	for _, in := range inputs {
		in.startLocked(g)
	}
	for _, x := range s.splices {
		if !x.running && s.ranLocked(x.to) {
			x.startLocked(g)
		}
	}
	s.armLimitsLocked()
	s.mu.Unlock()
	for _, in := range rest {
		in.each(func(sc scatterer) { err = sc.Join(s.ctx, set.Intersect(in.set)) })
	}
	if err != nil {
		return s.orReleased(err)
	}
	s.cfg.Say("session exec", strconv.Itoa(s.cfg.Number), run.cmd)
	return nil
}

// forExec reserves a task on this node where nothing is.
func (s *Session) forExec() error {
	s.mu.Lock()
	has, strict := s.gang != nil, s.strict
	s.mu.Unlock()
	switch {
	case has:
		return nil
	case strict:
		return ErrNoReservation
	}
	return s.reserve(gang.Want{})
}

// ranLocked reports whether all of set have been started, since the last again.
func (s *Session) ranLocked(set ranks.Set) bool {
	for r := range set.All() {
		if s.tasks[r].run == nil {
			return false
		}
	}
	return !set.Empty()
}

// niceSteps is how much each step of nice is of nice(1)'s, as in devcmd.
const niceSteps = 5

// argvLocked is argv, or what the part's file args says, or the session's.
func (p *Part) argvLocked(argv []string) []string {
	for _, args := range [][]string{p.settings.argv, p.s.whole.settings.argv} {
		if len(argv) == 0 {
			argv = args
		}
	}
	return argv
}

// runLocked is what the part is to run.
func (p *Part) runLocked(argv []string) *run {
	s, w, own := p.s, p.s.whole.settings, p.settings
	spec := gang.Spec{Argv: slices.Clone(argv), Dir: s.cfg.Begin.Dir, Umask: s.cfg.Begin.Umask, Session: s.cfg.Name}
	spec.Env = slices.Concat(s.cfg.Begin.Env, w.env)
	nice := 0
	for i, set := range []settings{w, own} {
		if set.dir != "" {
			spec.Dir = set.dir
		}
		if set.umask >= 0 {
			spec.Umask = set.umask
		}
		nice = max(nice, set.nice)
		if i == 1 && !p.IsWhole() {
			spec.Env = append(spec.Env, own.env...)
		}
	}
	cmd := lex.QuoteAll(argv)
	if nice > 0 {
		spec.Argv = slices.Concat([]string{"nice", "-n", strconv.Itoa(niceSteps * nice)}, argv)
	}
	mode := p.mode
	if mode == "" {
		mode = s.whole.mode
	}
	spec.Records = mode == scatter.Pull
	spec.NoInput = s.noInputLocked(p)
	return &run{spec: spec, cmd: cmd}
}

// noInputLocked reports whether the tasks of p can get no byte of input.
func (s *Session) noInputLocked(p *Part) bool {
	in := p.input
	if in == nil || !in.emptyLocked() {
		return false
	}
	set := p.ranksLocked()
	for _, q := range s.parts {
		if q != p && q.input != nil && !q.set.Intersect(set).Empty() {
			return false
		}
	}
	for _, x := range s.splices {
		if !x.to.Intersect(set).Empty() {
			return false
		}
	}
	return p.IsWhole()
}

// push sends the session's files down, once.
func (s *Session) push(g Gang) error {
	s.mu.Lock()
	pushed := s.pushed
	s.mu.Unlock()
	if pushed || s.cfg.Files == nil {
		return nil
	}
	files, err := s.cfg.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := g.Push(s.ctx, f); err != nil {
			return fmt.Errorf("fs: %w", err)
		}
	}
	s.mu.Lock()
	s.pushed = len(files) > 0
	s.mu.Unlock()
	return nil
}

// Pushed reports whether the session's files are on their way to the nodes: what is
// changed now they do not see.
func (s *Session) Pushed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pushed
}

// Again lets the tasks of the part, which have all ended, be run once more, and runs
// a command if there is one. They read what comes from now on: of what is for more
// than them too, if that has not ended.
func (p *Part) Again(argv []string) error {
	if err := p.s.begin("again"); err != nil {
		return err
	}
	defer p.s.end()
	if err := p.again(); err != nil || len(argv) == 0 {
		return err
	}
	return p.exec(argv)
}

func (p *Part) again() error {
	s := p.s
	if _, err := s.reserved(); err != nil {
		return err
	}
	s.mu.Lock()
	set, store := p.ranksLocked(), s.store
	started := false
	for r := range set.All() {
		t := &s.tasks[r]
		started = started || t.run != nil
		if t.run != nil && !t.ended {
			s.mu.Unlock()
			return fmt.Errorf("%w: task %d runs still", gang.ErrInUse, r)
		}
	}
	if !started {
		s.mu.Unlock()
		return gang.ErrNotStarted
	}
	all := s.counts.ended == s.size // the streams have ended
	inputs := s.inputsWithinLocked(set)
	s.mu.Unlock()
	for _, in := range inputs {
		in.stop()
	}
	s.mu.Lock()
	for r := range set.All() {
		if t := &s.tasks[r]; t.run != nil {
			s.counts.ran--
			s.counts.ended--
			if failed(t.status) {
				s.counts.failed--
			}
		}
		s.tasks[r] = taskState{}
	}
	s.counts.worst = 0
	for r := range s.tasks {
		s.counts.worst = max(s.counts.worst, codeOf(s.tasks[r].status))
	}
	s.halt.done = false
	s.limits.began = time.Time{}
	s.splices = slices.DeleteFunc(s.splices, func(x *splice) bool { return set.Contains(x.from) })
	s.mu.Unlock()
	for _, in := range inputs {
		in.renew()
	}
	store.Reset(set)
	s.feed.forget(set)
	if all && p.IsWhole() {
		for _, h := range s.outputs() {
			h.Clear()
			h.Reopen()
		}
	} else if all {
		for _, h := range s.outputs() {
			h.Reopen()
		}
	}
	s.say("again", set.String())
	return nil
}

// Args, and what follows, are the words and files of the same names: what is said
// before exec.
func (p *Part) Args() []string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.settings.argv
}

// SetArgs sets the command that exec without one runs.
func (p *Part) SetArgs(argv []string) error {
	return p.change(func(set *settings) { set.argv = slices.Clone(argv) })
}

// Env returns the environment of the part's tasks that was said, K=V each.
func (p *Part) Env() []string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.IsWhole() {
		return slices.Concat(p.s.cfg.Begin.Env, p.settings.env)
	}
	return p.settings.env
}

// AddEnv adds to it.
func (p *Part) AddEnv(env []string) error {
	for _, kv := range env {
		if err := CheckEnv(kv); err != nil {
			return err
		}
	}
	return p.change(func(set *settings) { set.env = MergeEnv(set.env, env) })
}

// MergeEnv returns an environment with the variables in more added, or in the place
// of those of the same name.
func MergeEnv(env, more []string) []string {
	env = slices.Clone(env)
	for _, kv := range more {
		k, _, _ := strings.Cut(kv, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, k+"=") })
		env = append(env, kv)
	}
	return env
}

// ClearEnv forgets it, but for what the session began with.
func (p *Part) ClearEnv() error { return p.change(func(set *settings) { set.env = nil }) }

// maxEnv is how many bytes a variable may have, which a program's start can take.
const maxEnv = 64 << 10

// CheckEnv says whether kv is a variable of an environment.
func CheckEnv(kv string) error {
	k, _, ok := strings.Cut(kv, "=")
	if !ok || k == "" || strings.ContainsRune(kv, 0) || len(kv) > maxEnv {
		return fmt.Errorf("%q is not K=V: %w", lex.Clip(kv), tree.ErrInvalid)
	}
	return nil
}

// Dir and Umask are of the file ns; "" and a negative one were not said.
func (p *Part) Dir() string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if d := p.settings.dir; d != "" || !p.IsWhole() {
		return d
	}
	return p.s.cfg.Begin.Dir
}

// SetDir sets where tasks start.
func (p *Part) SetDir(dir string) error {
	if dir == "" || strings.ContainsRune(dir, 0) {
		return lex.Malformed("%q is no folder", dir)
	}
	return p.change(func(set *settings) { set.dir = dir })
}

// Umask is said at Dir.
func (p *Part) Umask() int {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if u := p.settings.umask; u >= 0 || !p.IsWhole() {
		return u
	}
	return p.s.cfg.Begin.Umask
}

// SetUmask sets the umask of tasks.
func (p *Part) SetUmask(mask int) error { return p.change(func(set *settings) { set.umask = mask }) }

// change changes what is said before exec, while that has not been.
func (p *Part) change(do func(*settings)) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.released {
		return gang.ErrReleased
	}
	if p.s.size > 0 {
		for r := range p.ranksLocked().All() {
			if p.s.tasks[r].run != nil {
				return fmt.Errorf("%w: that is for before exec", gang.ErrInUse)
			}
		}
	}
	do(&p.settings)
	return nil
}
