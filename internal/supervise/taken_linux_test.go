package supervise

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hubfs/taskfs/task"
)

// A pipe is taken when its last byte is, and not before.
func TestDrainedIsTheLastByte(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := shrink(w); err != nil {
		t.Fatal(err)
	}
	fd := int(w.Fd())
	check := func(want bool) {
		t.Helper()
		if got, err := drained(fd); got != want || err != nil {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	check(true)
	w.WriteString("0123456789")
	check(false)
	r.Read(make([]byte, 9))
	check(false)
	r.Read(make([]byte, 9))
	check(true)
	r.Close()
	if _, err := drained(fd); err != syscall.EPIPE {
		t.Errorf("when nobody reads: %v", err)
	}
}

// An ask is one ReadContext of a records source.
type asks struct {
	asked chan struct{}
	give  chan string
}

func (a asks) ReadContext(ctx context.Context, p []byte) (int, error) {
	select {
	case a.asked <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case s, ok := <-a.give:
		if !ok {
			return 0, ended{}
		}
		return copy(p, s), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// fifo makes one, whose opening for writing lets go who waits to open it for reading.
func fifo(t *testing.T) (path string, open func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		f.Close()
	}
}

func TestTaskAsksWhenItHasTakenAll(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	gate, open := fifo(t)
	in, out := asks{make(chan struct{}), make(chan string)}, newSink()
	tk := sh(0, `read a; echo $a; cat "$1"; read b; echo $b; cat "$1"; cat`, gate)
	tk.Stdin, tk.Records, tk.Stdout = in, true, out
	exited := make(chan task.Exit, 1)
	tk.Exited = func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	not := func() {
		t.Helper()
		select {
		case <-in.asked:
			t.Error("it asks for the next record and has not taken the last")
		default:
		}
	}
	<-in.asked
	in.give <- "one\ntwo\n"
	if l := out.line(t, 0); l != "one" {
		t.Errorf("got %q", l)
	}
	not() // half of it is taken
	open()
	if l := out.line(t, 1); l != "two" {
		t.Errorf("got %q", l)
	}
	<-in.asked
	long := strings.Repeat("long ", 2000) + "\n"
	in.give <- long[:2048]
	not()
	open()
	for rest := long[2048:]; rest != ""; {
		<-in.asked
		n := min(len(rest), 2048) // what the first buffer holds
		in.give <- rest[:n]
		rest = rest[n:]
	}
	<-in.asked
	close(in.give)
	if x := <-exited; x.Status != "exit 0" || out.String() != "one\ntwo\n"+long {
		t.Errorf("%+v, %d bytes", x, len(out.String()))
	}
}

// A record that a task gets which reads no more would be lost.
func TestWhoHasClosedItsInputAsksForNothing(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	gate, open := fifo(t)
	in, out := asks{make(chan struct{}, 10), make(chan string, 1)}, newSink()
	tk := sh(0, `read a; exec <&-; echo $a; cat "$1"`, gate)
	tk.Stdin, tk.Records, tk.Stdout = in, true, out
	exited := make(chan task.Exit, 1)
	tk.Exited = func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	in.give <- "one\nrest"
	out.line(t, 0)
	open()
	if x := <-exited; x.Status != "exit 0" || len(in.asked) != 1 {
		t.Errorf("%+v, asked %d times", x, len(in.asked))
	}
}

// What all tasks get must not wait for the one that has read enough.
func TestWhoHasReadEnoughHoldsUpNobody(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	gate, open := fifo(t)
	tk := sh(0, `exec <&-; cat "$1"`, gate)
	exited := make(chan task.Exit, 1)
	tk.Exited = func(x task.Exit) { exited <- x }
	in := &counted{left: 10 << 20, done: make(chan struct{})}
	tk.Stdin = in
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	<-in.done
	open()
	if x := <-exited; x.Status != "exit 0" {
		t.Errorf("%+v", x)
	}
}

// A task that reads nothing has its end all the same, and the source too.
func TestEndCutsAWaitingInput(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	tk := sh(0, `echo there; sleep 1000`)
	in, out := &counted{left: 1 << 60, done: make(chan struct{})}, newSink()
	exited := make(chan task.Exit, 1)
	tk.Stdin, tk.Stdout, tk.Exited = in, out, func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	out.line(t, 0)
	if err := c.Signal(0, "term"); err != nil {
		t.Error(err)
	}
	select {
	case x := <-exited:
		if x.Status != "signal TERM" {
			t.Errorf("%+v", x)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it has not ended")
	}
}
