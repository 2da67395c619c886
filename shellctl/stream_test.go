package shellctl

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hubfs/pipes"
)

// A screen is a Sink that remembers what it took, and lets a test wait for it.
type screen struct {
	before func() error    // called before each write is taken, if not nil
	done   <-chan struct{} // of the shell that sh attached; nil for none

	mu   sync.Mutex
	got  []byte        // guarded by mu
	more chan struct{} // closed and replaced when got grows; guarded by mu
}

func newScreen() *screen { return &screen{more: make(chan struct{})} }

func (s *screen) WriteContext(_ context.Context, p []byte) (int, error) {
	if s.before != nil {
		if err := s.before(); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, p...)
	close(s.more)
	s.more = make(chan struct{})
	return len(p), nil
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.got)
}

// after waits until text is there, and returns the rest of its line when that
// is complete.
func (s *screen) after(t *testing.T, text string) string {
	t.Helper()
	for {
		var over bool
		select {
		case <-s.done:
			over = true
		default:
		}
		s.mu.Lock()
		got, more := s.got, s.more
		s.mu.Unlock()
		if i := bytes.Index(got, []byte(text)); i >= 0 {
			rest := got[i+len(text):]
			if n := bytes.IndexByte(rest, '\n'); n >= 0 {
				return strings.TrimRight(string(rest[:n]), "\r")
			}
		}
		if over {
			t.Fatalf("%q has not come, but %q", text, got)
		}
		select {
		case <-more:
		case <-s.done:
		}
	}
}

// A keyboard is a Poller that a test types on: strings, and errors for the
// marks.
type keyboard struct {
	keys   chan any
	rest   []byte
	held   chan any      // a key that came while Poll's caller waited
	cancel chan struct{} // closed by CancelRead
}

func newKeyboard(keys ...any) *keyboard {
	k := keyboardOf(100)
	for _, key := range keys {
		k.keys <- key
	}
	return k
}

func keyboardOf(n int) *keyboard {
	return &keyboard{keys: make(chan any, n), held: make(chan any, 1), cancel: make(chan struct{})}
}

// plain hides that a keyboard is more than a Source.
func plain(k *keyboard) pipes.Source { return struct{ pipes.Source }{k} }

// feeds runs a test on a keyboard that can be polled, and on one that cannot.
func feeds(t *testing.T, f func(t *testing.T, source func(*keyboard) pipes.Source)) {
	t.Run("polled", func(t *testing.T) { f(t, func(k *keyboard) pipes.Source { return k }) })
	t.Run("read", func(t *testing.T) { f(t, plain) })
}

func (k *keyboard) ReadContext(ctx context.Context, p []byte) (int, error) {
	if len(k.rest) > 0 {
		return k.take(p, nil)
	}
	select {
	case key := <-k.keys:
		return k.take(p, key)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (k *keyboard) Poll(p []byte, wake func()) (int, bool, error) {
	var key any
	if len(k.rest) == 0 {
		select {
		case key = <-k.held:
		default:
			select {
			case key = <-k.keys:
			default:
				go func() { // ends with the next key, or with the shell
					select {
					case key := <-k.keys:
						k.held <- key
						wake()
					case <-k.cancel:
					}
				}()
				return 0, false, nil
			}
		}
	}
	n, err := k.take(p, key)
	return n, err == nil, err
}

func (k *keyboard) CancelRead() { close(k.cancel) }

// take puts a key into p, or what was left of the one before.
func (k *keyboard) take(p []byte, key any) (int, error) {
	switch key := key.(type) {
	case error:
		return 0, key
	case string:
		k.rest = []byte(key)
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// errEnded is the end of a keyboard; io.EOF is a mark.
type errEnded struct{}

func (errEnded) Error() string        { return "ended" }
func (errEnded) Ended() bool          { return true }
func (errEnded) Is(target error) bool { return target == io.EOF }

// sh starts a script of sh(1), which is killed at the end of the test.
func sh(t *testing.T, spec Spec, io Streams, script string, args ...string) *Shell {
	t.Helper()
	spec.Argv = append([]string{"sh", "-c", script, "sh"}, args...)
	s, err := Start(spec, io, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, ok := io.Stdout.(*screen); ok {
		out.done = s.Done()
	}
	t.Cleanup(func() {
		s.Kill(0)
		<-s.Done()
	})
	return s
}

func end(t *testing.T, s *Shell) Status {
	t.Helper()
	status, err := s.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// both runs a test on a terminal and on pipes.
func both(t *testing.T, f func(t *testing.T, spec Spec)) {
	t.Run("terminal", func(t *testing.T) { f(t, Spec{}) })
	t.Run("pipes", func(t *testing.T) { f(t, Spec{Pipe: true}) })
}

func newFifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A lifeline is a fifo on which something can be seen to live: a script that
// has it open for writing.
type lifeline struct {
	path string
	r    *os.File
}

func newLifeline(t *testing.T) *lifeline {
	t.Helper()
	l := &lifeline{path: newFifo(t)}
	var err error
	if l.r, err = os.OpenFile(l.path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.r.Close() })
	return l
}

// wait returns when nobody has the lifeline open. Somebody must have opened it
// before.
func (l *lifeline) wait(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(io.Discard, l.r); err != nil {
		t.Error(err)
	}
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// goroutinesDownTo waits for goroutines that have done their last work to be
// gone, and reports those that stay.
func goroutinesDownTo(t *testing.T, n int) {
	t.Helper()
	// A goroutine that has said it is done still has to return.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if runtime.NumGoroutine() <= n {
			return
		}
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, want %d:\n%s", runtime.NumGoroutine(), n, buf[:runtime.Stack(buf, true)])
}
