package hubfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hubfs/access"
	"hubfs/hub"
	"hubfs/hub/filestore"
	"hubfs/taskfs"
	"hubfs/tree"
)

// Limits of a server that was given none.
const (
	DefaultMaxHubs        = 10_000  // hubs and directories, with those of shells
	DefaultMaxRetained    = 1 << 30 // bytes that all hubs retain together
	DefaultMaxShells      = 1_000   // shells, with those that have ended
	DefaultMaxAttachments = 4_096   // attachments to all shells
	DefaultMaxPipes       = 1_000   // pipes that run
	DefaultGrace          = 2 * time.Second
)

// A Config is what a server is told at its start. The zero value of each
// field is a choice that works.
type Config struct {
	Name  string       // the server's name, for /ctl and shells
	Owner string       // who owns the tree itself
	Log   *slog.Logger // nil is silent

	Size     int64     // bytes that a hub retains; 0: hub.DefaultSize
	MaxWrite int       // bytes that one write may bring, the rest is not taken; 0: any number
	Limit    hub.Limit // how fast the writers of one hub may be; zero: no limit
	Trunc    bool      // new readers start at the end
	Zap      bool      // an open with OTRUNC empties the hub

	MaxHubs        int   // 0: DefaultMaxHubs
	MaxRetained    int64 // 0: DefaultMaxRetained, or Size if that is more
	MaxShells      int   // 0: DefaultMaxShells
	MaxAttachments int   // 0: DefaultMaxAttachments
	MaxPipes       int   // 0: DefaultMaxPipes

	Shell string            // the login shell; "": $SHELL, else the one in /etc/passwd, else /bin/sh
	Env   []string          // environment of shells, besides the server's own
	Grace time.Duration     // between the hangup and the kill of a shell; 0: DefaultGrace
	Conns func() []ConnInfo // the connections, for /status; nil: none are shown

	// Listen has the server take connections at an address too, Unlisten at one
	// no more, and Listeners says where it does. Listen returns when it listens.
	// nil: there are no such words in /ctl, and no such lines in /status.
	Listen    func(addr string) error
	Unlisten  func(addr string) error
	Listeners func() []string

	// State is the folder in which hubs are spooled and from which Restore
	// takes them again; "": there is none.
	State string

	// Access holds who may do what, and is changed through /access; nil: there
	// is no such file.
	Access *access.Store

	// Remote makes what runs commands on many nodes, as the folder /remote, with
	// hubs that it makes by streams; nil: there is no such folder. It is called
	// once, by New.
	Remote func(streams taskfs.Streams) Remote

	// Metrics writes the counters as a monitor wants them, for /metrics; nil:
	// there is no such file.
	Metrics func(Stats) string
}

// ConnInfo describes a connection for /status.
type ConnInfo struct {
	ID      uint64
	User    string
	Addr    string
	Fids    int // open and walked fids
	Waiting int // requests without an answer yet
	Since   time.Time
	Grants  []string // IDs of the grants by which the peer is there
}

// An FS is the tree of one server and everything in it.
type FS struct {
	// Set by New, then immutable.
	cfg     Config
	log     *slog.Logger
	budget  *hub.Budget
	start   starter
	started time.Time
	state   *stateDir     // nil: none
	disk    filestore.FS  // of the spools; tests have one of their own
	quit    chan struct{} // closed by the word quit
	root    *dir
	shells  *shellsDir
	events  *eventsFile
	remote  *remoteDir // nil: there is none

	quitOnce sync.Once
	paths    atomic.Uint64  // the last qid.path given out
	readers  atomic.Uint64  // the last ID of a reader
	watchers sync.WaitGroup // one for each process and pipe that runs
	noting   sync.WaitGroup // one for each note of a spool that is being written
	storing  sync.WaitGroup // one for each store that is open
	counting chan struct{}  // has a value while /stats is made for a guest

	mu sync.Mutex
	// guarded by mu
	posts    []func()                 // see later
	posting  bool                     // somebody does them
	rooms    map[string]*room         // of guests that have made hubs, by name
	nodes    int                      // hubs and directories that have a name
	loose    int                      // hubs that have a name and belong to no shell
	byName   map[string]*shell        // shells by name
	spooled  map[*hubFile]bool        // those of the loose that are on disk
	going    map[string]chan struct{} // entries of the state folder that are being removed; closed when they have gone
	attached int                      // attachments to all shells
	pipes    []*pipe                  // by number, with the last that have ended
	lastPipe int                      // the number given out last
	fear     bool                     // how new hubs begin
	frozen   bool
	trunc    bool
	closing  bool          // Shutdown has begun: nothing new is made
	changed  chan struct{} // closed when InUse may have changed; nil: nobody asked
}

// New returns a tree without hubs and shells.
func New(cfg Config) *FS { return newFS(cfg, startShell) }

func newFS(cfg Config, start starter) *FS {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.Size, hub.DefaultSize)
	setDefault(&cfg.MaxHubs, DefaultMaxHubs)
	setDefault(&cfg.MaxRetained, max(DefaultMaxRetained, cfg.Size))
	setDefault(&cfg.MaxShells, DefaultMaxShells)
	setDefault(&cfg.MaxAttachments, DefaultMaxAttachments)
	setDefault(&cfg.MaxPipes, DefaultMaxPipes)
	setDefault(&cfg.Grace, DefaultGrace)
	fs := &FS{
		cfg: cfg, log: cfg.Log, start: start, started: time.Now(),
		budget:   hub.NewBudget(cfg.MaxRetained),
		quit:     make(chan struct{}),
		state:    newState(cfg.State),
		disk:     filestore.OS{},
		byName:   map[string]*shell{},
		spooled:  map[*hubFile]bool{},
		going:    map[string]chan struct{}{},
		rooms:    map[string]*room{},
		counting: make(chan struct{}, 1),
		trunc:    cfg.Trunc,
	}
	fs.root = newDir(fs, nil, "/", cfg.Owner, tree.ModeDir|0o777)
	fs.shells = newShellsDir(fs)
	fs.events = newEventsFile(fs)
	fs.root.add(fs.shells, fs.events, newCtlFile(fs), newStatusFile(fs), newStatsFile(fs))
	if cfg.Metrics != nil {
		fs.root.add(newMetricsFile(fs))
	}
	if cfg.Access != nil {
		fs.root.add(newAccessFile(fs))
		fs.followGrants()
	}
	if cfg.Remote != nil {
		fs.remote = newRemoteDir(fs, cfg.Remote)
		fs.root.add(fs.remote)
	}
	return fs
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Root returns the tree, for a 9P server to serve.
func (fs *FS) Root() tree.Dir { return fs.root }

// Quit returns a channel that is closed when somebody wrote quit to /ctl.
func (fs *FS) Quit() <-chan struct{} { return fs.quit }

// newPath returns a qid.path that was never used before and is not 0. It
// skips a few, so that the views of a hub have their own: see hubFile.view.
func (fs *FS) newPath() uint64 { return fs.paths.Add(pathStep) }

// InUse reports whether the server holds something that somebody may come
// back for: a shell that runs or is lost, a hub outside of shells, or a
// shell's end of which nobody knows yet. Connections are not counted, nor is a
// hub that has ended, is on disk and is not open: the next server has it too.
func (fs *FS) InUse() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	onDisk := 0
	for f := range fs.spooled {
		if _, ended := f.hub.Ended(); ended && f.opens == 0 {
			onDisk++
		}
	}
	if fs.loose > onDisk || fs.pipesRunningLocked() > 0 {
		return true
	}
	for _, s := range fs.byName {
		if s.state != exited || !s.seen {
			return true
		}
	}
	return false
}

// Changed returns a channel that is closed when InUse may have a new answer.
// Ask Changed first, then InUse, then wait.
func (fs *FS) Changed() <-chan struct{} {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.changed == nil {
		fs.changed = make(chan struct{})
	}
	return fs.changed
}

// changedLocked says that InUse may have changed.
func (fs *FS) changedLocked() {
	if fs.changed != nil {
		close(fs.changed)
		fs.changed = nil
	}
}

// errClosing is the answer to what would make something new during Shutdown.
var errClosing = errors.New("the server is ending")

// Shutdown ends every shell and pipe that runs here with a hangup, and after the
// grace with a kill, waits until their last output is in, closes the hubs, and
// waits until those that are spooled are on disk.
// Shells that clients host are left alone: their processes live with the
// clients. If ctx is done before all shells have ended, Shutdown closes the
// hubs all the same and returns the context's error.
func (fs *FS) Shutdown(ctx context.Context) error {
	fs.mu.Lock()
	fs.closing = true
	for _, s := range fs.byName {
		s.killLocked()
	}
	for _, p := range fs.pipes {
		p.stopLocked(stopKill, "the server is ending")
	}
	fs.unlockDone()

	// Ends when the last process has: its watcher is one of the counted.
	done := make(chan struct{})
	go func() {
		fs.watchers.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("shells or pipes still run: %w", ctx.Err())
	}

	fs.mu.Lock()
	var hubs []*hubFile
	fs.root.eachHubLocked(func(f *hubFile) { hubs = append(hubs, f) })
	for _, s := range fs.byName {
		for _, a := range slices.Clone(s.attached) {
			fs.detachLocked(a, "the server is ending")
		}
	}
	fs.unlockDone()
	// The notes come first: a store that is closed takes none.
	noted := diskDone(ctx, &fs.noting)
	for _, f := range hubs {
		if cerr := f.hub.Close(); err == nil {
			err = cerr
		}
	}
	err = errors.Join(err, fs.events.close(), noted, diskDone(ctx, &fs.storing))
	fs.state.unlock()
	return err
}

// lastBytes is how long the disk has, at least, to take what is left for it.
const lastBytes = 2 * time.Second

// diskDone waits for those who write to the disk.
func diskDone(ctx context.Context, writers *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { // ends when they have
		writers.Wait()
		close(done)
	}()
	least := time.NewTimer(lastBytes)
	defer least.Stop()
	select {
	case <-done:
		return nil
	case <-least.C:
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("spooled hubs are not all on disk: %w", ctx.Err())
	}
}
