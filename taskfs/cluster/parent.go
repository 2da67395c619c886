package cluster

import (
	"context"
	"fmt"
	"time"

	"hubfs/taskfs/frame"
)

// A Parent is a link to a node above.
type Parent struct {
	// Immutable.
	n        *Node
	link     frame.Link
	name     string // of this node, there
	node     string // the node above
	instance string // its
	epoch    uint64
	hello    uint64 // the number of this node's hello
	period   time.Duration
	missed   int
	ctx      context.Context // done when the link is given up
	end      context.CancelCauseFunc
	ended    chan struct{} // closed when nothing of it runs here any more
	served   chan struct{} // closed when Above returns
	calls    pump          // of the handler
	beats    errand        // sends beats
	tick     *time.Timer   // kicks beats
	deadline *time.Timer   // when the parent has not answered

	// guarded by n.mu
	above  []ancestor
	seq    uint64    // of the latest beat
	sent   []mark    // beats that are not answered, oldest first
	proven time.Time // when the last was sent that has been answered
	news   []uint64  // epochs of earlier links of which nothing runs any more
	asked  int       // questions that are being answered
}

// A mark is when a beat was sent.
type mark struct {
	seq uint64
	at  time.Time
}

// marks is how many beats may be without an answer; they are too old by then.
const marks = 4 * maxMissed

// Name returns the name of the node above.
func (p *Parent) Name() string { return p.node }

// Epoch returns the number that the node above has given this link.
func (p *Parent) Epoch() uint64 { return p.epoch }

// Self is how long what runs for this parent may do so without it.
func (p *Parent) Self() time.Duration { return self(p.period, p.missed) }

// Done is closed when the parent is given up, before the handler is told.
func (p *Parent) Done() <-chan struct{} { return p.ctx.Done() }

// Send sends a frame of a session. It waits as frame.Link says.
func (p *Parent) Send(ctx context.Context, f frame.Frame) error {
	if f.Kind.OfLink() {
		return errNotOfSession(f.Kind)
	}
	if p.ctx.Err() != nil {
		return p.lostError()
	}
	err := p.link.Send(ctx, f)
	if err != nil && p.ctx.Err() != nil {
		return p.lostError()
	}
	return err
}

func (p *Parent) lostError() error {
	return fmt.Errorf("%w: %s, above (%w)", ErrLost, p.node, context.Cause(p.ctx))
}

// cut gives the link up.
func (p *Parent) cut(why error) { p.end(why) }

// beat says that this node is here.
func (p *Parent) beat() {
	n := p.n
	load := n.o.Load()
	n.mu.Lock()
	p.seq++
	b := upBeat{Seq: p.seq, Load: load, Below: n.belowLocked(), After: n.afterLocked(), Ended: p.news}
	p.news = nil
	if len(p.sent) < marks {
		p.sent = append(p.sent, mark{p.seq, time.Now()})
	}
	n.mu.Unlock()
	// If it fails the link has ended, and who receives knows why.
	p.link.Send(p.ctx, frame.Frame{Kind: frame.Beat, Body: encode(b)})
}

// ticked is called twice a period.
func (p *Parent) ticked() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.ctx.Err() == nil {
		p.beats.kick()
		p.tick.Reset(p.period / 2)
	}
}

// provenBy notes that the parent has answered a beat: it counts on this node as
// long as it may from when that beat was sent. It reports whether leases can begin
// anew.
func (p *Parent) provenBy(seq uint64) bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	now := time.Now()
	if now.Sub(p.proven) >= p.Self() || len(p.sent) == 0 || p.sent[0].seq > seq {
		return false // too late: it has ended, or does now; or nothing new
	}
	for len(p.sent) > 0 && p.sent[0].seq <= seq {
		p.proven = p.sent[0].at
		p.sent = p.sent[1:]
	}
	age := now.Sub(p.proven)
	p.deadline.Reset(p.Self() - age)
	return age <= p.period/2
}

// expired looks whether the parent has been silent for too long.
func (p *Parent) expired() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if left := p.Self() - time.Since(p.proven); left > 0 {
		p.deadline.Reset(left)
		return
	}
	p.cut(errSilent{p.node, p.Self()})
}
