package server

import (
	"bufio"
	"errors"
	"strings"
	"testing"
)

// endless says the same for ever.
type endless struct{ said int }

func (e *endless) Read(p []byte) (int, error) {
	e.said += len(p)
	return copy(p, strings.Repeat("x", len(p))), nil
}

func TestServerThatSaysALineWithoutEndIsNotHeard(t *testing.T) {
	e := &endless{}
	lines := Lines(e)
	if lines.Scan() || !errors.Is(lines.Err(), bufio.ErrTooLong) || e.said > 2*maxLine {
		t.Errorf("%d bytes read: %v", e.said, lines.Err())
	}
	lines = Lines(strings.NewReader("size 1 2\n\nkill"))
	for _, want := range []string{"size 1 2", "", "kill"} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("%q, want %q", lines.Text(), want)
		}
	}
}
