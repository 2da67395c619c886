package conduit

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/shellctl"
)

// An end is a Source that gives what is sent to it, and a Sink that keeps it.
type end struct {
	items  chan any // strings, and errors
	closed chan struct{}
	once   sync.Once
	broken error // of a write

	mu  sync.Mutex
	got string // guarded by mu
}

func newEnd(items ...any) *end {
	e := &end{items: make(chan any, len(items)), closed: make(chan struct{})}
	for _, i := range items {
		e.items <- i
	}
	return e
}

var errShut = errors.New("closed")

func (e *end) ReadContext(ctx context.Context, p []byte) (int, error) {
	select {
	case item := <-e.items:
		if err, ok := item.(error); ok {
			return 0, err
		}
		return copy(p, item.(string)), nil
	case <-e.closed:
		return 0, errShut
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (e *end) WriteContext(ctx context.Context, p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil {
		return 0, e.broken
	}
	e.got += string(p)
	return len(p), nil
}

func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	return nil
}

func (e *end) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// A program is a Process in the hands of the test.
type program struct {
	streams shellctl.Streams
	done    chan struct{}
	status  shellctl.Status
	kills   atomic.Int32
}

func (p *program) Kill(time.Duration)    { p.kills.Add(1) }
func (p *program) Done() <-chan struct{} { return p.done }
func (p *program) Wait(context.Context) (shellctl.Status, error) {
	<-p.done
	return p.status, nil
}

func through(t *testing.T, e Ends, grace time.Duration) (*Conduit, *program) {
	t.Helper()
	p := &program{done: make(chan struct{})}
	c, err := Through(e, grace, func(s shellctl.Streams) (Process, error) {
		p.streams = s
		return p, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

func TestPlain(t *testing.T) {
	lost := errors.New("lost")
	for _, tc := range []struct {
		from   []any
		broken error
		out    string
		marks  int
		want   error
	}{
		{from: []any{"a", io.EOF, "bc", ended{}}, out: "abc", marks: 1},
		{from: []any{"a", lost}, out: "a", want: lost},
		{from: []any{"a", ended{}}, broken: lost, want: lost},
	} {
		marks := 0
		from, to := newEnd(tc.from...), newEnd()
		to.broken = tc.broken
		c := Plain(Ends{From: from, To: to, Mark: func() { marks++ }})
		<-c.Done()
		_, out := c.Counts()
		if err := c.Result().Err; to.got != tc.out || marks != tc.marks || err != tc.want || out != int64(len(tc.out)) {
			t.Errorf("%q: %q, %d marks, %v, %d out", tc.from, to.got, marks, err, out)
		}
		if !from.isClosed() || !to.isClosed() {
			t.Errorf("%q: an end is open", tc.from)
		}
	}
}

func TestPlainIsStoppedWithoutAnError(t *testing.T) {
	from, to := newEnd(), newEnd()
	c := Plain(Ends{From: from, To: to})
	c.Stop(time.Hour)
	c.Kill(time.Hour)
	<-c.Done()
	if err := c.Result().Err; err != nil {
		t.Error(err)
	}
}

// TestThroughGivesUpItsSourceAtOnce: whoever waits for the slowest reader does
// not wait for one that was stopped.
func TestThroughGivesUpItsSourceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := newEnd(), newEnd()
		c, p := through(t, Ends{From: from, To: to}, time.Hour)
		read := make(chan error, 1)
		go func() {
			_, err := p.streams.Stdin.ReadContext(t.Context(), make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		c.Stop(time.Second)
		if !from.isClosed() || to.isClosed() {
			t.Errorf("closed: from %v, to %v", from.isClosed(), to.isClosed())
		}
		if err := <-read; !errors.Is(err, io.EOF) {
			t.Errorf("the program reads: %v", err)
		}
		p.streams.Stdout.WriteContext(t.Context(), []byte("the rest"))
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if p.kills.Load() > 0 {
			t.Error("killed within the grace")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if p.kills.Load() != 1 {
			t.Errorf("%d kills", p.kills.Load())
		}
		p.status = shellctl.Status{Signal: "HUP"}
		close(p.done)
		<-c.Done()
		if r := c.Result(); r.Err != nil || r.Status.Signal != "HUP" || to.got != "the rest" {
			t.Errorf("%+v, %q", r, to.got)
		}
		c.Kill(time.Second) // too late
		if p.kills.Load() != 1 {
			t.Errorf("%d kills", p.kills.Load())
		}
	})
}

// TestThroughEndsTheProgramWhenAnEndFails, also before its start has returned.
func TestThroughEndsTheProgramWhenAnEndFails(t *testing.T) {
	lost := errors.New("lost")
	for _, early := range []bool{false, true} {
		p := &program{done: make(chan struct{})}
		read := func() { p.streams.Stdin.ReadContext(t.Context(), make([]byte, 1)) }
		c, err := Through(Ends{From: newEnd(lost), To: newEnd()}, time.Second, func(s shellctl.Streams) (Process, error) {
			if p.streams = s; early {
				read()
			}
			return p, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !early {
			read()
		}
		if p.kills.Load() != 1 {
			t.Errorf("early %v: %d kills", early, p.kills.Load())
		}
		close(p.done)
		<-c.Done()
		if c.Result().Err != lost {
			t.Errorf("early %v: %v", early, c.Result().Err)
		}
	}
}

func TestThroughClosesBothEndsIfItCannotStart(t *testing.T) {
	from, to, no := newEnd(), newEnd(), errors.New("no such command")
	_, err := Through(Ends{From: from, To: to}, 0, func(shellctl.Streams) (Process, error) { return nil, no })
	if err != no || !from.isClosed() || !to.isClosed() {
		t.Errorf("%v, closed: from %v, to %v", err, from.isClosed(), to.isClosed())
	}
}

func TestSaid(t *testing.T) {
	long := strings.Repeat("é", maxLine)
	for _, tc := range []struct {
		writes []string
		want   string
	}{
		{[]string{"a\nb\n"}, "a|b"},
		{[]string{"a", "b\r\n\nc"}, "ab||c"},
		{[]string{long, long, "\nx\n"}, long[:maxLine] + "…|x"},
		{[]string{long[:maxLine-1] + "\n"}, long[:maxLine-2] + "\uFFFD"},
		{[]string{"\xff\n"}, "\uFFFD"},
		{nil, ""},
	} {
		var lines []string
		s := said{say: func(line string) { lines = append(lines, line) }}
		for _, w := range tc.writes {
			if n, err := s.WriteContext(t.Context(), []byte(w)); n != len(w) || err != nil {
				t.Error(n, err)
			}
		}
		s.end()
		if got := strings.Join(lines, "|"); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.writes, got, tc.want)
		}
	}
}
