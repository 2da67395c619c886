package hubfs

import (
	"strings"
	"testing"

	"hubfs/tree"
)

// on returns the caller on another connection.
func on(c *tree.Caller, conn uint64) *tree.Caller {
	d := *c
	d.Conn = conn
	return &d
}

// What is typed stays for the host until it has asked beyond it, whoever else
// reads, and while the host is away.
func TestTypedBytesStayForTheHost(t *testing.T) {
	bubble(t, Config{Size: 10}, func(t *testing.T, s *server) {
		host := s.openAs(alice, "ctl", tree.OpenRDWR)
		host.mustWrite("host lap key=" + testKey)
		cat := s.openAs(bob, "lap0", tree.OpenRead)
		keys := s.openAs(bob, "lap0", tree.OpenWrite)
		at := func(f *file, off int64, want string) {
			t.Helper()
			if got, ready, err := f.try(off, 100); got != want || ready != (want != "") || err != nil {
				t.Fatalf("at %d: %q, %v, %v; want %q", off, got, ready, err, want)
			}
		}

		// Before the host has read at all.
		keys.mustWrite("abc")
		cat.read("abc")
		cat.waits()
		in := s.openAs(alice, "lap0@", tree.OpenRead)
		in.close() // lost before it read
		in = s.openAs(alice, "lap0@", tree.OpenRead)
		at(in, 0, "abc")

		// Lost before it has asked for what comes next: it may not have got it.
		keys.mustWrite("def")
		cat.read("def")
		cat.waits()
		at(in, 3, "def")
		in.close()
		host.close()
		if st := s.cat("status"); !strings.Contains(st, "reader lap0 alice 'host lap' 3 0 0") {
			t.Errorf("status does not say what stays for the host:\n%s", st)
		}
		keys.mustWrite("ghijklm")
		cat.read("ghijklm")
		cat.waits()
		if err := keys.write("n"); err != errWaits {
			t.Errorf("more than the hub's size: %v", err)
		}

		back := on(alice, 7)
		host = s.openAs(back, "ctl", tree.OpenRDWR)
		host.mustWrite("host lap key=" + testKey)
		in = s.openAs(back, "lap0@", tree.OpenRead)
		at(in, 3, "defghijklm")
		at(in, 13, "")
		keys.mustWrite("n")
		at(in, 13, "n")
		at(in, 14, "")

		// A reader of the connection before leaves no place.
		if st := s.cat("status"); strings.Contains(st, "host lap") {
			t.Errorf("status:\n%s", st)
		}
		host.mustWrite("exit 0")
		in.close()
		if st := s.cat("status"); strings.Contains(st, "host lap") {
			t.Errorf("status of the ended:\n%s", st)
		}
	})
}

// With a key only who has it is the host, and comes back also before its old
// connection is known to be lost.
func TestHostComesBackWithItsKey(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		first := s.openAs(alice, "ctl", tree.OpenRDWR)
		first.mustWrite("host lap key=" + testKey + " -s 5x6 -- sh")
		first.read("size 5 6\n")
		if got := s.cat("shell/lap/status"); got != "lap running 0 5 6 0 sh\n" {
			t.Errorf("status %q", got)
		}
		again := func(c *tree.Caller, words string) (*file, error) {
			f := s.openAs(c, "ctl", tree.OpenRDWR)
			return f, f.write(words)
		}
		other := "host lap key=" + strings.Repeat("x", 16)
		refused := func(c *tree.Caller, words, say string) {
			t.Helper()
			f, err := again(c, words)
			checkError(t, words, err, tree.ErrExist, say)
			f.close()
		}
		for range 2 {
			say := "shell lap is running"
			if s.byName["lap"].state == lost {
				say = "shell lap is lost"
			}
			refused(on(alice, 8), "host lap", say)
			refused(on(alice, 8), other, say)
			refused(glenda, "host lap", say)
			refused(bob, "host lap key="+testKey, say)
			if s.byName["lap"].state == running {
				first.close()
			}
		}
		second, err := again(on(alice, 9), "host lap key="+testKey)
		if err != nil {
			t.Fatal(err)
		}
		second.read("size 5 6\n")
		c := s.openAs(bob, "shell/lap/ctl", tree.OpenRDWR)
		c.mustWrite("attach ro 5 6")
		third, err := again(on(alice, 10), "host lap key="+testKey)
		if err != nil {
			t.Fatal(err)
		}
		second.ends()
		checkError(t, "exit of the one before", second.write("exit 1"), nil, "unknown command")
		second.close()
		if got := s.cat("shell/lap/status"); !strings.HasPrefix(got, "lap running") {
			t.Errorf("status %q", got)
		}
		c.read("size 5 6\ndriver no\n")
		c.waits() // it was never lost
		third.mustWrite("exit 0")
		for _, bad := range []string{"host lap key=", "host lap key=short", "host lap key=0123456789abcde%"} {
			_, err := again(alice, bad)
			checkError(t, bad, err, tree.ErrInvalid, "16 to 64")
		}
		// Behind --, it is an argument.
		if _, err := again(alice, "host lap -- key="+testKey); err != nil {
			t.Error(err)
		}
		if got := s.cat("shell/lap/args"); got != "key="+testKey+"\n" {
			t.Errorf("args %q", got)
		}
	})
}

// The place of a host is kept also when another connection of it takes over,
// and the old one goes before the new one has read.
func TestTypedBytesStayForTheHostThatTakesOver(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		words := "host lap key=" + testKey
		// It has the right to write lap, and owns what it hosts.
		host := guest("h", bounds{"lap": lWrite})
		first := s.openAs(host, "ctl", tree.OpenRDWR)
		first.mustWrite(words)
		in := s.openAs(host, "lap0@", tree.OpenRead)
		keys, cat := s.openAs(bob, "lap0", tree.OpenWrite), s.openAs(bob, "lap0", tree.OpenRead)
		keys.mustWrite("abc")
		in.read("abc") // and has not said that it has it
		s.openAs(on(host, 77), "ctl", tree.OpenRDWR).mustWrite(words)
		in.close()
		first.close()
		cat.read("abc")
		cat.waits()
		in = s.openAs(on(host, 77), "lap0@", tree.OpenRead)
		in.read("abc")
		out := s.openAs(on(host, 77), "lap1@", tree.OpenWrite)
		out.mustWrite("done\n")
	})
}
