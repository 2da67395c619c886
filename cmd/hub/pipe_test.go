package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"hubfs/cmd/hub/internal/server"
)

func TestPipeArguments(t *testing.T) {
	for in, want := range map[string]string{
		"a b":                     "/a [] /b",
		"-- a b":                  "/a [] /b",
		"-- -a -b":                "/-a [] /-b",
		"a@end d/b":               "/a@end [] /d/b",
		"a@-5 -- tr a b -- b":     "/a@-5 [tr a b] /b",
		"a -- grep -- -x -- -- b": "/a [grep -- -x --] /b",
		"-- a -- -- -- b":         "/a [--] /b",
		"a":                       "", "a b c": "", "a -- b": "", "a -- -- b": "", "a -- cmd b": "", "a cmd -- b": "", "a b -- c -- d": "",
		"a@5 b": "", "a@x b": "", "a b@end": "", "@end b": "", "a -- cmd --": "",
	} {
		args, dash := strings.Fields(in), -1
		for i, arg := range args { // as cobra does
			if arg == "--" {
				args, dash = append(args[:i:i], args[i+1:]...), i
				break
			}
		}
		p, err := parsePipe(args, dash)
		got := ""
		if err == nil {
			got = fmt.Sprintf("/%s%s %v /%s", p.From, p.At, p.Argv, p.To)
		}
		if got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// TestTheNameThatIsNoneIsSaid, and not the other.
func TestTheNameThatIsNoneIsSaid(t *testing.T) {
	if _, err := parsePipe([]string{"", "b"}, -1); err == nil || !strings.Contains(err.Error(), `""`) {
		t.Error(err)
	}
}

func TestTableOfPipes(t *testing.T) {
	var b bytes.Buffer
	st := server.Status{
		Hubs: []server.Hub{{Name: "a", Mode: "calm"}},
		Pipes: []server.Pipe{
			{ID: 1, From: "a", To: "b", State: "running", In: 2048, Out: 2048, Lost: 7},
			{ID: 12, From: "b", To: "a", State: "ended", Command: "cat x\n", End: "exit 1", Said: "cat: x\x1b"},
			{ID: 13, From: "b", To: "a", State: "ended", End: "end"},
		},
	}
	if err := writeTable(&b, st, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := `NAME  STATE     SIZE  CLIENTS  SINCE  COMMAND
a     hub calm  0B    0        -      -

PIPE  FROM  TO  STATE                    IN    OUT   COMMAND
1     a     b   running, missed 7 bytes  2.0K  2.0K  -
12    b     a   ended exit 1: cat: x?    0B    0B    cat x?
13    b     a   ended end                0B    0B    -
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
}
