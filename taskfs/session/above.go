package session

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/hub"
	"hubfs/internal/lex"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// above is a Session as its gang sees it: gang.Above. The calls come one at a time,
// the first perhaps before Reserve has returned: they wait until the session knows
// its tasks.
type above struct {
	s     *Session
	known chan struct{} // closed when it does
}

// Output takes what tasks have put out.
func (a above) Output(set ranks.Set, st gather.Stream, p []byte) {
	<-a.known
	s := a.s
	s.mu.Lock()
	store := s.store
	if s.limits.idle > 0 {
		now := time.Now()
		for r := range set.All() {
			s.tasks[r].heard = now
		}
	}
	var to []*splice
	for _, x := range s.splices {
		if st == gather.Stdout && set.Contains(x.from) {
			to = append(to, x)
		}
	}
	s.mu.Unlock()
	for _, x := range to {
		x.write(p)
	}
	store.Output(set, st, p)
}

// Started notes that tasks run.
func (a above) Started(set ranks.Set) {
	<-a.known
	s := a.s
	now := time.Now()
	s.mu.Lock()
	for r := range set.All() {
		t := &s.tasks[r]
		t.began, t.heard, t.pending = now, now, false
	}
	s.armLimitsLocked()
	s.mu.Unlock()
	s.sayNodes("started", set)
}

// Exited takes how tasks have ended.
func (a above) Exited(node string, epoch uint64, exits []task.Exit) {
	<-a.known
	list := make([]ended, 0, len(exits))
	for _, e := range exits {
		list = append(list, ended{
			rank: e.Rank, node: a.s.nameOf(node), epoch: epoch, pid: e.PID, status: e.Status,
			user: e.User.Milliseconds(), sys: e.Sys.Milliseconds(), real: e.Real.Milliseconds(),
		})
	}
	a.s.close(list, false)
}

// Lost notes that tasks may run or not.
func (a above) Lost(set ranks.Set, node string) {
	<-a.known
	s := a.s
	s.mu.Lock()
	for r := range set.All() {
		if t := &s.tasks[r]; t.run != nil && !t.ended {
			t.pending = true
		}
	}
	inputs := s.inputsLocked(set)
	s.mu.Unlock()
	for _, in := range inputs {
		in.each(func(sc scatterer) { sc.Lost(set) })
	}
	s.say("lost", set.String(), s.nameOf(node))
}

// Fenced runs tasks anew that were lost, or ends them.
func (a above) Fenced(set ranks.Set, node string) {
	<-a.known
	s := a.s
	name := s.nameOf(node)
	s.say("fenced", set.String(), name)
	s.mu.Lock()
	inputs := s.inputsLocked(set)
	var again []int
	var final []ended
	for r := range set.All() {
		switch t := &s.tasks[r]; {
		case t.run == nil || t.ended:
		case t.tries <= s.retries && !t.dying && !s.released:
			again = append(again, r)
			t.tries++
		default:
			final = append(final, ended{rank: r, node: name, status: "lost " + lex.Field(name)})
		}
	}
	g := s.gang
	if len(again) > 0 {
		s.work.Add(1)
	}
	s.mu.Unlock()
	for _, in := range inputs {
		in.each(func(sc scatterer) { sc.Fenced(set) })
	}
	s.close(final, false)
	if len(again) > 0 {
		// Ends when the tasks run again, or cannot; with the session at the latest.
		go func() {
			defer s.work.Done()
			s.retry(g, ranks.Of(again...), name)
		}()
	}
}

// Ready passes on that tasks ask for a record.
func (a above) Ready(set ranks.Set) {
	<-a.known
	a.s.mu.Lock()
	inputs := a.s.inputsLocked(set)
	a.s.mu.Unlock()
	for _, in := range inputs {
		in.each(func(sc scatterer) { sc.Ready(set) })
	}
}

// retry runs tasks on other nodes that ran on one which is fenced.
func (s *Session) retry(g Gang, set ranks.Set, node string) {
	s.mu.Lock()
	store := s.store
	byRun := map[*run][]int{}
	for r := range set.All() {
		run := s.tasks[r].run
		byRun[run] = append(byRun[run], r)
	}
	s.mu.Unlock()
	store.Reset(set)
	fail := func(set ranks.Set, err error) {
		var list []ended
		for r := range set.All() {
			list = append(list, ended{rank: r, node: node, status: "lost " + lex.Field(node) + ": " + oneLine(err)})
		}
		s.close(list, false)
	}
	if err := g.Replace(s.ctx, set); err != nil {
		fail(set, err)
		return
	}
	s.noteNodes(g)
	s.relabel()
	for run, list := range byRun {
		some := ranks.Of(list...)
		dying := s.dying(some)
		fail(dying, errDying)
		if some = some.Minus(dying); some.Empty() {
			continue
		}
		if err := g.Exec(s.ctx, some, run.spec); err != nil {
			fail(some, err)
			continue
		}
		if dying = s.dying(some); !dying.Empty() { // who ended them found nothing to signal
			_ = g.Signal(s.ctx, dying, "KILL") // who is gone needs none
		}
		s.sayNodes("restarted", some)
		s.mu.Lock()
		inputs := s.inputsLocked(some)
		s.mu.Unlock()
		for _, in := range inputs {
			var err error
			in.each(func(sc scatterer) { err = sc.Replay(s.ctx, some.Intersect(in.set)) })
			if err != nil && s.ctx.Err() == nil {
				// They must not run on half their input.
				s.say("input", some.String(), err.Error())
				_ = g.Signal(s.ctx, some, "KILL") // who is gone needs none
			}
		}
	}
}

// errDying is why a task is not run anew that was lost.
var errDying = errors.New("it was to end, and is not run anew")

// dying are those of set that are to end.
func (s *Session) dying(set ranks.Set) ranks.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	var dying []int
	for r := range set.All() {
		if s.tasks[r].dying {
			dying = append(dying, r)
		}
	}
	return ranks.Of(dying...)
}

// An ended is how a task ended, as wait says it.
type ended struct {
	rank            int
	node            string
	pid             int
	user, sys, real int64 // milliseconds
	status          string
	epoch           uint64
}

// line is the line of wait.
func (e *ended) line() string {
	status := e.status
	if status == "exit 0" {
		status = ""
	}
	return fmt.Sprintf("%d %s %d %d %d %d '%s' %d\n", e.rank, lex.Field(e.node), e.pid, e.user, e.sys, e.real,
		strings.ReplaceAll(strings.Map(printable, status), "'", "''"), e.epoch)
}

// failed reports whether a status is none of success.
func failed(status string) bool { return status != "" && status != "exit 0" }

// close notes that tasks have ended, for good. final says that no task runs any
// more, since the session was released.
func (s *Session) close(list []ended, final bool) {
	if len(list) == 0 && !final {
		return
	}
	s.mu.Lock()
	var set []int
	fresh := list[:0]
	for _, e := range list {
		if e.rank < 0 || e.rank >= len(s.tasks) {
			continue
		}
		t := &s.tasks[e.rank]
		if t.run == nil || t.ended {
			continue // of a try that is over
		}
		t.ended, t.pending, t.status, t.real = true, false, e.status, e.real
		s.counts.ended++
		if failed(e.status) {
			s.counts.failed++
		}
		s.counts.worst = max(s.counts.worst, codeOf(e.status))
		fresh = append(fresh, e)
		set = append(set, e.rank)
	}
	gone := ranks.Of(set...)
	all := s.size > 0 && s.counts.ended == s.size && len(fresh) > 0
	store := s.store
	var inputs []*input
	if !gone.Empty() {
		inputs = s.inputsLocked(gone)
	}
	var over []*input // of which no task is left
	for _, in := range inputs {
		if all || !in.p.IsWhole() && !in.set.Empty() && s.goneLocked(in.set) {
			over = append(over, in)
		}
	}
	if final {
		over = s.inputsLocked(ranks.Set{})
	}
	var splices []*splice
	for _, x := range s.splices {
		if final || gone.Contains(x.from) {
			splices = append(splices, x)
		}
	}
	stop, why := s.halt.metLocked(s)
	if all {
		s.limits.stop()
	}
	worst := s.counts.worst
	s.mu.Unlock()

	for _, in := range inputs {
		in.each(func(sc scatterer) { sc.Gone(gone) })
	}
	for _, x := range splices {
		x.end()
	}
	for _, in := range over {
		in.finish()
	}
	if store != nil && !gone.Empty() {
		store.End(gone)
	}
	if all || final {
		for _, h := range s.outputs() {
			h.End("exit " + strconv.Itoa(worst))
		}
	}
	s.sayEnds(fresh)
	s.feed.add(fresh, final)
	if all {
		s.say("done", strconv.Itoa(worst))
		s.cfg.Say("session done", strconv.Itoa(s.cfg.Number), strconv.Itoa(worst))
	}
	if stop {
		s.say("halt", why)
		s.stop(s.whole.live())
	}
}

// goneLocked reports whether all of set have ended.
func (s *Session) goneLocked(set ranks.Set) bool {
	for r := range set.All() {
		if !s.tasks[r].ended {
			return false
		}
	}
	return true
}

// outputs are the hubs that end with the last task.
func (s *Session) outputs() []*hub.Hub {
	return []*hub.Hub{s.cfg.Stdout, s.cfg.Stderr, s.cfg.Labelled}
}

// sayNodes tells of tasks, those of each node in a line.
func (s *Session) sayNodes(what string, set ranks.Set) {
	s.sayBy(what, slices.Collect(set.All()), func(r int) []string { return []string{s.nodeOf(r)} })
}

// sayEnds tells of tasks that have ended, those of one node and status in a line.
func (s *Session) sayEnds(list []ended) {
	by := make(map[int]*ended, len(list))
	order := make([]int, 0, len(list))
	for i := range list {
		by[list[i].rank] = &list[i]
		order = append(order, list[i].rank)
	}
	s.sayBy("exited", order, func(r int) []string { return []string{by[r].node, by[r].status} })
}

func (s *Session) sayBy(what string, order []int, about func(r int) []string) {
	same := map[string][]int{}
	var keys []string
	for _, r := range order {
		key := fieldsOf(about(r))
		if same[key] == nil {
			keys = append(keys, key)
		}
		same[key] = append(same[key], r)
	}
	for _, key := range keys {
		s.say(what + " " + ranks.Of(same[key]...).String() + " " + key)
	}
}
