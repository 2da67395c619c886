package gang

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"hubfs/taskfs/cluster"
	"hubfs/taskfs/frame"
	"hubfs/taskfs/gather"
	"hubfs/taskfs/ranks"
)

// A remote is the part of a gang that a node below runs.
type remote struct {
	node  *Node
	child *cluster.Child
	id    uint64
	out   pump          // sends queue
	dead  chan struct{} // closed when the child is lost
	reply chan frame.Frame

	// Only the link's goroutine touches these.
	whole []byte // of what comes in several frames
	given bool   // it has reserved what it was asked for

	mu       sync.Mutex
	g        *Gang            // guarded by mu; nil before Reserve
	p        *part            // guarded by mu; nil until it is one of g's parts
	queue    []frame.Frame    // guarded by mu: to be sent
	lost     bool             // guarded by mu: nothing is sent any more
	fenced   bool             // guarded by mu
	released bool             // guarded by mu: Release was sent, or need not be
	reserved bool             // guarded by mu: the child may have tasks of it
	inputs   map[uint64]taker // guarded by mu: what was sent and is not taken yet
	next     uint64           // guarded by mu: number of the next of inputs
	early    []frame.Frame    // guarded by mu: came before p
	coming   int              // guarded by mu: bytes of frames that g was not told of yet

	// Whoever has Gang.turn may touch these.
	decoder *gather.Decoder
	owed    int // bytes that were taken and the child was not told of
}

const (
	// maxPlace is how long the description of where tasks are may be.
	maxPlace = 64 << 20
	// maxComing is how much a child may have sent that was not taken yet: the
	// window of output, and what is said of tasks.
	maxComing = 64 << 20
)

// A taker is told that a node below has taken something: input, or a piece of a
// file, of which it may say that it could not.
type taker interface{ takenBy(err error) }

func (in *input) takenBy(error) { in.take(1) }

// join makes a session with a child. It lasts until leave, or release and its
// answer, or until the child is lost and fenced.
func (n *Node) join(c *cluster.Child) *remote {
	r := &remote{
		node: n, child: c,
		dead:   make(chan struct{}),
		reply:  make(chan frame.Frame, 1),
		inputs: map[uint64]taker{},
	}
	r.out = pump{run: n.wg.Go, step: r.send}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nextID++
	r.id = n.nextID
	n.remotes[r.id] = r
	return r
}

// leave forgets the session. Nothing of it is at the child.
func (r *remote) leave() {
	r.node.mu.Lock()
	defer r.node.mu.Unlock()
	delete(r.node.remotes, r.id)
}

// queueLocked has a frame sent, behind all others of the session.
func (r *remote) queueLocked(k frame.Kind, body []byte) {
	if !r.lost {
		r.queue = append(r.queue, frame.Frame{Kind: k, Session: r.id, Body: body})
		r.out.kick()
	}
}

func (r *remote) put(k frame.Kind, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queueLocked(k, body)
}

// send sends what is queued. Only the pump calls it.
func (r *remote) send() {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			r.mu.Unlock()
			return
		}
		f := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()
		// An error means that the link has ended; Lost is called then. But that may
		// have been before we joined a session, and who asks would wait for ever.
		if err := r.child.Send(context.Background(), f); err != nil {
			r.mu.Lock()
			r.queue = nil
			reserved := r.reserved
			r.mu.Unlock()
			if !reserved {
				r.lose()
			}
			return
		}
	}
}

// call asks the child something and returns the answer.
func (r *remote) call(ctx context.Context, k frame.Kind, v any) (frame.Frame, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return frame.Frame{}, err
	}
	if len(body) > frame.MaxBody {
		return frame.Frame{}, fmt.Errorf("a request of %d bytes, more than the %d that travel", len(body), frame.MaxBody)
	}
	r.put(k, body)
	select {
	case f := <-r.reply:
		return f, nil
	case <-r.dead:
		return frame.Frame{}, fmt.Errorf("node %s is lost", r.child.Name())
	case <-ctx.Done():
		return frame.Frame{}, ctx.Err()
	}
}

// offer asks what the child has.
func (r *remote) offer(ctx context.Context, d *request) (offered, error) {
	var o offered
	f, err := r.call(ctx, frame.Offer, d)
	if err != nil {
		return o, err
	}
	if f.Kind != frame.Offered {
		return o, failure(r.child.Name(), f)
	}
	err = decode(f.Body, &o)
	o.Found = o.Found.Intersect(ranks.Span(0, d.N))
	return o, err
}

// reserve has the child reserve its part of g.
func (r *remote) reserve(ctx context.Context, g *Gang, p *part) error {
	d := g.req.below(r.child.Name(), r.node.names()).part(p.set)
	d.Path = join(g.req.Path, r.child.Name())
	r.mu.Lock()
	r.reserved, r.g = true, g
	r.mu.Unlock()
	f, err := r.call(ctx, frame.Reserve, d)
	if err != nil {
		return err
	}
	if f.Kind != frame.Reserved {
		return failure(r.child.Name(), f)
	}
	var at place
	if err = decode(f.Body, &at); err == nil {
		err = at.check(d.N)
	}
	if err != nil {
		return fmt.Errorf("node %s says where its tasks are: %w", r.child.Name(), err)
	}
	at.Node, at.Epoch = r.child.Name(), r.child.Epoch()
	p.place, p.child, p.branch = at, r.child.Name(), r
	r.decoder = gather.NewDecoder(d.N)
	return nil
}

// names returns the names of the children.
func (n *Node) names() map[string]bool {
	names := map[string]bool{}
	for _, c := range n.cluster.Children() {
		names[c.Name()] = true
	}
	return names
}

// attached says that p is one of the gang's parts now. The child may have been
// lost meanwhile.
func (r *remote) attached(p *part) {
	r.mu.Lock()
	r.p = p
	for _, f := range r.early {
		r.g.post(func() { r.deliver(f) })
	}
	r.early = nil
	lost, fenced := r.lost, r.fenced
	r.mu.Unlock()
	if lost {
		r.tellLost(p)
	}
	if fenced {
		r.tellFenced(p)
	}
}

func (r *remote) exec(set ranks.Set, s *Spec) {
	body, err := json.Marshal(executionOf(set, s))
	if err != nil || len(body) > frame.MaxBody {
		// Spec.check has seen to it that it is not.
		r.node.log.Error("a command does not fit into a frame", "bytes", len(body), "err", err)
		return
	}
	r.put(frame.Exec, body)
}

func (r *remote) give(set ranks.Set, in *input) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return // its tasks are
	}
	in.left.Add(1)
	r.queueLocked(frame.Input, appendInput(r.expectLocked(in), set, in))
}

// expectLocked gives something that is sent a number, by which the child says
// that it was taken.
func (r *remote) expectLocked(t taker) uint64 {
	r.next++
	r.inputs[r.next] = t
	return r.next
}

func (r *remote) closeInput(set ranks.Set) { r.put(frame.CloseInput, []byte(set.String())) }

func (r *remote) signal(set ranks.Set, name string) {
	r.put(frame.Signal, []byte(name+" "+set.String()))
}

func (r *remote) push(c *piece) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost {
		return
	}
	c.left.Add(1)
	r.queueLocked(frame.Push, appendPiece(r.expectLocked(c), c))
}

// release has the child end the tasks. The answer is Released; if the child is
// lost it is Fenced.
func (r *remote) release() {
	r.mu.Lock()
	was := r.released
	r.released = true
	reserved, gone := r.reserved, r.lost && r.fenced
	if reserved && !was {
		r.queueLocked(frame.Release, nil)
	}
	r.mu.Unlock()
	if !reserved || gone {
		r.leave()
	}
}

// from takes a frame from the child. It does not wait.
func (r *remote) from(f frame.Frame) {
	switch f.Kind {
	case frame.Reserved:
		if len(f.Body) == 0 || len(r.whole) > maxPlace {
			r.broken(errShort)
			return
		}
		r.whole = append(r.whole, f.Body[1:]...)
		if f.Body[0] == 1 {
			return
		}
		f.Body, r.whole, r.given = r.whole, nil, true
		r.answer(f)
	case frame.Offered:
		r.answer(f)
	case frame.Failed:
		if r.given {
			r.broken(errors.New("it takes back what it has reserved"))
			return
		}
		// The last word of a session that is not. Whoever asked may have given up.
		r.mu.Lock()
		r.reserved = false
		released := r.released
		r.mu.Unlock()
		if released {
			r.leave()
			return
		}
		r.answer(f)
	case frame.Pushed:
		var p pushed
		if err := decode(f.Body, &p); err != nil {
			r.broken(err)
			return
		}
		var err error
		if p.Err != "" {
			err = errors.New("node " + r.child.Name() + ": " + cluster.OneLine(p.Err))
		}
		r.took(err, p.Num)
	case frame.Credit:
		nums, err := uvarints(f.Body)
		if err != nil {
			r.broken(err)
			return
		}
		r.took(nil, nums...)
	case frame.Started, frame.Output, frame.Exited, frame.Ready, frame.Released:
		if !r.keep(f) {
			r.broken(errors.New("it sends more than it may"))
		}
	}
}

// keep has a frame delivered, in order, once the part is one of the gang's. It
// reports false, and does not, if the child has sent too much.
func (r *remote) keep(f frame.Frame) bool {
	last := f.Kind == frame.Released
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.coming > maxComing && !last {
		return false
	}
	r.coming += len(f.Body) + overhead
	switch {
	case r.p != nil:
		r.g.post(func() { r.deliver(f) })
	case last:
		r.leave()
	case r.g != nil:
		// Other nodes are still asked for their parts, and something has become of
		// this one's already.
		r.early = append(r.early, f)
	}
	return true
}

// answer gives an answer to whoever has asked.
func (r *remote) answer(f frame.Frame) {
	select {
	case r.reply <- f:
	default:
		r.node.log.Warn("an answer to no question", "node", r.child.Name(), "kind", f.Kind)
	}
}

// deliver tells the gang, in its turn, what the child has said.
func (r *remote) deliver(f frame.Frame) {
	r.mu.Lock()
	g, p := r.g, r.p
	r.coming -= len(f.Body) + overhead
	r.mu.Unlock()
	if f.Kind == frame.Released {
		r.leave()
		// What has not ended it has given up, and it runs no more.
		g.mu.Lock()
		released := g.released
		g.mu.Unlock()
		if !released {
			r.over(g, p)
			return
		}
		g.gone(p)
		return
	}
	var err error
	switch f.Kind {
	case frame.Started:
		var set ranks.Set
		if set, err = ranks.Parse(string(f.Body)); err == nil {
			g.started(p, set)
		}
	case frame.Ready:
		var set ranks.Set
		if set, err = ranks.Parse(string(f.Body)); err == nil {
			g.ready(p, set)
		}
	case frame.Output:
		err = r.decoder.Decode(f.Body, func(set ranks.Set, s gather.Stream, b []byte) { g.output(p, set, s, b) })
		r.owe(len(f.Body) + overhead)
	case frame.Exited:
		var list []ending
		if err = decode(f.Body, &list); err == nil {
			err = r.ends(g, p, list)
		}
	}
	if err != nil {
		r.broken(err)
	}
}

// owe counts output that was taken. The child is told now and then.
func (r *remote) owe(n int) {
	if r.owed += n; r.owed >= window/4 {
		r.put(frame.Credit, appendUvarints(nil, uint64(r.owed)))
		r.owed = 0
	}
}

// ends tells the gang what has become of tasks.
func (r *remote) ends(g *Gang, p *part, list []ending) error {
	for _, e := range list {
		if err := e.check(); err != nil {
			return err
		}
		node, epoch := join(r.child.Name(), e.Node), e.Epoch
		if e.Node == "" {
			epoch = r.child.Epoch()
		}
		if exits := e.exits(); len(exits) > 0 {
			g.exited(p, node, epoch, exits)
		}
		g.lose(p, e.Lost, node)
		g.fenced(p, e.Fenced, node)
	}
	return nil
}

// took is told what the child has taken, or why it could not.
func (r *remote) took(err error, nums ...uint64) {
	var list []taker
	r.mu.Lock()
	for _, n := range nums {
		if t := r.inputs[n]; t != nil {
			delete(r.inputs, n)
			list = append(list, t)
		}
	}
	r.mu.Unlock()
	for _, t := range list {
		t.takenBy(err)
	}
}
