package hubfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/handles"
	"hubfs/shellctl"
	"hubfs/tree"
)

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
	s.ctl("freeze 'd/a b'\nmelt 'd/a b'")
	s.ctl("end 'd/a b' 'exit 3'\nrm 'd/a b'")
	f.read("hub new 'd/a b'\nhub freeze 'd/a b'\nhub melt 'd/a b'\n" +
		"hub end 'd/a b' 'exit 3'\nhub rm 'd/a b'\n")
	for range handles.Size / len("hub new x\nhub rm x\n") {
		s.mustCreate("x")
		s.ctl("rm x")
	}
	s.mustCreate("y")
	if st := s.events.lines.Hub.Readers()[0]; st.Lost == 0 {
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
	to := "z" // tells two things, and the wake comes between them
	if err := s.node("a").(tree.Changer).Change(glenda, tree.Change{Name: &to}); err != nil {
		t.Fatal(err)
	}
	again.read("hub rm a\nhub new z\nhub rm b\nhub new c\n")
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
		s.sayLocked(owners(), "hub new", "first")
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
	s.mustCreate("a b", "built", "closed", "on")
	s.ctl("end built exit 3\nend closed\nend on exit 1\nreopen on")
	s.ctl("shell w -s 30x90 -- make -k")
	s.openAs(bob, "w1@end", tree.OpenRead)
	want := fmt.Sprintf("server test %d %d\n", os.Getpid(), s.started.UnixNano()) +
		"hub 'a b' 0 0 1000 0 0 calm 0\n" +
		"hub built 0 0 1000 0 0 calm,ended 0 'exit 3'\n" +
		"hub closed 0 0 1000 0 0 calm,ended 0 ''\n" +
		"hub on 0 0 1000 0 0 calm 0\n" +
		"hub w0 0 0 1000 1 0 fear 0\n" +
		"reader w0 glenda 'shell w' 0 0 0\n" +
		"hub w1 0 0 1000 1 1 calm 0\n" +
		"reader w1 bob 'tcp b' 0 0 5\n" +
		"hub w2 0 0 1000 0 1 calm 0\n" +
		"shell w running 101 30 90 0 'make -k'\n" +
		"conn 7 'al ice' 'tcp a' 3 1 2009-07-08T11:00:00Z\n"
	if got := s.cat("status"); got != want {
		t.Errorf("status:\n%s\nwant:\n%s", got, want)
	}
}
