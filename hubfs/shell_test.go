package hubfs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/shellctl"
	"hubfs/tree"
)

// TestWaitAnswersWhenTheOutputHasEnded: the last byte, then the end of the
// hubs, then the state, then wait.
func TestWaitAnswersWhenTheOutputHasEnded(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell a")
		out, errs, in := s.open("a1", tree.OpenRead), s.open("a2", tree.OpenRead), s.open("a0", tree.OpenRead)
		wait := s.open("shell/a/wait", tree.OpenRead)
		events := s.open("events", tree.OpenRead)
		p := s.proc("a")
		out.waits()
		wait.waits()
		if err := p.print("last words"); err != nil {
			t.Fatal(err)
		}
		// What they find who are woken by the end of the output, and by wait.
		seen := ""
		look := func(when string) func() {
			return func() {
				_, ended := s.node("a1").(*hubFile).hub.Ended()
				seen += fmt.Sprintf("%s: ended %v, %s; ", when, ended, strings.Fields(s.cat("shell/a/status"))[1])
			}
		}
		out.read("last words")
		for name, f := range map[string]*file{"output": out, "wait": wait} {
			if _, ready, _ := f.h.(tree.StreamReader).ReadStream(nil, 0, 10, look(name)); ready {
				t.Fatalf("%s does not wait", name)
			}
		}
		p.exit(statusCode(3))
		synctest.Wait()
		if want := "output: ended true, running; wait: ended true, exited; "; seen != want {
			t.Errorf("seen %s\nwant %s", seen, want)
		}

		for _, f := range []*file{out, errs, in} {
			f.ends()
		}
		wait.read("exit 3\n")
		wait.ends()
		wait.ends()
		if got := s.cat("shell/a/wait"); got != "exit 3\n" {
			t.Errorf("a late wait: %q", got)
		}
		if got := s.cat("shell/a/status"); got != "a exited 0 24 80 0 /bin/sh\n" {
			t.Errorf("status %q", got)
		}
		events.read("hub end a1 'exit 3'\nhub end a2 'exit 3'\nhub end a0 'exit 3'\nshell exit a 3\n")
		checkError(t, "write to a0", s.open("a0", tree.OpenWrite).write("x"), nil, "hub a0 has ended")
		for _, word := range []string{"kill a", "reopen a1", "end a1"} {
			if err := s.ctlAs(glenda, word); (err == nil) != (word == "end a1") {
				t.Errorf("%s: %v", word, err)
			}
		}
	})
}

// TestTheFilesOfAShellAreThereBeforeItsProcess, which may look for them.
func TestTheFilesOfAShellAreThereBeforeItsProcess(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		events := s.open("events", tree.OpenRead)
		s.starter.before = func(p *fakeProcess) {
			s.open("shell/a/ctl", tree.OpenWrite).mustWrite("size 50 100")
			s.open("a0", tree.OpenWrite).mustWrite("typed ahead")
			checkError(t, "signal", s.open("a0.note", tree.OpenWrite).write("interrupt"), nil, "only starting")
			s.ctl("kill a") // is done when there is something to kill
		}
		s.ctl("shell a cat")
		p := s.proc("a")
		synctest.Wait()
		if got := p.all(); got != "size 50 100; kill 2s" {
			t.Errorf("the process was told %q", got)
		}
		buf := make([]byte, 100)
		if n, err := p.streams.Stdin.ReadContext(t.Context(), buf); err == nil && string(buf[:n]) != "typed ahead" {
			t.Errorf("stdin: %q, %v", buf[:n], err)
		}
		events.read("hub new a1\nhub new a2\nhub new a0\nshell new a 101\n" +
			"hub end a1 'signal HUP'\nhub end a2 'signal HUP'\nhub end a0 'signal HUP'\nshell exit a 129\n")
	})
}

// TestAStartThatFailsLeavesWhatWasThere
func TestAStartThatFailsLeavesWhatWasThere(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		before := s.cat("status")
		events := s.open("events", tree.OpenRead)
		s.starter.err = errors.New("command not found: wrok")
		s.ctlFails("shell a wrok", nil, "shell a: command not found: wrok")
		events.waits()
		events.close()
		if got := s.cat("status"); got != before {
			t.Errorf("status:\n%s", got)
		}

		s.ctl("shell a")
		s.proc("a").print("history")
		s.proc("a").exit(statusCode(1))
		synctest.Wait()
		before = s.cat("status")
		s.starter.err = errors.New("no")
		var opened *file
		s.starter.before = func(*fakeProcess) { opened = s.open("a1", tree.OpenRead) }
		s.ctlFails("shell a", nil, "shell a: no")
		s.starter.before = nil
		checkError(t, "read of what never began", func() error { _, err := opened.next(); return err }(), nil, "is closed")
		if got := s.cat("status"); got != before {
			t.Errorf("status:\n%s\nwant\n%s", got, before)
		}
		s.open("a1", tree.OpenRead).read("history")
		if n := s.nodes; n != 3 {
			t.Errorf("%d hubs are counted", n)
		}
	})
}

// TestANewShellReplacesTheEndedOne, with hubs of its own; who has the old ones
// open keeps those.
func TestANewShellReplacesTheEndedOne(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell a")
		s.ctlFails("shell a", tree.ErrExist, "shell a is running")
		s.ctlFails("host a", tree.ErrExist, "shell a is running")
		old := s.open("a1", tree.OpenRead)
		oldPath := s.node("a1").Stat().Path
		p := s.proc("a")
		p.print("old")
		p.exit(statusCode(0))
		synctest.Wait()
		checkError(t, "replace", s.ctlAs(alice, "shell a"), tree.ErrPermission, "only glenda")
		s.ctl("shell a")
		s.proc("a").print("new")
		old.read("old")
		old.ends()
		if path := s.node("a1").Stat().Path; path == oldPath {
			t.Error("the new hub has the path of the old one")
		}
		s.open("a1", tree.OpenRead).read("new")
		s.open("shell/a/wait", tree.OpenRead).waits()
		old.close()
		if used, _ := s.budget.Used(); used != 3 {
			t.Errorf("%d bytes are retained, want those of new", used)
		}
	})
}

// TestTheSameHubsUnderTwoNames: stdin is NAME0, and so on.
func TestTheSameHubsUnderTwoNames(t *testing.T) {
	s := newServer(t, Config{})
	s.ctl("shell a")
	for file, name := range map[string]string{"stdin": "a0", "stdout": "a1", "stderr": "a2"} {
		a, b := s.node("shell/a/"+file).Stat(), s.node(name).Stat()
		if a.Path != b.Path || a.Name != file || b.Name != name {
			t.Errorf("%s: %+v, %s: %+v", file, a, name, b)
		}
	}
	if got := list(t, s.node("shell/a")); got != "ctl status wait args env dir clients stdin stdout stderr" {
		t.Errorf("shell/a holds %s", got)
	}
	if got := list(t, s.node("shell")); got != "a" {
		t.Errorf("shell holds %s", got)
	}
	if got := list(t, s.Root()); got != "a0 a0.note a1 a2 ctl events shell stats status" {
		t.Errorf("the root holds %s", got)
	}
	s.proc("a").print("0123")
	s.open("shell/a/stdout@-2", tree.OpenRead).read("23")
	s.open("shell/a/stdout@end", tree.OpenRead).waits()
	for _, path := range []string{"shell/b", "shell/a/none", "shell/a/ctl@", "a0.note@", "ctl@end", "shell@", "b@"} {
		if _, err := s.walk(glenda, path); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestWhatIsTypedIsNotForLateReaders: stdin keeps nothing that has been read.
func TestWhatIsTypedIsNotForLateReaders(t *testing.T) {
	s := newServer(t, Config{})
	s.ctl("shell a")
	s.open("a0", tree.OpenWrite).mustWrite("secret\n")
	buf := make([]byte, 100)
	if n, err := s.proc("a").streams.Stdin.ReadContext(t.Context(), buf); string(buf[:n]) != "secret\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	s.open("a0", tree.OpenRead).waits()
}

func TestNotesAndSignals(t *testing.T) {
	s := newServer(t, Config{})
	s.ctl("shell a")
	note, ctl := s.open("a0.note", tree.OpenWrite), s.open("shell/a/ctl", tree.OpenWrite)
	note.mustWrite("interrupt")
	note.mustWrite("hangup\n")
	note.mustWrite("SIGTERM\x00")
	ctl.mustWrite("signal usr1")
	if got := s.proc("a").all(); got != "signal interrupt; signal hangup; signal SIGTERM; signal usr1" {
		t.Errorf("the process got %s", got)
	}
	checkError(t, "note", note.write("no such"), nil, "unknown signal")
	checkError(t, "signal", ctl.write("signal 'INT\nkill'"), nil, "unknown signal")
	s.proc("a").exit(statusCode(0))
	s.waitFor("a")
	checkError(t, "note", note.write("interrupt"), nil, "shell a has ended: exit 0")
	checkError(t, "signal", ctl.write("signal INT"), nil, "shell a has ended: exit 0")
	checkError(t, "size", ctl.write("size 1 1"), nil, "shell a has ended: exit 0")
}

// TestKillEndsAShellWhoseOutputIsStuck: a hub that stands still holds up its
// shell alone, and not for ever.
func TestKillEndsAShellWhoseOutputIsStuck(t *testing.T) {
	for _, stuck := range []string{"freeze a1", "size a1 1\nfear a1"} {
		t.Run(stuck, func(t *testing.T) {
			bubble(t, Config{Grace: 5 * time.Second}, func(t *testing.T, s *server) {
				s.ctl("shell a\nshell b")
				s.ctl(stuck)
				reader := s.open("a1", tree.OpenRead) // and never reads
				p := s.proc("a")
				p.deaf = true // it ends as a real one does, when its output was taken
				s.proc("b").print("not stuck")
				printed := make(chan error, 1)
				go func() { // ends when print does; the channel tells
					for {
						if err := p.print("x"); err != nil {
							printed <- err
							break
						}
					}
					p.exit(shellctl.Status{Signal: "KILL"})
				}()
				synctest.Wait()
				start := time.Now()
				s.ctl("kill a")
				s.waitFor("a")
				if d := time.Since(start); d != 6*time.Second {
					t.Errorf("it ended after %v", d)
				}
				if err := <-printed; err == nil {
					t.Error("the write went through")
				}
				if got := s.cat("shell/a/wait"); got != "signal KILL\n" {
					t.Errorf("wait: %q", got)
				}
				reader.close()
			})
		})
	}
}

// TestRemoveOfAShell: by its owner, when it has ended, with all its files.
func TestRemoveOfAShell(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		if err := s.ctlAs(alice, "shell a"); err != nil {
			t.Fatal(err)
		}
		s.ctlFails("rm a", tree.ErrBusy, "running")
		checkError(t, "remove", s.node("shell/a").(tree.Remover).Remove(alice), tree.ErrBusy, "kill it first")
		out := s.open("a1", tree.OpenRead)
		ctl := s.open("shell/a/ctl", tree.OpenRDWR)
		s.ctl("kill a")
		synctest.Wait()
		checkError(t, "rm", s.ctlAs(bob, "rm a"), tree.ErrPermission, "only alice")
		events := s.open("events", tree.OpenRead)
		if err := s.ctlAs(alice, "rm a"); err != nil {
			t.Fatal(err)
		}
		events.read("hub rm a1\nhub rm a2\nhub rm a0\nshell rm a\n")
		for _, path := range []string{"a0", "a1", "a2", "a0.note", "shell/a"} {
			if _, err := s.walk(glenda, path); !errors.Is(err, tree.ErrNotExist) {
				t.Errorf("%s: %v", path, err)
			}
		}
		out.ends()
		out.close()
		ctl.close()
		s.mustCreate("a0", "a1", "a2", "a0.note")
	})
}
