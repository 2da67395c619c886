package conduit

import (
	"bytes"
	"context"
	"strings"
)

// maxLine is how much of a line that a program says is told.
const maxLine = 256

// A said is the Sink of a program's standard error. It tells it line by line,
// and holds no more than one, cut. Only one goroutine uses it at a time.
type said struct {
	say  func(line string)
	line []byte
	cut  bool // there was more than line holds
}

func (s *said) WriteContext(_ context.Context, p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part, rest, end := bytes.Cut(p, []byte("\n"))
		fits := min(len(part), maxLine-len(s.line))
		s.line = append(s.line, part[:fits]...)
		s.cut = s.cut || fits < len(part)
		if end {
			s.tell()
		}
		p = rest
	}
	return n, nil
}

// end tells of a last line without a newline.
func (s *said) end() {
	if len(s.line) > 0 {
		s.tell()
	}
}

func (s *said) tell() {
	line := string(bytes.TrimRight(s.line, "\r"))
	if s.cut {
		line = strings.ToValidUTF8(line, "") + "…"
	}
	s.line, s.cut = s.line[:0], false
	s.say(strings.ToValidUTF8(line, "\uFFFD"))
}
