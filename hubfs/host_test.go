package hubfs

import (
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/tree"
)

// TestAHostedShell: its process is at a client, which reads what it is to do
// where it wrote host, and writes what became of it.
func TestAHostedShell(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		events := s.open("events", tree.OpenRead)
		h := s.openAs(alice, "ctl", tree.OpenRDWR)
		checkError(t, "pid", h.write("pid 5"), nil, "unknown command")
		h.mustWrite("host lap -s 30x90 -- bash -l")
		h.read("size 30 90\n")
		h.waits()
		events.read("hub new lap1\nhub new lap2\nhub new lap0\nshell new lap 0\n")
		checkError(t, "host again", h.write("host other"), tree.ErrBusy, "has hosted a shell already")
		h.mustWrite("pid 4242")
		if got := s.cat("shell/lap/status"); got != "lap running 4242 30 90 0 'bash -l'\n" {
			t.Errorf("status %q", got)
		}

		// Somebody types and looks: the shell is its hubs.
		in, out := s.openAs(alice, "lap0@", tree.OpenRead), s.openAs(alice, "lap1@", tree.OpenWrite)
		s.openAs(bob, "lap0", tree.OpenWrite).mustWrite("ls\n")
		in.read("ls\n")
		if err := out.writeAt("file\n", 0); err != nil {
			t.Fatal(err)
		}
		s.openAs(bob, "lap1", tree.OpenRead).read("file\n")

		// Others control it.
		c := s.openAs(bob, "shell/lap/ctl", tree.OpenRDWR)
		c.mustWrite("attach rw 40 100")
		c.mustWrite("signal INT\nkill")
		s.openAs(bob, "lap0.note", tree.OpenWrite).mustWrite("interrupt")
		h.read("size 40 100\nsignal INT\nkill\nsignal interrupt\n")

		for _, bad := range []string{"exit", "exit 256", "exit -1", "exit x", "signal NOPE", "pid 0", "pid x"} {
			checkError(t, bad, h.write(bad), nil, "expected")
		}
		if got := s.cat("shell/lap/status"); !strings.HasPrefix(got, "lap running") {
			t.Errorf("status %q", got)
		}
		c.read("size 40 100\ndriver yes\n")
		h.mustWrite("exit 3")
		synctest.Wait()
		c.read("exit 3\n")
		c.ends()
		h.ends()
		if got := s.cat("shell/lap/wait"); got != "exit 3\n" {
			t.Errorf("wait %q", got)
		}
		checkError(t, "write", out.writeAt("x", 5), nil, "hub lap1 has ended")
		checkError(t, "exit", h.write("exit 0"), nil, "unknown command")

		// Another open can host the name again.
		h.close()
		h = s.openAs(alice, "ctl", tree.OpenRDWR)
		h.mustWrite("host lap")
		if got := s.cat("shell/lap/status"); got != "lap running 0 24 80 0 ''\n" {
			t.Errorf("status %q", got)
		}
		h.mustWrite("signal KILL")
		if got := s.cat("shell/lap/wait"); got != "signal KILL\n" {
			t.Errorf("wait %q", got)
		}
		h.close()
	})
}

// TestALostShellKeepsItsHubs, and its host may come back to them.
func TestALostShellKeepsItsHubs(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		h := s.openAs(alice, "ctl", tree.OpenRDWR)
		h.mustWrite("host lap -- bash\npid 7")
		s.openAs(alice, "lap1@", tree.OpenWrite).mustWrite("history")
		c := s.openAs(bob, "shell/lap/ctl", tree.OpenRDWR)
		c.mustWrite("attach rw 30 90")
		c.read("size 30 90\ndriver yes\n")
		events := s.open("events", tree.OpenRead)
		h.close()
		c.read("lost\n")
		c.waits()
		events.read("shell lost lap\n")
		if got := s.cat("shell/lap/status"); got != "lap lost 0 30 90 1 bash\n" {
			t.Errorf("status %q", got)
		}
		s.open("shell/lap/wait", tree.OpenRead).waits()
		checkError(t, "signal", s.open("lap0.note", tree.OpenWrite).write("INT"), nil, "shell lap is lost")
		s.ctlFails("shell lap", tree.ErrExist, "shell lap is lost")
		checkError(t, "host", s.ctlAs(bob, "host lap"), tree.ErrExist, "shell lap is lost")
		if !s.InUse() {
			t.Error("somebody may come back to a lost shell")
		}
		late := s.openAs(bob, "shell/lap/ctl", tree.OpenRDWR)
		late.mustWrite("attach ro 1 1")
		late.read("size 30 90\ndriver no\nlost\n")

		back := s.openAs(alice, "ctl", tree.OpenRDWR)
		back.mustWrite("host lap\npid 7")
		back.read("size 30 90\n")
		c.read("back\n")
		late.read("back\n")
		if got := s.cat("shell/lap/status"); got != "lap running 7 30 90 2 bash\n" {
			t.Errorf("status %q", got)
		}
		if data, _, err := s.openAs(alice, "lap1@", tree.OpenRead).try(0, 100); data != "history" {
			t.Errorf("history %q, %v", data, err)
		}
		back.close()

		// Given up: the end is told, and rm takes the files.
		s.ctl("kill lap")
		c.read("lost\nsignal HUP\n")
		if got := s.cat("shell/lap/wait"); got != "signal HUP\n" {
			t.Errorf("wait %q", got)
		}
	})
}

// TestRemoveOfALostShell ends it first.
func TestRemoveOfALostShell(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		h := s.openAs(alice, "ctl", tree.OpenRDWR)
		h.mustWrite("host lap")
		wait, out := s.open("shell/lap/wait", tree.OpenRead), s.open("lap1", tree.OpenRead)
		h.close()
		checkError(t, "rm", s.ctlAs(bob, "rm lap"), tree.ErrPermission, "only alice")
		wait.waits()
		if err := s.ctlAs(alice, "rm lap"); err != nil {
			t.Fatal(err)
		}
		wait.read("signal HUP\n")
		out.ends()
		if s.InUse() {
			t.Error("in use")
		}
	})
}
