package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hubfs/cmd/hub/internal/jobtest"
	"hubfs/tree"
)

// two is what a server with a node says of itself and of it.
const two = "here here linux amd64 8 8 0.1 up 0 1\n" +
	"node1 'tcp 10.0.0.1' linux amd64 4 4 0.5 up 1.5 7 mem=4294967296 labels=gpu,big\n"

func TestRunShowsWhatTasksWriteAndLeavesWithTheirStatus(t *testing.T) {
	r := jobtest.New(t)
	r.Nodes = two
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Print("stdout", strings.Join(argv, "_")+"\n")
		s.Print("stderr", "oh\n")
		s.Ended(0, "node1", "")
		s.Ended(1, "node1", "exit 3")
		s.Over()
	}
	code, stdout, stderr := hub(t, "-s", r.Addr, "run", "-n", "2", "--no-input", "echo", "a b", "-n")
	if code != 3 || stdout != "echo_a b_-n\n" || stderr != "oh\nhub: 1 of 2 tasks: exit 3: node1\n" {
		t.Errorf("exit %d\nstdout: %q\nstderr: %q", code, stdout, stderr)
	}
	<-r.Session(0).Released
	want := "res 2\nclose stdin\nexec echo a b -n"
	if said := r.Session(0).Said(); said != want {
		t.Errorf("ctl: %q, want %q", said, want)
	}
}

// TestRunSaysWhatTheFlagsSay: each flag is the word that it is meant to be.
func TestRunSaysWhatTheFlagsSay(t *testing.T) {
	prog := filepath.Join(t.TempDir(), "prog")
	if err := os.WriteFile(prog, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"--no-input true", "res 1 nodes=*\nclose stdin\nexec true"},
		{"--no-input -n 0 true", "res 0\nclose stdin\nexec true"},
		{"--no-input -w node1 true", "res 1 nodes=node1\nclose stdin\nexec true"},
		{"--no-input -w node1 -n 4 true", "res 4 nodes=node1\nclose stdin\nexec true"},
		{"--no-input -x here true", "res 1 nodes=node1\nclose stdin\nexec true"},
		{"--no-input -n 5 --os Linux --arch 386 --mem 4g --label gpu --label big --policy fill true",
			"res 5 Linux 386 mem=4g label=gpu label=big policy=fill\nclose stdin\nexec true"},
		{"--no-input -n 5 --min 2 true", "res 5 min=2\nclose stdin\nexec true"},
		{"--enum -n 1 true", "res 1\nenum\nexec true"},
		{"--pull - --records n=512 -n 1 true", "res 1\npull n=512\nexec true"},
		{"--no-input -n 1 --timeout 90s --idle 5s --total 1h --halt fail=10% --retry 2 -d /tmp true",
			"res 1\ndir /tmp\nclose stdin\ndeadline run=1m30s idle=5s total=1h0m0s\nhalt fail=10%\nretry 2\nexec true"},
		{"--no-input -n 1 -e A=1 -e B=* --push " + prog + " prog", "res 1\nclose stdin\nexec prog"},
		{"-n 1 --detach true", "res 1\npersist\nexec true"},
		{"-n 1 --detach --no-input true", "res 1\nclose stdin\npersist\nexec true"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			r := jobtest.New(t)
			r.Nodes = two
			r.Exec = func(s *jobtest.Session, argv []string) {
				s.Status("cmd/1 1 Execute / true 0 node1 7 ''\n")
				s.Ended(0, "node1", "")
				s.Over()
			}
			code, _, stderr := hub(t, append([]string{"-s", r.Addr, "run"}, strings.Fields(tt.args)...)...)
			if code != 0 || stderr != "" {
				t.Errorf("exit %d, %q", code, stderr)
			}
			s := r.Session(0)
			if said := s.Said(); said != tt.want {
				t.Errorf("ctl:\n%s\nwant:\n%s", said, tt.want)
			}
			if strings.Contains(tt.args, "--push") {
				if env, file := s.File("env"), s.File("fs/prog"); env != "A=1\n'B=*'\n" || file != "755 #!/bin/sh\n" {
					t.Errorf("env %q, fs/prog %q", env, file)
				}
			}
		})
	}
}

func TestRunGivesTheTasksItsInput(t *testing.T) {
	r := jobtest.New(t)
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Input("one\ntwo\n")
		s.Print("stdout", "read\n")
		s.Ended(0, "node1", "")
		s.Over()
	}
	code, stdout, stderr := hubInput(t, "one\ntwo\n", "-s", r.Addr, "run", "-n", "1", "cat")
	if code != 0 || stdout != "read\n" || stderr != "" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestRunInTheOrderOfTasks(t *testing.T) {
	r := jobtest.New(t)
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Task(0, "first\n")
		s.Task(1, "second\n")
		s.Ended(1, "b", "")
		s.Ended(0, "a", "")
		s.Over()
	}
	code, stdout, stderr := hub(t, "-s", r.Addr, "run", "-n", "2", "-k", "--no-input", "true")
	if code != 0 || stdout != "first\nsecond\n" || stderr != "" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestRunFoldsAtTheEnd(t *testing.T) {
	r := jobtest.New(t)
	const folded = "---------------\nnode[1-2] (2)\n---------------\nup\n"
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Fold(folded, "oh\n")
		s.Ended(0, "node1", "")
		s.Ended(1, "node2", "")
		s.Over()
	}
	code, stdout, stderr := hub(t, "-s", r.Addr, "run", "-n", "2", "-b", "--no-input", "uptime")
	if code != 0 || stdout != folded || stderr != "oh\n" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestRunThatCannotRunIsNotTheCommandsFailure: its status is 125, with a hint
// where we know what to do.
func TestRunThatCannotRunIsNotTheCommandsFailure(t *testing.T) {
	for _, tt := range []struct {
		args, word, refusal, stderr string
	}{
		{"-n 9 true", "res", "insufficient resources: 9 asked, 4 free",
			"hub: insufficient resources: 9 asked, 4 free\nhub: hint: --min M makes do with fewer tasks; hub nodes shows what is free\n"},
		{"-n 1 --os plan9 true", "res", "No resources matching request",
			"hub: No resources matching request\nhub: hint: hub nodes shows what there is\n"},
		{"-n 1 -d /nowhere true", "dir", "no such folder", "hub: dir /nowhere: no such folder\n"},
		{"-n 1 true", "exec", "Local execution failed", "hub: Local execution failed\n"},
		{"-w node[1-2],other true", "borrow", "connection refused",
			"hub: host node2 cannot be reached: connection refused\nhub: host other cannot be reached: connection refused\n" +
				"hub: 2 of 3 hosts cannot be used, so nothing was run\nhub: hint: --min M goes on with M tasks or more, -x HOSTS without those hosts\n"},
	} {
		r := jobtest.New(t)
		r.Nodes = two
		r.Word = func(w []string) error {
			if len(w) > 1 && w[1] == tt.word {
				return errors.New(tt.refusal)
			}
			return nil
		}
		code, stdout, stderr := hub(t, append([]string{"-s", r.Addr, "run", "--no-input"}, strings.Fields(tt.args)...)...)
		if code != 125 || stdout != "" || stderr != tt.stderr {
			t.Errorf("hub run %s: exit %d\nstdout: %q\nstderr: %q\n  want: %q", tt.args, code, stdout, stderr, tt.stderr)
		}
	}
}

// TestRunReachesHostsThatAreNoNodes: they are nodes for as long as the job is,
// and with --min the job goes on without those that are not there.
func TestRunReachesHostsThatAreNoNodes(t *testing.T) {
	r := jobtest.New(t)
	r.Nodes = two
	var said []string
	words := make(chan string, 10)
	r.Word = func(w []string) error {
		if w[1] == "borrow" {
			words <- strings.Join(w, " ")
			if w[2] == "ssh://bad" {
				return errors.New("no route to host")
			}
		}
		return nil
	}
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Status("cmd/1 1 Execute / true 0 node1 7 ''\ncmd/1 1 Execute / true 1 good 7 ''\n")
		s.Ended(0, "node1", "")
		s.Ended(1, "good", "")
		s.Over()
	}
	code, _, stderr := hub(t, "-s", r.Addr, "run", "--no-input", "-w", "node1,me@good,bad", "--min", "2", "true")
	close(words)
	for w := range words {
		said = append(said, w)
	}
	if code != 0 || stderr != "hub: host bad cannot be reached: no route to host\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if got := r.Session(0).Said(); !strings.Contains(got, "\nres 1 nodes=good,node1\n") {
		t.Errorf("ctl: %q", got)
	}
	slices.Sort(said)
	if got := strings.Join(said, "; "); got != "0 borrow ssh://bad bad; 0 borrow ssh://me@good good" {
		t.Errorf("nodes: %q", got)
	}
}

// A spy is an output that says when a word is in it.
type spy struct {
	bytes.Buffer // of whoever writes: one at a time
	word         string
	seen         chan struct{} // closed then, and nil
}

func (s *spy) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	if s.seen != nil && strings.Contains(s.String(), s.word) {
		close(s.seen)
		s.seen = nil
	}
	return n, err
}

// TestCtrlCShowsStateAndTwiceKills is a law of hub run.
func TestCtrlCShowsStateAndTwiceKills(t *testing.T) {
	r := jobtest.New(t)
	interrupt := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
	}
	shown, asked := make(chan struct{}), make(chan struct{})
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Status("cmd/1 1 Execute / true 0 node1 7 ''\ncmd/2 1 Execute / true 1 node2 7 ''\n")
		s.Print("stdout", "first words\n")
		<-shown
		interrupt()
		<-asked
		interrupt()
		<-s.Killed()
		s.Print("stdout", "last words\n")
		s.Ended(0, "node1", "signal KILL")
		s.Ended(1, "node2", "signal KILL")
		s.Over()
	}
	stdout, stderr := &spy{word: "first words", seen: shown}, &spy{word: "Ctrl-C again", seen: asked}
	a := &app{stdin: strings.NewReader(""), stdout: stdout, stderr: stderr}
	code := a.run([]string{"-s", r.Addr, "run", "--no-input", "-n", "2", "sleep", "9"})
	if code != 130 || stdout.String() != "first words\nlast words\n" || !strings.Contains(stderr.String(), ": 0 of 2 done, 2 running, slowest node[1-2] ") ||
		!strings.Contains(stderr.String(), "\nhub: job remote/0 was ended: 2 of 2 done, 2 failed, ") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestCtrlBackslashLeavesTheJobRunning: it outlives us, as one that was
// detached from the start.
func TestCtrlBackslashLeavesTheJobRunning(t *testing.T) {
	r := jobtest.New(t)
	shown, left := make(chan struct{}), make(chan struct{})
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Print("stdout", "on\n")
		<-shown
		if err := syscall.Kill(os.Getpid(), syscall.SIGQUIT); err != nil {
			t.Error(err)
		}
		<-left
		s.Ended(0, "node1", "")
		s.Over()
	}
	var first bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &spy{word: "on", seen: shown}, stderr: &first}
	code := a.run([]string{"-s", r.Addr, "run", "--no-input", "-n", "1", "sleep", "9"})
	stderr := first.String()
	close(left)
	if code != 0 || stderr != "hub: detached from job remote/0; hub attach remote/0 comes back\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if said := r.Session(0).Said(); !strings.HasSuffix(said, "\npersist") {
		t.Errorf("ctl: %q", said)
	}
	var stdout string
	code, stdout, stderr = hub(t, "-s", r.Addr, "attach", "-r", "remote/0")
	if code != 0 || stdout != "on\n" || stderr != "" {
		t.Errorf("attach: exit %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = hub(t, "-s", r.Addr, "watch", "remote/0")
	if code != 0 || stdout != "on\n" || stderr != "" {
		t.Errorf("watch: exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestJobsByName(t *testing.T) {
	r := jobtest.New(t)
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Ended(0, "node1", "exit 4")
		s.Over()
	}
	if code, stdout, stderr := hub(t, "-s", r.Addr, "run", "--detach", "-n", "1", "true"); code != 0 || stdout != "remote/0\n" {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
	}{
		{"wait remote/0", 4, "tasks 1\n"},
		{"signal remote/0 TERM", 0, ""},
		{"kill remote/0", 0, ""},
		{"rm remote/0", 0, ""},
		{"ls", 0, "JOB       STATE    TASKS  DONE  FAILED  USER  COMMAND\nremote/0  Execute  1      0     0       u     true\n"},
	} {
		code, stdout, stderr := hub(t, append([]string{"-s", r.Addr}, strings.Fields(tt.args)...)...)
		if code != tt.code || stdout != tt.stdout || stderr != "" {
			t.Errorf("hub %s: exit %d, %q, %q", tt.args, code, stdout, stderr)
		}
	}
	if said := r.Session(0).Said(); !strings.HasSuffix(said, "\nsignal TERM\nkill\nwipe") {
		t.Errorf("ctl: %q", said)
	}
	for _, args := range []string{"attach remote/7", "watch remote/7", "wait remote/7", "kill remote/7", "rm remote/7", "signal remote/7 INT"} {
		code, _, stderr := hub(t, append([]string{"-s", r.Addr}, strings.Fields(args)...)...)
		if code != 1 || !strings.HasPrefix(stderr, "hub: no job remote/7 on server ") {
			t.Errorf("hub %s: exit %d, %q", args, code, stderr)
		}
	}
}

func TestNodes(t *testing.T) {
	r := jobtest.New(t)
	r.Nodes = two
	var said []string
	r.Word = func(w []string) error {
		if w[1] == "nod1" {
			return fmt.Errorf("node nod1: %w", tree.ErrNotExist)
		}
		said = append(said, strings.Join(w, " "))
		return nil
	}
	code, stdout, _ := hub(t, "-s", r.Addr, "nodes")
	want := "NODE   ADDRESS       SYSTEM       SLOTS  FREE  LOAD  STATE  HEARD     EPOCH  MEMORY  LABELS\n" +
		"here   here          linux/amd64  8      8     0.10  up     -         1      -       -\n" +
		"node1  tcp 10.0.0.1  linux/amd64  4      4     0.50  up     1.5s ago  7      4.0G    gpu,big\n"
	if code != 0 || stdout != want {
		t.Errorf("exit %d\n%s\nwant:\n%s", code, stdout, want)
	}
	code, stdout, _ = hub(t, "-s", r.Addr, "nodes", "--json")
	if code != 0 || !strings.Contains(stdout, `"memory": 4294967296`) || !strings.Contains(stdout, `"executor": true`) {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	for _, args := range []string{"add ssh://node2", "add tcp://a:1 b", "drain node[1-2]", "undrain node1", "rm node1", "ack node1", "fence node1"} {
		if code, _, stderr := hub(t, append([]string{"-s", r.Addr, "node"}, strings.Fields(args)...)...); code != 0 {
			t.Errorf("hub node %s: exit %d, %q", args, code, stderr)
		}
	}
	if got := strings.Join(said, "; "); got != "add ssh://node2; add tcp://a:1 b; drain node1; drain node2; undrain node1; rm node1; ack node1; fence node1" {
		t.Errorf("ctl: %q", got)
	}
	code, _, stderr := hub(t, "-s", r.Addr, "node", "ack", "nod1")
	if code != 1 || !strings.Contains(stderr, "no node \"nod1\"") || !strings.Contains(stderr, `did you mean "node1"? hub nodes shows all`) {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestInputThatNoTaskGotIsTold: it is, though the session must be over for that.
func TestInputThatNoTaskGotIsTold(t *testing.T) {
	r := jobtest.New(t)
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Event("started 0 node1")
		s.Event("lost 0-1 node1")
		s.Event("restarted 1 node2")
		s.Ended(0, "node1", "")
		s.Ended(1, "node1", "")
		s.Over()
		s.Event("input stdin '5 bytes of input reached no task'")
	}
	code, _, stderr := hubInput(t, "x\n", "-s", r.Addr, "run", "-n", "2", "--enum", "true")
	want := "hub: node node1 is lost, with tasks 0-1\nhub: node node2 runs task 1 anew\n" +
		"hub: input: 5 bytes of input reached no task\n"
	if code != 0 || stderr != want {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// TestAJobThatWasLetGo is not made anew by who asks for something about it.
func TestAJobThatWasLetGo(t *testing.T) {
	r := jobtest.New(t)
	r.Exec = func(s *jobtest.Session, argv []string) {
		s.Ended(0, "node1", "")
		s.Over()
		s.Status("cmd/0 0 Released / true\n")
	}
	if code, _, stderr := hub(t, "-s", r.Addr, "run", "--no-input", "-n", "1", "true"); code != 0 {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	before := r.Session(0).Said()
	for _, args := range []string{"kill remote/0", "signal remote/0 INT"} {
		code, _, stderr := hub(t, append([]string{"-s", r.Addr}, strings.Fields(args)...)...)
		if code != 1 || !strings.HasPrefix(stderr, "hub: job remote/0 has ended, ") {
			t.Errorf("hub %s: exit %d, %q", args, code, stderr)
		}
	}
	if said := r.Session(0).Said(); said != before {
		t.Errorf("ctl: %q", said)
	}
}
