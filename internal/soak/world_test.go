package soak

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/internal/daemon"
	"hubfs/transport"
)

// patience is how long one waits for what must happen.
const patience = 30 * time.Second

// A world is a server in this process, and what all actors know.
type world struct {
	t    *testing.T
	seed uint64
	dir  string         // of sockets
	unix transport.Addr // where the server is
	tcp  transport.Addr // and besides

	log    serverLog
	cancel context.CancelFunc // ends the server
	done   chan error         // what Run returned

	stop chan struct{} // closed when the actors are to come to their end

	mu       sync.Mutex
	run      int               // guarded by mu: of the server, counted
	up       chan struct{}     // guarded by mu: closed when it serves
	ledgers  map[hubID]*ledger // guarded by mu
	left     map[string]bool   // guarded by mu: folders whose hubs have left them
	last     []string          // guarded by mu: what was done last, a ring
	lines    int               // guarded by mu: ever
	stopping bool              // guarded by mu: stop is closed
	tally    map[string]int64  // guarded by mu: what came about, and how often
}

// start starts the server and returns when it serves.
func (w *world) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan error, 1)
	w.cancel, w.done = cancel, make(chan error, 1)
	c := daemon.Config{
		Addr: w.unix, Also: daemon.Addrs{w.tcp}, State: w.state(),
		Log:   slog.New(slog.NewTextHandler(&w.log, nil)),
		Ready: func(err error) { ready <- err },
	}
	go func() { w.done <- daemon.Run(ctx, c) }() // ends with ctx; end waits
	err := <-ready
	if err != nil {
		cancel()
	}
	return err
}

// end ends the server, and returns when it has.
func (w *world) end() error {
	w.cancel()
	select {
	case err := <-w.done:
		return err
	case <-time.After(patience):
		return fmt.Errorf("the server does not end:\n%s", stacks())
	}
}

func (w *world) mustEnd() {
	w.t.Helper()
	if err := w.end(); err != nil {
		w.t.Fatal(err)
	}
}

// newWorld starts a server with folders of its own.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "soak") // short, for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if err := os.Mkdir(filepath.Join(dir, "hub"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, seed: seed, dir: dir,
		stop: make(chan struct{}), up: make(chan struct{}),
		ledgers: map[hubID]*ledger{}, left: map[string]bool{}, tally: map[string]int64{},
	}
	w.unix, w.tcp = parse(t, "soak"), parse(t, "tcp!127.0.0.1!"+freePort(t))
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	close(w.up)
	return w
}

// state is the folder of hubs on disk.
func (w *world) state() string { return filepath.Join(w.dir, "state") }

func parse(t *testing.T, s string) transport.Addr {
	t.Helper()
	a, err := transport.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// freePort returns a port that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// A serverLog is what the server says.
type serverLog struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// bad returns the lines of the log that say that something went wrong: a panic,
// and what is no matter of clients.
func (l *serverLog) bad() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var bad []string
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
			bad = append(bad, line)
		}
	}
	return bad
}

// note remembers what was done last.
func (w *world) note(format string, args ...any) {
	const most = 60
	line := fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lines++; len(w.last) < most {
		w.last = append(w.last, line)
		return
	}
	w.last[(w.lines-1)%most] = line
}

// count adds to the tally.
func (w *world) count(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tally[what] += int64(n)
}

// counts is the tally in one line.
func (w *world) counts() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for i, what := range slices.Sorted(maps.Keys(w.tally)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", what, w.tally[what])
	}
	return b.String()
}

// fail ends the soak, for the reason that is given.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopping && w.t.Failed() {
		return // the first tells; the others follow from it, perhaps
	}
	at := w.lines % max(len(w.last), 1)
	for _, line := range append(append([]string{}, w.last[at:]...), w.last[:at]...) {
		w.t.Log(line)
	}
	w.t.Errorf("%s\nseed %d; what was done last is above", fmt.Sprintf(format, args...), w.seed)
	w.stopLocked()
}

// fatal is for what has come to a standstill: it shows every goroutine.
func (w *world) fatal(what string) {
	w.note("standstill")
	w.fail("%s", what)
	w.t.Fatalf("seed %d: %s:\n%s", w.seed, what, stacks())
}

func (w *world) stopLocked() {
	if !w.stopping {
		w.stopping = true
		close(w.stop)
	}
}

// finish has the actors come to their end.
func (w *world) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopLocked()
}

// pathStep is how many qid.paths a hub has: the ways to open it have their own.
const pathStep = 5

// A hubID is a hub's number, which it has for one run of the server.
type hubID struct {
	run    int
	number uint64
}

// ledger returns the ledger of an open hub.
func (w *world) ledger(ctx context.Context, c *conn, f *client.File) (*ledger, error) {
	info, err := f.Stat(ctx)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(info.Name, "@")
	id := hubID{c.run, info.Path / pathStep}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.run != w.run {
		return nil, client.ErrLost // or is about to be
	}
	l := w.ledgers[id]
	if l == nil {
		l = &ledger{name: name, tag: byte(id.number) &^ high, placed: isPlaced(name)}
		w.ledgers[id] = l
	}
	return l, nil
}

// live returns the ledger of the hub that has the name, if one is known.
func (w *world) live(name string) *ledger {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.ledgers {
		if l.name == name && !l.removed.Load() {
			return l
		}
	}
	return nil
}

// The hubs of a soak, and how they are written: what begins with p has places;
// what ends with f is in fear for good, and what ends with s on disk.
var hubNames = []string{"p0", "p1", "pf", "ps", "m0", "m1", "mf", "ms"}

func isPlaced(hub string) bool { return hub[0] == 'p' }

func staysInFear(hub string) bool { return hub[1] == 'f' }

func staysOnDisk(hub string) bool { return hub[1] == 's' }

// isStrict reports whether of the hub no byte is ever to be lost.
func isStrict(hub string) bool { return staysInFear(hub) || staysOnDisk(hub) }

// An actor does what its plan says, over one connection after another.
type actor struct {
	*world
	name  string
	plan  plan
	lives int // connections it has made
}

// A conn is a connection of an actor. What it does waits no longer than it has
// patience.
type conn struct {
	*client.Conn
	run   int    // of the server
	addr  string // "" if the server does not call it by an address of its own
	leash *leash // nil: a plain socket
}

// dial connects to the server, as the step says. If the server is being
// restarted it waits for that.
func (a *actor) dial(s step) (*conn, error) {
	for {
		a.mu.Lock()
		run, up := a.run, a.up
		a.mu.Unlock()
		<-up
		c, err := a.dialRun(run, s)
		if err == nil || !a.restarted(run) {
			return c, err
		}
	}
}

// dialRun is dial for one run of the server.
func (a *actor) dialRun(run int, s step) (*conn, error) {
	a.lives++
	a.count("connections", 1)
	c := &conn{run: run}
	addr := a.unix
	if s.how&1 == 1 {
		addr = a.tcp
	}
	ctx, cancel := soon()
	defer cancel()
	nc, err := transport.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if addr == a.tcp {
		c.addr = nc.LocalAddr().String()
	}
	if s.how&6 == 2 {
		c.leash = newLeash(nc)
		nc = c.leash
	}
	c.Conn, err = client.New(ctx, nc, client.Options{Ordered: s.how&8 == 0})
	return c, err
}

// restarted reports whether a run of the server is over.
func (w *world) restarted(run int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.run != run
}

// excused reports whether an error comes of the end of the server that it was
// to be.
func (a *actor) excused(c *conn, err error) bool {
	return errors.Is(err, client.ErrLost) && a.restarted(c.run)
}

// soon is the context of what must not take longer than patience.
func soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// within is the context of what may be given up.
func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// gaveUp reports whether an error is that of a context of within.
func gaveUp(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// stopped reports whether the actor is to come to its end.
func (a *actor) stopped() bool {
	select {
	case <-a.stop:
		return true
	default:
		return false
	}
}

// pause lets some time pass, for the others to fall in with the actor in other
// ways.
func (a *actor) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-a.stop:
	}
}

// next is the next step of the plan.
func (a *actor) next(does string) step {
	s := a.plan.next()
	a.note("%s: %s %v", a.name, does, s)
	return s
}

// failed fails the soak if there is an error, and reports whether there is one.
func (a *actor) failed(err error, format string, args ...any) bool {
	if err == nil {
		return false
	}
	a.fail("%s: %s: %v", a.name, fmt.Sprintf(format, args...), err)
	return true
}

// open opens the hub called name, or makes it.
func (a *actor) open(c *conn, name, at string, mode uint8) (*client.File, *ledger, error) {
	ctx, cancel := soon()
	defer cancel()
	for {
		f, err := c.Open(ctx, name+at, mode)
		if errors.Is(err, client.ErrNotExist) {
			if err = a.create(ctx, c, name); err == nil || errors.Is(err, client.ErrExist) {
				continue
			}
		}
		if err != nil {
			return nil, nil, err
		}
		l, err := a.ledger(ctx, c, f)
		return f, l, err
	}
}

// create makes a hub, as its name says.
func (a *actor) create(ctx context.Context, c *conn, name string) error {
	f, err := c.Create(ctx, name, 0o666, client.OWRITE)
	if err != nil {
		return err
	}
	defer f.Close()
	l, err := a.ledger(ctx, c, f)
	if err != nil || !isStrict(name) {
		return err
	}
	words := "fear " + name
	if staysOnDisk(name) {
		words = "spool " + name + one(uint32(a.lives)*0x9e3779b9, " -f never", " -f second", " -f always")
		l.mayDisk.Store(true)
	}
	switch err := a.ctl(c, words); {
	case errors.Is(err, client.ErrNotExist): // and removed again
	case err != nil:
		return err
	default:
		l.onDisk.Store(staysOnDisk(name))
		l.strict.Store(true)
	}
	return nil
}

// ctl has the server do a command.
func (a *actor) ctl(c *conn, line string) error {
	ctx, cancel := soon()
	defer cancel()
	if err := c.WriteFile(ctx, "/ctl", []byte(line+"\n")); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	word, _, _ := strings.Cut(line, " ")
	a.count("ctl "+word, 1)
	return nil
}
