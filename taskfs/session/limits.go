package session

import (
	"strconv"
	"strings"
	"time"

	"hubfs/internal/lex"
	"hubfs/taskfs/ranks"
)

// limits are how long tasks may take. Session.mu guards them.
type limits struct {
	run   time.Duration // from the start of each task
	idle  time.Duration // since a task has put out anything
	total time.Duration // from exec, for all of them

	began time.Time // the first exec; zero: none
	timer *time.Timer
}

// limitsUsage is the arguments of deadline, as parseLimits reads them.
const limitsUsage = "[run=TIME] [idle=TIME] [total=TIME]"

func parseLimits(args []string) (l limits, err error) {
	for _, arg := range args {
		key, val, _ := strings.Cut(arg, "=")
		d, err := parseTime(val)
		if err != nil {
			return l, err
		}
		switch key {
		case "run":
			l.run = d
		case "idle":
			l.idle = d
		case "total":
			l.total = d
		default:
			return l, lex.Malformed("%q", lex.Clip(arg))
		}
	}
	return l, nil
}

// parseTime reads a time, as 90, 90s or 1h30m.
func parseTime(text string) (time.Duration, error) {
	if n, err := strconv.Atoi(text); err == nil {
		text = strconv.Itoa(n) + "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, lex.Malformed("%q is not a time, as 90, 90s or 1h30m", lex.Clip(text))
	}
	return d, nil
}

// totalFrom notes that something is run now.
func (l *limits) totalFrom(now time.Time) {
	if l.began.IsZero() {
		l.began = now
	}
}

// stop ends the timer, if there is one.
func (l *limits) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// setLimits sets new limits, which hold for tasks that run, too.
func (s *Session) setLimits(l limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.stop()
	l.began = s.limits.began
	if l.idle > 0 && s.limits.idle <= 0 { // nobody has kept the time
		for r := range s.tasks {
			s.tasks[r].heard = time.Now()
		}
	}
	s.limits = l
	s.armLimitsLocked()
}

// fine is how exactly idle tasks are found: each output moves the time, and not
// each may set a timer.
const fine = 16

// armLimitsLocked has the timer go off when the first task is over its time.
func (s *Session) armLimitsLocked() {
	l := &s.limits
	if l.timer != nil || s.released || l.run <= 0 && l.idle <= 0 && l.total <= 0 {
		return
	}
	late, next := s.lateLocked(time.Now())
	if len(late) > 0 {
		next = 0
	}
	if next < 0 {
		return
	}
	l.timer = time.AfterFunc(max(next, l.idle/fine), s.checkLimits)
}

// lateLocked are the tasks that are over their time, by which limit, and in how
// long the next will be; negative: none.
func (s *Session) lateLocked(now time.Time) (late map[string][]int, next time.Duration) {
	l := &s.limits
	late, next = map[string][]int{}, -1
	check := func(r int, what string, since time.Time, most time.Duration) (over bool) {
		if most <= 0 || since.IsZero() || s.tasks[r].dying {
			return false
		}
		left := since.Add(most).Sub(now)
		if left <= 0 {
			late[what] = append(late[what], r)
		} else if next < 0 || left < next {
			next = left
		}
		return left <= 0
	}
	for r := range s.tasks {
		t := &s.tasks[r]
		if t.run == nil || t.ended || t.pending {
			continue
		}
		switch {
		case check(r, "total", l.began, l.total):
		case check(r, "run", t.began, l.run):
		default:
			check(r, "idle", t.heard, l.idle)
		}
	}
	return late, next
}

// checkLimits is what the timer does.
func (s *Session) checkLimits() {
	s.mu.Lock()
	if s.limits.timer == nil || s.released {
		s.mu.Unlock()
		return
	}
	s.limits.timer = nil
	late, _ := s.lateLocked(time.Now())
	for _, list := range late {
		for _, r := range list {
			s.tasks[r].dying = true
		}
	}
	s.armLimitsLocked()
	s.mu.Unlock()
	for what, list := range late {
		set := ranks.Of(list...)
		s.say("deadline", what, set.String())
		s.stop(set)
	}
}

// mercy is how long a task has to end that was asked to.
const mercy = 2 * time.Second

// stop ends tasks: it asks them to, and then does not ask.
func (s *Session) stop(set ranks.Set) {
	s.mu.Lock()
	if s.released || s.gang == nil || set.Empty() {
		s.mu.Unlock()
		return
	}
	g := s.gang
	s.work.Add(1)
	s.mu.Unlock()
	// Ends a moment after the tasks were asked, or with the session.
	go func() {
		defer s.work.Done()
		_ = g.Signal(s.ctx, set, "TERM") // who is gone needs none
		timer := time.NewTimer(mercy)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			return
		}
		if left := s.whole.live().Intersect(set); !left.Empty() {
			_ = g.Signal(s.ctx, left, "KILL")
		}
	}()
}

// halt says when the other tasks are ended. Session.mu guards it.
type halt struct {
	fail, success int // so many tasks; 0: never
	percent       int // so much of them fails; 0: never
	done          bool
}

// haltUsage is the arguments of halt, as parseHalt reads them.
const haltUsage = "fail=N|fail=N%|success=N|never"

func parseHalt(arg string) (h halt, err error) {
	if arg == "never" {
		return h, nil
	}
	key, val, _ := strings.Cut(arg, "=")
	digits, percent := strings.CutSuffix(val, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil || n < 1 || percent && (n > 100 || key != "fail"):
		return h, lex.Malformed("%q", lex.Clip(arg))
	case key == "fail" && percent:
		h.percent = n
	case key == "fail":
		h.fail = n
	case key == "success":
		h.success = n
	default:
		return h, lex.Malformed("%q", lex.Clip(arg))
	}
	return h, nil
}

// metLocked reports, once, that the others are to be ended, and why.
func (h *halt) metLocked(s *Session) (met bool, why string) {
	c := s.counts
	switch {
	case h.done || c.ran == c.ended:
	case h.fail > 0 && c.failed >= h.fail:
		why = "fail=" + strconv.Itoa(h.fail)
	case h.percent > 0 && 100*c.failed >= h.percent*c.ran:
		why = "fail=" + strconv.Itoa(h.percent) + "%"
	case h.success > 0 && c.ended-c.failed >= h.success:
		why = "success=" + strconv.Itoa(h.success)
	}
	if why == "" {
		return false, ""
	}
	h.done = true
	for r := range s.tasks {
		s.tasks[r].dying = true
	}
	return true, why
}
