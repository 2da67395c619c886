package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// A log is what a handler and people were told, in order.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) say(format string, args ...any) {
	l.mu.Lock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
	l.mu.Unlock()
}

// take returns what was said since the last time, when all is said that is about
// to be.
func (l *log) take() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// A told is a handler that keeps what it is told.
type told struct {
	log
	mu       sync.Mutex
	children []*Child  // as they joined
	parents  []*Parent // as they were heard first
	heard    int       // times that Heard was called
	below    func(*Child, frame.Frame)
	above    func(*Parent, frame.Frame)
	ending   func(*Parent) // called in ParentLost
}

func (h *told) Joined(c *Child) {
	h.mu.Lock()
	h.children = append(h.children, c)
	h.mu.Unlock()
	h.say("joined %s", c.Name())
}

func (h *told) FromBelow(c *Child, f frame.Frame) {
	if h.below != nil {
		h.below(c, f)
	}
	h.say("below %s %s", c.Name(), f.Body)
}

func (h *told) Lost(c *Child)   { h.say("lost %s", c.Name()) }
func (h *told) Fenced(c *Child) { h.say("fenced %s", c.Name()) }

func (h *told) FromAbove(p *Parent, f frame.Frame) {
	if h.above != nil {
		h.above(p, f)
	}
	h.say("above %s %s", p.Name(), f.Body)
}

func (h *told) Heard(p *Parent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard++
	if !slices.Contains(h.parents, p) {
		h.parents = append(h.parents, p)
	}
}

// hears returns how many times leases have begun.
func (h *told) hears() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard
}

func (h *told) ParentLost(p *Parent) {
	if h.ending != nil {
		h.ending(p)
	}
	h.say("parent lost %s", p.Name())
}

func (h *told) child() *Child {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.children[len(h.children)-1]
}

func (h *told) parent() *Parent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.parents[len(h.parents)-1]
}

// A peer is a node with its handler and its events.
type peer struct {
	*Node
	h      *told
	events log
}

func start(t *testing.T, name string, change ...func(*Options)) *peer {
	return startWith(t, &fence.Policy{}, name, change...)
}

func startWith(t *testing.T, with policy, name string, change ...func(*Options)) *peer {
	p := &peer{h: &told{}}
	o := Options{Info: Info{Name: name, OS: "linux", Arch: "amd64", Slots: 4}, Handler: p.h,
		Event: func(line string) { p.events.say("%s", line) }}
	for _, f := range change {
		f(&o)
	}
	p.Node = newNode(o, with)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	})
	return p
}

// A joint is a link between two nodes, and what came of it at both ends.
type joint struct {
	up, down     frame.Link // the ends of the upper and of the lower node
	below, above chan error // what Below and Above return
}

// join puts low below up.
func join(up, low *peer) *joint { return joinBy(up, low, frame.Pipe) }

func joinBy(up, low *peer, pipe func(int) (frame.Link, frame.Link)) *joint {
	j := &joint{below: make(chan error, 1), above: make(chan error, 1)}
	j.up, j.down = pipe(0)
	go func() { j.below <- up.Below(context.Background(), j.up, "") }() // until the link ends
	go func() { j.above <- low.Above(context.Background(), j.down) }()  // until the link ends
	synctest.Wait()
	return j
}

// world runs a test in a bubble.
func world(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// is fails if lines are not those that are wanted: each begins with what is there.
func is(t *testing.T, what string, lines []string, want ...string) {
	t.Helper()
	ok := len(lines) == len(want)
	for i := range min(len(lines), len(want)) {
		ok = ok && strings.HasPrefix(epochs(lines[i]), want[i])
	}
	if !ok {
		t.Errorf("%s:\n\t%s\nwant\n\t%s", what, strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// epochs writes E for the numbers of epochs.
func epochs(line string) string {
	f := strings.Fields(line)
	for i := range f {
		if len(f[i]) >= 12 && strings.Trim(f[i], "0123456789") == "" {
			f[i] = "E"
		}
	}
	return strings.Join(f, " ")
}

// A stall is a link whose frames wait while it is stopped, both ways, as those of
// a process that is stopped do.
type stall struct {
	frame.Link
	mu      sync.Mutex
	stopped chan struct{} // closed when it goes on; nil: it does
	closed  chan struct{}
	once    sync.Once
}

func newStall(l frame.Link) *stall { return &stall{Link: l, closed: make(chan struct{})} }

func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped == nil {
		s.stopped = make(chan struct{})
	}
}

func (s *stall) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped != nil {
		close(s.stopped)
		s.stopped = nil
	}
}

func (s *stall) wait(ctx context.Context) error {
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	if stopped == nil {
		return nil
	}
	select {
	case <-stopped:
		return nil
	case <-s.closed:
		return frame.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stall) Send(ctx context.Context, f frame.Frame) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.Link.Send(ctx, f)
}

func (s *stall) Recv(ctx context.Context) (frame.Frame, error) {
	f, err := s.Link.Recv(ctx)
	if err == nil {
		err = s.wait(ctx)
	}
	return f, err
}

func (s *stall) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Link.Close()
}

// A oneSided is an end of a link that can fail alone: the other end hears nothing
// of it.
type oneSided struct {
	frame.Link
	ctx  context.Context
	lose context.CancelFunc
}

func newOneSided(l frame.Link) *oneSided {
	o := &oneSided{Link: l}
	o.ctx, o.lose = context.WithCancel(context.Background())
	return o
}

var errReset = errors.New("reset")

func (l *oneSided) Recv(ctx context.Context) (frame.Frame, error) {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	f, err := l.Link.Recv(both)
	if l.ctx.Err() != nil {
		return frame.Frame{}, errReset
	}
	return f, err
}

func (l *oneSided) Send(ctx context.Context, f frame.Frame) error {
	if l.ctx.Err() != nil {
		return errReset
	}
	return l.Link.Send(ctx, f)
}

func (l *oneSided) Close() error {
	if l.ctx.Err() != nil {
		return nil // the other end does not hear of this either
	}
	l.lose()
	return l.Link.Close()
}

// A rawParent is an upper node that says what the test says.
type rawParent struct {
	t *testing.T
	l frame.Link
}

func (r rawParent) send(k frame.Kind, v any) {
	r.t.Helper()
	if err := r.l.Send(r.t.Context(), frame.Frame{Kind: k, Body: encode(v)}); err != nil {
		r.t.Fatal(err)
	}
}

func (r rawParent) recv() frame.Frame {
	r.t.Helper()
	f, err := r.l.Recv(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func (r rawParent) welcome(change ...func(*welcome)) {
	r.t.Helper()
	w := welcome{Version: version, Side: "above", Name: "leaf", Epoch: 7, Period: 5 * time.Second, Missed: 2, Node: "hand", Instance: "H"}
	for _, f := range change {
		f(&w)
	}
	if f := r.recv(); f.Kind != frame.Hello {
		r.t.Fatalf("%v came first", f.Kind)
	}
	r.send(frame.Hello, w)
	synctest.Wait()
}

// A rawChild is a lower node that says what the test says.
type rawChild struct {
	t *testing.T
	l frame.Link
}

func (r rawChild) send(k frame.Kind, v any) {
	r.t.Helper()
	if err := r.l.Send(r.t.Context(), frame.Frame{Kind: k, Body: encode(v)}); err != nil {
		r.t.Fatal(err)
	}
}

func (r rawChild) hello(change ...func(*hello)) {
	r.t.Helper()
	h := hello{Version: version, Side: "below", Info: Info{Name: "leaf", OS: "linux", Arch: "amd64", Instance: "I"}}
	for _, f := range change {
		f(&h)
	}
	r.send(frame.Hello, h)
	synctest.Wait()
}
