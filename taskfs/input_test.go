package taskfs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/tree"
)

// TestInputBeforeExec waits for the tasks.
func TestInputBeforeExec(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2")
		in := s.open("0/stdin", tree.OpenWrite)
		in.write("early\n")
		in.close()
		ctl.write("exec cat")
		s.wantCat("0/stdout", "early\nearly\n")
	})
}

// TestNoInput: who closes it before has tasks that read nothing.
func TestNoInput(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\nclose stdin\nexec count")
		s.wantCat("0/stdout", "0\n0\n")
		if err := s.echo("0/stdin", "x"); err == nil {
			t.Error("input that nobody reads was taken")
		}
	})
}

// TestTheEndOfInput is the last close of who writes, and not that of a client that
// comes back.
func TestTheEndOfInput(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 1\nexec cat")
		out := s.open("0/stdout", tree.OpenRead)
		at := s.open("0/stdin@", tree.OpenWrite)
		at.write("a")
		at.close()
		out.want("a")
		out.waits()
		one, two := s.open("0/stdin", tree.OpenWrite), s.open("0/stdio", tree.OpenRDWR)
		one.write("b")
		one.close()
		out.want("b")
		out.waits()
		two.write("c")
		two.close()
		if got := out.all(); got != "c" {
			t.Errorf("output: %q", got)
		}
		// A mark that a client sets is the end, too.
		ctl.write("again\nexec cat")
		s.FS.slots[0].streams["stdin"].Hub().EOF()
		s.wantCat("0/stdout", "")
		out.close()
	})
}

// TestDistribution: bcast, enum and pull, by line, length and separator.
func TestDistribution(t *testing.T) {
	for _, c := range []struct{ mode, in, want string }{
		{"bcast", "a\nb\n", "a\nb\n|a\nb\n"},
		{"enum", "a\nb\nc\nd", "a\nc\n|b\nd"},
		{"enum sep=,", "a,b,c", "a,c|b,"},
		{`enum 'sep=\0'`, "a\x00b\x00c", "a\x00c|b\x00"},
		{"enum n=2", "aabbc", "aac|bb"},
		{"enum len", "\x00\x00\x00\x01a\x00\x00\x00\x02bb", "\x00\x00\x00\x01a|\x00\x00\x00\x02bb"},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			s := w.node("root", 4)
			ctl := s.clone("0")
			ctl.write("res 2\n" + c.mode + "\nexec cat")
			ctl.fails("enum", "Resources already in use")
			in := s.open("0/stdin", tree.OpenWrite)
			in.write(c.in)
			in.close()
			if got := s.cat("0/0/stdout") + "|" + s.cat("0/1/stdout"); got != c.want {
				t.Errorf("%s of %q: %q, want %q", c.mode, c.in, got, c.want)
			}
		})
	}
}

// TestPull: fast tasks get more.
func TestPull(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 3\npull\nexec records 1s")
		in := s.open("0/stdin", tree.OpenWrite)
		start := time.Now()
		for i := range 30 {
			in.write(fmt.Sprintf("%d\n", i))
		}
		in.close()
		if n := strings.Count(s.cat("0/stdout"), "\n"); n != 30 {
			t.Errorf("%d records", n)
		}
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("30 records of a second took three tasks %v", took)
		}
	})
}

// TestSplice: what one task puts out is what others read.
func TestSplice(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 4\nsplice 0 > 1\nsplice 1>2-3")
		for line, say := range map[string]string{
			"splice 0 > 1": "reads what task 0 puts out already",
			"splice 0-1>2": "not one task",
			"splice 4 > 1": "there are 4 tasks",
			"splice 0 > 9": "there are 4 tasks",
			"splice 0 > 0": "reads what it writes",
			"splice 0 1":   "expected splice A > B",
			"splice x > 1": "expected splice A > B",
		} {
			ctl.fails(line, say)
		}
		for part, cmd := range map[string]string{"3": "count", "2": "cat", "1": "cat", "0": "cat"} {
			if err := s.echo("0/"+part+"/ctl", "exec "+cmd); err != nil {
				t.Fatal(err)
			}
		}
		ctl.fails("splice 3 > 0", "before exec")
		big := strings.Repeat("0123456789abcde\n", 1<<14)
		in := s.open("0/stdin", tree.OpenWrite)
		for range 16 {
			in.write(big)
		}
		in.close()
		s.wantCat("0/3/stdout", fmt.Sprintln(16*len(big)))
		if got := fieldsOf(sorted(s.cat("0/wait")), 0, 6); got != "0 ''\n1 ''\n2 ''\n3 ''\n" {
			t.Errorf("wait: %q", got)
		}
	})
}

// TestSpliceHoldsBackNobody: who writes goes on while those who read do not.
func TestSpliceHoldsBackNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\nclose stdin\nsplice 0 > 1")
		for part, cmd := range map[string]string{"1": "slow 1s 1048576", "0": "spew 100000 100"} {
			if err := s.echo("0/"+part+"/ctl", "exec "+cmd); err != nil {
				t.Fatal(err)
			}
		}
		if got := fieldsOf(s.cat("0/0/wait"), 0, 6); got != "0 ''\n" {
			t.Errorf("wait: %q", got)
		}
		if got := fieldsOf(s.cat("0/1/wait"), 0, 6); got != "1 ''\n" {
			t.Errorf("wait: %q", got)
		}
	})
}

// TestBackPressure: a task that reads slowly holds back who writes.
func TestBackPressure(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\nexec slow 1h 1048576")
		in := s.open("0/stdin", tree.OpenWrite)
		wrote := 0
		h := in.h.(tree.StreamWriter)
		for {
			synctest.Wait()
			n, ready, err := h.WriteStream(tree.Piece{Data: make([]byte, 1<<16)}, 0, func() {})
			if err != nil {
				t.Fatal(err)
			}
			if !ready {
				h.CancelWrite()
				break
			}
			if wrote += n; wrote > 64<<20 {
				t.Fatal("it takes everything")
			}
		}
		t.Logf("%d bytes are on their way", wrote)
		ctl.write("kill")
		s.cat("0/wait")
		in.close()
	})
}

// TestInputThatNobodyTook is told of.
func TestInputThatNobodyTook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 1\npull\nexec hold gate")
		in := s.open("0/stdin", tree.OpenWrite)
		in.write("a\nb\nc\n")
		synctest.Wait()
		w.Open("gate")
		s.cat("0/wait")
		synctest.Wait()
		if _, err := in.tryWrite("d\n"); err == nil {
			t.Error("input that nobody reads was taken")
		}
		in.close()
		events := s.open("0/events", tree.OpenRead)
		if got, _ := events.read(); !strings.Contains(got, "bytes of input had no task to go to") {
			t.Errorf("events:\n%s", got)
		}
		events.close()
	})
}
