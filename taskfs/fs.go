// Package taskfs is the folder /remote that a node serves: sessions, each one
// command on many nodes, as files.
//
//	clone status nodes events arch env ns ctl fs/ uplink
//	N/   args ctl env ns status stderr stdin stdio stdout wait
//	     summary events id fs/ out/{merged,labelled,folded,folded.err,bynode/N}
//	     0/ 1/ ...   the parts of the session that other nodes have, each
//	                 with the first ten files, about its tasks alone
//
// What a session is and does is package session's; here it is files.
//
// # Sessions
//
// To open clone makes a session of the lowest number that is free, and the open is
// one of its ctl. When the last ctl is closed the session is released: its tasks
// end, its parts go, and when nothing runs its number is free. Its folder stays listed with its files until
// the number is taken again, or until it is wiped; what it has put out can be read
// until somebody has read it to the end, and by whoever has it open. To open the ctl
// of a session that was released makes a new one of the same number.
//
// A session that persists is not released so, and wipe ends it.
//
// # Streams
//
// stdin, stdout and stderr of a session, and out/labelled, are hubs that Streams
// makes: all that a hub can, they can. stdio is stdout to who reads and stdin to who
// writes. The last close of stdin or stdio by one who had it open for writing is the
// end of the tasks' input; stdin@, by which clients write that come back, is not.
//
// # Rights
//
// Who has a level for "remote" sees and reads; who owns it runs commands and changes
// things. Mode bits are asked besides: a session is its opener's. The streams have
// the rights of hubs.
//
// # Ordering
//
// A ctl file's commands are done in the order of its writes, each when the one before
// is done. Different opens do not wait for one another.
//
// # Blocking
//
// Nothing waits but reads of streams, and what is written to a ctl file: that is
// answered when it is done, be it on other nodes. To read nodes, status and summary
// asks the nodes below, and takes as long as these may take to answer.
//
// # Ownership
//
// FS.mu guards which sessions there are, and slot.mu what files one has. Nothing is
// called under either but to make hubs. A session that is released goes on until its
// tasks have ended; Close waits for all.
package taskfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hubfs/hub"
	"hubfs/internal/handles"
	"hubfs/internal/lex"
	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/session"
	"hubfs/tree"
)

// A Config is an FS's.
type Config struct {
	Node    *gang.Node
	Owner   string // who owns the folder itself
	Streams Streams
	Session string // what stands before a session's number in TASKFS_SESSION
	Dir     string // where tasks start on this node, as Node has it; "": the process's
	Temp    string // where files of sessions are kept; "": the system's folder
	Log     *slog.Logger
	// Add dials a node and serves it below this one until it is removed or stop is
	// called; nil: it cannot.
	Add func(addr, name string) (stop func(), err error)

	MaxSessions int   // that are not released; 0: 10,000
	MaxFiles    int64 // bytes in fs/ of one session; 0: 256 MiB
}

// Streams makes hubs that people may open as they open any.
type Streams interface {
	// New makes a hub at a path below this folder, as "0/stdout". mode is the permissions.
	New(c *tree.Caller, path string, mode uint32, o hub.Options) (Stream, error)
}

// A Stream is a hub with the files that it is opened by.
type Stream interface {
	Hub() *hub.Hub
	Node(name string) (tree.Node, error) // "stdout", "stdout@", "stdout@end", "stdout@-100", "stdout@times"
	Close()                              // its names are gone; who has it open goes on
}

// remote is what rights know the folder as.
const remote = "remote"

// A node is what an FS needs of a *gang.Node.
type node interface {
	Number() int
	Free(num int)
	Guests() map[int]guest
	Reserve(ctx context.Context, w gang.Want, a gang.Above) (session.Gang, error)
	Cluster() nodes
	Above(ctx context.Context, l frame.Link) error
}

// nodes is what an FS needs of a *cluster.Node.
type nodes interface {
	Info() cluster.Info
	Rows(ctx context.Context) []cluster.Row
	Drain(name string) error
	Undrain(name string) error
	Remove(name string) error
	Ack(name string) error
	Fence(name string) error
}

// A guest is what an FS needs of a *gang.Guest.
type guest interface {
	Status() []gang.TaskStatus
	Kill()
}

// An FS is the folder.
type FS struct {
	cfg    Config
	node   node
	root   *rootDir
	paths  atomic.Uint64 // the last qid.path
	events handles.Lines
	made   time.Time
	uplink sync.WaitGroup     // links to nodes above
	ctx    context.Context    // of those links, and of what asks other nodes
	cancel context.CancelFunc // by Close

	mu sync.Mutex
	// guarded by mu
	slots   map[int]*slot // by number: sessions, and what is left of those that were released
	over    []*slot       // those whose session is released, ascending
	unread  []*slot       // that were released with output nobody has read, the oldest first
	live    int           // sessions that are not released
	ending  map[*session.Session]bool
	begin   session.Beginning
	debug   int
	closing bool
	changed chan struct{} // closed when InUse may have a new answer
	added   map[string]func()
	guests  map[string]uint64 // qid.paths of what guests have, by path
}

// Limits of what is kept.
const (
	maxSessions = 10_000
	maxFiles    = 256 << 20
	maxUnread   = 64 // sessions whose output is kept for who has not read it
	// unreadFor is how long such output is a reason for the server to stay.
	unreadFor = 10 * time.Minute
)

// pathBit is in all qid.paths of this package.
const pathBit = 1 << 63

// New returns an FS.
func New(cfg Config) *FS {
	return newFS(cfg, &realNode{cfg.Node})
}

func newFS(cfg Config, n node) *FS {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = maxSessions
	}
	if cfg.MaxFiles <= 0 {
		cfg.MaxFiles = maxFiles
	}
	if cfg.Dir == "" {
		cfg.Dir, _ = os.Getwd() // "" then, as it is shown
	}
	fs := &FS{
		cfg: cfg, node: n, events: handles.NewLines(), made: time.Now(),
		slots: map[int]*slot{}, ending: map[*session.Session]bool{}, added: map[string]func(){}, guests: map[string]uint64{},
		begin: session.Beginning{Umask: -1}, changed: make(chan struct{}),
	}
	fs.ctx, fs.cancel = context.WithCancel(context.Background())
	fs.root = newRootDir(fs)
	return fs
}

// Root returns the folder. The qid.paths of all that is in it but hubs have their
// top bit set: whoever serves it counts others from 1.
func (fs *FS) Root() tree.Dir { return fs.root }

func (fs *FS) newPath() uint64 { return pathBit | fs.paths.Add(1) }

// Sessions describes the sessions that are not released, each in a line for the
// server's /status: NUMBER USER STATE TASKS DONE FAILED LABEL CMD.
func (fs *FS) Sessions() []string {
	fs.mu.Lock()
	list := slices.SortedFunc(maps.Values(fs.slots), byNumber)
	fs.mu.Unlock()
	var lines []string
	for _, sl := range list {
		if !sl.session.Released() {
			lines = append(lines, sl.session.Line())
		}
	}
	return lines
}

// Event tells of a node, in a line for /remote/events: cluster.Options.Event. It
// does not block.
func (fs *FS) Event(line string) { fs.events.Say(line) }

// say is Event for something of this package.
func (fs *FS) say(what string, about ...string) {
	line := what
	if len(about) > 0 {
		line += " " + lex.Fields(about...)
	}
	fs.events.Say(line)
}

// InUse reports whether a session is held, or persists, or has left output in the
// last minutes that nobody has read yet: a reason for a server to stay. Ask Changed first: its
// channel is closed when InUse may have a new answer.
func (fs *FS) InUse() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.live > 0 || len(fs.ending) > 0 || len(fs.unread) > 0
}

// Changed is said at InUse.
func (fs *FS) Changed() <-chan struct{} {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.changed
}

func (fs *FS) changedLocked() {
	close(fs.changed)
	fs.changed = make(chan struct{})
}

// errClosing is what comes too late.
var errClosing = errors.New("the server is shutting down")

// Close ends all sessions, and the dialing of nodes that were added; no new ones
// are made. It returns when none of their tasks runs any more, or with ctx.
func (fs *FS) Close(ctx context.Context) error {
	fs.mu.Lock()
	fs.closing = true
	var list []*session.Session
	for _, sl := range fs.slots {
		list = append(list, sl.session)
	}
	for s := range fs.ending {
		list = append(list, s)
	}
	stops := slices.Collect(maps.Values(fs.added))
	fs.added = map[string]func(){}
	fs.mu.Unlock()
	for _, s := range list {
		s.Release()
	}
	var err error
	for _, s := range list {
		select {
		case <-s.Done():
		case <-ctx.Done():
			err = fmt.Errorf("session %d ends still: %w", s.Number(), ctx.Err())
		}
	}
	fs.cancel()
	for _, stop := range stops {
		stop()
	}
	fs.mu.Lock()
	slots := slices.Collect(maps.Values(fs.slots))
	fs.mu.Unlock()
	for _, sl := range slots {
		sl.drop()
	}
	fs.root.files.drop()
	links := make(chan struct{})
	go func() { fs.uplink.Wait(); close(links) }() // ends with the links, whose context is done
	select {
	case <-links:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("a link to a node above: %w", ctx.Err()))
	}
	fs.events.End()
	return err
}

// mayRun says whether c may run commands and change things.
func mayRun(c *tree.Caller) error {
	if c.Level(remote) < tree.LevelOwn {
		return tree.ErrPermission
	}
	return nil
}

// maySee says whether the folder is there for c.
func maySee(c *tree.Caller) error {
	if c.Level(remote) < tree.LevelView {
		return tree.ErrNotExist
	}
	return nil
}

// aboutName is the name of a node as an argument.
func aboutName(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return lex.Malformed("%q is no name", lex.Clip(s))
	}
	return nil
}
