package job

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"hubfs/internal/lex"
)

func TestALineOfWait(t *testing.T) {
	for _, tt := range []struct {
		line string
		want Ended
		code int
	}{
		{"3 node1 77 1 20 3000 '' 5", Ended{3, "node1", 77, time.Millisecond, 20 * time.Millisecond, 3 * time.Second, "", 5}, 0},
		{"0 a/b 1 0 0 0 'exit 3' 1 and more", Ended{Node: "a/b", PID: 1, Status: "exit 3", Epoch: 1}, 3},
		{"0 a 1 0 0 0 'signal KILL' 1", Ended{Node: "a", PID: 1, Status: "signal KILL", Epoch: 1}, 137},
		{"0 a 0 0 0 0 'fail nosuch: executable file not found in $PATH' 1",
			Ended{Node: "a", Status: "fail nosuch: executable file not found in $PATH", Epoch: 1}, 127},
		{"0 a 0 0 0 0 'fail x: permission denied' 1", Ended{Node: "a", Status: "fail x: permission denied", Epoch: 1}, 126},
		{"0 a 0 0 0 0 'lost a' 1", Ended{Node: "a", Status: "lost a", Epoch: 1}, 125},
		{"0 a 0 0 0 0 'exit 4711' 1", Ended{Node: "a", Status: "exit 4711", Epoch: 1}, 1},
		{"0 a 0 0 0 0 unheard 1", Ended{Node: "a", Status: "unheard", Epoch: 1}, 1},
	} {
		got, err := parseEnded(tt.line)
		if err != nil || got != tt.want || got.Code() != tt.code {
			t.Errorf("%s: %+v, code %d, %v; want %+v, code %d", tt.line, got, got.Code(), err, tt.want, tt.code)
		}
	}
	for _, line := range []string{"", "1 2 3", "x node1 77 1 20 3000 '' 5", "0 node1 77 1 20 -3 '' 5", "0 node1 77 1 20 3 '' x"} {
		if e, err := parseEnded(line); err == nil {
			t.Errorf("%q is %+v", line, e)
		}
	}
}

func TestTheLinesOfStatus(t *testing.T) {
	got, err := parseTasks([]byte("cmd/1 3 Execute '/a b' 'echo ''x''' 4 n/1 7 ''\ncmd/2 0 Done / true\n"))
	want := []Task{{"cmd/1", "Execute", "/a b", "echo 'x'", 4, "n/1"}, {"cmd/2", "Done", "/", "true", -1, ""}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"cmd/1 3 Execute\n", "job 1 2 3 4\n", "cmd/1 3 Execute / true x n\n"} {
		if got, err := parseTasks([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestTheLinesOfNodes(t *testing.T) {
	got, err := parseNodes([]byte("top here linux amd64 8 8 0.25 up 0 1\n" +
		"in 'tcp 10.0.0.1' darwin arm64 4 2 1 torpid 1.5 7 mem=1024 labels=a,b new=1\n" +
		"in/leaf t plan9 386 1 1 0 drained 2 8\n" +
		"in/other t plan9 386 1 1 0 up 2 8 executor\n"))
	if err != nil || len(got) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := Node{Name: "in", Addr: "tcp 10.0.0.1", OS: "darwin", Arch: "arm64", Slots: 4, Free: 2, Load: 1, State: "torpid",
		Age: 1500 * time.Millisecond, Secs: 1.5, Epoch: 7, Memory: 1024, Labels: []string{"a", "b"}}
	if !reflect.DeepEqual(got[1], want) {
		t.Errorf("%+v", got[1])
	}
	var runs []string
	for _, n := range got {
		if n.Runs {
			runs = append(runs, n.Name)
		}
	}
	if strings.Join(runs, " ") != "in/leaf in/other" {
		t.Errorf("tasks run on %v", runs)
	}
	if alone, err := parseNodes([]byte("top here linux amd64 8 8 0.25 up 0 1\n")); err != nil || !alone[0].Runs {
		t.Errorf("alone: %+v, %v", alone, err)
	}
	for _, text := range []string{"a b c\n", "a b c d x 1 1 up 1 1\n", "a b c d 1 1 x up 1 1\n", "a b c d 1 1 1 up x 1\n", "a b c d 1 1 1 up 1 -1\n"} {
		if got, err := parseNodes([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestNamesOfJobs(t *testing.T) {
	for s, want := range map[string]int{"remote/0": 0, "remote/31": 31, "/remote/3": 3, "remote/": -1, "remote/x": -1,
		"remote/+1": -1, "remote/-1": -1, "remote": -1, "3": -1, "remote/3/stdout": -1, "work": -1} {
		got, ok := ParseName(s)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v", s, got, ok)
		}
	}
	if n, ok := Of("remote/3/out/labelled"); !ok || n != 3 {
		t.Errorf("%d, %v", n, ok)
	}
	for _, hub := range []string{"remote/3", "remotely/3/stdout", "work", "remote/x/stdout"} {
		if _, ok := Of(hub); ok {
			t.Errorf("%s is a stream of a job", hub)
		}
	}
}

// FuzzLines: what a server says is an error or a value, and a line that we would
// write ourselves is read as it was meant.
func FuzzLines(f *testing.F) {
	f.Add("3 node1 77 1 20 3000 '' 5", "node 1", "fail 'x'")
	f.Add("cmd/1 3 Execute / true 4 n 7 ''", "", "\n")
	f.Add("in t linux amd64 4 2 1 torpid 1.5 7 mem=1024", "'", "exit 1")
	f.Fuzz(func(t *testing.T, line, node, status string) {
		_, _ = parseEnded(line)
		_, _ = parseTasks([]byte(line))
		_, _ = parseNodes([]byte(line))
		node, status = strings.ToValidUTF8(node, ""), strings.ToValidUTF8(status, "")
		if strings.ContainsFunc(node+status, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			return // which nobody writes in a line
		}
		e, err := parseEnded(lex.Fields("1", node, "2", "3", "4", "5", status, "6"))
		if err != nil || e.Node != node || e.Status != status {
			t.Errorf("node %q, status %q: %+v, %v", node, status, e, err)
		}
	})
}
