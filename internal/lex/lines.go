// Package lex is the words that people and programs write to files of the tree,
// and the fields of the lines that they read there.
//
// What is written to a ctl file is commands, one a line, whose words are split as
// a shell does. What is read is lines whose fields are apart by one blank and
// quoted as Plan 9's %q.
package lex

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/shlex"

	"hubfs/tree"
)

// Lines cuts what was written to a ctl file into commands, one a line. A
// newline between quotes or behind a backslash belongs to the word it is in,
// as it does in a shell, so that any argument can be written.
func Lines(s string) []string {
	const (
		blank   = iota // between words
		word           // in a word
		single         // in '…'
		double         // in "…"
		comment        // behind #
	)
	var lines []string
	start, state := 0, blank
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case state == single:
			if c == '\'' {
				state = word
			}
		case c == '\\' && state != comment:
			i++ // the next byte is itself
			if state == blank {
				state = word
			}
		case state == double:
			if c == '"' {
				state = word
			}
		case c == '\n':
			lines = append(lines, s[start:i])
			start, state = i+1, blank
		case state == comment:
		case c == '\'':
			state = single
		case c == '"':
			state = double
		case c == ' ' || c == '\t' || c == '\r':
			state = blank
		case c == '#' && state == blank:
			state = comment
		default:
			state = word
		}
	}
	if start < len(s) {
		lines = append(lines, s[start:])
	}
	return lines
}

// Split splits one line as a shell does.
func Split(line string) ([]string, error) {
	if strings.ContainsRune(line, 0) {
		return nil, fmt.Errorf("a command may not hold NUL bytes: %w", tree.ErrInvalid)
	}
	if !utf8.ValidString(line) { // shlex would change the bytes and not say so
		return nil, fmt.Errorf("a command must be UTF-8: %w", tree.ErrInvalid)
	}
	words, err := shlex.Split(line)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", Clip(line), err)
	}
	return words, nil
}

// Each does the commands in p, which was written to a ctl file, one after
// the other. The first that fails ends it: those before it were done, and the
// error names its line if there are several. Blank lines and comments are no
// commands. Old hubshells send a NUL behind their command.
func Each(p []byte, do func(words []string) error) error {
	lines := Lines(strings.TrimRight(string(p), "\x00"))
	for i, line := range lines {
		words, err := Split(line)
		if err == nil && len(words) > 0 {
			err = do(words)
		}
		if err != nil {
			if len(lines) > 1 {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			return err
		}
	}
	return nil
}

// Clip shortens what is told of a line that somebody else wrote.
func Clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
