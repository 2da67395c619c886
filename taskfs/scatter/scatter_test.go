package scatter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/hub"
	"hubfs/pipes"
	"hubfs/taskfs/ranks"
)

// tasks are what a Scatter gives its input to.
type tasks struct {
	mu   sync.Mutex
	got  map[int]string        // by rank; "$" is the end
	took func(r int, p []byte) // called for each; it may wait
	fail error
}

func newTasks() *tasks { return &tasks{got: map[int]string{}} }

func (x *tasks) Input(ctx context.Context, set ranks.Set, p []byte) error {
	for r := range set.All() {
		x.mu.Lock()
		x.got[r] += string(p)
		err := x.fail
		x.mu.Unlock()
		if err != nil {
			return err
		}
		if x.took != nil {
			x.took(r, p)
		}
	}
	return ctx.Err()
}

func (x *tasks) CloseInput(ctx context.Context, set ranks.Set) error {
	for r := range set.All() {
		x.mu.Lock()
		x.got[r] += "$"
		x.mu.Unlock()
	}
	return nil
}

func (x *tasks) want(t *testing.T, want ...string) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	for r, w := range want {
		if got := x.got[r]; got != w {
			t.Errorf("task %d has %q, want %q", r, got, w)
		}
	}
}

// A stream is an input hub, as sessions have.
type stream struct {
	h *hub.Hub
	w *hub.Writer
	r pipes.Source
}

func newStream() stream {
	h := hub.New(hub.Options{Input: true, Size: 1 << 16})
	return stream{h, h.NewWriter(false), h.NewReader(hub.FromOldest, hub.ReaderOptions{})}
}

func (s stream) write(t *testing.T, text string) {
	t.Helper()
	if _, err := s.w.WriteContext(t.Context(), []byte(text)); err != nil {
		t.Error(err)
	}
}

func run(t *testing.T, s *Scatter, src pipes.Source) <-chan error {
	done := make(chan error, 1)
	ctx := t.Context()
	go func() { done <- s.Run(ctx, src) }() // ends with the source or the test
	return done
}

func TestBcastGivesAllToEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, in := newTasks(), newStream()
		done := run(t, New(Options{To: x, Set: ranks.Span(0, 3)}), in.r)
		in.write(t, "one\ntwo")
		synctest.Wait()
		x.want(t, "one\ntwo", "one\ntwo", "one\ntwo")
		in.write(t, "\n")
		in.h.EOF()
		if err := <-done; err != nil {
			t.Error(err)
		}
		x.want(t, "one\ntwo\n$", "one\ntwo\n$", "one\ntwo\n$")
	})
}

func TestEnumDealsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, in := newTasks(), newStream()
		done := run(t, New(Options{To: x, Set: ranks.Of(0, 1, 5), Mode: Enum}), in.r)
		for _, piece := range []string{"a", "1\nb1\nc1\na", "2", "\n", "b2\nc2\na3\nb3"} {
			in.write(t, piece)
			synctest.Wait()
		}
		in.h.End("")
		if err := <-done; err != nil {
			t.Error(err)
		}
		x.want(t, "a1\na2\na3\n$", "b1\nb2\nb3$")
		if x.got[5] != "c1\nc2\n$" {
			t.Errorf("task 5 has %q", x.got[5])
		}
	})
}

// TestBackPressure: what a task does not take holds back the writer, and is not
// piled up here.
func TestBackPressure(t *testing.T) {
	for _, mode := range []Mode{Bcast, Enum, Pull} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x, in := newTasks(), newStream()
				gate := make(chan struct{})
				x.took = func(int, []byte) { <-gate }
				s := New(Options{To: x, Set: ranks.Span(0, 1), Mode: mode})
				s.Ready(ranks.Of(0))
				done := run(t, s, in.r)
				wrote := 0
				line := []byte(strings.Repeat("x", 1023) + "\n")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				for {
					n, err := in.w.WriteContext(ctx, line)
					wrote += n
					if err != nil {
						break
					}
				}
				cancel()
				if wrote > 3*buffer {
					t.Errorf("%d bytes were taken of one that goes nowhere", wrote)
				}
				close(gate)
				stop := make(chan struct{})
				go func() { // ends with the test's stop: the task asks on and on
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
							s.Ready(ranks.Of(0))
						}
					}
				}()
				in.h.EOF()
				if err := <-done; err != nil {
					t.Error(err)
				}
				close(stop)
				if len(x.got[0]) != wrote+1 {
					t.Errorf("wrote %d, the task has %d", wrote, len(x.got[0])-1)
				}
			})
		})
	}
}

// TestPullMakespan: eight workers, one of which is ten times slower. The next
// record goes to who asks, so that all are done at about the same time.
func TestPullMakespan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, records = 8, 1000
		cost := func(r int) time.Duration {
			if r == 3 {
				return 10 * time.Second
			}
			return time.Second
		}
		x, in := newTasks(), newStream()
		s := New(Options{To: x, Set: ranks.Span(0, workers), Mode: Pull})
		asks := make([]chan struct{}, workers)
		var wg sync.WaitGroup
		for r := range workers {
			asks[r] = make(chan struct{}, 1)
			s.Ready(ranks.Of(r))
			wg.Go(func() { // ends when asks[r] is closed
				for range asks[r] {
					time.Sleep(cost(r)) // the work, in the time of the bubble
					s.Ready(ranks.Of(r))
				}
			})
		}
		x.took = func(r int, p []byte) { asks[r] <- struct{}{} }
		done := run(t, s, in.r)
		start := time.Now()
		for i := range records {
			in.write(t, fmt.Sprintln(i))
		}
		in.h.EOF()
		if err := <-done; err != nil {
			t.Error(err)
		}
		took := time.Since(start)
		for r := range workers {
			close(asks[r])
		}
		wg.Wait()
		// Seven records a second by the fast ones, and one in ten by the slow one.
		ideal := records * 10 * time.Second / 71
		t.Logf("makespan %v, ideal %v, ratio %.3f", took, ideal, float64(took)/float64(ideal))
		if float64(took) > 1.15*float64(ideal) {
			t.Errorf("%v, ideal %v", took, ideal)
		}
		n := 0
		for _, got := range x.got {
			n += strings.Count(got, "\n")
		}
		if n != records {
			t.Errorf("%d records arrived of %d", n, records)
		}
	})
}

// TestPullGivesAgainOnlyWhatIsFenced: the record of a task whose node is lost waits
// until nothing runs there any more, and so does the end of the others.
func TestPullGivesAgainOnlyWhatIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, in := newTasks(), newStream()
		s := New(Options{To: x, Set: ranks.Span(0, 2), Mode: Pull})
		s.Ready(ranks.Of(0))
		done := run(t, s, in.r)
		in.write(t, "a\nb\n")
		in.h.EOF()
		synctest.Wait()
		x.want(t, "a\n", "")
		s.Lost(ranks.Of(0))
		s.Ready(ranks.Span(0, 2)) // of the lost one too: it comes late
		synctest.Wait()
		x.want(t, "a\n", "b\n")
		s.Ready(ranks.Of(1))
		synctest.Wait()
		x.want(t, "a\n", "b\n")
		s.Fenced(ranks.Of(0))
		synctest.Wait()
		x.want(t, "a\n", "b\na\n")
		if err := s.Replay(t.Context(), ranks.Of(0)); err != nil {
			t.Error(err)
		}
		s.Ready(ranks.Of(1))
		if err := <-done; err != nil {
			t.Error(err)
		}
		x.want(t, "a\n$", "b\na\n$")
	})
}

// TestNobodyIsLeft: input that no task can take any more is not lost silently.
func TestNobodyIsLeft(t *testing.T) {
	for _, mode := range []Mode{Bcast, Enum, Pull} {
		synctest.Test(t, func(t *testing.T) {
			x, in := newTasks(), newStream()
			s := New(Options{To: x, Set: ranks.Span(0, 2), Mode: mode})
			done := run(t, s, in.r)
			s.Ready(ranks.Of(0))
			s.Gone(ranks.Of(0))
			s.Lost(ranks.Of(1))
			in.write(t, "a\n")
			synctest.Wait()
			s.Fenced(ranks.Of(1))
			synctest.Wait()
			select {
			case err := <-done:
				t.Errorf("%s: ended with %v, and task 1 may come back", mode, err)
			default:
			}
			s.Gone(ranks.Of(1))
			if mode != Pull {
				in.write(t, "b\n")
			}
			var unsent *UnsentError
			if err := <-done; !errors.As(err, &unsent) || unsent.Bytes != 2 {
				t.Errorf("%s: %v", mode, err)
			}
		})
	}
}

// TestReplay: a task that is run anew gets what it would have had.
func TestReplay(t *testing.T) {
	for mode, want := range map[Mode][3]string{
		Bcast: {"a\nb\nc\nd$", "a\nb\n", "a\nb\nc\nd$"},
		Enum:  {"a\nc\n$", "b\n", "b\nd$"},
	} {
		synctest.Test(t, func(t *testing.T) {
			x, in := newTasks(), newStream()
			s := New(Options{To: x, Set: ranks.Span(0, 2), Mode: mode, Keep: 1 << 10})
			done := run(t, s, in.r)
			in.write(t, "a\nb\n")
			synctest.Wait()
			s.Lost(ranks.Of(1))
			in.write(t, "c\n")
			synctest.Wait()
			s.Fenced(ranks.Of(1))
			x.want(t, strings.TrimSuffix(want[0], "$")[:len(x.got[0])], want[1])
			x.got[1] = ""
			if err := s.Replay(t.Context(), ranks.Of(1)); err != nil {
				t.Error(err)
			}
			in.write(t, "d")
			in.h.EOF()
			if err := <-done; err != nil {
				t.Error(err)
			}
			x.want(t, want[0], want[2])
			// Also when the input has ended.
			s.Lost(ranks.Of(1))
			s.Fenced(ranks.Of(1))
			x.got[1] = ""
			if err := s.Replay(t.Context(), ranks.Of(1)); err != nil {
				t.Error(err)
			}
			x.want(t, want[0], want[2])
		})
	}
}

func TestReplayOfWhatIsNotKept(t *testing.T) {
	for _, keep := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			x, in := newTasks(), newStream()
			s := New(Options{To: x, Set: ranks.Span(0, 2), Keep: keep})
			done := run(t, s, in.r)
			in.write(t, "ab")
			in.write(t, "cd")
			synctest.Wait()
			s.Lost(ranks.Of(1))
			if err := s.Replay(t.Context(), ranks.Of(1)); !errors.Is(err, ErrNotKept) {
				t.Errorf("keep %d: %v", keep, err)
			}
			in.h.EOF()
			if err := <-done; err != nil {
				t.Error(err)
			}
			x.want(t, "abcd$", "abcd")
		})
	}
}

// TestErrors of either side end it, and say which.
func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, mode := range []Mode{Bcast, Enum, Pull} {
		synctest.Test(t, func(t *testing.T) {
			x, in := newTasks(), newStream()
			x.fail = broken
			s := New(Options{To: x, Set: ranks.Span(0, 2), Mode: mode})
			s.Ready(ranks.Of(1))
			done := run(t, s, in.r)
			in.write(t, "a\n")
			if err := <-done; !errors.Is(err, broken) {
				t.Errorf("%s: %v", mode, err)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			s := New(Options{To: newTasks(), Set: ranks.Span(0, 2), Mode: mode})
			if err := s.Run(t.Context(), failing{broken}); !errors.Is(err, broken) {
				t.Errorf("%s: %v", mode, err)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			s := New(Options{To: newTasks(), Set: ranks.Span(0, 2), Mode: mode})
			if err := s.Run(ctx, newStream().r); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", mode, err)
			}
		})
	}
	x := newTasks()
	s := New(Options{To: x, Set: ranks.Span(0, 1), Mode: Pull})
	s.Ready(ranks.Of(0))
	if err := s.Run(t.Context(), &long{}); !errors.Is(err, ErrLong) {
		t.Error(err)
	}
	x.want(t, "$")
	for _, mode := range []Mode{Enum, Pull} {
		x := newTasks()
		s := New(Options{To: x, Set: ranks.Span(0, 1), Mode: mode, Framing: framing(t, "len")})
		s.Ready(ranks.Of(0))
		x.took = func(int, []byte) { s.Ready(ranks.Of(0)) }
		if err := s.Run(t.Context(), &text{"\x00\x00\x00\x05abc"}); !errors.Is(err, ErrCut) {
			t.Errorf("%s: %v", mode, err)
		}
		x.want(t, "\x00\x00\x00\x05abc$")
	}
}

type failing struct{ err error }

func (f failing) ReadContext(context.Context, []byte) (int, error) { return 0, f.err }

// long never ends a line.
type long struct{}

func (*long) ReadContext(_ context.Context, p []byte) (int, error) { return len(p), nil }

type text struct{ s string }

func (x *text) ReadContext(_ context.Context, p []byte) (int, error) {
	n := copy(p, x.s)
	x.s = x.s[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
