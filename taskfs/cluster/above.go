package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hubfs/taskfs/frame"
)

// errSilent says that a node above has not answered for too long.
type errSilent struct {
	node string
	self time.Duration
}

func (e errSilent) Error() string { return fmt.Sprintf("no word from %s for %v", e.node, e.self) }

func errNotOfSession(k frame.Kind) error {
	return fmt.Errorf("%v is a frame of links: want one of sessions", k)
}

// Above serves a link to a node that is to be above this one, until it ends: then
// what ran for it has ended. The error wraps ErrRemoved if this node is not to
// come back, and ErrRefused if the other does not take it as things are.
func (n *Node) Above(ctx context.Context, l frame.Link) error {
	n.running.add()
	defer n.running.done()
	defer l.Close()
	defer context.AfterFunc(n.life, func() { l.Close() })()
	p, err := n.join(ctx, l)
	if err != nil {
		return fmt.Errorf("node above at %s: %w", OneLine(l.Addr()), err)
	}
	defer close(p.served)
	defer context.AfterFunc(ctx, func() { p.cut(context.Cause(ctx)) })()
	n.o.Handler.Heard(p)
	err = p.serve()
	p.cut(err)
	p.leave()
	return fmt.Errorf("node above, %s: %w", p.node, err)
}

// join says who this node is, and hears that it is taken.
func (n *Node) join(ctx context.Context, l frame.Link) (*Parent, error) {
	ctx, cancel := n.shaking(ctx)
	defer cancel()
	load := n.o.Load()
	n.mu.Lock()
	if n.closing {
		n.mu.Unlock()
		return nil, errClosing
	}
	n.hellos++
	h := hello{
		Version: version, Side: "below", Info: n.o.Info, Load: load, Below: n.belowLocked(), After: n.afterLocked(),
		Seq: n.hellos, Runs: n.runsLocked(),
	}
	n.joining[h.Seq] = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.joining, h.Seq) // it is a parent by now, or will never be
		n.mu.Unlock()
	}()
	sent := time.Now()
	if err := l.Send(ctx, frame.Frame{Kind: frame.Hello, Body: encode(h)}); err != nil {
		return nil, err
	}
	f, err := l.Recv(ctx)
	if err != nil {
		return nil, fmt.Errorf("no hello: %w", err)
	}
	switch f.Kind {
	case frame.Leave:
		return nil, left(f.Body)
	case frame.Hello:
	default:
		return nil, fmt.Errorf("%v came first: want Hello", f.Kind)
	}
	var w welcome
	if err := decode("hello", f.Body, &w); err != nil {
		return nil, err
	}
	if err := w.check(); err != nil {
		return nil, err
	}
	p, err := n.adopt(l, w, h.Seq, sent)
	if err != nil {
		n.part(ctx, l, leave{Reason: err.Error()})
	}
	return p, err
}

// left says what the last word of a node above means.
func left(body []byte) error {
	var why leave
	if err := decode("leave", body, &why); err != nil {
		return err
	}
	reason := OneLine(why.Reason)
	switch {
	case why.Gone:
		return fmt.Errorf("%w: %s", ErrRemoved, reason)
	case why.Refused:
		return fmt.Errorf("%w: %s", ErrRefused, reason)
	}
	return fmt.Errorf("it has left: %s", reason)
}

// runsLocked returns the links for which something runs here, or may do so soon.
func (n *Node) runsLocked() (runs []past) {
	for seq := range n.joining {
		runs = append(runs, past{Seq: seq})
	}
	for _, p := range n.parents {
		runs = append(runs, past{p.hello, p.ctx.Err() != nil})
	}
	return runs
}

// adopt makes the node at the other end a parent. hello is the number of the word
// that it has answered.
func (n *Node) adopt(l frame.Link, w welcome, hello uint64, sent time.Time) (*Parent, error) {
	p := &Parent{
		n: n, link: l, name: w.Name, node: w.Node, instance: w.Instance, epoch: w.Epoch, hello: hello,
		period: w.Period, missed: w.Missed, ended: make(chan struct{}), served: make(chan struct{}),
		above: w.Above, proven: sent,
	}
	p.ctx, p.end = context.WithCancelCause(n.life)
	p.calls.running = &n.running
	p.beats = errand{running: &n.running, do: p.beat}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closing {
		return nil, errClosing
	}
	if err := p.noLoopLocked(); err != nil {
		return nil, err
	}
	for _, old := range n.parents {
		// The node above has taken this link, so it has given up those before.
		if old.instance == p.instance && old.name == p.name && old.epoch < p.epoch {
			old.cut(fmt.Errorf("%s has begun epoch %d", p.node, p.epoch))
		}
	}
	n.parents = append(n.parents, p)
	p.tick = time.AfterFunc(p.period/2, p.ticked)
	p.deadline = time.AfterFunc(p.Self()-time.Since(sent), p.expired)
	p.beats.kick() // of what has joined below since the hello
	n.lineageLocked()
	return p, nil
}

// noLoopLocked says whether this node is above p.
func (p *Parent) noLoopLocked() error {
	me := p.n.o.Info
	if p.instance == me.Instance {
		return fmt.Errorf("%w: %s is this very node", ErrLoop, p.node)
	}
	path := me.Name + ", " + p.node
	for _, a := range p.above {
		path += ", " + a.Name
		if a.Instance == me.Instance {
			return fmt.Errorf("%w: this node is above %s already: %s", ErrLoop, p.node, path)
		}
	}
	return nil
}

// serve takes what the parent sends, until the link ends. It returns why.
func (p *Parent) serve() error {
	for {
		f, err := p.link.Recv(p.ctx)
		switch {
		case p.ctx.Err() != nil:
			return context.Cause(p.ctx)
		case err != nil:
			return errLink{err}
		}
		if err := p.take(f); err != nil {
			return err
		}
	}
}

// errLink says that it was the link that failed.
type errLink struct{ error }

func (e errLink) Unwrap() error { return e.error }

func (p *Parent) take(f frame.Frame) error {
	switch {
	case !f.Kind.OfLink():
		p.calls.put(p.ctx, 64+len(f.Body), func() { p.n.o.Handler.FromAbove(p, f) })
		return nil
	case f.Kind == frame.Beat:
		return p.takeBeat(f.Body)
	case f.Kind == frame.Ask:
		return p.takeAsk(f.Body)
	case f.Kind == frame.Leave:
		return left(f.Body)
	}
	return fmt.Errorf("%v came from above", f.Kind)
}

func (p *Parent) takeBeat(body []byte) error {
	var b downBeat
	if err := decode("beat", body, &b); err != nil {
		return err
	}
	if p.provenBy(b.Seq) {
		p.n.o.Handler.Heard(p)
	}
	if b.Above == nil {
		return nil
	}
	if err := checkAbove(*b.Above); err != nil {
		return err
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.above = *b.Above
	if err := p.noLoopLocked(); err != nil {
		return err
	}
	p.n.lineageLocked()
	return nil
}

// leave ends what runs for the parent, and says so to it, if that can be, and to
// the same node over other links.
func (p *Parent) leave() {
	n := p.n
	p.tick.Stop()
	p.deadline.Stop()
	p.calls.drop()
	p.calls.tell(func() {
		defer close(p.ended)
		n.o.Handler.ParentLost(p)
	})
	<-p.ended
	n.mu.Lock()
	n.parents = slices.DeleteFunc(n.parents, func(q *Parent) bool { return q == p })
	for _, q := range n.parents {
		if q.instance == p.instance && q.ctx.Err() == nil {
			q.news = append(q.news, p.epoch)
			q.beats.kick()
		}
	}
	n.lineageLocked()
	n.mu.Unlock()
	cause := context.Cause(p.ctx)
	if _, broken := errors.AsType[errLink](cause); !broken {
		ctx, cancel := context.WithTimeout(n.life, time.Duration(p.missed)*p.period)
		defer cancel()
		n.part(ctx, p.link, leave{Reason: cause.Error()})
	}
}
