package supervise

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/pipes"
	"hubfs/taskfs/task"
)

// TestMain makes this program a supervisor when a Runner starts it as one.
func TestMain(m *testing.M) {
	if Main(os.Args) {
		return
	}
	// Under the race detector each supervisor would sleep a second at its end.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	if lease := os.Getenv(ownerEnv); lease != "" {
		fmt.Fprintln(os.Stderr, owner(lease))
		return
	}
	os.Exit(m.Run())
}

// A sink keeps what it is given.
type sink struct {
	mu   sync.Mutex
	b    bytes.Buffer
	seen chan struct{} // has a token when something came
}

func newSink() *sink { return &sink{seen: make(chan struct{}, 1)} }

func (s *sink) WriteContext(_ context.Context, p []byte) (int, error) {
	s.mu.Lock()
	s.b.Write(p)
	s.mu.Unlock()
	select {
	case s.seen <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// line waits for the nth line, from 0.
func (s *sink) line(t *testing.T, n int) string {
	t.Helper()
	for {
		if lines := strings.Split(s.String(), "\n"); len(lines) > n+1 {
			return lines[n]
		}
		select {
		case <-s.seen:
		case <-t.Context().Done():
			t.Fatal("no such line")
		}
	}
}

// A text is a Source with an end.
type text struct{ r io.Reader }

func (s text) ReadContext(_ context.Context, p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		return 0, ended{}
	}
	return n, nil
}

// ended is the end of a stream.
type ended struct{}

func (ended) Error() string        { return "end of stream" }
func (ended) Ended() bool          { return true }
func (ended) Is(target error) bool { return target == io.EOF }

var _ pipes.Source = text{}

func newTestRunner(t *testing.T, o Options) *Runner {
	t.Helper()
	o.Folder = t.TempDir()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newTestCrew(t *testing.T, r *Runner, o task.CrewOptions) task.Crew {
	t.Helper()
	o.Session = t.Name()
	c, err := r.Crew(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCrew(t, c) })
	return c
}

func closeCrew(t *testing.T, c task.Crew) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

// both runs a test with and without a cgroup.
func both(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("plain", func(t *testing.T) { test(t, Options{noCgroup: true}) })
	t.Run("cgroup", func(t *testing.T) {
		dir := makeCgroup("hub-test")
		if dir == "" {
			t.Skip("no cgroup of version 2 can be made here")
		}
		os.Remove(dir)
		test(t, Options{})
	})
}

// testPath is the PATH of tasks.
const testPath = "PATH=/usr/local/bin:/usr/bin:/bin"

func sh(rank int, script string, args ...string) task.Task {
	return task.Task{
		Rank: rank, Argv: append([]string{"sh", "-c", script, "sh"}, args...),
		Env: []string{testPath}, Umask: -1,
	}
}

// run starts a task and waits for its end.
func run(t *testing.T, c task.Crew, tk task.Task) task.Exit {
	t.Helper()
	done := make(chan task.Exit, 1)
	tk.Exited = func(x task.Exit) { done <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	return <-done
}

func TestTaskHasInputOutputAndStatus(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := newTestCrew(t, newTestRunner(t, o), task.CrewOptions{Lease: time.Minute})
		tk := sh(3, `cat; echo err >&2; exit 7`)
		out, errs := newSink(), newSink()
		want := strings.Repeat("0123456789\n", 100_000)
		tk.Stdin, tk.Stdout, tk.Stderr = text{strings.NewReader(want)}, out, errs
		x := run(t, c, tk)
		if x.Rank != 3 || x.Status != "exit 7" || x.PID == 0 || x.Real <= 0 {
			t.Errorf("%+v", x)
		}
		if out.String() != want || errs.String() != "err\n" {
			t.Errorf("%d bytes and %q", len(out.String()), errs)
		}
	})
}

// A firstByte is a Sink that says when something comes.
type firstByte chan struct{}

func (f firstByte) WriteContext(_ context.Context, p []byte) (int, error) {
	select {
	case f <- struct{}{}:
	default:
	}
	return len(p), nil
}

// counted is a Source of that many bytes; done is closed at their end.
type counted struct {
	left int
	done chan struct{}
}

func (s *counted) ReadContext(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if s.left == 0 {
		close(s.done)
		return 0, ended{}
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}
