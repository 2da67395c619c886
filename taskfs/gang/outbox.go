package gang

import (
	"context"
	"slices"

	"hubfs/taskfs/frame"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/task"
)

// An outbox is what a guest has to send up. guest.mu guards it.
type outbox struct {
	answers []frame.Frame // to what was asked
	acks    []uint64      // inputs that are taken
	began   ranks.Set     // have started
	asking  ranks.Set     // want a record
	ends    []due         // what became of tasks, in order
	credit  int           // bytes of output that may go up
	room    chan struct{} // closed when the relay has room; nil if nobody waits
}

// A due is an ending that may go up when all output of its tasks has.
type due struct {
	of []int // the tasks
	ending
}

// maxExits is how many exits travel in one frame.
const maxExits = 2000

// relayed is how much output waits here at most before its tasks do.
const relayed = window / 4

// What the gang tells: a guest is an Above. Once nobody wants to know, all is
// taken at once.

func (g *guest) Output(set ranks.Set, s gather.Stream, p []byte) {
	for {
		g.mu.Lock()
		if g.orphan {
			g.mu.Unlock()
			return
		}
		if g.relay.Queued() < relayed {
			g.mu.Unlock()
			g.relay.Output(set, s, p)
			return
		}
		if g.room == nil {
			g.room = make(chan struct{})
		}
		room := g.room
		g.mu.Unlock()
		<-room // closed when the node above has taken some, or is gone
	}
}

func (g *guest) roomLocked() {
	if g.room != nil {
		close(g.room)
		g.room = nil
	}
}

func (g *guest) Started(set ranks.Set) {
	g.mu.Lock()
	g.began = g.began.Union(set)
	g.mu.Unlock()
	g.up.kick()
}

func (g *guest) Ready(set ranks.Set) {
	g.mu.Lock()
	g.asking = g.asking.Union(set)
	g.mu.Unlock()
	g.up.kick()
}

func (g *guest) Exited(node string, epoch uint64, list []task.Exit) {
	g.mu.Lock()
	for len(list) > 0 {
		e := g.endingLocked(node, epoch)
		n := min(len(list), maxExits-len(e.Exits))
		for _, x := range list[:n] {
			e.Exits = append(e.Exits, exitOf(x))
			e.of = append(e.of, x.Rank)
		}
		list = list[n:]
	}
	g.mu.Unlock()
	g.up.kick()
}

// endingLocked returns the last ending, if it is one of that node and has room
// for exits, or a new one.
func (g *guest) endingLocked(node string, epoch uint64) *due {
	if n := len(g.ends); n > 0 {
		e := &g.ends[n-1]
		if e.Node == node && e.Epoch == epoch && e.Lost.Empty() && e.Fenced.Empty() && len(e.Exits) < maxExits {
			return e
		}
	}
	g.ends = append(g.ends, due{ending: ending{Node: node, Epoch: epoch}})
	return &g.ends[len(g.ends)-1]
}

func (g *guest) Lost(set ranks.Set, node string) {
	g.endOf(set, ending{Node: node, Lost: set})
}

func (g *guest) Fenced(set ranks.Set, node string) {
	g.endOf(set, ending{Node: node, Fenced: set})
}

func (g *guest) endOf(set ranks.Set, e ending) {
	g.mu.Lock()
	g.ends = append(g.ends, due{slices.Collect(set.All()), e})
	g.mu.Unlock()
	g.up.kick()
}

// took says that an input is taken, pushed what has become of a piece of a file.
func (g *guest) took(num uint64) {
	g.mu.Lock()
	g.acks = append(g.acks, num)
	g.mu.Unlock()
	g.up.kick()
}

func (g *guest) pushed(num uint64, err error) {
	p := pushed{Num: num}
	if err != nil {
		p.Err = err.Error()
	}
	g.mu.Lock()
	g.answers = append(g.answers, frame.Frame{Kind: frame.Pushed, Session: g.id, Body: body(p)})
	g.mu.Unlock()
	g.up.kick()
}

// send sends what is there. Only the pump calls it.
func (g *guest) send() {
	for {
		frames, last := g.collect()
		for _, f := range frames {
			// An error means that the link has ended; ParentLost is called then.
			if err := g.parent.Send(context.Background(), f); err != nil {
				break
			}
		}
		if last {
			g.forget()
			return
		}
		if len(frames) == 0 {
			return
		}
	}
}

// collect takes what may go up now, in the order in which it is to come: of each
// task that it started, its output, its end. last says that nothing follows.
func (g *guest) collect() (frames []frame.Frame, last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.orphan {
		return nil, g.over || g.refused
	}
	put := func(k frame.Kind, b []byte) {
		frames = append(frames, frame.Frame{Kind: k, Session: g.id, Body: b})
	}
	frames = append(frames, g.answers...)
	g.answers = nil
	if len(g.acks) > 0 {
		put(frame.Credit, appendUvarints(nil, g.acks...))
		g.acks = nil
	}
	if !g.began.Empty() {
		put(frame.Started, []byte(g.began.String()))
		g.began = ranks.Set{}
	}
	if !g.asking.Empty() {
		put(frame.Ready, []byte(g.asking.String()))
		g.asking = ranks.Set{}
	}
	g.outputLocked(put)
	var ends []ending
	size := 0
	for len(g.ends) > 0 && size < maxExits && !g.relay.Waits(ranks.Of(g.ends[0].of...)) {
		ends = append(ends, g.ends[0].ending)
		size += len(g.ends[0].Exits) + 1
		g.ends = g.ends[1:]
	}
	if len(ends) > 0 {
		put(frame.Exited, body(ends))
	}
	if len(frames) == 0 && g.over && len(g.ends) == 0 && g.relay.Queued() == 0 {
		put(frame.Released, nil)
		return frames, true
	}
	return frames, g.refused
}

// outputLocked takes output out of the relay while there is credit, but not for
// long: what else is to go up goes between.
func (g *guest) outputLocked(put func(frame.Kind, []byte)) {
	for range 4 {
		if g.credit <= 0 {
			return
		}
		b, _ := g.relay.Next(pieceSize)
		if g.relay.Queued() < relayed {
			g.roomLocked()
		}
		if len(b) == 0 {
			return
		}
		g.credit -= len(b) + overhead
		put(frame.Output, b)
	}
}
