// Package cluster is which nodes there are: those below this one and those above
// it, whether they live, and what is done about one that is not heard of.
package cluster

import (
	"context"
	"log/slog"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// A State is that of a node below.
type State string

// The states of a node.
const (
	Up       State = "up"
	Torpid   State = "torpid"   // its beats come late: it may finish what it has
	Suspect  State = "suspect"  // not heard of for longer, or its connection has ended
	Lost     State = "lost"     // given up: its tasks are
	Fencing  State = "fencing"  // somebody makes sure that it runs nothing
	Fenced   State = "fenced"   // it runs nothing
	Unfenced State = "unfenced" // nobody could make sure
	Drained  State = "drained"  // it gets no new tasks
)

// Info is what a node says of itself when it joins.
type Info struct {
	Name     string
	OS, Arch string // as GOOS and GOARCH
	Slots    int    // tasks that it runs at a time without being crowded
	Memory   int64  // bytes
	Labels   []string
	Executor bool   // runs tasks though it has nodes below
	Instance string // random, of this run of the program
}

// A Count says how many nodes of a kind there are.
type Count struct {
	OS, Arch string
	Nodes    int // this node and all below it
}

// Load is what a node's beats say, of it and of all below it.
type Load struct {
	Slots, Free int
	Load        float64 // one-minute load average, of the node alone
	Census      []Count
}

// Options are a Node's.
type Options struct {
	Info    Info
	Period  time.Duration // between two beats; default 5 s
	Missed  int           // beats after which a node is lost; default 2
	Fence   *fence.Policy // which methods for which node; nil: watchdog for all
	Load    func() Load   // asked for each beat
	Handler Handler
	Event   func(line string) // told what happened to nodes; nil: nobody
	Log     *slog.Logger
}

// A Handler is told what comes over the links. The calls about one link come one
// at a time, in order, and may wait.
type Handler interface {
	Joined(c *Child)
	FromBelow(c *Child, f frame.Frame)
	Lost(c *Child)   // given up: no frame comes any more
	Fenced(c *Child) // after Lost: nothing of this epoch runs any more
	FromAbove(p *Parent, f frame.Frame)
	Heard(p *Parent)      // the node above is there: leases begin anew
	ParentLost(p *Parent) // the node above is gone: what runs for it has to end now
}

// A Node is this node as the others know it.
type Node struct{}

// New returns a Node.
func New(o Options) *Node { panic("not built yet") }

// Below serves a link to a node that is to be below this one, until it ends.
// name is what it is called here; "": what it calls itself.
func (n *Node) Below(ctx context.Context, l frame.Link, name string) error { panic("not built yet") }

// Above serves a link to a node that is to be above this one, until it ends.
func (n *Node) Above(ctx context.Context, l frame.Link) error { panic("not built yet") }

// Children returns the nodes right below, by name, in whatever state.
func (n *Node) Children() []*Child { panic("not built yet") }

// Self is how long tasks may run here without a word from above.
func (n *Node) Self() time.Duration { panic("not built yet") }

// A Row describes a node, for people and programs.
type Row struct {
	Name        string // path: the names of the nodes between, and its own
	Addr        string
	OS, Arch    string
	Slots, Free int
	Memory      int64
	Labels      []string
	Load        float64
	State       State
	Age         time.Duration // since it was heard of
	Epoch       uint64
	Executor    bool
	Leaf        bool
	Dropped     uint64 // frames of a past epoch that came late
}

// Rows describes this node (first, named by Info.Name) and all below it. It
// asks those below, and gives each a period's time.
func (n *Node) Rows(ctx context.Context) []Row { panic("not built yet") }

// Drain gives a node no new tasks; Undrain does again. Remove lets it go when it
// has ended its tasks. Ack is a person's word that a node runs nothing. Fence
// fences it now. The name is that of a node right below, or a path.
func (n *Node) Drain(name string) error   { panic("not built yet") }
func (n *Node) Undrain(name string) error { panic("not built yet") }
func (n *Node) Remove(name string) error  { panic("not built yet") }
func (n *Node) Ack(name string) error     { panic("not built yet") }
func (n *Node) Fence(name string) error   { panic("not built yet") }

// Close ends all links: the nodes above are told that nothing runs here any more.
func (n *Node) Close(ctx context.Context) error { panic("not built yet") }

// A Child is one epoch of a node right below.
type Child struct{}

func (c *Child) Name() string                                  { panic("not built yet") }
func (c *Child) Info() Info                                    { panic("not built yet") }
func (c *Child) Epoch() uint64                                 { panic("not built yet") }
func (c *Child) State() State                                  { panic("not built yet") }
func (c *Child) Load() Load                                    { panic("not built yet") }
func (c *Child) Send(ctx context.Context, f frame.Frame) error { panic("not built yet") }

// A Parent is a link to a node above.
type Parent struct{}

func (p *Parent) Name() string                                  { panic("not built yet") }
func (p *Parent) Epoch() uint64                                 { panic("not built yet") }
func (p *Parent) Send(ctx context.Context, f frame.Frame) error { panic("not built yet") }
