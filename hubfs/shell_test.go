package hubfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	if got := list(t, s.Root()); got != "a0 a0.note a1 a2 ctl events shell status" {
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

// TestInUse: what somebody may come back for.
func TestInUse(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		in := func(want bool, when string) {
			t.Helper()
			synctest.Wait()
			if got := s.InUse(); got != want {
				t.Errorf("%s: in use %v", when, got)
			}
		}
		changes := func(when string, do func()) {
			t.Helper()
			ch := s.Changed()
			do()
			synctest.Wait()
			select {
			case <-ch:
			default:
				t.Errorf("%s: nobody was told", when)
			}
		}
		in(false, "at the start")
		changes("create", func() { s.mustCreate("h") })
		in(true, "a hub")
		changes("rm", func() { s.ctl("rm h") })
		in(false, "the hub is gone")
		s.mustCreate("d/")
		in(false, "an empty directory")

		changes("shell", func() { s.ctl("shell a") })
		in(true, "a shell")
		changes("exit", func() { s.proc("a").exit(statusCode(0)) })
		in(true, "an end that nobody has seen")
		changes("wait", func() { s.cat("shell/a/wait") })
		in(false, "wait was read")

		s.ctl("shell a")
		in(true, "a new one")
		s.proc("a").exit(statusCode(0))
		synctest.Wait()
		f := s.open("shell/a/ctl", tree.OpenRDWR)
		changes("attach", func() { f.mustWrite("attach rw 24 80") })
		f.read("size 24 80\nexit 0\n")
		in(false, "told to one who came late")

		s.ctl("shell a")
		f = s.open("shell/a/ctl", tree.OpenRDWR)
		f.mustWrite("attach ro 24 80")
		s.proc("a").exit(statusCode(0))
		in(false, "somebody was attached")

		s.ctl("shell b")
		s.proc("b").exit(statusCode(0))
		in(true, "b was not seen")
		changes("rm", func() { s.ctl("rm b") })
		in(false, "b was removed")
	})
}

// TestShutdownHangsUpThenCloses, and waits for the last output.
func TestShutdownHangsUpThenCloses(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell a\nshell b")
		s.mustCreate("h", "d/", "d/h")
		host := s.open("ctl", tree.OpenRDWR)
		host.mustWrite("host c")
		host.read("size 24 80\n")
		att := s.open("shell/a/ctl", tree.OpenRDWR)
		att.mustWrite("attach rw 24 80")
		att.read("size 24 80\ndriver yes\n")
		out, hub := s.open("a1", tree.OpenRead), s.open("d/h", tree.OpenRead)
		hosted := s.open("shell/c/ctl", tree.OpenRDWR)
		hosted.mustWrite("attach ro 24 80")
		hosted.read("size 24 80\ndriver no\n")

		p := s.proc("a")
		p.deaf = true
		go func() { // ends after a second
			time.Sleep(time.Second) // this is how long the program takes, not the test
			p.print("bye")
			p.exit(shellctl.Status{Signal: "HUP"})
		}()
		start := time.Now()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("shutdown took %v", d)
		}
		att.read("signal HUP\n")
		hosted.read("detach the server is ending\n")
		if got := s.cat("shell/c/status"); !strings.Contains(got, "c running") {
			t.Errorf("a hosted shell: %s", got)
		}
		host.waits() // its process is not ours to end
		for _, f := range []*file{out, hub} {
			checkError(t, f.path, func() error { _, err := f.next(); return err }(), nil, "is closed")
		}
		for _, line := range []string{"shell x", "host x", "shell a"} {
			checkError(t, line, s.ctlAs(glenda, line), nil, "ending")
		}
		checkError(t, "create", s.create(glenda, "x"), nil, "ending")
	})
}

// TestShutdownDoesNotWaitForEver
func TestShutdownDoesNotWaitForEver(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell a")
		s.proc("a").deaf = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
	})
}

// TestEventsStartAtTheEndAndSkip: a reader gets what comes, and one that is too
// slow misses the oldest and is counted.
func TestEventsStartAtTheEndAndSkip(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("before")
	f := s.openAs(alice, "events", tree.OpenRead)
	f.waits()
	s.mustCreate("d/", "d/a b")
	s.ctl("end 'd/a b' 'exit 3'\nrm 'd/a b'")
	f.read("hub new 'd/a b'\nhub end 'd/a b' 'exit 3'\nhub rm 'd/a b'\n")
	for range linesSize / len("hub new x\nhub rm x\n") {
		s.mustCreate("x")
		s.ctl("rm x")
	}
	s.mustCreate("y")
	if st := s.events.lines.hub.Readers()[0]; st.Lost == 0 {
		t.Errorf("nothing is lost: %+v", st)
	}
	if got := s.cat("status"); !strings.Contains(got, "reader events alice 'tcp a' ") {
		t.Errorf("status:\n%s", got)
	}
}

// TestAWakeMayComeBack: to wake a reader may run the server's code, which closes
// handles and removes files. That must not hang, and the order stays.
func TestAWakeMayComeBack(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("a", "b")
	b := s.open("b", tree.OpenRead)
	events := s.open("events", tree.OpenRead)
	again := s.open("events", tree.OpenRead)
	_, _, err := events.h.(tree.StreamReader).ReadStream(nil, 0, 100, func() {
		if err := s.node("b").(tree.Remover).Remove(glenda); err != nil {
			t.Error(err)
		}
		b.close()
		s.mustCreate("c")
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ctl("rm a")
	again.read("hub rm a\nhub rm b\nhub new c\n")
}

// TestAPanicInAPostHarmsNobodyElse: the server lives on after a panic, and what
// was to be told is told.
func TestAPanicInAPostHarmsNobodyElse(t *testing.T) {
	s := newServer(t, Config{})
	events := s.open("events", tree.OpenRead)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		s.mu.Lock()
		s.later(func() { panic("in a wake") })
		s.sayLocked("hub new", "first")
		s.unlock()
	}()
	s.mustCreate("second")
	events.read("hub new first\nhub new second\n")
}

// TestManyAtOnce: everything at the same time, for the race detector, and it
// comes to an end.
func TestManyAtOnce(t *testing.T) {
	s := newServer(t, Config{Size: 100, MaxHubs: 30})
	var all sync.WaitGroup
	events := s.open("events", tree.OpenRead)
	for i := range 8 {
		all.Go(func() { // ends after its rounds
			c := &tree.Caller{User: "u", Conn: uint64(i)}
			name := fmt.Sprint("n", i%4) // two use the same name
			for range 30 {
				s.create(c, name)
				s.ctlAs(c, "shell "+name+"\nfear "+name)
				s.ctlAs(c, "fear\ncalm\ntrunc\nnotrunc")
				if n, err := s.walk(c, "shell/"+name+"/ctl"); err == nil {
					h, _ := n.(tree.File).Open(c, tree.OpenRDWR)
					f := &file{t: t, h: h}
					f.write("attach rw 24 80")
					f.write(fmt.Sprintf("size %d 80\npolicy smallest", 10+i))
					f.try(0, 100)
					f.write("detach others\nkill")
					f.close()
				}
				if n, err := s.walk(c, name); err == nil {
					if h, err := n.(tree.File).Open(c, tree.OpenRDWR); err == nil {
						f := &file{t: t, h: h}
						f.write("0123456789")
						f.try(0, 10)
						f.close()
					}
				}
				s.cat("status")
				s.InUse()
				s.Root().List(c)
				s.ctlAs(c, "rm "+name)
				s.ctlAs(c, "rm "+name)
				s.ctlAs(c, "host "+name)
			}
		})
	}
	all.Wait()
	events.try(0, 1<<20)
}

// TestStatusLines
func TestStatusLines(t *testing.T) {
	since := time.Date(2009, 7, 8, 12, 0, 0, 0, time.FixedZone("x", 3600))
	s := newServer(t, Config{Size: 1000, Conns: func() []ConnInfo {
		return []ConnInfo{{ID: 7, User: "al ice", Addr: "tcp a", Fids: 3, Waiting: 1, Since: since}}
	}})
	s.mustCreate("a b")
	s.ctl("shell w -s 30x90 -- make -k")
	s.openAs(bob, "w1@end", tree.OpenRead)
	want := "hub 'a b' 0 0 1000 0 0 calm 0\n" +
		"hub w0 0 0 1000 1 0 fear 0\n" +
		"reader w0 glenda 'shell w' 0 0\n" +
		"hub w1 0 0 1000 1 1 calm 0\n" +
		"reader w1 bob 'tcp b' 0 0\n" +
		"hub w2 0 0 1000 0 1 calm 0\n" +
		"shell w running 101 30 90 0 'make -k'\n" +
		"conn 7 'al ice' 'tcp a' 3 1 2009-07-08T11:00:00Z\n"
	if got := s.cat("status"); got != want {
		t.Errorf("status:\n%s\nwant:\n%s", got, want)
	}
}
