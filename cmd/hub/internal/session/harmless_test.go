package session

import (
	"bytes"
	"strings"
	"testing"
)

// What a server says comes to the terminal as letters, whoever says it.
func TestWhatAServerSaysMovesNoCursor(t *testing.T) {
	var err bytes.Buffer
	s := &screen{err: &err}
	s.say("hub: \x1b]52;c;AAAA\x07 guest:a\u009b2J\u202eb\r\n\tnext\n")
	if got := err.String(); strings.ContainsAny(got, "\x1b\x07\u009b\u202e\r") || !strings.HasSuffix(got, "\n\tnext\n") {
		t.Errorf("%q", got)
	}
}
