package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hubfs/e2e/internal/dialogue"
)

// onTerminal runs hub with the root in front of a terminal.
func (n *nodes) onTerminal(args ...string) *dialogue.Terminal {
	n.w.tb.Helper()
	return n.w.terminal(append([]string{"-s", "root"}, args...)...)
}

// family2 is a root with two leaves.
func family2(t *testing.T) *nodes {
	n := newNodes(t)
	n.start("root", "")
	n.start("leaf1", "root")
	n.start("leaf2", "root")
	return n
}

// TestRunOnATerminal: how far it is stands in a line that goes away, and Ctrl-C
// says it, too; twice it ends all tasks.
func TestRunOnATerminal(t *testing.T) {
	n := family2(t)
	tty := n.onTerminal("run", "-l", "sh", "-c", "echo ready; sleep 1000")
	tty.ExpectMatch(`leaf[12]: ready\r\nleaf[12]: ready`)
	tty.Expect("hub: 0 of 2 done, 2 running, slowest leaf[1-2] ")
	tty.Type("\x03")
	tty.Expect("hub: job remote/0: 0 of 2 done, 2 running, slowest leaf[1-2] ")
	tty.Expect("hub: Ctrl-C again within 5s ends it")
	tty.Type("\x03")
	tty.Exits(130)
	tty.Restored()
	if r := n.w.hub("-s", "root", "ls"); strings.Contains(r.stdout, "remote/") {
		t.Errorf("the job is there still:\n%s", r.stdout)
	}
}

// TestAJobForMany: one that was left running is watched by two, typed into by a
// third, and its end is everybody's.
func TestAJobForMany(t *testing.T) {
	n := family2(t)
	first := n.onTerminal("run", "-l", "sh", "-c", "echo ready; sleep 1000")
	first.Expect("leaf2: ready")
	first.Type("\x1c")
	first.Expect("hub: detached from job remote/0; hub attach remote/0 comes back")
	first.Exits(0)
	if r := n.w.hub("-s", "root", "rm", "remote/0"); r.code != 0 {
		t.Fatalf("%+v", r)
	}

	job := strings.TrimSpace(n.w.want("-s", "root", "run", "--detach", "sh", "-c", "cat; exit 4"))
	type watcher struct {
		result chan result
		out    *bytes.Buffer
	}
	var watchers []watcher
	for range 2 {
		w := watcher{make(chan result, 1), new(bytes.Buffer)}
		cmd := n.w.command("hub", "-s", "root", "watch", job)
		cmd.Stdout = w.out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the watcher
			code, _ := exitCode(cmd.Wait())
			w.result <- result{stdout: w.out.String(), code: code}
		}()
		watchers = append(watchers, w)
	}
	typist := n.onTerminal("attach", "-l", job)
	typist.Expect("lines go to its tasks")
	typist.Type("hello\r")
	typist.ExpectMatch(`leaf[12]: hello\r\nleaf[12]: hello`)
	typist.Type("\x1c")
	typist.Expect("hub: detached from job " + job)
	if r := n.w.hub("-s", "root", "ls"); !strings.Contains(r.stdout, "Execute") {
		t.Errorf("to leave was the end of its input:\n%s", r.stdout)
	}
	if r := n.w.hubInput("more\n", "-s", "root", "write", job+"/stdin"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for _, w := range watchers {
		r := <-w.result
		if r.code != 4 || strings.Count(r.stdout, "hello\n") != 2 || strings.Count(r.stdout, "more\n") != 2 {
			t.Errorf("%+v", r)
		}
	}
	if r := n.w.hub("-s", "root", "wait", job); r.code != 4 || !strings.Contains(r.stdout, "status 'exit 4' 2\n") {
		t.Errorf("%+v", r)
	}
}

// TestRunOnHostsThatAreNoNodes: they are reached over a real ssh, are nodes for
// as long as the job is, and nothing of ours is left there.
func TestRunOnHostsThatAreNoNodes(t *testing.T) {
	n := newNodes(t)
	there := n.w.there(true).sshd()
	n.start("root", "") // knows this ssh
	r := n.w.hub("-s", "root", "run", "--no-input", "-w", "there", "-n", "2", "-l", "sh", "-c", "echo $HOME")
	if want := "there: " + there.home + "\n"; r.code != 0 || r.stdout != want+want || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	n.by["root"].await("node leave there")
	if r := there.hub("ls"); r.stderr != "hub: no server default is running\n" {
		t.Errorf("there: %+v", r)
	}
	r = n.w.hub("-s", "root", "run", "--no-input", "-w", "there,nosuch[1-2]", "true")
	if r.code != 125 || strings.Count(r.stderr, "cannot be reached: ") != 2 || !strings.Contains(r.stderr, "hub: 2 of 3 hosts cannot be used, so nothing was run\n") {
		t.Errorf("%+v", r)
	}
	n.by["root"].await("node leave there")
	r = n.w.hub("-s", "root", "run", "--no-input", "-w", "there,nosuch", "--min", "1", "-l", "echo", "up")
	if r.code != 0 || r.stdout != "there: up\n" || !strings.Contains(r.stderr, "hub: host nosuch cannot be reached: ") {
		t.Errorf("%+v", r)
	}
	n.by["root"].await("node leave there")
}

// TestRunFoldsManyTasks: what they all say is said once, with their nodes.
func TestRunFoldsManyTasks(t *testing.T) {
	n := family2(t)
	r := n.w.hub("-s", "root", "run", "-n", "100", "-b", "--no-input", "sh", "-c", "seq 20")
	want := fmt.Sprintf("%[1]s\nleaf[1-2] (100)\n%[1]s\n", strings.Repeat("-", 15))
	if r.code != 0 || !strings.HasPrefix(r.stdout, want) || strings.Count(r.stdout, "\n") != 23 {
		t.Errorf("%+v", r)
	}
}

// TestAPagerLosesNothing: output waits for who reads it, however much there is.
func TestAPagerLosesNothing(t *testing.T) {
	n := family2(t)
	cmd := n.w.command("sh", "-c", `"$HUB" -s root run -n 2 --no-input sh -c 'seq 400000' | { sleep 1; wc -l; }`)
	cmd.Env = append(cmd.Env, "HUB="+n.w.command("hub").Path)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "800000" {
		t.Errorf("%q, %v", out, err)
	}
}
