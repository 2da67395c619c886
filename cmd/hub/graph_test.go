package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"hubfs/cmd/hub/internal/server"
)

func TestGraph(t *testing.T) {
	before := server.Status{Hubs: []server.Hub{{Name: "a", Next: 1000}, {Name: "b"}}}
	st := server.Status{
		Shells: []server.Shell{
			{Name: "work", State: "running", Rows: 24, Cols: 80, Command: "/bin/sh"},
			{Name: "p", State: "running", Command: "cat"},
			{Name: "old", State: "exited", Rows: 24, Cols: 80, Command: "make"},
		},
		Hubs: []server.Hub{
			{Name: "a", First: 1000, Next: 2048}, {Name: "b", Next: 10}, {Name: "end", Next: 3, Mode: "calm,ended", End: "exit 3"},
			{Name: "work0"}, {Name: "work1"}, {Name: "work2"}, {Name: "p0"}, {Name: "p1"}, {Name: "p2"}, {Name: "old2"},
		},
		Pipes: []server.Pipe{
			{ID: 1, From: "a", To: "b", State: "running"},
			{ID: 2, From: "b", To: "a", State: "ending", Command: "tr a b", In: 3, Out: 2},
			{ID: 3, From: "a", To: "b", State: "ended", Command: "cat"},
			{ID: 4, From: "work1", To: "work0", State: "running", Command: "cat"},
			{ID: 5, From: "a", To: "old2", State: "running"},
		},
	}
	var b bytes.Buffer
	if err := writeGraph(&b, st, rates(before, st, 2*time.Second)); err != nil {
		t.Fatal(err)
	}
	want := `digraph hubs {
	rankdir=LR;
	"shell work" [shape=box label="work\nrunning\n/bin/sh"];
	"shell p" [shape=box label="p\nrunning\ncat"];
	"shell old" [shape=box label="old\nexited\nmake"];
	"hub a" [shape=ellipse label="a\n1.0K, 524B/s"];
	"hub b" [shape=ellipse label="b\n10B, 5B/s"];
	"hub end" [shape=ellipse label="end\n3B, ended 3"];
	"hub work0" [shape=ellipse label="work0\n0B, 0B/s"];
	"hub work1" [shape=ellipse label="work1\n0B, 0B/s"];
	"hub p0" [shape=ellipse label="p0\n0B, 0B/s"];
	"hub p1" [shape=ellipse label="p1\n0B, 0B/s"];
	"hub p2" [shape=ellipse label="p2\n0B, 0B/s"];
	"hub old2" [shape=ellipse label="old2\n0B, 0B/s"];
	"hub work0" -> "shell work" [label="stdin" color=red3 fontcolor=red3 penwidth=2];
	"shell work" -> "hub work1" [label="stdout" color=red3 fontcolor=red3 penwidth=2];
	"hub p0" -> "shell p" [label="stdin"];
	"shell p" -> "hub p1" [label="stdout"];
	"shell p" -> "hub p2" [label="stderr"];
	"hub a" -> "hub b" [label="1\ngain 1" color=blue3 fontcolor=blue3 penwidth=2];
	"hub b" -> "hub a" [label="2: tr a b\ngain 0.667" color=blue3 fontcolor=blue3 penwidth=2];
	"hub work1" -> "hub work0" [label="4: cat" color=red3 fontcolor=red3 penwidth=2];
	"hub a" -> "hub old2" [label="5\ngain 1"];
}
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	dot(t, b.String())
}

// TestGraphOfHostileNames: what others have named is text, whatever it holds.
func TestGraphOfHostileNames(t *testing.T) {
	var st server.Status
	for _, name := range []string{
		`"`, `\`, `\\`, `\"`, `a"];b [label="c`, `\N\G`, "a\nb", "\x1b[2J", "<b>x</b>", "&lt;", "\xff", "é→", "->", "//", "#", strings.Repeat("ü", 100), "",
	} {
		st.Hubs = append(st.Hubs, server.Hub{Name: name})
		st.Shells = append(st.Shells, server.Shell{Name: name, State: "running", Command: name})
		st.Pipes = append(st.Pipes, server.Pipe{ID: 1, From: name, To: name, State: "running", Command: name})
	}
	var b bytes.Buffer
	if err := writeGraph(&b, st, nil); err != nil {
		t.Fatal(err)
	}
	dot(t, b.String())
	for _, want := range []string{`label="a\"];b [label=\"c\n`, `label="\\N\\G\n`, `label="&amp;lt;\n`, `label="a?b\n`, `label="<b>x</b>\n`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s\nlacks %s", &b, want)
		}
	}
}

// dot fails if a drawing is not what dot(1) reads: by a check of our own, and by
// dot where there is one.
func dot(t *testing.T, drawing string) {
	t.Helper()
	const text = `"(?:[^"\\]|\\.)*"`
	statement := regexp.MustCompile(`^\t` + text + `(?: -> ` + text + `)? \[\w+=(?:\w+|` + text + `)(?: \w+=(?:\w+|` + text + `))*\];$`)
	body, ok := strings.CutPrefix(drawing, "digraph hubs {\n\trankdir=LR;\n")
	body, end := strings.CutSuffix(body, "}\n")
	if !ok || !end {
		t.Errorf("no graph: %q", drawing)
	}
	for line := range strings.Lines(body) {
		if !statement.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("no statement: %q", line)
		}
	}
	if path, err := exec.LookPath("dot"); err == nil {
		cmd := exec.Command(path, "-Tcanon")
		cmd.Stdin = strings.NewReader(drawing)
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("Warning")) {
			t.Errorf("dot: %v: %s", err, out)
		}
	}
}
