package hubfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/shellctl"
	"hubfs/tree"
)

// A process is what a shell needs of the program that it runs.
type process interface {
	PID() int
	Resize(rows, cols int) error
	Signal(name string) error
	// Kill hangs up and, if that does not end the process within grace, kills
	// it. It does not wait.
	Kill(grace time.Duration)
	// Done is closed when the process has ended and its last output was
	// taken; then Wait returns at once.
	Done() <-chan struct{}
	Wait(ctx context.Context) (shellctl.Status, error)
}

// A starter starts the process of a shell. Tests have one of their own.
type starter func(shellctl.Spec, shellctl.Streams, *slog.Logger) (process, error)

func startShell(spec shellctl.Spec, streams shellctl.Streams, log *slog.Logger) (process, error) {
	p, err := shellctl.Start(spec, streams, log)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// lastWords is how long a shell that was killed has to get rid of its output,
// after the grace. Then its streams are closed: a hub that stands still, or a
// reader in fear that has gone to sleep, must not keep it from ending.
const lastWords = time.Second

// What a shell is doing, as its status says it.
type state string

const (
	running state = "running"
	exited  state = "exited"
	lost    state = "lost" // its host went away
)

// A shell is three hubs and a process, here or at a host.
type shell struct {
	// Set by newShellLocked, then immutable.
	fs       *FS
	name     string
	owner    string
	argv     []string
	env      []string // what it got besides the server's environment
	dir      string
	hosted   bool
	hostKey  string // what a host that comes back must have; "": nothing
	pipe     bool   // no terminal: the size is 0 by 0, and stays
	started  time.Time
	stdin    *hubFile
	stdout   *hubFile
	stderr   *hubFile
	note     *noteFile
	node     *shellDir
	waitLine handles.Lines // gets the line of wait, then ends

	// Set by startHere before there is a process.
	closeStreams func()

	hostConn atomic.Uint64 // the connection of the host, the last one if it is lost; 0: not hosted

	// guarded by fs.mu
	place    *hub.Reader // where the host stands in stdin while it does not read; nil: it reads, or is none
	state    state
	ending   bool        // end is at work
	proc     process     // nil while it starts, and for one that is hosted
	kills    bool        // killed before proc was there
	cut      *time.Timer // runs closeStreams after a kill
	host     *ctlHandle
	pid      int // 0: not known
	status   shellctl.Status
	seen     bool // somebody knows the status
	rows     int
	cols     int
	policy   policy
	forced   bool // the size was said by one who is not attached
	title    string
	lastID   int           // of the attachments
	attached []*attachment // the last to vote is the last
	driver   *attachment   // nil: nobody may drive

	inputs      map[string]*inputKey // by key
	inputCloses uint64               // how often one was closed
}

// newShellLocked makes a shell and its files, which are in no directory yet.
func (fs *FS) newShellLocked(c *tree.Caller, o shellOptions) *shell {
	s := &shell{
		fs: fs, name: o.name, owner: c.User, argv: o.argv, env: o.env, dir: o.dir,
		hosted: o.hosted, hostKey: o.key, pipe: o.pipe, started: time.Now(), waitLine: handles.NewLines(),
		state: running, rows: o.rows, cols: o.cols, policy: latest,
	}
	if s.pipe {
		s.rows, s.cols = 0, 0
	}
	s.stdin = newHubFile(fs, fs.root, s.name+sufStdin, c, 0o666, s, nil)
	s.stdout = newHubFile(fs, fs.root, s.name+sufStdout, c, 0o666, s, nil)
	s.stderr = newHubFile(fs, fs.root, s.name+sufStderr, c, 0o666, s, nil)
	s.note = newNoteFile(s)
	s.node = newShellDir(s)
	return s
}

// hubsOfShell is how many hubs a shell has.
const hubsOfShell = 3

// hubs returns them, in the order in which they end.
func (s *shell) hubs() [hubsOfShell]*hubFile { return [...]*hubFile{s.stdout, s.stderr, s.stdin} }

// placeLocked says whether a shell of this name can be made. If one that has
// ended has the name it is returned, to be replaced.
func (fs *FS) placeLocked(c *tree.Caller, name string) (old *shell, err error) {
	if old = fs.byName[name]; old != nil {
		switch {
		case old.state == running:
			return nil, fmt.Errorf("shell %s is running: %w", name, tree.ErrExist)
		case old.state == lost:
			return nil, fmt.Errorf("shell %s is lost, its host may come back; rm removes it: %w", name, tree.ErrExist)
		case !mayOwnLocked(c, old.node):
			return nil, fmt.Errorf("shell %s has ended, only %s, the owner, may replace it: %w", name, old.owner, tree.ErrPermission)
		}
		if fs.closing {
			return nil, errClosing
		}
		return old, nil
	}
	for _, file := range shellFiles(name) {
		switch err := fs.root.clashLocked(c, file); {
		case errors.Is(err, tree.ErrPermission):
			return nil, err // not which name it is
		case err != nil:
			return nil, fmt.Errorf("shell %s needs the name %s: %w", name, file, err)
		}
	}
	if err := fs.shellRoomLocked(c); err != nil {
		return nil, err
	}
	return nil, fs.roomLocked(c, hubsOfShell)
}

// linkLocked gives the shell's files their names.
func (s *shell) linkLocked() {
	root := s.fs.root
	for _, f := range s.hubs() {
		root.linkLocked(f)
	}
	root.kids[s.note.name] = s.note
	s.fs.byName[s.name] = s
	s.fs.changedLocked()
}

// unlinkLocked takes the names away.
func (s *shell) unlinkLocked() {
	root := s.fs.root
	for _, f := range s.hubs() {
		root.unlinkLocked(f)
	}
	delete(root.kids, s.note.name)
	delete(s.fs.byName, s.name)
	s.fs.changedLocked()
}

// dropLocked gives up the hubs of a shell that has no names any more.
func (s *shell) dropLocked() {
	for _, f := range s.hubs() {
		f.dropLocked()
	}
	for _, a := range slices.Clone(s.attached) {
		s.fs.detachLocked(a, "the shell was removed")
	}
}

// sayNewLocked tells of a shell that is there now.
func (s *shell) sayNewLocked() {
	for _, f := range s.hubs() {
		f.sayLocked("hub new")
	}
	s.sayLocked("shell new", fmt.Sprint(s.pid))
}

// sayGoneLocked tells of a shell that was removed.
func (s *shell) sayGoneLocked() {
	for _, f := range s.hubs() {
		f.sayLocked("hub rm")
	}
	s.sayLocked("shell rm")
}

// startHere starts a shell on this server.
func (fs *FS) startHere(c *tree.Caller, o shellOptions) error {
	fs.mu.Lock()
	old, err := fs.placeLocked(c, o.name)
	if err != nil {
		fs.mu.Unlock()
		return err
	}
	s := fs.newShellLocked(c, o)
	// Its streams are open before anybody can type, and miss nothing, in trunc
	// mode either.
	in := s.stdin.hub.NewReader(hub.FromOldest, hub.ReaderOptions{Label: lex.Fields(s.owner, "shell "+s.name)})
	out, errs := s.stdout.hub.NewWriter(false), s.stderr.hub.NewWriter(false)
	s.closeStreams = func() { in.Close(); out.Close(); errs.Close() }
	// The files are there before the process, which may look for them. Those
	// of the shell before come back if the start fails.
	if old != nil {
		old.unlinkLocked()
	}
	s.linkLocked()
	fs.watchers.Add(1)
	fs.unlock()

	p, err := fs.start(o.spec(), shellctl.Streams{Stdin: in, Stdout: out, Stderr: errs}, fs.log)

	fs.mu.Lock()
	if err != nil {
		fs.watchers.Done()
		s.unlinkLocked()
		s.dropLocked()
		for _, f := range s.hubs() { // whoever opened them in the meantime
			fs.later(func() { f.hub.Close() })
		}
		fs.later(s.waitLine.End)
		if old != nil {
			old.linkLocked()
		}
		fs.unlock()
		s.closeStreams()
		return fmt.Errorf("shell %s: %w", o.name, err)
	}
	if old != nil {
		old.sayGoneLocked()
		old.dropLocked()
	}
	s.proc, s.pid = p, p.PID()
	s.sayNewLocked()
	if !s.pipe && (s.rows != o.rows || s.cols != o.cols) { // said while it started
		s.resizeLocked()
	}
	if s.kills {
		s.killLocked()
	}
	fs.unlockDone()

	// Ends when the process has, and Shutdown waits for it.
	go func() {
		defer fs.watchers.Done()
		<-p.Done()
		st, err := p.Wait(context.Background())
		if err != nil {
			fs.log.Warn("a shell has ended", "shell", s.name, "status", st, "err", err)
		}
		s.closeStreams()
		s.end(st)
	}()
	return nil
}

// end ends a shell whose last output is in its hubs. First the hubs end, then
// the state changes, then those are told who wait.
func (s *shell) end(st shellctl.Status) {
	s.fs.mu.Lock()
	mine := s.beginEndLocked()
	s.fs.mu.Unlock()
	if mine {
		s.finish(st)
	}
}

// endIfLost ends a shell whose host is away: nobody is left to be asked. It
// counts as hung up.
func (s *shell) endIfLost() (was bool) {
	s.fs.mu.Lock()
	was = s.state == lost
	mine := was && s.beginEndLocked()
	s.fs.mu.Unlock()
	if mine {
		s.finish(shellctl.Status{Signal: "HUP"})
	}
	return was
}

// beginEndLocked reports whether the caller is the one to call finish.
func (s *shell) beginEndLocked() bool {
	mine := !s.ending
	s.ending = true
	return mine
}

func (s *shell) finish(st shellctl.Status) {
	fs, text := s.fs, st.String()
	for _, f := range s.hubs() {
		f.hub.End(text)
	}

	fs.mu.Lock()
	defer fs.unlock()
	s.state, s.status, s.proc, s.pid = exited, st, nil, 0
	if s.cut != nil {
		s.cut.Stop()
	}
	if place := s.place; place != nil {
		s.place = nil
		fs.later(func() { place.Close() })
	}
	for _, f := range s.hubs() {
		f.sayLocked("hub end", text)
	}
	fs.later(func() {
		s.waitLine.Say(text)
		s.waitLine.End()
	})
	for _, a := range s.attached {
		a.sayLocked(text)
		a.endLocked()
		s.seen = s.seen || a.counts
	}
	s.sayLocked("shell exit", fmt.Sprint(st.ExitCode()))
	fs.changedLocked()
}

// endedLocked is the error for what only a shell that runs can do.
func (s *shell) endedLocked() error {
	switch s.state {
	case exited:
		return fmt.Errorf("shell %s has ended: %s", s.name, s.status)
	case lost:
		return fmt.Errorf("shell %s is lost: its host is away", s.name)
	}
	return nil
}

// counts reports whether it matters that c knows how the shell ended. Who only
// looks on changes nothing, not even that.
func (s *shell) counts(c *tree.Caller) bool { return s.check(c, tree.LevelWrite) == nil }

// seenNow notes that somebody has learnt how the shell ended.
func (s *shell) seenNow() {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	if !s.seen && s.state == exited {
		s.seen = true
		s.fs.changedLocked()
	}
}

// signal sends a signal to the shell, here or at its host.
func (s *shell) signal(name string) error {
	if _, err := shellctl.ParseSignal(lex.Clip(name)); err != nil {
		return err
	}
	s.fs.mu.Lock()
	err := s.endedLocked()
	switch p := s.proc; {
	case err != nil:
	case s.hosted:
		s.tellHostLocked("signal " + name)
	case p == nil:
		err = fmt.Errorf("shell %s is only starting", s.name)
	default:
		s.fs.later(func() { err = p.Signal(name) })
	}
	s.fs.unlockDone()
	return err
}

// kill ends the shell, by a hangup and then a kill, and does not wait.
func (s *shell) kill() error {
	if s.endIfLost() {
		return nil
	}
	s.fs.mu.Lock()
	defer s.fs.unlockDone()
	if err := s.endedLocked(); err != nil {
		return err
	}
	if s.hosted {
		s.tellHostLocked("kill")
	} else {
		s.killLocked()
	}
	return nil
}

// killLocked kills a shell that runs here.
func (s *shell) killLocked() {
	if s.state != running || s.hosted {
		return
	}
	if s.proc == nil {
		s.kills = true // startHere will do it
		return
	}
	p := s.proc
	s.fs.later(func() { p.Kill(s.fs.cfg.Grace) })
	if s.cut == nil {
		s.cut = time.AfterFunc(s.fs.cfg.Grace+lastWords, s.closeStreams)
	}
}

// remove removes the files of a shell that has ended, or whose host is away.
func (s *shell) remove(c *tree.Caller) error {
	if err := s.removable(c); err != nil {
		return err
	}
	s.fs.mu.Lock()
	defer s.fs.unlock()
	switch {
	case s.fs.byName[s.name] != s:
		return fmt.Errorf("shell %s was removed: %w", s.name, tree.ErrNotExist)
	case s.state != exited: // its host came back
		return fmt.Errorf("shell %s is running: %w", s.name, tree.ErrBusy)
	}
	s.unlinkLocked()
	s.sayGoneLocked()
	s.dropLocked()
	return nil
}

// removable says whether c may remove the shell, and ends it if it is lost.
func (s *shell) removable(c *tree.Caller) error {
	s.fs.mu.Lock()
	state, mine := s.state, mayOwnLocked(c, s.node)
	s.fs.mu.Unlock()
	switch {
	case !mine:
		return fmt.Errorf("only %s, the owner, may remove shell %s: %w", s.owner, s.name, tree.ErrPermission)
	case state == running:
		return fmt.Errorf("shell %s is running, kill it first: %w", s.name, tree.ErrBusy)
	}
	s.endIfLost()
	return nil
}

// shellFor finds a shell, for one who has a level for it.
func (fs *FS) shellFor(c *tree.Caller, name string, need tree.Level) (*shell, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	s := fs.byName[name]
	if s == nil || !seesLocked(c, s.node) {
		return nil, fmt.Errorf("no shell %q: %w", lex.Clip(name), tree.ErrNotExist)
	}
	return s, s.check(c, need)
}

// check says whether c has a level for the shell, which is there for c.
func (s *shell) check(c *tree.Caller, need tree.Level) error {
	if c.Rights != nil && s.rule(need, need, need).level(c) < need {
		return fmt.Errorf("shell %s: %w", s.name, tree.ErrPermission)
	}
	return nil
}

// statusLocked is the line of the file status, without a newline.
func (s *shell) statusLocked() string {
	return lex.Fields(s.name, string(s.state), strconv.Itoa(s.pid), strconv.Itoa(s.rows), strconv.Itoa(s.cols),
		strconv.Itoa(len(s.attached)), lex.QuoteAll(s.argv))
}

func (s *shell) statusLine() string {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	return s.statusLocked() + "\n"
}
