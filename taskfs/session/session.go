// Package session is one command on many tasks as whoever asks for it sees it: what
// is reserved, what runs on it, what it reads, and how it ends. It knows no files;
// package taskfs serves it as such.
//
// A Session has a Part for the whole, and one for each folder below it: the tasks
// of one node, or a single one. What can be done to a part is done to its tasks
// alone; what is about the session as such is refused there.
//
// # States
//
// A session is Unreserved, then holds a gang of tasks, and is Released in the end:
// when its last control file is closed, unless it persists, or by wipe. What it has
// put out stays in its hubs.
//
// # Ordering
//
// What is done to a session is done one thing after the other: what comes while
// something else is at work is refused, but for what ends tasks. When the last task
// has ended the input ends, then the streams, then wait, then the events are told:
// so who has seen the end of wait finds the whole output.
//
// A task that is lost ends when its node is fenced, or is run anew then: see Retry.
//
// # Blocking
//
// Reserve, Exec, Again, Signal and Splice wait for other nodes. Nothing else waits,
// but what the gang calls (Above), which may hold back tasks that put out more than
// is taken. A splice holds back nobody: what its reader has not taken goes to disk.
//
// # Ownership
//
// Session.mu guards what changes; nothing is called under it but scatter's and feed's
// quick methods and hubs' status. The hubs are the caller's, as long as the session
// lives; the session alone writes and ends them. Each goroutine ends with the
// session's Done, which is closed when all have.
package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
)

// ErrNoReservation is for what needs tasks where there are none.
//
//lint:ignore ST1005 the text of 2010
var ErrNoReservation = errors.New("No remote reservation done")

// A Gang is the tasks of a session: *gang.Gang.
type Gang interface {
	Size() int
	Place() gang.Place
	Tasks() []gang.TaskStatus
	Exec(ctx context.Context, set ranks.Set, s gang.Spec) error
	Input(ctx context.Context, set ranks.Set, p []byte) error
	CloseInput(ctx context.Context, set ranks.Set) error
	Signal(ctx context.Context, set ranks.Set, name string) error
	Push(ctx context.Context, files fs.FS) error
	Replace(ctx context.Context, set ranks.Set) error
	Release()
	Done() <-chan struct{}
}

// A Config is a Session's.
type Config struct {
	Number  int
	Name    string // what tasks and people call it, as "remote/0"
	Owner   string
	Node    string // what this node is called
	Dir     string // where its tasks start
	Reserve func(ctx context.Context, w gang.Want, a gang.Above) (Gang, error)
	Nodes   func(ctx context.Context) []cluster.Row // this node and all below
	Begin   Beginning

	Stdin                    *hub.Hub // an input hub
	Stdout, Stderr, Labelled *hub.Hub
	// Files is what the tasks are to find in their folder; nil: nothing.
	Files func() ([]fs.FS, error)

	Say      func(event string, about ...string) // told what happens, for all to see
	Released func()                              // called once, when Release begins
	Log      *slog.Logger
}

// A Beginning is what a session is before anything is said to it.
type Beginning struct {
	Strict  bool // January's errors
	Compat  bool // the states and files of 2010 alone
	Persist bool
	Env     []string
	Dir     string // "": the node's
	Umask   int    // negative: the node's
}

// A Session is one session. Its methods may be called from any goroutine.
type Session struct {
	cfg    Config
	whole  *Part
	events handles.Lines
	feed   *feed
	nodes  atomic.Pointer[[]string] // names, by rank; set with gang and by retry
	labels atomic.Pointer[[]string] // what stands before lines, by rank; see relabel
	work   sync.WaitGroup           // goroutines, but for the one that lets go
	ctx    context.Context          // done when the session is released
	cancel context.CancelFunc
	done   chan struct{} // closed when the session is over, and nothing of it at work
	made   time.Time

	mu sync.Mutex
	// guarded by mu
	busy     string // what is at work; "": nothing
	strict   bool
	compat   bool
	persist  bool
	killing  bool // tasks end when the control file is closed, also of a session that persists
	verbose  int  // debug
	linger   time.Duration
	label    string // the label's form
	retries  int
	halt     halt
	limits   limits
	held     int // open control files
	opens    int // open files, those too
	timer    *time.Timer
	released bool
	gang     Gang
	store    *gather.Store
	size     int
	tasks    []taskState
	counts   counts
	pushed   bool
	parts    map[string]*Part // but for the whole
	splices  []*splice
}

// A taskState is what the session knows of a task.
type taskState struct {
	run     *run // what it runs, or ran; nil: nothing yet
	ended   bool
	tries   int
	status  string    // how it ended
	real    int64     // milliseconds that it took
	began   time.Time // zero: it has not
	heard   time.Time // last output; kept only for a deadline
	dying   bool      // a deadline, halt, or kill has ended it: it is not run anew
	pending bool      // lost, and not fenced; or being run anew
}

// A run is one Exec.
type run struct {
	spec gang.Spec
	cmd  string // for people
}

// counts are of tasks.
type counts struct {
	ran, ended, failed int
	worst              int // the largest exit code
}

// New returns a session that nobody holds yet.
func New(cfg Config) *Session {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Say == nil {
		cfg.Say = func(string, ...string) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		cfg: cfg, events: handles.NewLines(), feed: newFeed(), ctx: ctx, cancel: cancel,
		done: make(chan struct{}), made: time.Now(), label: "%h", parts: map[string]*Part{},
		strict: cfg.Begin.Strict, compat: cfg.Begin.Compat, persist: cfg.Begin.Persist,
	}
	s.whole = &Part{s: s, settings: settings{umask: -1}}
	s.whole.input = newInput(s.whole, cfg.Stdin)
	return s
}

// Whole returns the part that all tasks are in.
func (s *Session) Whole() *Part { return s.whole }

// Done is closed when a released session is over: nothing of it runs anywhere.
func (s *Session) Done() <-chan struct{} { return s.done }

// Events returns a reader of what happens in the session.
func (s *Session) Events(label string) *handles.Cursor {
	return s.events.Reader(hub.FromOldest, label)
}

// Number and Owner are the session's.
func (s *Session) Number() int   { return s.cfg.Number }
func (s *Session) Owner() string { return s.cfg.Owner }

// Released reports whether the session has been released.
func (s *Session) Released() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released
}

// Quiet reports whether the session has been released and runs nothing any more, so
// that another may be called as it was.
func (s *Session) Quiet() bool {
	select {
	case <-s.done:
		return true
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released && s.busy == "" && s.counts.ran == s.counts.ended
}

// Compat reports whether only what there was in 2010 is to be shown, Strict whether
// the errors of January 2010 hold and nothing is reserved, which is what they are
// about.
func (s *Session) Compat() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compat
}

// Strict is said at Compat.
func (s *Session) Strict() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strict && s.gang == nil && !s.released
}

// Ran reports whether anything was ever run, so that there may be output.
func (s *Session) Ran() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.ran > 0
}

// say tells of what has happened. It must be called without mu.
func (s *Session) say(what string, about ...string) {
	line := what
	if len(about) > 0 {
		line += " " + fieldsOf(about)
	}
	s.events.Say(line)
	s.mu.Lock()
	verbose := s.verbose
	s.mu.Unlock()
	if verbose > 0 {
		s.cfg.Log.Info("session", "session", s.cfg.Name, "event", line)
	}
}

// begin says whether the session can do something now, which done ends.
func (s *Session) begin(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.released:
		return gang.ErrReleased
	case s.busy != "":
		return fmt.Errorf("%w: %s is at work", gang.ErrInUse, s.busy)
	}
	s.busy = what
	return nil
}

func (s *Session) end() {
	s.mu.Lock()
	s.busy = ""
	released := s.released
	s.mu.Unlock()
	if released {
		s.letGo()
	}
}

// Hold says that a control file is open. A session that was released is not held
// any more.
func (s *Session) Hold() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return gang.ErrReleased
	}
	s.held++
	s.opens++
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	return nil
}

// Unhold says that it was closed. The last one releases the session.
func (s *Session) Unhold() {
	s.mu.Lock()
	s.opens--
	s.held--
	last := s.held == 0 && !s.released
	kill := last && s.persist && s.killing && s.gang != nil
	release := last && !s.persist
	if release && s.linger > 0 {
		s.timer = time.AfterFunc(s.linger, s.lingered)
		release = false
	}
	if kill {
		s.work.Add(1)
	}
	s.mu.Unlock()
	if release {
		s.Release()
	}
	if kill {
		// Ends with the signal, or with the session.
		go func() {
			defer s.work.Done()
			_ = s.whole.signal(s.ctx, "KILL") // who is gone needs none
		}()
	}
}

// lingered releases a session that nobody has held for a while.
func (s *Session) lingered() {
	s.mu.Lock()
	mine := s.timer != nil && s.held == 0
	s.timer = nil
	s.mu.Unlock()
	if mine {
		s.Release()
	}
}

// Opened counts files of a part that are open besides.
func (s *Session) Opened(p *Part, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != s.whole {
		p.opens += n
		return
	}
	s.opens += n
}

// Release gives up what is reserved and ends all that runs. It does not wait: see
// Done.
func (s *Session) Release() {
	s.mu.Lock()
	if s.released {
		s.mu.Unlock()
		return
	}
	s.released = true
	busy := s.busy != ""
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.limits.stop()
	s.mu.Unlock()
	s.cancel()
	if s.cfg.Released != nil {
		s.cfg.Released()
	}
	if !busy { // else whoever is at work does it
		s.letGo()
	}
}

// letGo ends a session that is released and at which nobody is at work.
func (s *Session) letGo() {
	s.mu.Lock()
	g := s.gang
	s.mu.Unlock()
	if g == nil {
		s.over()
		return
	}
	g.Release()
	// Ends when the tasks have, or are fenced.
	go func() {
		<-g.Done()
		s.over()
	}()
}

// over ends what is left of a session whose tasks have all ended.
func (s *Session) over() {
	s.mu.Lock()
	store := s.store
	var killed []ended
	for r := range s.tasks {
		if t := &s.tasks[r]; t.run != nil && !t.ended {
			killed = append(killed, ended{rank: r, node: s.nodeOf(r), status: "signal KILL"})
		}
	}
	s.mu.Unlock()
	s.close(killed, true)
	if store != nil {
		store.Close()
	}
	s.work.Wait()
	s.events.End()
	s.cfg.Say("session end", fmt.Sprint(s.cfg.Number))
	close(s.done)
}
