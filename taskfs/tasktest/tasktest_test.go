package tasktest

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/task"
)

type sink struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *sink) WriteContext(_ context.Context, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Write(p)
}

type source struct{ io.Reader }

func (s source) ReadContext(_ context.Context, p []byte) (int, error) { return s.Read(p) }

func start(t *testing.T, c task.Crew, rank int, out *sink, argv ...string) <-chan task.Exit {
	t.Helper()
	ended := make(chan task.Exit, 1)
	err := c.Start(task.Task{
		Rank: rank, Argv: argv, Stdout: out, Stderr: out,
		Env:    []string{"TASKFS_SESSION=s", "TASKFS_RANK=7"},
		Stdin:  source{strings.NewReader("in put")},
		Exited: func(e task.Exit) { ended <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	return ended
}

func TestCommands(t *testing.T) {
	w := NewWorld()
	c, err := w.Runner("n1").Crew(t.Context(), task.CrewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ cmd, out, status string }{
		{"true", "", "exit 0"},
		{"false", "", "exit 1"},
		{"exit 3", "", "exit 3"},
		{"echo %r on %n", "7 on n1\n", "exit 0"},
		{"err oh", "oh\n", "exit 0"},
		{"cat", "in put", "exit 0"},
		{"count", "6\n", "exit 0"},
		{"spew 2 3", "xx\nxx\n", "exit 0"},
		{"records 0s", "7: in put", "exit 0"},
		{"env TASKFS_RANK", "TASKFS_RANK=7\n", "exit 0"},
	} {
		var out sink
		e := <-start(t, c, 1, &out, strings.Fields(tc.cmd)...)
		if out.String() != tc.out || e.Status != tc.status || e.Rank != 1 || e.PID == 0 {
			t.Errorf("%s: %q, %+v", tc.cmd, out.String(), e)
		}
	}
	if err := c.Start(task.Task{Argv: []string{"none"}}); err == nil {
		t.Error("an unknown command has started")
	}
	if f := w.Faults(); len(f) > 0 {
		t.Errorf("faults: %v", f)
	}
	w.Wait()
}

func TestTwoCopiesAreAFault(t *testing.T) {
	w := NewWorld()
	var out sink
	a, _ := w.Runner("a").Crew(t.Context(), task.CrewOptions{})
	b, _ := w.Runner("b").Crew(t.Context(), task.CrewOptions{})
	ea := start(t, a, 0, &out, "hold", "x")
	if f := w.Faults(); len(f) > 0 {
		t.Fatal(f)
	}
	eb := start(t, b, 0, &out, "hold", "x", "done")
	if f := w.Faults(); len(f) != 1 || !strings.Contains(f[0], "rank 7 of s runs on") {
		t.Errorf("faults: %v", f)
	}
	if n := len(w.Running()); n != 2 {
		t.Errorf("%d run", n)
	}
	a.Close(t.Context())
	if e := <-ea; e.Status != "signal KILL" {
		t.Errorf("killed: %+v", e)
	}
	w.Open("x")
	if e := <-eb; e.Status != "exit 0" || out.String() != "done\n" {
		t.Errorf("%+v, %q", e, out.String())
	}
	w.Wait()
	if n := len(w.Running()); n != 0 || w.Started() != 2 {
		t.Errorf("%d run of %d", n, w.Started())
	}
}

func TestTheLeaseEndsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld()
		r := w.Runner("n")
		lost := make(chan error, 1)
		c, err := r.Crew(t.Context(), task.CrewOptions{Lease: 10 * time.Second, Lost: func(err error) { lost <- err }})
		if err != nil {
			t.Fatal(err)
		}
		var out sink
		begun := time.Now()
		ended := start(t, c, 0, &out, "sleep", "1h")
		time.Sleep(9 * time.Second)
		c.Renew()
		if e := <-ended; e.Status != "signal KILL" || time.Since(begun) != 19*time.Second {
			t.Errorf("%+v after %v", e, time.Since(begun))
		}
		if err := <-lost; err == nil || r.Crews() != 0 {
			t.Errorf("lost: %v, %d crews", err, r.Crews())
		}
		w.Wait()
	})
}
