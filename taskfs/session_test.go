package taskfs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/tree"
)

// sorted are the lines of a text in order: tasks put them out in any.
func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "")
}

// fields are some of each line of a text, from 0.
func fieldsOf(text string, which ...int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		for i, n := range which {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(f[n])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *server) wantCat(path, want string) {
	s.t.Helper()
	if got := s.cat(path); got != want {
		s.t.Errorf("%s:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestTheCanonicalClient of 2010: clone, res, exec, write all, close, read to the
// end, close.
func TestTheCanonicalClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		s.wantCat("0/status", "cmd/0 2 Unreserved /home/root ''\n")
		ctl.write("res 4")
		s.wantCat("0/status", strings.Join([]string{
			"cmd/1 2 Reserved /home/root '' 0 root 0 ''",
			"cmd/2 2 Reserved /home/root '' 1 root 0 ''",
			"cmd/3 2 Reserved /home/root '' 2 root 0 ''",
			"cmd/4 2 Reserved /home/root '' 3 root 0 ''\n",
		}, "\n"))
		ctl.write("exec count 'a b'")
		in := s.open("0/stdio", tree.OpenWrite)
		in.write("one\ntwo\n")
		out := s.open("0/stdio", tree.OpenRead)
		if !out.waits() {
			t.Error("tasks have counted what has no end yet")
		}
		in.close()
		if got := out.all(); got != "8\n8\n8\n8\n" {
			t.Errorf("output: %q", got)
		}
		s.wantCat("0/stdout", "8\n8\n8\n8\n") // whoever comes gets everything
		s.wantCat("0/stderr", "")
		s.wantCat("0/status", strings.Join([]string{
			"cmd/1 3 Done /home/root 'count ''a b''' 0 root 0 'exit 0'",
			"cmd/2 3 Done /home/root 'count ''a b''' 1 root 0 'exit 0'",
			"cmd/3 3 Done /home/root 'count ''a b''' 2 root 0 'exit 0'",
			"cmd/4 3 Done /home/root 'count ''a b''' 3 root 0 'exit 0'\n",
		}, "\n"))
		out.close()
		if got, want := fieldsOf(sorted(s.cat("0/wait")), 0, 1, 6, 7), "0 root '' 0\n1 root '' 0\n2 root '' 0\n3 root '' 0\n"; got != want {
			t.Errorf("wait: %q", got)
		}
		ctl.close()
		s.wantCat("0/status", "cmd/0 1 Released /home/root 'count ''a b'''\n")
	})
}

// TestTheFilesAndTheirModes are those of TASKFS 1.3 but for args, env and ns, whose
// modes were a mistake.
func TestTheFilesAndTheirModes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 2)
		if got, want := s.ls(""), "arch clone env fs ns status nodes events ctl uplink"; got != want {
			t.Errorf("/remote: %s", got)
		}
		ctl := s.user(ken).clone("0")
		ctl.write("res 2")
		if got := s.ls(""); !strings.HasSuffix(got, " uplink 0") {
			t.Errorf("/remote: %s", got)
		}
		const ten = "args ctl env ns status stderr stdin stdio stdout wait"
		if got := s.ls("0"); got != ten+" summary events id fs out 0 1" {
			t.Errorf("0: %s", got)
		}
		if got := s.ls("0/1"); got != ten {
			t.Errorf("0/1: %s", got)
		}
		if got := s.ls("0/out"); got != "merged labelled folded folded.err bynode" {
			t.Errorf("0/out: %s", got)
		}
		if got := s.ls("0/out/bynode"); got != "0 1" {
			t.Errorf("0/out/bynode: %s", got)
		}
		for _, dir := range []string{"0/", "0/1/"} {
			for name, mode := range map[string]uint32{
				"args": 0o660, "ctl": 0o660, "env": 0o660, "ns": 0o660, "status": 0o444, "stderr": 0o444,
				"stdin": 0o222, "stdio": 0o660, "stdout": 0o444, "wait": 0o444,
			} {
				n, err := s.walk(dir + name)
				if err != nil {
					t.Fatal(err)
				}
				if i := n.Stat(); i.Mode != mode || i.UID != "ken" || i.GID != "ken" {
					t.Errorf("%s%s: mode %#o of %s", dir, name, i.Mode, i.UID)
				}
			}
		}
		ctl.write("compat")
		if got := s.ls("0"); got != ten+" 0 1" {
			t.Errorf("0 as in 2010: %s", got)
		}
		ctl.close()
		if got := s.ls("0"); got != ten {
			t.Errorf("0 when it was released: %s", got)
		}
		s.open("ctl", tree.OpenWrite).write("begin compat")
		if got := s.ls(""); got != "arch clone env fs ns status 0" {
			t.Errorf("/remote as in 2010: %s", got)
		}
	})
}

// TestNumbers: the lowest that is free; a session's is free when its last ctl is
// closed.
func TestNumbers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		a, b, c := s.clone("0"), s.clone("1"), s.clone("2")
		b.close()
		a.close()
		b = s.clone("0")
		more := s.open("0/ctl", tree.OpenRead)
		if got := more.all(); got != "0" {
			t.Errorf("ctl: %q", got)
		}
		b.close()
		d := s.clone("1") // 0 is held by who reads its ctl
		more.close()
		e, f := s.clone("0"), s.clone("3")
		for _, h := range []*file{c, d, e, f} {
			h.close()
		}
		// While tasks of a session run, none is called as it is.
		y := s.clone("0")
		h := s.FS.slots[0].streams["stdout"].Hub()
		h.Freeze()
		y.write("exec echo held back")
		synctest.Wait()
		y.close()
		if err := s.echo("0/ctl", "res 1"); err == nil || !strings.Contains(err.Error(), "is being ended") {
			t.Errorf("a new session 0: %v", err)
		}
		s.clone("1").close()
		h.Melt()
		synctest.Wait()
		z := s.clone("0")
		// Sessions that run tasks here use up numbers, and give them back.
		x := s.clone("1")
		x.write("res 2")
		x.close()
		synctest.Wait()
		s.clone("1").close()
		z.close()
	})
}

// TestOutputStaysUntilItWasRead.
func TestOutputStaysUntilItWasRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		if s.InUse() {
			t.Error("nothing is there, and it is in use")
		}
		ctl := s.clone("0")
		ctl.write("res 2\nexec echo hello")
		wait := s.open("0/wait", tree.OpenRead)
		wait.all()
		wait.close()
		early := s.open("0/stdout", tree.OpenRead)
		ctl.close()
		synctest.Wait()
		changed := s.Changed()
		if !s.InUse() {
			t.Error("nobody has read what there is")
		}
		s.wantCat("0/stdio", "hello\nhello\n")
		s.catFails("0/stdio", "Resources already released")
		s.catFails("0/stdout", "Resources already released")
		early.want("hello\nhello\n")
		early.close()
		select {
		case <-changed:
		default:
			t.Error("nobody was told")
		}
		if s.InUse() {
			t.Error("all is read, and it is in use")
		}
		for path, text := range map[string]string{"0/stdin": "x", "0/stdio": "x", "0/args": "x", "0/env": "A=b"} {
			if err := s.echo(path, text); err == nil || !strings.Contains(err.Error(), "Resources already released") {
				t.Errorf("%s: %v", path, err)
			}
		}
		if n, err := s.walk("0/0"); err == nil {
			t.Errorf("a part is left: %v", n)
		}
		// One that never ran anything has nothing to read.
		s.clone("0").close()
		s.catFails("0/stdout", "Resources already released")
	})
}

// TestInUse: output that was read keeps no server, nor does for ever what nobody reads.
func TestInUse(t *testing.T) {
	for _, read := range [][]string{{"0/stdout", "0/stderr"}, {"0/out/labelled"}, {"0/out/folded", "0/out/folded.err"}} {
		inWorld(t, func(t *testing.T, w *world) {
			s := w.node("root", 8)
			ctl := s.clone("0")
			ctl.write("exec echo hello")
			s.cat("0/wait")
			for _, path := range read {
				s.cat(path)
			}
			ctl.close()
			synctest.Wait()
			if s.InUse() {
				t.Errorf("in use after %v were read", read)
			}
		})
	}
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		ctl := s.clone("0")
		ctl.write("exec echo hello")
		s.cat("0/wait")
		ctl.close()
		time.Sleep(9 * time.Minute)
		if !s.InUse() {
			t.Error("not in use, and there is something to read")
		}
		changed := s.Changed()
		time.Sleep(2 * time.Minute)
		select {
		case <-changed:
		default:
			t.Error("nobody was told")
		}
		if s.InUse() {
			t.Error("in use for ever")
		}
		s.wantCat("0/stdout", "hello\n")
	})
}

// TestManyWhoAreNotRead: the output of some is kept, not of all that there ever were.
func TestManyWhoAreNotRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		var all []*file
		for i := range maxUnread + 1 {
			ctl := s.clone(fmt.Sprint(i))
			ctl.write("exec echo hello")
			s.cat(fmt.Sprint(i) + "/wait")
			all = append(all, ctl)
		}
		for _, ctl := range all {
			ctl.close()
			synctest.Wait()
		}
		s.catFails("0/stdout", "Resources already released")
		s.wantCat("1/stdout", "hello\n")
	})
}

// TestKilledByRelease: tasks that run are killed, and readers come to the end.
func TestKilledByRelease(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		ctl := s.clone("0")
		ctl.write("res 2\nexec hold gate said")
		out, wait := s.open("0/stdout", tree.OpenRead), s.open("0/wait", tree.OpenRead)
		out.waits()
		if n := len(w.Running()); n != 2 {
			t.Errorf("%d run", n)
		}
		ctl.close()
		out.all()
		if got := fieldsOf(sorted(wait.all()), 0, 6, 7); got != "0 'signal KILL'\n1 'signal KILL'\n" {
			t.Errorf("wait: %q", got)
		}
		out.close()
		wait.close()
		synctest.Wait()
		if n := len(w.Running()); n != 0 {
			t.Errorf("%d run", n)
		}
	})
}

// TestShellsAndPersist: a shell closes ctl behind each command. What persists is not
// released by that, and wipe does it.
func TestShellsAndPersist(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		echo := func(text string) {
			t.Helper()
			if err := s.echo("0/ctl", text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		s.clone("0").close()
		echo("res 4")
		s.wantCat("0/status", "cmd/0 1 Released /home/root ''\n")
		synctest.Wait()
		echo("persist")
		echo("res 2")
		echo("exec echo hi")
		s.wantCat("0/stdio", "hi\nhi\n")
		if got := fieldsOf(s.cat("0/status"), 0, 1, 2); got != "cmd/1 1 Done\ncmd/2 1 Done\n" {
			t.Errorf("status: %s", got)
		}
		if got := s.FS.Sessions(); len(got) != 1 || got[0] != "0 glenda Done 2 2 0 %h 'echo hi'" {
			t.Errorf("sessions: %q", got)
		}
		s.clone("3").close() // 1 and 2 are those of the tasks
		echo("wipe")
		if _, err := s.walk("0"); err == nil {
			t.Error("it is there still")
		}
		synctest.Wait()
		if s.InUse() {
			t.Error("in use")
		}
		s.clone("0").close()

		// With begin all sessions are so, and a shell needs no word.
		s.open("ctl", tree.OpenWrite).write("begin persist compat")
		s.wantCat("ctl", "debug 0\nbegin compat persist\n")
		s.clone("0").close()
		echo("res 1")
		s.wantCat("0/status", "cmd/1 1 Closed /home/root ''\n")
		echo("wipe")
		s.open("ctl", tree.OpenWrite).write("begin plain")

		// killonclose ends the tasks of one that persists.
		s.clone("0").close()
		echo("persist\nkillonclose\nres 1\nexec hold gate")
		if got := fieldsOf(s.cat("0/wait"), 6, 7); got != "'signal KILL'\n" {
			t.Errorf("wait: %q", got)
		}
		if got := fieldsOf(s.cat("0/status"), 2); got != "Killed\n" {
			t.Errorf("status: %q", got)
		}
		echo("wipe")
	})
}

// TestLinger: a session may stay for a while when nobody holds it.
func TestLinger(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		ctl := s.clone("0")
		ctl.write("linger 10\nres 1")
		ctl.close()
		time.Sleep(9 * time.Second)
		if err := s.echo("0/ctl", "exec echo hi"); err != nil {
			t.Error(err)
		}
		time.Sleep(9 * time.Second)
		s.wantCat("0/stdout", "hi\n")
		time.Sleep(2 * time.Second)
		if got := s.cat("0/status"); !strings.HasPrefix(got, "cmd/0 1 Released") {
			t.Errorf("status: %q", got)
		}
	})
}

// TestErrorsOfJanuary: strict.
func TestErrorsOfJanuary(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 8)
		ctl := s.clone("0")
		ctl.write("strict\ncompat")
		ctl.fails("exec pwd", "No remote reservation done")
		for _, name := range []string{"status", "stdio", "stdout", "stderr", "wait"} {
			s.catFails("0/"+name, "No remote reservation done")
		}
		ctl.fails("kill", "No remote reservation done")
		ctl.fails("res 1", "No remote resources available")
		leaf := w.node("leaf", 2)
		s.below(leaf)
		ctl.write("res 1")
		ctl.fails("res 1", "Resources already in use")
		s.wantCat("0/status", "cmd/0 2 Closed /home/leaf ''\n")
		ctl.write("exec echo /usr")
		s.wantCat("0/stdio", "/usr\n")
		s.wantCat("0/status", "cmd/0 2 Done /home/leaf 'echo /usr'\n")
		s.wantCat("0/stderr", "")
	})
}

// TestErrorsSayWhatIs: each in the words that TASKFS 1.6 has.
func TestErrorsSayWhatIs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 2)
		ctl := s.clone("0")
		ctl.fails("kill", "No remote reservation done")
		ctl.fails("res -1", "permission denied")
		ctl.fails("res 1 plan9", "No resources matching request")
		ctl.fails("res 1 linux amd64 label=gpu", "No resources matching request")
		ctl.fails("res 1 remote", "No remote resources available")
		ctl.fails("res 5 nodes=*  mem=9g", "No resources matching request")
		ctl.write("res 1")
		ctl.fails("kill", "not started")
		ctl.fails("signal HUP", "not started")
		ctl.fails("again", "not started")
		ctl.write("exec echo a")
		ctl.fails("exec echo b", "Resources already in use")
		ctl.fails("res 2", "Resources already in use")
		ctl.fails("dir /tmp", "Resources already in use")
		s.cat("0/wait")
		ctl.write("kill") // they have ended: that is no error
		ctl.close()
		if _, err := s.walk("0/0/stdio"); err == nil {
			t.Error("a part of what was released")
		}
	})
}

// TestExecWithoutResRunsHere, as res 0 does.
func TestExecWithoutResRunsHere(t *testing.T) {
	for _, line := range []string{"exec echo %n", "res 0\nexec echo %n"} {
		inWorld(t, func(t *testing.T, w *world) {
			s := w.node("root", 2)
			s.below(w.node("leaf", 2))
			ctl := s.clone("0")
			ctl.write(line)
			s.wantCat("0/stdout", "root\n")
			if got := s.ls("0"); !strings.HasSuffix(got, " out") {
				t.Errorf("parts: %s", got)
			}
			if got := fieldsOf(s.cat("0/status"), 0, 2); got != "cmd/0 Done\n" {
				t.Errorf("status: %q", got)
			}
		})
	}
}

// TestAgain: the same reservation, once more.
func TestAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 2)
		ctl := s.clone("0")
		ctl.write("res 2\nexec count")
		ctl.fails("again", "Resources already in use")
		in := s.open("0/stdin", tree.OpenWrite)
		in.write("abc")
		in.close()
		s.wantCat("0/stdout", "3\n3\n")
		if err := s.echo("0/stdin", "late"); err == nil {
			t.Error("input of tasks that have ended")
		}
		first := s.cat("0/wait")
		ctl.write("again")
		if got := fieldsOf(s.cat("0/status"), 0, 2); !strings.Contains(got, "cmd/1") {
			t.Errorf("status: %q", got)
		}
		wait := s.open("0/wait", tree.OpenRead)
		wait.waits()
		ctl.write("exec count")
		in = s.open("0/stdin", tree.OpenWrite)
		in.write("abcde")
		in.close()
		s.wantCat("0/stdout", "5\n5\n")
		if got := wait.all(); strings.Count(got, "\n") != 2 || strings.Contains(first, got) {
			t.Errorf("wait: %q, before %q", got, first)
		}
		wait.close()
		ctl.write("close stdin") // of tasks that have ended
		ctl.write("again echo %r")
		if got := sorted(s.cat("0/stdout")); got != "0\n1\n" {
			t.Errorf("third: %q", got)
		}
	})
}

// TestWaitIsForAll: who comes early or late, and reads in small pieces, gets a line
// for each task, and those of a part only its own.
func TestWaitIsForAll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 2)
		ctl := s.clone("0")
		early := s.open("0/wait", tree.OpenRead)
		early.waits()
		ctl.write("res 3")
		part := s.open("0/1/wait", tree.OpenRead)
		ctl.write("exec records 1s") // each ends with its input
		if err := s.echo("0/2/stdin", ""); err != nil {
			t.Error(err)
		}
		early.want("2 root 3 0 0 0 '' 0\n")
		early.waits()
		part.waits()
		if err := s.echo("0/1/stdin", "x"); err != nil {
			t.Error(err)
		}
		part.want("1 root 2 0 0 1000 '' 0\n")
		if got := part.all(); got != "" {
			t.Errorf("part: %q", got)
		}
		early.want("1 root 2 0 0 1000 '' 0\n")
		late := s.open("0/wait", tree.OpenRead)
		ctl.write("close stdin")
		all := early.all()
		var small string
		for {
			pieces, ready, err := late.h.(tree.StreamReader).ReadStream(nil, 0, 3, func() {})
			if err != nil || !ready || len(pieces) == 0 {
				break
			}
			small += string(pieces[0].Data)
		}
		if small != "2 root 3 0 0 0 '' 0\n1 root 2 0 0 1000 '' 0\n"+all || !strings.HasPrefix(all, "0 root 1 ") {
			t.Errorf("late: %q, early the last %q", small, all)
		}
		early.close()
		late.close()
		part.close()
	})
}

// TestIDs are never the same.
func TestIDs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 2)
		seen := map[string]bool{}
		for range 10 {
			ctl := s.clone("0")
			id := s.cat("0/id")
			if !regexp.MustCompile(`^[0-9a-f]{16}\n$`).MatchString(id) || seen[id] {
				t.Errorf("id %q", id)
			}
			seen[id] = true
			ctl.close()
		}
	})
}

// TestManySessions are cheap, and bounded.
func TestManySessions(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 2, func(c *Config) { c.MaxSessions = 1000 })
		var all []*file
		for i := range 1000 {
			all = append(all, s.clone(fmt.Sprint(i)))
		}
		if _, err := s.tryOpen("clone", tree.OpenRDWR); err == nil || !strings.Contains(err.Error(), "1000 sessions") {
			t.Errorf("one more: %v", err)
		}
		for _, f := range all {
			f.close()
		}
		s.clone("0").close()
	})
}
