package session

import (
	"strconv"
	"strings"

	"hubfs/hostlist"
	"hubfs/internal/lex"
	"hubfs/taskfs/scatter"
)

// foldNames is a list of hosts in one word.
func foldNames(names []string) string { return hostlist.Fold(names) }

// Words are the commands of a control file. Those of the session as such are
// refused in that of a part.
func (p *Part) Words() []lex.Word {
	s := p.s
	whole := func(do func(args []string) error) func(args []string) error {
		return func(args []string) error {
			if !p.IsWhole() {
				return lex.Malformed("that is about the session, and this is a part of it")
			}
			return do(args)
		}
	}
	set := func(do func()) func([]string) error {
		return whole(func([]string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			do()
			return nil
		})
	}
	mode := func(m scatter.Mode) func([]string) error {
		return func(args []string) error { return p.modeWord(m, args) }
	}
	return []lex.Word{
		lex.Command("res", resUsage, "reserve N tasks, or one here with 0", 1, -1, whole(s.Reserve)),
		lex.Command("exec", "[CMD ARG...]", "run a command on every task, that of args without one", 0, -1, p.Exec),
		lex.Command("again", "[CMD ARG...]", "let tasks that have ended be run once more", 0, -1, p.Again),
		lex.Command("args", "CMD ARG...", "what exec without a command runs", 1, -1, p.SetArgs),
		lex.Command("dir", "PATH", "where tasks start", 1, 1, func(args []string) error { return p.SetDir(args[0]) }),
		lex.Command("env", "K=V...", "add to the environment of tasks", 1, -1, p.AddEnv),
		lex.Command("nice", "[1-3]", "how far tasks stand back for others", 0, 1, p.niceWord),
		lex.Command("signal", "NAME", "signal the tasks that run", 1, 1, func(args []string) error { return p.Signal(signalName(args[0])) }),
		lex.Command("kill", "", "end the tasks that run", 0, 0, func([]string) error { return p.Signal("KILL") }),
		lex.Command("killonclose", "", "end them when the last control file is closed, also of a session that persists", 0, 0,
			set(func() { s.killing = true })),
		lex.Command("close", "stdin", "the end of the tasks' input", 1, 1, func(args []string) error {
			if args[0] != "stdin" {
				return lex.Malformed("%q", lex.Clip(args[0]))
			}
			return p.CloseInput()
		}),
		lex.Command("bcast", "", "all input to each task", 0, 0, mode(scatter.Bcast)),
		lex.Command("enum", recordUsage, "record i of the input to task i mod N", 0, 1, mode(scatter.Enum)),
		lex.Command("pull", recordUsage, "the next record of the input to the task that asks", 0, 1, mode(scatter.Pull)),
		lex.Command("splice", "A > B", "what task A puts out is what tasks B read", 1, 3, whole(s.spliceWord)),
		lex.Command("deadline", limitsUsage, "end tasks that take longer; without arguments none", 0, 3, whole(func(args []string) error {
			l, err := parseLimits(args)
			if err == nil {
				s.setLimits(l)
			}
			return err
		})),
		lex.Command("halt", haltUsage, "end the others when so many have failed, or have not", 1, 1, whole(func(args []string) error {
			h, err := parseHalt(args[0])
			if err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.halt = h
			}
			return err
		})),
		lex.Command("retry", "N", "run tasks of a node that is fenced up to N times more, elsewhere", 1, 1, whole(func(args []string) error {
			n, err := count(args[0], maxRetries)
			if err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.retries = n
			}
			return err
		})),
		lex.Command("label", "FORM", "what stands before lines of out/labelled: %h is the node, %n the task", 1, 1, whole(s.labelWord)),
		lex.Command("linger", "TIME|0", "how long the session stays when nobody holds it", 1, 1, whole(func(args []string) error {
			d, err := parseTime(args[0])
			if args[0] == "0" {
				d, err = 0, nil
			}
			if err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.linger = d
			}
			return err
		})),
		lex.Command("persist", "", "the session stays until it is wiped", 0, 0, set(func() { s.persist = true })),
		lex.Command("wipe", "", "release the session now", 0, 0, whole(func([]string) error { s.Release(); return nil })),
		lex.Command("strict", "", "the errors of January 2010: nothing without res, and that on other nodes", 0, 0, set(func() { s.strict = true })),
		lex.Command("compat", "", "states and files as in 2010, and no others", 0, 0, set(func() { s.compat = true })),
		lex.Command("debug", "N", "log what happens in the session", 1, 1, whole(func(args []string) error {
			n, err := count(args[0], 9)
			if err == nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.verbose = n
			}
			return err
		})),
	}
}

const recordUsage = `[sep=X|len|n=BYTES]`

// maxRetries is how often a task may be run anew.
const maxRetries = 1000

// count reads a number of 0 or more.
func count(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, lex.Malformed("%q is not a number from 0 to %d", lex.Clip(text), most)
	}
	return n, nil
}

// signalName is the name of a signal as kill(1) has it.
func signalName(name string) string {
	return strings.TrimPrefix(strings.ToUpper(name), "SIG")
}

func (p *Part) niceWord(args []string) error {
	n := 1
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil || n < 1 || n > 3 {
			return lex.Malformed("%q", lex.Clip(args[0]))
		}
	}
	return p.change(func(set *settings) { set.nice = n })
}

func (p *Part) modeWord(m scatter.Mode, args []string) error {
	var f scatter.Framing
	if len(args) > 0 {
		var err error
		if f, err = scatter.ParseFraming(args[0]); err != nil {
			return lex.Malformed("%v", err)
		}
	}
	return p.SetMode(m, f)
}

func (s *Session) spliceWord(args []string) error {
	from, to, ok := strings.Cut(strings.Join(args, ""), ">")
	if !ok || from == "" || to == "" {
		return lex.Malformed("%q", lex.Clip(strings.Join(args, " ")))
	}
	return s.Splice(from, to)
}

// maxLabel is how long the form of a label may be.
const maxLabel = 256

func (s *Session) labelWord(args []string) error {
	if len(args[0]) > maxLabel || strings.Map(printable, args[0]) != args[0] {
		return lex.Malformed("at most %d bytes without control characters", maxLabel)
	}
	s.mu.Lock()
	s.label = args[0]
	s.mu.Unlock()
	s.relabel()
	return nil
}
