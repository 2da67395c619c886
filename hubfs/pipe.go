package hubfs

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"hubfs/hubfs/internal/conduit"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/shellctl"
	"hubfs/tree"
)

// A pipe carries the bytes of one hub into another, as they are or through a
// program. It reads the one and writes the other like anybody else, so that
// fear works through it. A conduit does the work; here it is what people see of
// it.
type pipe struct {
	// Set by newPipeLocked, then immutable.
	fs    *FS
	id    int
	owner string
	at    handles.Place // where in from it begins
	argv  []string      // nil: a plain copy
	ends  bool          // to ends with it

	gone chan struct{} // closed when it has ended

	// guarded by fs.mu
	state    pipeState
	from, to *hubFile         // nil when it has ended
	names    [2]string        // of from and to, when it has ended
	run      *conduit.Conduit // nil while it starts
	read     *pipeSource      // nil while it starts
	stop     pipeStop         // how its end was asked for, ...
	end      string           // ... and why, or how it ended
	unwanted bool             // unpipe was said: it is forgotten when it has ended
	said     saying
}

// What a pipe is doing, as its status says it.
type pipeState string

const (
	pipeRunning pipeState = "running"
	pipeEnding  pipeState = "ending" // asked to end: the program has a moment yet
	pipeEnded   pipeState = "ended"
)

// A pipeStop is how a pipe is made to end.
type pipeStop int

const (
	stopNot    pipeStop = iota
	stopFinish          // the program gets the end of its input, and time
	stopKill            // it gets a hangup
)

// keptPipes is how many pipes that have ended are remembered, for people to see
// what became of them.
const keptPipes = 64

// newPipeLocked makes a pipe, which is in the list from now on.
func (fs *FS) newPipeLocked(c *tree.Caller, o pipeOptions) (*pipe, error) {
	if fs.closing {
		return nil, errClosing
	}
	if n := fs.pipesRunningLocked(); n >= fs.cfg.MaxPipes {
		return nil, fmt.Errorf("the server has %d pipes, %d may be: %w", n, fs.cfg.MaxPipes, tree.ErrLimit)
	}
	from, err := fs.pipeEndLocked(c, o.from, tree.PermRead)
	if err != nil {
		return nil, err
	}
	to, err := fs.pipeEndLocked(c, o.to, tree.PermWrite)
	if err != nil {
		return nil, err
	}
	if s := to.shell; o.ends && s != nil && !to.input {
		return nil, fmt.Errorf("pipe: %s is output of shell %s and ends with it, not with a pipe: %w", o.to, s.name, tree.ErrBusy)
	}
	fs.lastPipe++
	p := &pipe{
		fs: fs, id: fs.lastPipe, owner: c.User, at: o.at, argv: o.argv, ends: o.ends,
		gone: make(chan struct{}), state: pipeRunning, from: from, to: to,
	}
	fs.pipes = append(fs.pipes, p)
	fs.changedLocked()
	return p, nil
}

// pipeEndLocked finds a hub that c wants a pipe to read or to write, which is as
// if c opened it.
func (fs *FS) pipeEndLocked(c *tree.Caller, path string, perm uint32) (*hubFile, error) {
	f, err := fs.hubLocked(c, path, tree.LevelOwn)
	if err != nil {
		return nil, err
	}
	if !f.allowsLocked(c, perm) {
		return nil, fmt.Errorf("pipe: hub %s: %w", path, tree.ErrPermission)
	}
	return f, nil
}

// allowsLocked reports whether the mode bits of the hub, and of the directories
// in which it lies, let c do what perm says.
func (f *hubFile) allowsLocked(c *tree.Caller, perm uint32) bool {
	ok := f.infoLocked().Allows(c, perm)
	for d := f.parent; d != nil; d = d.parent {
		ok = ok && d.infoLocked().Allows(c, tree.PermExec)
	}
	return ok
}

func (fs *FS) pipesRunningLocked() (n int) {
	for _, p := range fs.pipes {
		if p.state != pipeEnded {
			n++
		}
	}
	return n
}

// startPipe makes a pipe and starts it, and returns its number.
func (fs *FS) startPipe(c *tree.Caller, o pipeOptions) (id int, err error) {
	fs.mu.Lock()
	p, err := fs.newPipeLocked(c, o)
	if err != nil {
		fs.mu.Unlock()
		return 0, err
	}
	// Told before it begins, for what a program says comes after it.
	fs.sayLocked(audienceLocked(p.from, p.to), "pipe new", strconv.Itoa(p.id), p.from.pathLocked(), p.to.pathLocked())
	from, to := p.from, p.to
	fs.watchers.Add(1)
	fs.unlock()

	run, read, err := p.join(from, to)

	fs.mu.Lock()
	if err != nil {
		fs.watchers.Done()
		p.endLocked(err.Error())
		fs.unlockDone()
		return 0, fmt.Errorf("pipe: %w", err)
	}
	p.run, p.read = run, read
	p.stopLocked(p.stop, p.end) // if that was asked meanwhile
	fs.unlockDone()

	// Ends when the conduit has, and Shutdown waits for it.
	go func() {
		defer fs.watchers.Done()
		<-run.Done()
		p.ended(run.Result())
	}()
	return p.id, nil
}

// join opens the hubs and begins to carry.
func (p *pipe) join(from, to *hubFile) (*conduit.Conduit, *pipeSource, error) {
	// The pipe is who reads and writes, for its owner.
	c := &tree.Caller{User: p.owner, Addr: "pipe " + strconv.Itoa(p.id)}
	if err := from.opened(); err != nil {
		return nil, nil, err
	}
	if err := to.opened(); err != nil {
		from.closed()
		return nil, nil, err
	}
	read := &pipeSource{h: from.handle(c, tree.OpenRead, p.at, false)}
	write := &pipeSink{h: to.handle(c, tree.OpenWrite, handles.Place{}, false)}
	ends := conduit.Ends{From: read, To: write, Mark: p.mark, Say: p.say}
	if p.argv == nil {
		return conduit.Plain(ends), read, nil
	}
	run, err := conduit.Through(ends, p.fs.cfg.Grace, p.startProgram)
	return run, read, err
}

// startProgram starts the program of a pipe, as that of a shell is.
func (p *pipe) startProgram(streams shellctl.Streams) (conduit.Process, error) {
	o := shellOptions{argv: p.argv, dir: homeDir(), pipe: true}
	o.env = append([]string{"TERM=dumb", "HUB_PIPE=" + strconv.Itoa(p.id)}, p.fs.cfg.Env...)
	return p.fs.start(o.spec(), streams, p.fs.log)
}

// stopLocked makes the pipe end, for a reason. A kill may follow a finish.
func (p *pipe) stopLocked(how pipeStop, why string) {
	if p.state == pipeEnded || how == stopNot {
		return
	}
	if p.stop == stopNot {
		p.end = why
	}
	p.state, p.stop = pipeEnding, max(p.stop, how)
	run, grace := p.run, p.fs.cfg.Grace
	switch {
	case run == nil: // startPipe will do it
	case how == stopFinish:
		p.fs.later(func() { run.Stop(grace) })
	default:
		p.fs.later(func() { run.Kill(grace) })
	}
}

// ended is the end of a pipe that was started. If it came by itself, and TO is
// to end with the pipe, it does.
func (p *pipe) ended(r conduit.Result) {
	fs := p.fs
	fs.mu.Lock()
	defer fs.unlock()
	switch {
	case p.stop != stopNot:
	case r.Err != nil:
		p.end = r.Err.Error()
	case p.argv != nil:
		p.endToLocked(r.Status.String())
		p.end = r.Status.String()
	default:
		status, _ := p.from.hub.Ended()
		p.endToLocked(status)
		p.end = "end"
		if status != "" {
			p.end += " " + status
		}
	}
	p.endLocked(p.end)
}

// endToLocked ends TO if that is to be.
func (p *pipe) endToLocked(status string) {
	if !p.ends {
		return
	}
	p.to.endLocked(status)
}

// endLocked makes p a pipe that has ended. It stays in the list for a while,
// where people can see why, unless they know.
func (p *pipe) endLocked(why string) {
	fs := p.fs
	p.names = p.namesLocked()
	to := audienceLocked(p.from, p.to)
	p.state, p.end, p.from, p.to = pipeEnded, why, nil, nil
	close(p.gone)
	fs.sayLocked(to, "pipe end", strconv.Itoa(p.id), why)
	fs.changedLocked()
	if p.unwanted {
		fs.forgetPipeLocked(p)
		return
	}
	isEnded := func(p *pipe) bool { return p.state == pipeEnded }
	if n := len(fs.pipes) - fs.pipesRunningLocked(); n > keptPipes {
		fs.forgetPipeLocked(fs.pipes[slices.IndexFunc(fs.pipes, isEnded)])
	}
}

func (fs *FS) forgetPipeLocked(p *pipe) {
	fs.pipes = slices.DeleteFunc(fs.pipes, func(q *pipe) bool { return q == p })
}

// endPipesLocked ends the pipes that begin or end in f, which was removed.
func (f *hubFile) endPipesLocked() {
	for _, p := range f.fs.pipes {
		if p.from == f || p.to == f {
			p.stopLocked(stopKill, "hub "+f.pathLocked()+" was removed")
		}
	}
}

// namesLocked returns the paths of FROM and TO, which may have been renamed.
func (p *pipe) namesLocked() [2]string {
	if p.state == pipeEnded {
		return p.names
	}
	return [2]string{p.from.pathLocked(), p.to.pathLocked()}
}

// mark passes an eof mark on. One that would come back does not pass: it would
// go round for ever.
func (p *pipe) mark() {
	p.fs.mu.Lock()
	to, round := p.to, p.fs.plainWayLocked(p.to, p.from)
	p.fs.mu.Unlock()
	if !round {
		to.hub.EOF()
	}
}

// plainWayLocked reports whether plain pipes lead from a hub to another. Marks
// do not pass through programs.
func (fs *FS) plainWayLocked(from, to *hubFile) bool {
	seen := map[*hubFile]bool{from: true}
	for todo := []*hubFile{from}; len(todo) > 0; todo = todo[1:] {
		if todo[0] == to {
			return true
		}
		for _, p := range fs.pipes {
			if p.argv == nil && p.state != pipeEnded && p.from == todo[0] && !seen[p.to] {
				seen[p.to] = true
				todo = append(todo, p.to)
			}
		}
	}
	return false
}

// A saying is what a program says on its standard error.
type saying struct {
	last   string
	second time.Time // in which it was told how much it said, ...
	told   int       // ... so many lines
}

// sayLimit is how many lines a second of one program are events. The last line
// is in the status in any case.
const sayLimit = 20

// say tells of a line that the program has said.
func (p *pipe) say(line string) {
	p.fs.mu.Lock()
	defer p.fs.unlock()
	s := &p.said
	s.last = line
	if now := time.Now(); now.Sub(s.second) >= time.Second {
		s.second, s.told = now, 0
	}
	if s.told++; s.told <= sayLimit && p.state != pipeEnded {
		p.fs.sayLocked(audienceLocked(p.from, p.to), "pipe say", strconv.Itoa(p.id), line)
	}
}

// statusLocked returns what makes the line of /status: ID FROM TO STATE IN OUT
// CMD LOST SAID, and END behind it when it has ended. It is called without the
// lock, as countsLocked has it.
func (p *pipe) statusLocked() func() string {
	names, counts := p.namesLocked(), p.countsLocked()
	state, said, end := p.state, p.said.last, ""
	if state == pipeEnded {
		end = " " + lex.Field(p.end)
	}
	return func() string {
		in, out, lost := counts()
		return "pipe " + lex.Fields(strconv.Itoa(p.id), names[0], names[1], string(state), strconv.FormatInt(in, 10),
			strconv.FormatInt(out, 10), lex.QuoteAll(p.argv), strconv.FormatInt(lost, 10), said) + end + "\n"
	}
}

// seenLocked reports whether a pipe is there for c: one that runs is about its
// two hubs.
func (p *pipe) seenLocked(c *tree.Caller) bool {
	return mayAll(c, tree.LevelView) || p.state != pipeEnded && seesLocked(c, p.from) && seesLocked(c, p.to)
}

// pipeLinesLocked returns what makes the lines of /status for the pipes that are
// there for c.
func (fs *FS) pipeLinesLocked(c *tree.Caller) (lines []func() string) {
	for _, p := range fs.pipes {
		if !p.seenLocked(c) {
			continue
		}
		lines = append(lines, p.statusLocked())
	}
	return lines
}

// countsLocked returns what counts the bytes that the pipe has read, written,
// and missed because the writers of FROM overtook it. It is called without the
// lock: it asks the hub, which in a loop that runs away is very busy, and nobody
// else is to wait for that.
func (p *pipe) countsLocked() func() (in, out, lost int64) {
	run, read := p.run, p.read
	if run == nil {
		return func() (in, out, lost int64) { return 0, 0, 0 }
	}
	return func() (in, out, lost int64) {
		in, out = run.Counts()
		return in, out, read.lost()
	}
}
