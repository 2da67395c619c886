package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A verb is what a % command does.
type verb int

const (
	verbDetach verb = iota + 1
	verbAttach
	verbRemote
	verbLocal
	verbList
	verbStatus
	verbEOF
	verbErr
	verbIn
	verbOut
	verbCtl // freeze, melt, fear, calm, trunc, notrunc: a word for /ctl
	verbTitle
	verbQuit
	verbHelp
)

// asks reports whether the server is needed for it.
func (v verb) asks() bool {
	switch v {
	case verbDetach, verbStatus, verbErr, verbIn, verbOut, verbHelp:
		return false
	}
	return true
}

// An arg is what a % command wants after its word.
type arg int

const (
	argNone arg = iota
	argName
	argMS
	argText
)

// percents are the commands that hubshell(1) has, and title and help.
var percents = []struct {
	word string
	verb verb
	arg  arg
	help string
}{
	{"detach", verbDetach, argNone, "leave; the shell goes on"},
	{"attach", verbAttach, argName, "go to another shell"},
	{"remote", verbRemote, argName, "start a shell on the server's machine and go there"},
	{"local", verbLocal, argName, "start a shell on this machine, shared to the server, and go there"},
	{"list", verbList, argNone, "list the shells and hubs"},
	{"status", verbStatus, argNone, "say where we are"},
	{"eof", verbEOF, argNone, "end of file for the program that reads our input"},
	{"err", verbErr, argMS, "wait so many milliseconds before each write of standard error"},
	{"in", verbIn, argMS, "the same for our input"},
	{"out", verbOut, argMS, "the same for standard output"},
	{"freeze", verbCtl, argNone, "this shell's hubs stand still, as plain files"},
	{"melt", verbCtl, argNone, "they flow again"},
	{"fear", verbCtl, argNone, "writers wait for the slowest reader; nobody loses a byte"},
	{"calm", verbCtl, argNone, "writers never wait; a slow reader skips, and is told"},
	{"trunc", verbCtl, argNone, "new readers start at the end"},
	{"notrunc", verbCtl, argNone, "new readers start with the history"},
	{"title", verbTitle, argText, "name this shell's window"},
	{"quit", verbQuit, argNone, "stop the server, and with it every shell on it"},
	{"help", verbHelp, argNone, "this list"},
}

// A percent is a % command that was understood.
type percent struct {
	verb  verb
	word  string
	name  string        // argName, argText
	delay time.Duration // argMS
}

// An unknownWord error is what an unknown % command gives. In line mode such a
// line is meant for the shell.
type unknownWord struct{ word string }

func (e unknownWord) Error() string {
	return fmt.Sprintf("no command %%%s: %%help lists them", e.word)
}

// parsePercent reads a % command, given without its %.
func parsePercent(line string) (percent, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	for _, p := range percents {
		if p.word != word {
			continue
		}
		c := percent{verb: p.verb, word: p.word}
		switch p.arg {
		case argNone:
			if rest != "" {
				return c, fmt.Errorf("%%%s takes nothing after it", word)
			}
		case argName:
			if rest == "" || strings.ContainsFunc(rest, unicode.IsSpace) {
				return c, fmt.Errorf("%%%s needs one name: %%%s NAME", word, word)
			}
			c.name = rest
		case argText:
			if rest == "" {
				return c, fmt.Errorf("%%%s needs a text: %%%s TEXT", word, word)
			}
			c.name = rest
		case argMS:
			ms, err := strconv.Atoi(rest)
			if err != nil || ms < 0 || ms > 60_000 {
				return c, fmt.Errorf("%%%s needs a number of milliseconds up to 60000: %%%s 300", word, word)
			}
			c.delay = time.Duration(ms) * time.Millisecond
		}
		return c, nil
	}
	return percent{}, unknownWord{word}
}

// percentHelp is the text of %help.
func percentHelp() string {
	names := map[arg]string{argName: " NAME", argMS: " MS", argText: " TEXT"}
	var b strings.Builder
	for _, p := range percents {
		fmt.Fprintf(&b, "  %-14s %s\n", "%"+p.word+names[p.arg], p.help)
	}
	return b.String()
}

// percentWords are the commands on one line, for somebody who mistyped one.
func percentWords() string {
	var b strings.Builder
	for i, p := range percents {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("%" + p.word)
	}
	return b.String()
}
