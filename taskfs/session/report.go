package session

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"hubfs/internal/lex"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
)

// fieldsOf joins words to a line.
func fieldsOf(words []string) string { return lex.Fields(words...) }

// printable keeps a line one line.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return unicode.ReplacementChar
	}
	return r
}

// oneLine is an error as part of a line.
func oneLine(err error) string { return strings.Map(printable, err.Error()) }

// Status is the file status: a line for each task of the part, depth first, as
// cmd/NUMBER OPENS STATE DIR CMD, and RANK NODE EPOCH EXIT behind it unless only
// what there was in 2010 is wanted. Before there are tasks, and when there are no
// more, it is a line for the session.
func (p *Part) Status() (string, error) {
	s := p.s
	s.mu.Lock()
	g, released, compat := s.gang, s.released, s.compat
	opens := s.opens
	if !p.IsWhole() {
		opens = s.held + p.opens
	}
	cmds := make([]string, len(s.tasks))
	for r := range s.tasks {
		if run := s.tasks[r].run; run != nil {
			cmds[r] = run.cmd
		}
	}
	if s.strict && g == nil && !released {
		s.mu.Unlock()
		return "", ErrNoReservation
	}
	set := p.ranksLocked()
	s.mu.Unlock()
	if released || g == nil {
		state := gang.Unreserved
		if released {
			state = gang.Released
		}
		dir := p.Dir()
		if dir == "" {
			dir = s.cfg.Dir
		}
		return statusLine(s.cfg.Number, opens, state, compat, dir, s.lastCmd(cmds)) + "\n", nil
	}
	var b strings.Builder
	for _, t := range g.Tasks() {
		if !set.Contains(t.Rank) {
			continue
		}
		b.WriteString(statusLine(t.Number, opens, t.State, compat, t.Dir, cmds[t.Rank]))
		if !compat {
			fmt.Fprintf(&b, " %d %s %d %s", t.Rank, lex.Field(s.nameOf(t.Node)), t.Epoch, lex.Field(t.Exit.Status))
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// lastCmd is the command that a session as a whole has run.
func (s *Session) lastCmd(cmds []string) string {
	for _, c := range cmds {
		if c != "" {
			return c
		}
	}
	return ""
}

// statusLine is the five fields that there have always been.
func statusLine(number, opens int, state gang.State, compat bool, dir, cmd string) string {
	if compat && (state == gang.Reserved || state == gang.Released) {
		state = "Closed"
	}
	return fmt.Sprintf("cmd/%d %d %s %s %s", number, opens, state, lex.Field(dir), lex.Field(cmd))
}

// Summary is the file summary: a line for each thing that can be said of all tasks
// together. dropped is how many frames of nodes came too late; refused are bytes of
// output that a hub did not take.
func (s *Session) Summary(dropped uint64) string {
	s.mu.Lock()
	store := s.store
	s.mu.Unlock()
	refused := int64(0)
	if store != nil {
		refused = store.Refused()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	running, waiting, pending := 0, 0, 0
	status := map[string]int{}
	first := -1
	var took []int64
	for r := range s.tasks {
		switch t := &s.tasks[r]; {
		case t.run == nil:
			waiting++
		case t.pending && !t.ended:
			pending++
		case !t.ended:
			running++
		default:
			status[t.status]++
			took = append(took, t.real)
			if first < 0 && failed(t.status) {
				first = r
			}
		}
	}
	line("tasks %d", s.size)
	line("reserved %d", waiting)
	line("running %d", running)
	line("lost %d", pending)
	line("done %d", s.counts.ended)
	line("failed %d", s.counts.failed)
	keys := slices.Collect(maps.Keys(status))
	slices.SortFunc(keys, func(a, b string) int {
		if d := status[b] - status[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, k := range keys[:min(len(keys), maxStatuses)] {
		line("status %s %d", lex.Field(k), status[k])
	}
	line("worst %d", s.counts.worst)
	if first >= 0 {
		line("first %d %s %s", first, lex.Field(s.nodeOf(first)), lex.Field(s.tasks[first].status))
	}
	if len(took) > 0 {
		slices.Sort(took)
		at := func(percent int) string {
			i := (len(took)*percent + 99) / 100
			return strconv.FormatFloat(float64(took[max(i-1, 0)])/1000, 'f', 3, 64)
		}
		line("seconds min %s 50%% %s 90%% %s 99%% %s max %s", at(0), at(50), at(90), at(99), at(100))
	}
	line("dropped %d", dropped)
	line("refused %d", refused)
	return b.String()
}

// maxStatuses is how many kinds of ends summary tells apart.
const maxStatuses = 100

// Exit codes of what has none, as shells and hub have them.
const (
	codeSignal   = 128
	codeNotFound = 127 // there is no such command
	codeNotRun   = 126 // it could not be run
	codeLost     = 125
)

// codeOf is the exit code that stands for how a task ended.
func codeOf(status string) int {
	word, rest, _ := strings.Cut(status, " ")
	switch word {
	case "", "exit":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return 0
		}
		return n
	case "signal":
		return codeSignal + signalNumbers[rest]
	case "lost":
		return codeLost
	}
	if strings.Contains(rest, "not found") || strings.Contains(rest, "no such file") {
		return codeNotFound
	}
	return codeNotRun
}

// signalNumbers are those that are the same on every Unix.
var signalNumbers = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "FPE": 8, "KILL": 9,
	"SEGV": 11, "PIPE": 13, "ALRM": 14, "TERM": 15,
}

// Folded is the output of one stream, equal output once with its nodes, as clubak -b
// has it.
func (s *Session) Folded(st gather.Stream) (string, error) {
	s.mu.Lock()
	store, size := s.store, s.size
	s.mu.Unlock()
	if store == nil {
		return "", ErrNoReservation
	}
	var b strings.Builder
	err := gather.RenderFolded(&b, store.Folded(ranks.Span(0, size), st), s.names)
	return b.String(), err
}

// names are those of the nodes of a group of tasks: a node that has several of the
// session's tasks is there as often.
func (s *Session) names(set ranks.Set) string {
	names := make([]string, 0, set.Len())
	for r := range set.All() {
		names = append(names, s.nodeOf(r))
	}
	return foldNames(names)
}

// State is that of the session as a whole, for lists of sessions.
func (s *Session) State() gang.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	switch {
	case s.released:
		return gang.Released
	case s.gang == nil:
		return gang.Unreserved
	case c.ran == 0:
		return gang.Reserved
	case c.ended < c.ran:
		return gang.Execute
	}
	return gang.Done
}

// Line describes the session in /status: NUMBER USER STATE TASKS DONE FAILED LABEL CMD.
func (s *Session) Line() string {
	state := s.State()
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := ""
	for r := range s.tasks {
		if run := s.tasks[r].run; run != nil {
			cmd = run.cmd
			break
		}
	}
	return lex.Fields(strconv.Itoa(s.cfg.Number), s.cfg.Owner, string(state), strconv.Itoa(s.size),
		strconv.Itoa(s.counts.ended), strconv.Itoa(s.counts.failed), s.label, cmd)
}
