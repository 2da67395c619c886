// Package jobtest is a server in the test's own process whose folder /remote runs
// nothing: the test says what becomes of each session. Its streams are real hubs.
package jobtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hubfs/hub"
	"hubfs/hubfs"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/p9"
	"hubfs/taskfs"
	"hubfs/tree"
)

// A Remote is the folder.
type Remote struct {
	Addr string // of the server, as -s has it

	// Nodes is what the file nodes says, Word is asked about every word of
	// control of the folder, and Exec, in a goroutine of its own, has what
	// becomes of a session. All are set before there is a client; nil is
	// nothing.
	Nodes string
	Word  func(words []string) error
	Exec  func(s *Session, argv []string)

	tb      testing.TB
	streams taskfs.Streams

	mu       sync.Mutex
	sessions map[int]*Session // guarded by mu
	running  sync.WaitGroup   // those that Exec runs
}

// New starts the server, which ends with the test.
func New(tb testing.TB) *Remote {
	tb.Helper()
	dir, err := os.MkdirTemp("", "job")
	if err != nil {
		tb.Fatal(err)
	}
	r := &Remote{tb: tb, Addr: "unix:" + filepath.Join(dir, "s"), sessions: map[int]*Session{}}
	fs := hubfs.New(hubfs.Config{Name: "test", Owner: "u", Remote: func(s taskfs.Streams) hubfs.Remote {
		r.streams = s
		return r
	}})
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		tb.Fatal(err)
	}
	srv := &p9.Server{Root: fs.Root()}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { srv.ServeConn(ctx, c, p9.Peer{User: "u", Addr: "here", Admin: true}) }) // ends with the connection, or with ctx
		}
	})
	tb.Cleanup(func() {
		l.Close()
		cancel()
		conns.Wait()
		r.running.Wait()
		if err := fs.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		os.RemoveAll(dir)
	})
	return r
}

// Session returns a session that there is or was.
func (r *Remote) Session(n int) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[n]
}

// Root is hubfs.Remote's, as Sessions.
func (r *Remote) Root() tree.Dir { return &dir{r.kids} }

func (r *Remote) Sessions() (lines []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range r.sessions {
		lines = append(lines, lex.Fields(fmt.Sprint(n), "u", "Execute", "1", "0", "0", "", "true"))
	}
	return lines
}

func (r *Remote) kids() map[string]tree.Node {
	kids := map[string]tree.Node{
		"clone": &file{open: r.clone},
		"nodes": text(func() string { return r.Nodes }),
		"ctl": words(func(w []string) error {
			if r.Word == nil {
				return nil
			}
			return r.Word(w)
		}),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, s := range r.sessions {
		kids[fmt.Sprint(n)] = &dir{s.kids}
	}
	return kids
}

func (r *Remote) clone(c *tree.Caller, _ uint8) (tree.Handle, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &Session{Number: len(r.sessions), remote: r, Released: make(chan struct{}), killed: make(chan struct{}),
		files: map[string]string{}, streams: map[string]taskfs.Stream{}, wait: handles.NewLines(), events: handles.NewLines()}
	for _, name := range []string{"stdin", "stdout", "stderr", "out/labelled"} {
		st, err := r.streams.New(c, fmt.Sprintf("%d/%s", s.Number, name), 0o666, hub.Options{Input: name == "stdin"})
		if err != nil {
			return nil, err
		}
		s.streams[name] = st
	}
	r.sessions[s.Number] = s
	return &ctl{words: s.word, number: s.Number, close: s.release}, nil
}

// A Session is one of the sessions.
type Session struct {
	Number   int
	Released chan struct{} // closed when who cloned it has let go, unless it persists

	remote *Remote
	wait   handles.Lines
	events handles.Lines
	killed chan struct{} // closed by the word kill

	mu       sync.Mutex
	said     []string                 // guarded by mu: the words of control
	files    map[string]string        // guarded by mu: that were written, by path
	streams  map[string]taskfs.Stream // guarded by mu: by path
	status   string                   // guarded by mu
	folded   [2]string                // guarded by mu: of stdout and stderr
	persists bool                     // guarded by mu
	tasks    int                      // guarded by mu: of the word res
	isKilled bool                     // guarded by mu
}

// Said returns the words of control that the session was given, a line each.
func (s *Session) Said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

// File returns what was written to a file of the session.
func (s *Session) File(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[name]
}

// Killed is closed when the session is told to kill its tasks.
func (s *Session) Killed() <-chan struct{} { return s.killed }

// Print has the tasks write to a stream.
func (s *Session) Print(stream, text string) {
	w := s.stream(stream).Hub().NewWriter(false)
	defer w.Close()
	for text != "" {
		ready := make(chan struct{})
		n, ok, err := w.TryWrite(hub.Piece{Data: []byte(text)}, 0, func() { close(ready) })
		if err != nil {
			s.remote.tb.Errorf("print to %s: %v", stream, err)
			return
		}
		if text = text[n:]; !ok && text != "" {
			<-ready
		}
	}
}

func (s *Session) stream(name string) taskfs.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name]
}

// Task gives a task a stream of its own, with all that it writes.
func (s *Session) Task(rank int, output string) {
	name := fmt.Sprintf("out/bynode/%d", rank)
	st, err := s.remote.streams.New(&tree.Caller{User: "u"}, fmt.Sprintf("%d/%s", s.Number, name), 0o666, hub.Options{})
	if err != nil {
		s.remote.tb.Error(err)
		return
	}
	s.mu.Lock()
	s.streams[name] = st
	s.mu.Unlock()
	s.Print(name, output)
	st.Hub().End("")
}

// Fold sets what the files of equal output say, and Status that of tasks.
func (s *Session) Fold(stdout, stderr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folded = [2]string{stdout, stderr}
}

func (s *Session) Status(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = text
}

// Input reads what the tasks are given, until it is want.
func (s *Session) Input(want string) {
	r := s.stream("stdin").Hub().NewReader(hub.FromOldest, hub.ReaderOptions{})
	defer r.Close()
	got, buf := "", make([]byte, 4096)
	for got != want {
		n, err := r.ReadContext(s.remote.tb.Context(), buf)
		got += string(buf[:n])
		if err != nil && n == 0 {
			s.remote.tb.Errorf("input: %q and then %v, want %q", got, err, want)
			return
		}
	}
}

// Ended says that a task has ended.
func (s *Session) Ended(rank int, node, status string) {
	s.wait.Say(lex.Fields(fmt.Sprint(rank), node, fmt.Sprint(100+rank), "1", "2", "3000", status, "1"))
}

// Event says that something has happened.
func (s *Session) Event(line string) { s.events.Say(line) }

// Over says that all tasks have.
func (s *Session) Over() {
	s.wait.End()
	for _, name := range []string{"stdout", "stderr", "out/labelled"} {
		s.stream(name).Hub().End("")
	}
}

// summary says how many lines there are in status, or were asked for.
func (s *Session) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := strings.Count(s.status, "\n")
	if n == 0 {
		n = s.tasks
	}
	return fmt.Sprintf("tasks %d\n", n)
}

func (s *Session) word(w []string) error {
	s.mu.Lock()
	s.said = append(s.said, strings.Join(w, " "))
	kill := w[0] == "kill" && !s.isKilled
	s.isKilled = s.isKilled || kill
	s.persists = s.persists || w[0] == "persist"
	if w[0] == "res" {
		s.tasks, _ = strconv.Atoi(w[1])
	}
	s.mu.Unlock()
	if s.remote.Word != nil {
		if err := s.remote.Word(append([]string{fmt.Sprint(s.Number)}, w...)); err != nil {
			return err
		}
	}
	switch {
	case kill:
		close(s.killed)
	case w[0] == "exec" && s.remote.Exec != nil:
		s.remote.running.Go(func() { s.remote.Exec(s, w[1:]) }) // ends as the test says
	case w[0] == "close":
		s.stream("stdin").Hub().EOF()
	}
	return nil
}

func (s *Session) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.persists {
		s.events.End()
		close(s.Released)
	}
}

func (s *Session) kids() map[string]tree.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	get := func(p *string) tree.Node {
		return text(func() string {
			s.mu.Lock()
			defer s.mu.Unlock()
			return *p
		})
	}
	kids := map[string]tree.Node{
		"ctl":     &file{open: func(*tree.Caller, uint8) (tree.Handle, error) { return &ctl{words: s.word, number: s.Number}, nil }},
		"status":  get(&s.status),
		"summary": text(s.summary),
		"wait": &file{open: func(*tree.Caller, uint8) (tree.Handle, error) {
			return s.wait.Reader(hub.FromOldest, "wait"), nil
		}},
		"events": &file{open: func(*tree.Caller, uint8) (tree.Handle, error) {
			return s.events.Reader(hub.FromOldest, "events"), nil
		}},
		"env": &file{open: func(*tree.Caller, uint8) (tree.Handle, error) { return &written{s, "env"}, nil }},
		"fs":  &made{s: s, path: "fs"},
	}
	out, bynode := map[string]tree.Node{"folded": get(&s.folded[0]), "folded.err": get(&s.folded[1])}, map[string]tree.Node{}
	for path, st := range s.streams {
		switch d, base := filepath.Split(path); d {
		case "":
			kids[base] = stream{st}
		case "out/":
			out[base] = stream{st}
		default:
			bynode[base] = stream{st}
		}
	}
	out["bynode"] = &dir{func() map[string]tree.Node { return bynode }}
	kids["out"] = &dir{func() map[string]tree.Node { return out }}
	return kids
}

// Mark sets a mark of an end of file in a stream, as people can.
func (s *Session) Mark(stream string) { s.stream(stream).Hub().EOF() }

// Retain has a stream keep no more than so many bytes.
func (s *Session) Retain(stream string, n int64) {
	if err := s.stream(stream).Hub().SetSize(n); err != nil {
		s.remote.tb.Error(err)
	}
}
