package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hubfs/hub"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/ranks"
	"hubfs/taskfs/scatter"
)

// inputSize is how much input waits for tasks before who writes it does, and
// replaySize how much of it is kept for tasks that may be run anew.
const (
	inputSize  = 1 << 20
	replaySize = 16 << 20
)

// An input is a stream that the tasks of a part read: a hub, and what divides it.
// From the first there is a reader of the hub, so that nothing is missed that is
// written before exec.
type input struct {
	p   *Part
	hub *hub.Hub

	// guarded by p.s.mu
	reader  *hub.Reader
	scatter *scatter.Scatter   // nil: the tasks have not been started
	set     ranks.Set          // for whom it is; set with scatter
	cancel  context.CancelFunc // ends the goroutine; nil: there is none
	ended   chan struct{}      // closed when it has; nil: there was none
	writers int                // files that are open for writing
	closed  bool               // the end was said
	over    bool               // no task reads it any more
}

// scatterer is what a gang's news are passed on to: *scatter.Scatter.
type scatterer interface {
	Ready(set ranks.Set)
	Lost(set ranks.Set)
	Fenced(set ranks.Set)
	Gone(set ranks.Set)
	Replay(ctx context.Context, set ranks.Set) error
	Join(ctx context.Context, set ranks.Set) error
}

func newInput(p *Part, h *hub.Hub) *input {
	return &input{p: p, hub: h, reader: h.NewReader(hub.FromOldest, hub.ReaderOptions{Label: "tasks"})}
}

// Input returns the hub that the tasks of the part read: what all of them read, or
// what these read besides.
func (p *Part) Input() (*hub.Hub, error) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	in, err := p.inputLocked()
	if err != nil {
		return nil, err
	}
	if in.scatter == nil && s.gang != nil && s.ranLocked(p.ranksLocked()) {
		in.readyLocked(s.gang)
		in.startLocked(s.gang)
	}
	return in.hub, nil
}

func (p *Part) inputLocked() (*input, error) {
	if p.s.released {
		return nil, gang.ErrReleased
	}
	if p.input == nil {
		p.input = newInput(p, hub.New(hub.Options{Input: true, Size: inputSize}))
	}
	return p.input, nil
}

// Writing counts a file that was opened to write the input, and whose close, if it
// is the last, is the end of the input.
func (p *Part) Writing() error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	in, err := p.inputLocked()
	if err != nil {
		return err
	}
	in.writers++
	return nil
}

// Written says that it was closed.
func (p *Part) Written() {
	s := p.s
	s.mu.Lock()
	in := p.input
	in.writers--
	last := in.writers == 0 && !s.released
	in.closed = in.closed || last
	s.mu.Unlock()
	if last {
		in.hub.End("")
	}
}

// CloseInput is the word close stdin.
func (p *Part) CloseInput() error {
	h, err := p.Input()
	if err != nil {
		return err
	}
	p.s.mu.Lock()
	p.input.closed = true
	p.s.mu.Unlock()
	h.End("")
	return nil
}

// SetMode is bcast, enum or pull.
func (p *Part) SetMode(mode scatter.Mode, f scatter.Framing) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.released {
		return gang.ErrReleased
	}
	if p.input != nil && p.input.scatter != nil {
		return fmt.Errorf("%w: %s is for before exec", gang.ErrInUse, mode)
	}
	p.mode, p.framing = mode, f
	return nil
}

// emptyLocked reports whether the input has ended without a byte.
func (in *input) emptyLocked() bool {
	st := in.hub.Status()
	return in.closed && st.Next == in.reader.Status().Offset
}

// each calls do with what divides the input, if the tasks have been started.
func (in *input) each(do func(scatterer)) {
	in.p.s.mu.Lock()
	sc := in.scatter
	in.p.s.mu.Unlock()
	if sc != nil {
		do(sc)
	}
}

// inputsLocked are the inputs of which any of set reads; of no set, all.
func (s *Session) inputsLocked(set ranks.Set) []*input {
	var out []*input
	add := func(p *Part) {
		if p.input != nil && (set.Empty() || !p.ranksLocked().Intersect(set).Empty()) {
			out = append(out, p.input)
		}
	}
	add(s.whole)
	for _, p := range s.parts {
		add(p)
	}
	return out
}

// inputsWithinLocked are the inputs that only tasks of set read.
func (s *Session) inputsWithinLocked(set ranks.Set) []*input {
	return slices.DeleteFunc(s.inputsLocked(set), func(in *input) bool {
		return !in.p.ranksLocked().Minus(set).Empty()
	})
}

// othersLocked are inputs that tasks of set, which are about to run again, read with
// others who have them already. One that has ended is none of those for a part that
// has an input of its own.
func (p *Part) othersLocked(set ranks.Set) []*input {
	return slices.DeleteFunc(p.s.inputsLocked(set), func(in *input) bool {
		return in.scatter == nil || in.over && p.input != nil
	})
}

// readyLocked makes ready the inputs whose tasks are all being started.
func (s *Session) readyLocked(g Gang) []*input {
	var out []*input
	for _, in := range s.inputsLocked(ranks.Set{}) {
		if in.scatter == nil && s.ranLocked(in.p.ranksLocked()) {
			in.readyLocked(g)
			out = append(out, in)
		}
	}
	return out
}

// readyLocked makes what divides the input. A task that another's output is spliced
// into reads that.
func (in *input) readyLocked(g Gang) {
	s := in.p.s
	in.set = in.p.ranksLocked()
	for _, x := range s.splices {
		in.set = in.set.Minus(x.to)
	}
	o := scatter.Options{To: g, Set: in.set, Mode: in.p.mode, Framing: in.p.framing}
	if s.retries > 0 {
		o.Keep = replaySize
	}
	in.scatter = scatter.New(o)
	var gone []int
	for r := range in.set.All() {
		if s.tasks[r].ended {
			gone = append(gone, r)
		}
	}
	in.scatter.Gone(ranks.Of(gone...))
}

// startLocked begins to give the input to the tasks.
func (in *input) startLocked(g Gang) {
	s := in.p.s
	sc, reader := in.scatter, in.reader
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	in.cancel, in.ended = cancel, done
	if s.goneLocked(in.set) { // they were quick
		cancel()
	}
	s.work.Add(1)
	// Ends with the input, with the last task (see finish), or with the session.
	go func() {
		defer s.work.Done()
		defer close(done)
		err := sc.Run(ctx, reader)
		cancel()
		in.hub.End("") // who writes now hears of it
		in.sayUnsent(reader, err)
	}()
}

// sayUnsent tells of input that no task gets.
func (in *input) sayUnsent(r *hub.Reader, err error) {
	left := in.hub.Status().Next - r.Status().Offset
	_ = r.Close() // of a reader: it never fails
	var unsent *scatter.UnsentError
	switch {
	case errors.As(err, &unsent):
		left += unsent.Bytes
	case err != nil && !errors.Is(err, context.Canceled):
		in.p.s.say("input", in.name(), err.Error())
	}
	if left > 0 {
		in.p.s.say("input", in.name(), (&scatter.UnsentError{Bytes: left}).Error())
	}
}

// name is what events call the input.
func (in *input) name() string {
	if in.p.IsWhole() {
		return "stdin"
	}
	return in.p.Key() + "/stdin"
}

// finish ends an input of which no task is left, or which none will ever read.
func (in *input) finish() {
	s := in.p.s
	s.mu.Lock()
	cancel, reader, over := in.cancel, in.reader, in.over
	in.closed, in.over = true, true
	s.mu.Unlock()
	switch {
	case cancel != nil: // the goroutine does the rest
		cancel()
	case !over:
		in.hub.End("")
		in.sayUnsent(reader, nil)
	}
}

// stop ends the input's goroutine and waits for it.
func (in *input) stop() {
	in.p.s.mu.Lock()
	cancel, ended := in.cancel, in.ended
	in.p.s.mu.Unlock()
	if cancel != nil {
		cancel()
		<-ended
	}
}

// renew makes the input a new one, for tasks that are run again. Nobody else is at
// work on the session.
func (in *input) renew() {
	in.hub.Reopen()
	reader := in.hub.NewReader(hub.FromEnd, hub.ReaderOptions{Label: "tasks"})
	in.p.s.mu.Lock()
	old, over := in.reader, in.over || in.cancel != nil
	in.scatter, in.cancel, in.ended, in.set = nil, nil, nil, ranks.Set{}
	in.closed, in.over, in.reader = false, false, reader
	in.p.s.mu.Unlock()
	if !over { // what was written is for the tasks that come
		in.p.s.mu.Lock()
		in.reader = old
		in.p.s.mu.Unlock()
		_ = reader.Close()
	}
}
