package hubfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/hub"
	"hubfs/shellctl"
	"hubfs/tree"
)

// Callers of the tests. The server belongs to glenda.
var (
	glenda = &tree.Caller{User: "glenda", Addr: "unix 1", Conn: 1, Admin: true}
	alice  = &tree.Caller{User: "alice", Addr: "tcp a", Conn: 2}
	bob    = &tree.Caller{User: "bob", Addr: "tcp b", Conn: 3}
)

// A fakeProcess stands for a program. The test says what it does.
type fakeProcess struct {
	pid     int
	spec    shellctl.Spec
	streams shellctl.Streams
	done    chan struct{}

	mu     sync.Mutex
	status shellctl.Status
	did    []string // what was done to it
	deaf   bool     // a hangup and a kill do not end it
}

func (p *fakeProcess) PID() int { return p.pid }

func (p *fakeProcess) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did = append(p.did, fmt.Sprintf(format, args...))
}

func (p *fakeProcess) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.did, "; ")
}

func (p *fakeProcess) Resize(rows, cols int) error { p.note("size %d %d", rows, cols); return nil }
func (p *fakeProcess) Signal(name string) error    { p.note("signal %s", name); return nil }
func (p *fakeProcess) Done() <-chan struct{}       { return p.done }

func (p *fakeProcess) Kill(grace time.Duration) {
	p.note("kill %v", grace)
	if !p.deaf {
		p.exit(shellctl.Status{Signal: "HUP"})
	}
}

func (p *fakeProcess) Wait(ctx context.Context) (shellctl.Status, error) {
	<-p.done
	return p.status, nil
}

func (p *fakeProcess) exit(st shellctl.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
	default:
		p.status = st
		close(p.done)
	}
}

// print writes output as the copier of a real shell does, in the background if
// it has to wait.
func (p *fakeProcess) print(s string) error {
	_, err := p.streams.Stdout.WriteContext(context.Background(), []byte(s))
	return err
}

// A fakeStarter starts fakeProcesses.
type fakeStarter struct {
	mu     sync.Mutex
	procs  map[string]*fakeProcess // by HUB_SHELL, or "pipe " and HUB_PIPE
	next   int
	err    error              // the answer to the next start
	before func(*fakeProcess) // called in start
}

func (st *fakeStarter) start(spec shellctl.Spec, streams shellctl.Streams, _ *slog.Logger) (process, error) {
	st.mu.Lock()
	st.next++
	p := &fakeProcess{pid: 100 + st.next, spec: spec, streams: streams, done: make(chan struct{})}
	err, before := st.err, st.before
	st.err = nil
	if err == nil {
		for _, kv := range spec.Env {
			if name, ok := strings.CutPrefix(kv, "HUB_SHELL="); ok {
				st.procs[name] = p
			}
			if id, ok := strings.CutPrefix(kv, "HUB_PIPE="); ok {
				st.procs["pipe "+id] = p
			}
		}
	}
	st.mu.Unlock()
	if before != nil {
		before(p)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// A server is an FS under test.
type server struct {
	*FS
	t       *testing.T
	starter *fakeStarter
	trace   *slog.Logger // of dial; nil: none
}

func newServer(t *testing.T, cfg Config) *server {
	t.Helper()
	st := &fakeStarter{procs: map[string]*fakeProcess{}}
	cfg.Owner, cfg.Shell = "glenda", "/bin/sh"
	if cfg.Name == "" {
		cfg.Name = "test"
	}
	s := &server{FS: newFS(cfg, st.start), t: t, starter: st}
	t.Cleanup(func() {
		for _, p := range st.procs { // the deaf too, for their watchers
			p.exit(shellctl.Status{})
		}
		s.mu.Lock()
		for _, p := range s.pipes {
			p.stopLocked(stopKill, "the test is over")
		}
		s.unlockDone()
		s.watchers.Wait()
	})
	return s
}

func (s *server) proc(name string) *fakeProcess {
	s.t.Helper()
	s.starter.mu.Lock()
	defer s.starter.mu.Unlock()
	p := s.starter.procs[name]
	if p == nil {
		s.t.Fatalf("shell %s was not started", name)
	}
	return p
}

// walk finds a node.
func (s *server) walk(c *tree.Caller, path string) (tree.Node, error) {
	var n tree.Node = s.Root()
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		d, ok := n.(tree.Dir)
		if !ok {
			return nil, tree.ErrNotDir
		}
		var err error
		if n, err = d.Lookup(c, name); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return n, nil
}

func (s *server) node(path string) tree.Node {
	s.t.Helper()
	n, err := s.walk(glenda, path)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// openAs opens a file.
func (s *server) openAs(c *tree.Caller, path string, mode uint8) *file {
	s.t.Helper()
	n, err := s.walk(c, path)
	if err != nil {
		s.t.Fatal(err)
	}
	h, err := n.(tree.File).Open(c, mode)
	if err != nil {
		s.t.Fatalf("open %s: %v", path, err)
	}
	return &file{t: s.t, path: path, h: h}
}

func (s *server) open(path string, mode uint8) *file {
	s.t.Helper()
	return s.openAs(glenda, path, mode)
}

// create makes a hub or, with a slash at the end, a directory.
func (s *server) create(c *tree.Caller, path string) error {
	perm := uint32(0o666)
	if strings.HasSuffix(path, "/") {
		perm = tree.ModeDir | 0o777
		path = path[:len(path)-1]
	}
	var n tree.Node = s.Root()
	name := path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		n, name = s.node(path[:i]), path[i+1:]
	}
	_, h, err := n.(tree.Creator).Create(c, name, perm, tree.OpenRDWR)
	if h != nil {
		h.Close()
	}
	return err
}

func (s *server) mustCreate(paths ...string) {
	s.t.Helper()
	for _, p := range paths {
		if err := s.create(glenda, p); err != nil {
			s.t.Fatalf("create %s: %v", p, err)
		}
	}
}

// ctlAs writes to /ctl.
func (s *server) ctlAs(c *tree.Caller, text string) error {
	s.t.Helper()
	f := s.openAs(c, "ctl", tree.OpenWrite)
	defer f.close()
	return f.write(text)
}

func (s *server) ctl(text string) {
	s.t.Helper()
	if err := s.ctlAs(glenda, text); err != nil {
		s.t.Fatalf("ctl %q: %v", text, err)
	}
}

func (s *server) ctlFails(text string, want error, say string) {
	s.t.Helper()
	err := s.ctlAs(glenda, text)
	checkError(s.t, fmt.Sprintf("ctl %q", text), err, want, say)
}

// checkError wants an error that is want, if that is not nil, and says say.
func checkError(t *testing.T, what string, err, want error, say string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %q", what, say)
	case want != nil && !errors.Is(err, want):
		t.Errorf("%s: %v: is not %v", what, err, want)
	case !strings.Contains(err.Error(), say):
		t.Errorf("%s: %v\nwant: … %s …", what, err, say)
	}
}

// cat reads a text file.
func (s *server) cat(path string) string {
	s.t.Helper()
	f := s.open(path, tree.OpenRead)
	defer f.close()
	return f.text()
}

// A file is an open file of a server under test.
type file struct {
	t    *testing.T
	path string
	h    tree.Handle
	off  int64
}

func (f *file) close() {
	f.t.Helper()
	if err := f.h.Close(); err != nil {
		f.t.Errorf("close %s: %v", f.path, err)
	}
}

// try reads without waiting. A read that would wait is cancelled.
func (f *file) try(off int64, max int) (data string, ready bool, err error) {
	switch h := f.h.(type) {
	case tree.StreamReader:
		pieces, ready, err := h.ReadStream(nil, off, max, func() {})
		for _, p := range pieces {
			data += string(p.Data)
			p.Free()
		}
		if !ready && err == nil {
			h.CancelRead()
		}
		return data, ready, err
	case tree.Reader:
		p := make([]byte, max)
		n, err := h.ReadAt(p, off)
		return string(p[:n]), true, err
	}
	return "", false, tree.ErrPermission
}

// next reads on, and waits in a synctest bubble: for what all goroutines do,
// and no longer.
func (f *file) next() (string, error) {
	f.t.Helper()
	data, ready, err := f.try(f.off, 1<<20)
	if err != nil {
		return "", err
	}
	if !ready {
		return "", errWaits
	}
	f.off += int64(len(data))
	if data == "" {
		return "", io.EOF
	}
	return data, nil
}

var errWaits = errors.New("the read waits")

// read reads on and wants what comes to be want.
func (f *file) read(want string) {
	f.t.Helper()
	got := ""
	for len(got) < len(want) {
		s, err := f.next()
		if err != nil {
			f.t.Fatalf("read %s: %q, then %v; want %q", f.path, got, err, want)
		}
		got += s
	}
	if got != want {
		f.t.Fatalf("read %s: %q, want %q", f.path, got, want)
	}
}

// fails reads and wants the error.
func (f *file) fails(want error) {
	f.t.Helper()
	if s, err := f.next(); !errors.Is(err, want) {
		f.t.Fatalf("read %s: %q, %v; want %v", f.path, s, err, want)
	}
}

func (f *file) waits() { f.t.Helper(); f.fails(errWaits) }
func (f *file) ends()  { f.t.Helper(); f.fails(io.EOF) }

// text reads a file from its start to its end, in small pieces.
func (f *file) text() string {
	f.t.Helper()
	all := ""
	for {
		data, ready, err := f.try(int64(len(all)), 7)
		if err != nil || !ready {
			f.t.Fatalf("read %s: ready %v, %v", f.path, ready, err)
		}
		if data == "" {
			return all
		}
		all += data
	}
}

// write writes, and does not wait.
func (f *file) write(s string) error { return f.writeAt(s, 0) }

func (f *file) writeAt(s string, off int64) error {
	switch h := f.h.(type) {
	case tree.StreamWriter:
		n, ready, err := h.WriteStream(tree.Piece{Data: []byte(s)}, off, func() {})
		switch {
		case err != nil:
			return err
		case !ready:
			h.CancelWrite()
			return errWaits
		case n != len(s):
			return fmt.Errorf("wrote %d of %d: %w", n, len(s), io.ErrShortWrite)
		}
		return nil
	case tree.Writer:
		n, err := h.WriteAt([]byte(s), off)
		if err == nil && n != len(s) {
			return fmt.Errorf("wrote %d of %d: %w", n, len(s), io.ErrShortWrite)
		}
		return err
	}
	return tree.ErrPermission
}

func (f *file) mustWrite(s string) {
	f.t.Helper()
	if err := f.write(s); err != nil {
		f.t.Fatalf("write %q to %s: %v", s, f.path, err)
	}
}

// bubble runs a test in a synctest bubble.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newServer(t, cfg)) })
}

// waitFor waits until the shells have ended.
func (s *server) waitFor(names ...string) {
	s.t.Helper()
	for _, name := range names {
		sh, err := s.shellFor(glenda, name, tree.LevelView)
		if err != nil {
			s.t.Fatal(err)
		}
		r := sh.waitLine.Reader(hub.FromEnd, "").R
		for err = nil; err == nil; {
			_, err = r.ReadContext(s.t.Context(), make([]byte, 100))
		}
		if !errors.Is(err, hub.ErrEnded) {
			s.t.Fatal(err)
		}
		r.Close()
	}
}
