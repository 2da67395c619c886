package job

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheLineGivesWayToOutput: it is never in the middle of a row, and never
// left behind.
func TestTheLineGivesWayToOutput(t *testing.T) {
	var tty bytes.Buffer
	s := NewScreen(&tty, func() int { return 11 })
	out := s.Output(&tty, true)
	other := s.Output(new(bytes.Buffer), false)
	step := func(what, want string) {
		t.Helper()
		if got := tty.String(); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		tty.Reset()
	}
	s.Show("1 of 2 done")
	step("show", erase+"1 of 2 don")
	out.Write([]byte("out"))
	step("output", erase+"out")
	s.Show("no")
	step("in a row", "")
	other.Write([]byte("elsewhere"))
	out.Write([]byte("put\n"))
	step("its end", "put\n")
	s.Show("2 é")
	step("again", erase+"2 é")
	s.Clear()
	s.Clear()
	step("clear", erase)
}

// TestAShortJobShowsNoLine: it would only flicker.
func TestAShortJobShowsNoLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, want := range map[time.Duration]string{
			400 * time.Millisecond: "",
			800 * time.Millisecond: erase + "x" + erase + "x" + erase,
		} {
			var tty bytes.Buffer
			s := NewScreen(&tty, func() int { return 80 })
			done := make(chan struct{})
			time.AfterFunc(took, func() { close(done) })
			s.Keep(done, func() string { return "x" })
			if tty.String() != want {
				t.Errorf("%v: %q, want %q", took, &tty, want)
			}
		}
	})
}

func TestLinesOfTwoStreamsDoNotMix(t *testing.T) {
	var out bytes.Buffer
	l := NewLines(&out)
	for _, p := range []string{"a", "b\nc", "\n", "d\ne\nf"} {
		l.Write([]byte(p))
	}
	if out.String() != "ab\nc\nd\ne\n" {
		t.Errorf("%q", &out)
	}
	if err := l.Flush(); err != nil || out.String() != "ab\nc\nd\ne\nf" {
		t.Errorf("%q, %v", &out, err)
	}
	l.Write(bytes.Repeat([]byte("x"), mostHeld))
	if out.Len() != 10+mostHeld {
		t.Errorf("%d bytes: a line without an end is held back for ever", out.Len())
	}
}
