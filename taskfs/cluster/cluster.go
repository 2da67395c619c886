// Package cluster is which nodes there are: those below this one and those above
// it, whether they live, and what is done about one that is not heard of.
//
// A Node has links (package frame) to nodes below, its children, and to nodes
// above, its parents. A link lives or it does not: it is never resumed. A node
// that comes back over a new link is a new epoch of it. The upper node numbers the
// epochs of the nodes below it; a number is never used twice, after a restart
// of the upper node neither.
//
// # Who lives
//
// A child sends a beat every half a period, with a number, and the parent
// answers each at once with that number. The parent goes by when it heard of the
// child: after 1.25 periods it is torpid, after as many periods as may be missed,
// or when its link ends, it is lost. The child goes by when it sent the last beat
// that the parent has answered: so neither stale answers that waited somewhere
// nor a process that was stopped make it believe that it is still counted. When
// that was Self ago, or the link ends, what runs for this parent ends
// (Handler.ParentLost).
//
// What is lost is fenced: somebody makes sure that nothing of it runs, as the
// policy (package fence) says, unless the node has said so itself, when it left or
// came back. Only when a node is fenced may what it had be run elsewhere. If
// a child without nodes below keeps its promise, nothing runs (Missed + 1/4) periods
// after it was heard last: the 1/4 is for a lease that was renewed with an answer half
// a period old. For each level of nodes below the child the Self of that level is
// added: one of them may have been told by the child that all is well just before the
// child gave up, and then have been stopped.
//
// # Ordering
//
// The calls of a Handler about one link come one at a time, in the order of what
// they tell, but for Heard, which comes beside them. Of one epoch: Joined first,
// then what it sent, then Lost, once; then Fenced, at most once. No frame is
// delivered after Lost: what comes late from a link that is given up is dropped,
// and counted in Row.Dropped. Calls about different links come at the same time.
//
// ParentLost is the last about a parent; frames that were not delivered before
// it are not any more.
//
// # Blocking
//
// A Handler's calls may wait, Heard and Load apart; a call about a link that
// has ended (Done is closed) must soon return, since Lost and ParentLost wait
// for it. When ParentLost returns nothing of that parent runs here any more: the
// parent is told so, and believes it. While a handler waits the node goes on:
// beats and questions do not wait for it, until 16 MiB of frames do.
//
// Below and Above serve a link until it ends, and return when the handler has been
// told.
//
// # Ownership
//
// Below and Above own the link that they are given, and close it.
package cluster

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// Errors of links. What the other end says about it stands behind them.
var (
	// ErrRefused says that the node above does not take this one, as things are.
	ErrRefused = errors.New("refused")
	// ErrRemoved says that the node above wants this one to go, and not to come
	// back.
	ErrRemoved = errors.New("removed")
	// ErrLost says that a node is not there any more.
	ErrLost = errors.New("node lost")
	// ErrUnknown says that there is no node of that name.
	ErrUnknown = errors.New("no such node")
	// ErrLoop says that a node would be its own descendant.
	ErrLoop = errors.New("loop")
)

// A State is that of a node below.
type State string

// The states of a node.
const (
	Up       State = "up"
	Torpid   State = "torpid"   // its beats come late: it may finish what it has
	Suspect  State = "suspect"  // given up; the last that came from it is being taken
	Lost     State = "lost"     // its tasks are, too
	Fencing  State = "fencing"  // somebody makes sure that it runs nothing
	Fenced   State = "fenced"   // it runs nothing
	Unfenced State = "unfenced" // nobody could make sure
	Drained  State = "drained"  // it lives, and gets no new tasks
)

// Info is what a node says of itself when it joins.
type Info struct {
	Name     string
	OS, Arch string   // as GOOS and GOARCH
	Slots    int      // tasks that it runs at a time without being crowded
	Memory   int64    // bytes
	Labels   []string `json:",omitempty"`
	Executor bool     // runs tasks though it has nodes below
	Instance string   // random, of this run of the program; New makes one if there is none
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
	Census      []Count `json:",omitempty"`
}

// Options are a Node's.
type Options struct {
	Info    Info
	Period  time.Duration // of what is below; default 5 s
	Missed  int           // periods after which a node is lost; default 2
	Fence   *fence.Policy // which methods for which node; nil: watchdog for all
	Load    func() Load   // asked for each beat, and must not wait; nil: Info's slots
	Handler Handler       // nil: nobody
	Event   func(line string)
	Log     *slog.Logger
}

// A Handler is told what comes over the links. See the package's comment for
// the order of its calls, and what may wait.
type Handler interface {
	Joined(c *Child)
	FromBelow(c *Child, f frame.Frame)
	Lost(c *Child)   // given up: no frame comes any more
	Fenced(c *Child) // after Lost: nothing of this epoch runs any more
	FromAbove(p *Parent, f frame.Frame)
	Heard(p *Parent)      // the node above is there: leases of p.Self() begin anew; at any time, and must not wait
	ParentLost(p *Parent) // the node above is gone: what runs for it ends before this returns
}

// defaults of Options.
const (
	defaultPeriod = 5 * time.Second
	defaultMissed = 2
)

func (o Options) withDefaults() Options {
	if o.Period <= 0 {
		o.Period = defaultPeriod
	}
	if o.Missed <= 0 {
		o.Missed = defaultMissed
	}
	if o.Info.Instance == "" {
		o.Info.Instance = newInstance()
	}
	if o.Load == nil {
		i := o.Info
		o.Load = func() Load {
			return Load{Slots: i.Slots, Free: i.Slots, Census: []Count{{i.OS, i.Arch, 1}}}
		}
	}
	if o.Handler == nil {
		o.Handler = nobody{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// nobody is told, and does nothing.
type nobody struct{}

func (nobody) Joined(*Child)                  {}
func (nobody) FromBelow(*Child, frame.Frame)  {}
func (nobody) Lost(*Child)                    {}
func (nobody) Fenced(*Child)                  {}
func (nobody) FromAbove(*Parent, frame.Frame) {}
func (nobody) Heard(*Parent)                  {}
func (nobody) ParentLost(*Parent)             {}

// A policy makes sure that a node runs nothing: *fence.Policy.
type policy interface {
	// Run tries its methods for t in order, tells of each when it begins (err is
	// nil) and if it fails, and returns the one that succeeded.
	Run(ctx context.Context, t fence.Target, event func(method string, err error)) (method string, err error)
}

// self is how long after the last beat that the parent answered a child ends
// what it runs.
func self(period time.Duration, missed int) time.Duration {
	return time.Duration(missed)*period - period/4
}

// quiet is how long after it was heard last nothing runs any more at a child that
// keeps its promise, nor at those below it, who have so much time after it.
func quiet(period time.Duration, missed int, after time.Duration) time.Duration {
	return time.Duration(missed)*period + period/4 + after
}
