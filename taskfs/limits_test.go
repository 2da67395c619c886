package taskfs

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/tree"
)

// TestDeadlines: of each task, of silence, and of all together.
func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		deadline, cmd string
		took          time.Duration
		wait          string
	}{
		{"run=10", "hold gate", 10 * time.Second, "'signal TERM'"},
		{"total=10s", "hold gate", 10 * time.Second, "'signal TERM'"},
		{"idle=10s", "hold gate", 10 * time.Second, "'signal TERM'"},
		{"run=10s", "trap", 10 * time.Second, "''"},
		{"run=1m", "sleep 5s", 5 * time.Second, "''"},
		{"idle=2s run=1m", "echo x", 0, "''"},
		{"", "sleep 5s", 5 * time.Second, "''"},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			s := w.node("root", 4)
			ctl := s.clone("0")
			ctl.write("deadline run=1s\ndeadline " + c.deadline + "\nexec " + c.cmd)
			start := time.Now()
			wait := s.cat("0/wait")
			if took := time.Since(start); took < c.took || took > c.took+c.took/10+3*time.Second {
				t.Errorf("%s, %s: took %v", c.deadline, c.cmd, took)
			}
			if !strings.Contains(wait, c.wait) {
				t.Errorf("%s, %s: %q", c.deadline, c.cmd, wait)
			}
		})
	}
}

// TestIdleIsSilence: what puts something out now and then goes on.
func TestIdleIsSilence(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\ndeadline idle=10\nexec cat")
		in := s.open("0/0/stdin", tree.OpenWrite)
		for range 10 {
			in.write("x")
			time.Sleep(5 * time.Second)
		}
		if got := fieldsOf(s.cat("0/status"), 0, 2); got != "cmd/1 Execute\ncmd/2 Killed\n" {
			t.Errorf("status: %q", got)
		}
		in.close()
		if got := s.cat("0/0/wait"); !strings.Contains(got, "''") {
			t.Errorf("wait: %q", got)
		}
	})
}

// TestADeadlineForWhatRuns: it counts from when the tasks began.
func TestADeadlineForWhatRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\nexec hold gate")
		time.Sleep(time.Minute)
		if n := len(w.Running()); n != 2 {
			t.Errorf("%d run", n)
		}
		ctl.write("deadline run=30s")
		start := time.Now()
		s.cat("0/wait")
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v more", took)
		}
	})
}

// TestHalt: the others end when so many have failed, or have not.
func TestHalt(t *testing.T) {
	for _, c := range []struct {
		halt string
		end  []string // commands of tasks that end, one after the other
		left int      // that still run then
	}{
		{"fail=1", []string{"true", "false"}, 0},
		{"fail=2", []string{"true", "false"}, 8},
		{"fail=20%", []string{"false"}, 9},
		{"fail=20%", []string{"false", "exit 3"}, 0},
		{"success=2", []string{"true", "false"}, 8},
		{"success=2", []string{"true", "false", "true"}, 0},
		{"never", []string{"true", "false", "true"}, 7},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			s := w.node("root", 16)
			ctl := s.clone("0")
			ctl.write("halt fail=1\nhalt " + c.halt + "\nres 10")
			for i := range 10 {
				cmd := "hold gate"
				if i >= len(c.end) {
					if err := s.echo("0/"+string(rune('0'+i))+"/ctl", "exec "+cmd); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, cmd := range c.end {
				part := "0/" + string(rune('0'+i))
				if err := s.echo(part+"/ctl", "exec "+cmd); err != nil {
					t.Fatal(err)
				}
				s.cat(part + "/wait")
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if n := len(w.Running()); n != c.left {
				t.Errorf("halt %s after %v: %d run, want %d", c.halt, c.end, n, c.left)
			}
			ctl.close()
		})
	}
}

// TestSummary counts.
func TestSummary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 16)
		ctl := s.clone("0")
		s.wantCat("0/summary", "tasks 0\nreserved 0\nrunning 0\nlost 0\ndone 0\nfailed 0\nworst 0\ndropped 0\nrefused 0\n")
		ctl.write("res 6")
		for part, cmd := range map[string]string{"1": "exit 3", "2": "sleep 2s", "3": "exit 3", "4": "hold gate", "5": "hold gate"} {
			if err := s.echo("0/"+part+"/ctl", "exec "+cmd); err != nil {
				t.Fatal(err)
			}
		}
		s.cat("0/2/wait")
		s.open("0/5/ctl", tree.OpenWrite).write("signal sighup")
		s.cat("0/5/wait")
		s.wantCat("0/summary", `tasks 6
reserved 1
running 1
lost 0
done 4
failed 3
status 'exit 3' 2
status 'exit 0' 1
status 'signal HUP' 1
worst 129
first 1 root 'exit 3'
seconds min 0.000 50% 0.000 90% 2.000 99% 2.000 max 2.000
dropped 0
refused 0
`)
	})
}

// TestRetry: tasks of a node that is fenced run elsewhere, with the input that they
// had.
func TestRetry(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		root := w.node("root", 1)
		a, b := w.node("a", 1), w.node("b", 2)
		cut := root.below(a)
		root.below(b)
		ctl := root.clone("0")
		ctl.write("retry 1\nres 2\nexec count")
		events := root.open("0/events", tree.OpenRead)
		in := root.open("0/stdin", tree.OpenWrite)
		in.write("before ")
		synctest.Wait()
		cut()
		synctest.Wait()
		if got := fieldsOf(root.cat("0/status"), 2, 6); got != "Lost a\nExecute b\n" {
			t.Errorf("status when the link is cut: %q", got)
		}
		if got := root.cat("0/summary"); !strings.Contains(got, "lost 1\n") {
			t.Errorf("summary: %s", got)
		}
		in.write("between ")
		time.Sleep(time.Minute)
		if got := fieldsOf(root.cat("0/status"), 2, 6); got != "Execute b\nExecute b\n" {
			t.Errorf("status after the fence: %q", got)
		}
		in.write("after")
		in.close()
		root.wantCat("0/stdout", "20\n20\n")
		wait := fieldsOf(sorted(root.cat("0/wait")), 0, 1, 6)
		if wait != "0 b ''\n1 b ''\n" {
			t.Errorf("wait: %q", wait)
		}
		all, _ := events.read()
		for _, line := range []string{"reserved 2", "started 0 a", "started 1 b", "lost 0 a", "fenced 0 a", "restarted 0 b", "done 0"} {
			if !strings.Contains("\n"+all, "\n"+line+"\n") {
				t.Errorf("no event %q in\n%s", line, all)
			}
		}
		events.close()
	})
}

// TestKilledIsNotRetried: who kills the tasks means those too of which nobody knows
// yet whether they run.
func TestKilledIsNotRetried(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		root := w.node("root", 1)
		cut := root.below(w.node("a", 1))
		root.below(w.node("b", 2))
		ctl := root.clone("0")
		ctl.write("retry 5\nres 2\nexec hold gate")
		synctest.Wait()
		cut()
		synctest.Wait()
		ctl.write("kill")
		if got := fieldsOf(sorted(root.cat("0/wait")), 0, 1, 6, 7); got != "0 a 'lost a'\n1 b 'signal KILL'\n" {
			t.Errorf("wait: %q", got)
		}
		ctl.close()
	})
}

// TestLostWithoutRetry: the task has ended when its node is fenced, and says so.
func TestLostWithoutRetry(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		root := w.node("root", 1)
		cut := root.below(w.node("a", 1))
		ctl := root.clone("0")
		ctl.write("res 1 remote\nexec hold gate")
		wait := root.open("0/wait", tree.OpenRead)
		wait.waits()
		cut()
		if !wait.waits() {
			t.Error("it has ended, and nobody can know")
		}
		if got := wait.all(); !strings.Contains(got, "'lost a'") {
			t.Errorf("wait: %q", got)
		}
		root.wantCat("0/stdout", "")
		if got := root.cat("0/summary"); !strings.Contains(got, "worst 125\nfirst 0 a 'lost a'\n") {
			t.Errorf("summary: %s", got)
		}
		wait.close()
		ctl.close()
	})
}
