package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A server is a hubfs that the test started itself.
type server struct {
	w    *world
	cmd  *exec.Cmd
	log  lockedBuffer
	done chan struct{} // closed when it has ended
}

// serve starts hubfs with these arguments, and returns when it serves.
func (w *world) serve(args ...string) *server {
	w.tb.Helper()
	s, answer := w.tryServe(args...)
	if answer != "ready" {
		<-s.done
		w.tb.Fatalf("hubfs %q: not ready but %q; it said:\n%s", args, answer, s.said())
	}
	return s
}

// tryServe starts hubfs and returns what it tells its starter: "ready", or
// why it does not serve.
func (w *world) tryServe(args ...string) (*server, string) {
	w.tb.Helper()
	ready, childEnd, err := os.Pipe()
	if err != nil {
		w.tb.Fatal(err)
	}
	defer ready.Close()
	s := &server{w: w, cmd: w.command("hubfs", append(args, "--ready")...), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.ExtraFiles = []*os.File{childEnd}
	// Not killed with the test's context: the world stops it in order.
	s.cmd.Cancel = func() error { return nil }
	err = s.cmd.Start()
	childEnd.Close()
	if err != nil {
		w.tb.Fatal(err)
	}
	w.servers = append(w.servers, s)
	go func() { // ends with the server, for which the world waits
		s.cmd.Wait()
		close(s.done)
	}()
	ready.SetReadDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(ready)
	if err != nil {
		w.tb.Fatalf("hubfs %q: waiting for it to be ready: %v; it said:\n%s", args, err, s.said())
	}
	return s, string(answer)
}

// said is what the server wrote to its standard error.
func (s *server) said() string { return s.log.String() }

// signal sends a signal by its name, TERM or KILL, if the server still runs.
func (s *server) signal(name string) {
	s.w.tb.Helper()
	if err := s.cmd.Process.Signal(unix.SignalNum("SIG" + name)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.w.tb.Fatalf("hubfs: SIG%s: %v", name, err)
	}
}

// exit waits for the end, and returns the exit status, 128+N for signal N.
func (s *server) exit() int {
	s.w.tb.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.w.tb.Fatalf("hubfs runs on; it said:\n%s", s.said())
	}
	if ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.cmd.ProcessState.ExitCode()
}

// A lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer  // guarded by mu
	wrote chan struct{} // guarded by mu; closed by the next Write; nil: nobody waits
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrote != nil {
		close(b.wrote)
		b.wrote = nil
	}
	return b.buf.Write(p)
}

// await waits until a text was written, and reports whether it was.
func (b *lockedBuffer) await(text string, limit time.Duration) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		b.mu.Lock()
		there := strings.Contains(b.buf.String(), text)
		if b.wrote == nil {
			b.wrote = make(chan struct{})
		}
		wrote := b.wrote
		b.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-wrote:
		case <-late.C:
			return false
		}
	}
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimRight(b.buf.String(), "\n")
}
