package server

import (
	"math"
	"strings"
	"testing"
)

func TestStatusOfPipes(t *testing.T) {
	st, err := parseStatus([]byte("pipe 3 a 'd/b c' running 10 5 'tr ''a b'' x' 7 'it said'\n" +
		"pipe 12 a b ended 0 0 '' 0 '' 'hub a was removed' more\n"))
	if err != nil || len(st.Pipes) != 2 {
		t.Fatal(st.Pipes, err)
	}
	want := Pipe{ID: 3, From: "a", To: "d/b c", State: "running", In: 10, Out: 5, Command: "tr 'a b' x", Lost: 7, Said: "it said"}
	if st.Pipes[0] != want || st.Pipes[0].Gain() != 0.5 {
		t.Errorf("%+v, gain %v", st.Pipes[0], st.Pipes[0].Gain())
	}
	want = Pipe{ID: 12, From: "a", To: "b", State: "ended", End: "hub a was removed"}
	if st.Pipes[1] != want || st.Pipes[1].Gain() != 1 {
		t.Errorf("%+v, gain %v", st.Pipes[1], st.Pipes[1].Gain())
	}
	if g := (Pipe{Command: "cat"}).Gain(); !math.IsNaN(g) {
		t.Errorf("gain %v of nothing", g)
	}
	for _, line := range []string{"pipe", "pipe 1 a b running 1 2 cat 0", "pipe x a b running 1 2 cat 0 ''", "pipe 1 a b running 1 y cat 0 ''"} {
		if _, err := parseStatus([]byte(line + "\n")); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

func TestWordsOfAPipe(t *testing.T) {
	for want, p := range map[string]PipeSpec{
		"pipe /-a /b": {From: "-a", To: "b"},
		"pipe -e /a@end -- tr 'x y' -- -- '/b c'": {From: "a", At: "@end", Argv: []string{"tr", "x y", "--"}, To: "b c", Ends: true},
	} {
		if got := strings.TrimSuffix(Line(p.words()...), "\n"); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
