package tasktest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Command is what a fake process does. It returns the status, "exit 0", and
// returns soon after Killed is closed.
type Command func(p *Proc) string

// Commands returns the names of the commands that every World knows:
//
//	true, false          end at once
//	exit N               ends with status N
//	echo WORD...         a line; %r is the rank, %n the machine's name
//	err WORD...          the same, to standard error
//	cat                  input to output until its end
//	count                how many bytes came in, when the input ends
//	hold GATE [WORD...]  waits for World.Open(GATE), then as echo
//	sleep DURATION       as Go writes durations
//	spew N SIZE          N lines of SIZE bytes
//	trap                 tells the names of signals, ends with TERM
//	records DURATION     takes records, each that long: "rank: record"
//	slow DURATION N      takes N bytes of its input, then waits that long, again and again
//	env NAME...          variables, a line each
//	ls                   the files below Dir, a line each
func Commands() []string {
	var names []string
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var commands = map[string]Command{
	"true":  func(*Proc) string { return "exit 0" },
	"false": func(*Proc) string { return "exit 1" },
	"exit":  func(p *Proc) string { return "exit " + p.arg(1, "0") },
	"echo": func(p *Proc) string {
		p.Out(p.words(1) + "\n")
		return "exit 0"
	},
	"err": func(p *Proc) string {
		p.Err(p.words(1) + "\n")
		return "exit 0"
	},
	"cat": func(p *Proc) string {
		p.input(64<<10, func(b []byte) { p.Out(string(b)) })
		return "exit 0"
	},
	"count": func(p *Proc) string {
		n := 0
		p.input(64<<10, func(b []byte) { n += len(b) })
		p.Out(fmt.Sprintf("%d\n", n))
		return "exit 0"
	},
	"hold": func(p *Proc) string {
		select {
		case <-p.world.gate(p.arg(1, "")):
		case <-p.Killed():
		}
		if len(p.Argv) > 2 {
			p.Out(p.words(2) + "\n")
		}
		return "exit 0"
	},
	"sleep": func(p *Proc) string {
		p.pause(p.arg(1, "0s"))
		return "exit 0"
	},
	"spew": func(p *Proc) string {
		n, _ := strconv.Atoi(p.arg(1, "1"))
		size, _ := strconv.Atoi(p.arg(2, "80"))
		line := strings.Repeat("x", max(size-1, 0)) + "\n"
		for i := 0; i < n && p.runs(); i++ {
			p.Out(line)
		}
		return "exit 0"
	},
	"trap": func(p *Proc) string {
		signals := p.Trap()
		p.Out("ready\n")
		for {
			select {
			case s := <-signals:
				p.Out(s + "\n")
				if s == "TERM" {
					return "exit 0"
				}
			case <-p.Killed():
				return ""
			}
		}
	},
	"records": func(p *Proc) string {
		p.input(64<<10, func(b []byte) {
			p.pause(p.arg(1, "0s"))
			p.Out(p.Env("TASKFS_RANK") + ": " + string(b))
		})
		return "exit 0"
	},
	"slow": func(p *Proc) string {
		n, _ := strconv.Atoi(p.arg(2, "1"))
		p.input(max(n, 1), func([]byte) { p.pause(p.arg(1, "0s")) })
		return "exit 0"
	},
	"env": func(p *Proc) string {
		for _, name := range p.Argv[1:] {
			p.Out(name + "=" + p.Env(name) + "\n")
		}
		return "exit 0"
	},
	"ls": func(p *Proc) string {
		err := filepath.WalkDir(p.Dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, _ := filepath.Rel(p.Dir, path)
			info, err := d.Info()
			if err == nil {
				p.Out(fmt.Sprintf("%s %v %d\n", name, info.Mode(), info.Size()))
			}
			return err
		})
		if err != nil {
			p.Err(err.Error() + "\n")
			return "exit 1"
		}
		return "exit 0"
	},
}

// arg returns an argument, or def if there is none.
func (p *Proc) arg(i int, def string) string {
	if i < len(p.Argv) {
		return p.Argv[i]
	}
	return def
}

// words returns the arguments from i on, with %r and %n replaced.
func (p *Proc) words(i int) string {
	return strings.NewReplacer("%r", p.Env("TASKFS_RANK"), "%n", p.node).Replace(strings.Join(p.Argv[i:], " "))
}

// input calls f for what comes in until its end.
func (p *Proc) input(size int, f func([]byte)) {
	b := make([]byte, size)
	for {
		n, err := p.Read(b)
		if n > 0 {
			f(b[:n])
		}
		if err != nil {
			if err != io.EOF {
				p.Err("read: " + err.Error() + "\n")
			}
			return
		}
		if !p.runs() {
			return
		}
	}
}

// pause waits for a time, or until the process is killed.
func (p *Proc) pause(d string) {
	t, err := time.ParseDuration(d)
	if err != nil {
		p.Err(err.Error() + "\n")
		return
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.Killed():
	}
}
