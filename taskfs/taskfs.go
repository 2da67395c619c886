// Package taskfs is the folder /remote that a node serves: sessions, each one
// command on many nodes, as files.
package taskfs

import (
	"context"
	"log/slog"

	"hubfs/hub"
	"hubfs/taskfs/gang"
	"hubfs/tree"
)

// A Config is an FS's.
type Config struct {
	Node    *gang.Node
	Owner   string // who owns the folder itself
	Streams Streams
	Session string // what stands before a session's number in TASKFS_SESSION
	Log     *slog.Logger
	// Add dials a node and serves it below this one until it is removed or stop is
	// called; nil: it cannot.
	Add func(addr, name string) (stop func(), err error)
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

// An FS is the folder.
type FS struct{}

// New returns an FS.
func New(cfg Config) *FS { panic("not built yet") }

// Root returns the folder. The qid.paths of all that is in it but hubs have their
// top bit set: whoever serves it counts others from 1.
func (fs *FS) Root() tree.Dir { panic("not built yet") }

// Sessions describes the sessions, each in a line for the server's /status, as
// "0 glenda Execute 4 'sort -u'".
func (fs *FS) Sessions() []string { panic("not built yet") }

// Event tells of a node, in a line for /remote/events: cluster.Options.Event. It
// does not block.
func (fs *FS) Event(line string) { panic("not built yet") }

// InUse reports whether a session is held, or persists, or has output that
// nobody has read yet: a reason for a server to stay. Ask Changed first: its
// channel is closed when InUse may have a new answer.
func (fs *FS) InUse() bool              { panic("not built yet") }
func (fs *FS) Changed() <-chan struct{} { panic("not built yet") }

// Close ends all sessions, and the dialing of nodes that were added; no new ones
// are made. It returns when none of their tasks runs any more, or with ctx.
func (fs *FS) Close(ctx context.Context) error { panic("not built yet") }
