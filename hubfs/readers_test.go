package hubfs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/lex"
	"hubfs/tree"
)

// Creating a hub opens it, so that the numbers of readers begin with 2 in these
// tests.

// readerLines returns the lines of /status about the readers of a hub.
func (s *server) readerLines(path string) string {
	s.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(s.cat("status")) {
		if strings.HasPrefix(line, "reader "+lex.Field(path)+" ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestStatusNamesTheSlowestReader, whom writers in fear wait for, and since when.
func TestStatusNamesTheSlowestReader(t *testing.T) {
	bubble(t, Config{Size: 10}, func(t *testing.T, s *server) {
		s.mustCreate("h")
		s.ctl("fear h")
		slow, fast := s.openAs(alice, "h", tree.OpenRead), s.openAs(bob, "h", tree.OpenRead)
		if got := s.readerLines("h"); strings.Contains(got, "slowest") {
			t.Errorf("nobody is behind:\n%s", got)
		}
		w := s.open("h", tree.OpenWrite)
		w.mustWrite("0123456789")
		fast.read("0123456789")
		const line = "reader h alice 'tcp a' 0 0 2 slowest %d\nreader h bob 'tcp b' 10 0 3\n"
		if got, want := s.readerLines("h"), fmt.Sprintf(line, 0); got != want {
			t.Errorf("status:\n%swant:\n%s", got, want)
		}
		h := w.h.(tree.StreamWriter)
		if _, ready, err := h.WriteStream(tree.Piece{Data: []byte("x")}, 0, func() {}); ready || err != nil {
			t.Fatal(ready, err)
		}
		time.Sleep(90 * time.Second)
		if got, want := s.readerLines("h"), fmt.Sprintf(line, 90); got != want {
			t.Errorf("status:\n%swant:\n%s", got, want)
		}
		if got := s.Stats().Hubs[0]; got.Blocked != 1 || got.Held != 90*time.Second {
			t.Errorf("stats: %+v", got)
		}
		slow.read("0123456789")
		w.mustWrite("x")
		if got := s.readerLines("h"); strings.Contains(got, "10 0 2 slowest 9") {
			t.Errorf("nobody waits:\n%s", got)
		}
	})
}

// TestDropEndsAReader: its reads fail, one that waits too, the writers that
// waited for it go on, and all are told.
func TestDropEndsAReader(t *testing.T) {
	bubble(t, Config{Size: 10}, func(t *testing.T, s *server) {
		if err := s.create(alice, "h"); err != nil {
			t.Fatal(err)
		}
		s.ctl("fear h")
		events := s.open("events", tree.OpenRead) // reader 2
		slow := s.openAs(bob, "h", tree.OpenRead)
		slow.h.(tree.StreamReader).CancelRead()
		w := s.open("h", tree.OpenWrite)
		w.mustWrite("0123456789")
		if err := w.write("x"); err != errWaits {
			t.Fatal(err)
		}
		checkError(t, "drop", s.ctlAs(bob, "drop 3"), tree.ErrPermission, "only alice, the owner of the hub")
		if err := s.ctlAs(alice, "drop 3"); err != nil {
			t.Fatal(err)
		}
		w.mustWrite("x")
		if _, err := slow.next(); err == nil || err.Error() != "dropped: dropped by alice" {
			t.Errorf("read: %v", err)
		}
		if got := s.readerLines("h"); got != "" {
			t.Errorf("readers:\n%s", got)
		}
		events.read("reader drop h 3 bob 'dropped by alice'\n")
		s.ctlFails("drop 3", tree.ErrNotExist, "no reader 3")
		slow.close()

		// Readers of events are readers like others; the server's own are not.
		s.ctlFails("drop 2\ndrop 2", tree.ErrNotExist, "line 2: drop: no reader 2")
		if _, err := events.next(); err == nil || err.Error() != "dropped: dropped by glenda" {
			t.Errorf("events: %v", err)
		}
		events.close()
	})
}

// TestADropWakesTheReadThatWaits
func TestADropWakesTheReadThatWaits(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	f := s.open("h", tree.OpenRead)
	woken := make(chan struct{})
	if _, ready, err := f.h.(tree.StreamReader).ReadStream(nil, 0, 1, func() { close(woken) }); ready || err != nil {
		t.Fatal(ready, err)
	}
	s.ctl("drop 2")
	<-woken
	_, err := f.next()
	checkError(t, "read", err, nil, "dropped: ")
	f.close()
}

// TestPatienceEndsWithADrop: only the reader that did not move is dropped, and
// events say why.
func TestPatienceEndsWithADrop(t *testing.T) {
	bubble(t, Config{Size: 10}, func(t *testing.T, s *server) {
		s.mustCreate("h")
		s.ctl("fear h\npatience h 30")
		events := s.open("events", tree.OpenRead)
		asleep := s.openAs(alice, "h", tree.OpenRead)
		w := s.open("h", tree.OpenWrite)
		w.mustWrite("0123456789")
		woken := make(chan struct{})
		if _, ready, _ := w.h.(tree.StreamWriter).WriteStream(tree.Piece{Data: []byte("x")}, 0, func() { close(woken) }); ready {
			t.Fatal("written over a reader in fear")
		}
		start := time.Now()
		<-woken
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("dropped after %v", d)
		}
		w.mustWrite("x")
		synctest.Wait()
		events.read("reader drop h 3 alice 'held up a writer for 30s'\n")
		_, err := asleep.next()
		checkError(t, "read", err, nil, "dropped: held up a writer for 30s")

		s.ctl("nopatience h")
		s.openAs(alice, "h@end", tree.OpenRead)
		w.mustWrite("123456789") // up to size
		if err := w.write("0123456789"); err != errWaits {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := s.readerLines("h"); got == "" {
			t.Error("dropped without patience's end")
		}
	})
}

// TestTimesOfAHub: a line a moment, as the offsets came.
func TestTimesOfAHub(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.mustCreate("d/", "d/h")
		if got := s.cat("d/h@times"); got != "" {
			t.Errorf("an empty hub: %q", got)
		}
		w := s.open("d/h", tree.OpenWrite)
		w.mustWrite("one")
		first := unixMilli(time.Now())
		time.Sleep(90 * time.Minute)
		w.mustWrite("three")
		want := "3 " + first + "\n8 " + unixMilli(time.Now()) + "\n"
		if got := s.cat("d/h@times"); got != want {
			t.Errorf("times %q, want %q", got, want)
		}
		s.ctl("shell a")
		s.proc("a").print("x")
		if got := s.cat("shell/a/stdout@times"); !strings.HasPrefix(got, "1 ") {
			t.Errorf("times of a shell: %q", got)
		}
		n := s.node("d/h@times")
		if info := n.Stat(); info.Name != "d/h@times"[2:] || info.Mode != 0o444 || info.Path == s.node("d/h").Stat().Path {
			t.Errorf("stat %+v", info)
		}
		if _, err := n.(tree.File).Open(glenda, tree.OpenRDWR); err == nil {
			t.Error("opened for writing")
		}
	})
}

func TestFirstField(t *testing.T) {
	for _, f := range []string{"a", "'a b'", "'it''s b'", "''", "→"} {
		if got := firstField(f + " 'rest x'"); got != f {
			t.Errorf("first of %q: %q", f, got)
		}
		if got := firstField(f); got != f {
			t.Errorf("first of %q alone: %q", f, got)
		}
	}
}
