// Package gang runs one command on many nodes: it divides the tasks of a session
// among the nodes below, or runs them here, and brings their input down and their
// output and ends up.
package gang

import (
	"context"
	"io/fs"
	"log/slog"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// Options are a Node's.
type Options struct {
	Cluster cluster.Options // but for Load and Handler, which are the Node's
	Runner  task.Runner
	Dir     string   // where tasks start if nothing is said
	Env     []string // of tasks, before what the session says
	Log     *slog.Logger
}

// A Node runs tasks, itself and on those below.
type Node struct{}

// New returns a Node.
func New(o Options) *Node { panic("not built yet") }

// Cluster returns the nodes around it.
func (n *Node) Cluster() *cluster.Node { panic("not built yet") }

// Number takes the lowest free session number of this node; Free gives it back.
func (n *Node) Number() int  { panic("not built yet") }
func (n *Node) Free(num int) { panic("not built yet") }

// Guests are the sessions and tasks that run here for nodes above, by their
// numbers, for listings.
func (n *Node) Guests() map[int]*Guest { panic("not built yet") }

// A Guest is a session, or one task of it, that runs here for a node above.
type Guest struct{}

func (g *Guest) Status() []TaskStatus { panic("not built yet") }
func (g *Guest) Kill()                { panic("not built yet") }

// A Want says what to reserve.
type Want struct {
	N        int    // tasks; 0: one on this very node
	Min      int    // as many as there are free slots will do, but not fewer; 0: N
	OS, Arch string // "": any
	Memory   int64  // bytes that the node has at least
	Labels   []string
	Nodes    []string // names of nodes, N on each; empty: any
	Policy   string   // "even" ("" too), "fill", "legacy"
	Remote   bool     // not on this node
	Local    bool     // C=0 nodes below, or Nodes names this one: tasks of this very node
}

// A Place is where tasks are: a session of a node, and the parts of it that are
// sessions of nodes below it, or single tasks.
type Place struct {
	Node   string // path of names from here; "": this one
	Number int    // of the session at that node
	Dir    string // where its tasks start
	Epoch  uint64
	Ranks  ranks.Set
	Parts  []Place // none: one task
}

// A Spec is what to run.
type Spec struct {
	Argv    []string
	Dir     string // "": the node's, or the folder of the session's files
	Env     []string
	Umask   int    // negative: the node's
	Session string // what TASKFS_SESSION is
	Records bool   // stdin is given by records, to those who ask (Above.Ready)
	NoInput bool   // stdin is empty
}

// A TaskStatus is one task's.
type TaskStatus struct {
	Rank   int
	Number int    // of its session at its node
	Node   string // path
	Epoch  uint64
	State  State
	Dir    string
	Exit   task.Exit // if it has ended
	Tries  int       // times that it was run
}

// A State is that of a task or of a session.
type State string

// The states of tasks and sessions.
const (
	Unreserved State = "Unreserved"
	Reserved   State = "Reserved"
	Execute    State = "Execute"
	Done       State = "Done"
	Fail       State = "Fail"
	Killed     State = "Killed"
	Lost       State = "Lost"
	Fenced     State = "Fenced"
	Released   State = "Released"
)

// Above is told what becomes of a gang's tasks. The calls come one at a time, in
// the order of each task, with no lock held. They may wait, and then the tasks
// do.
type Above interface {
	Output(set ranks.Set, s gather.Stream, p []byte)
	Started(set ranks.Set)
	Exited(node string, epoch uint64, e []task.Exit) // after their last output
	Lost(set ranks.Set, node string)                 // the node is lost, and with it the tasks
	Fenced(set ranks.Set, node string)               // they run no more: they may be replaced
	Ready(set ranks.Set)                             // each asks for a record
}

// A Gang is reserved tasks, of ranks [0, Size).
type Gang struct{}

// Reserve reserves all that w asks for, or nothing.
func (n *Node) Reserve(ctx context.Context, w Want, a Above) (*Gang, error) { panic("not built yet") }

func (g *Gang) Size() int                                             { panic("not built yet") }
func (g *Gang) Place() Place                                          { panic("not built yet") }
func (g *Gang) Tasks() []TaskStatus                                   { panic("not built yet") }
func (g *Gang) Exec(ctx context.Context, set ranks.Set, s Spec) error { panic("not built yet") }

// Input gives bytes to the stdin of tasks. It waits until each of them has room.
// Tasks that have ended take everything.
func (g *Gang) Input(ctx context.Context, set ranks.Set, p []byte) error     { panic("not built yet") }
func (g *Gang) CloseInput(ctx context.Context, set ranks.Set) error          { panic("not built yet") }
func (g *Gang) Signal(ctx context.Context, set ranks.Set, name string) error { panic("not built yet") }

// Push sends what is in files to the folder of the session on each node, once
// for each link.
func (g *Gang) Push(ctx context.Context, files fs.FS) error { panic("not built yet") }

// Replace finds other nodes for tasks that are fenced, or have ended; Exec runs
// them there.
func (g *Gang) Replace(ctx context.Context, set ranks.Set) error { panic("not built yet") }

// Release ends all tasks. Done is closed when none runs any more, anywhere.
func (g *Gang) Release()              { panic("not built yet") }
func (g *Gang) Done() <-chan struct{} { panic("not built yet") }
