package session

import (
	"context"
	"errors"
	"io"
	"strconv"

	"hubfs/internal/lex"
	"hubfs/taskfs/gang"
	"hubfs/taskfs/ranks"
)

// A splice has tasks read what another puts out. What comes up waits in a spill, so
// that the one who writes is not held back by those who read: they may be waiting
// for it themselves, in what they put out.
type splice struct {
	s    *Session
	from int
	to   ranks.Set
	q    *spill

	running bool // guarded by s.mu
}

// Splice has the tasks to read what task from puts out, instead of the session's
// input.
func (s *Session) Splice(from, to string) error {
	a, err := ranks.Parse(from)
	if err != nil {
		return lex.Malformed("%v", err)
	}
	b, err := ranks.Parse(to)
	if err != nil {
		return lex.Malformed("%v", err)
	}
	if _, err := s.reserved(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := ranks.Span(0, s.size)
	switch {
	case a.Len() != 1:
		return lex.Malformed("%q is not one task", lex.Clip(from))
	case b.Empty() || !b.Minus(all).Empty() || !a.Minus(all).Empty():
		return lex.Malformed("there are %d tasks, from 0", s.size)
	case !a.Intersect(b).Empty():
		return lex.Malformed("a task that reads what it writes")
	case len(s.splices) >= maxSplices:
		return lex.Malformed("there are %d already", maxSplices)
	}
	for r := range a.Union(b).All() {
		if s.tasks[r].run != nil {
			return lex.Malformed("%v: splice is for before exec", gang.ErrInUse)
		}
	}
	for _, x := range s.splices {
		if both := x.to.Intersect(b); !both.Empty() {
			return lex.Malformed("task %s reads what task %d puts out already", both, x.from)
		}
	}
	s.splices = append(s.splices, &splice{s: s, from: a.Min(), to: b, q: newSpill()})
	return nil
}

// maxSplices is how many there may be, for each piece of output looks at them.
const maxSplices = 1000

// write takes what the task has put out.
func (x *splice) write(p []byte) {
	if err := x.q.write(p); err != nil {
		x.s.say("splice", x.name(), err.Error())
		x.q.end()
	}
}

// end says that no more comes.
func (x *splice) end() { x.q.end() }

func (x *splice) name() string { return strconv.Itoa(x.from) + ">" + x.to.String() }

// startLocked begins to give what comes to those who read.
func (x *splice) startLocked(g Gang) {
	s := x.s
	x.running = true
	s.work.Add(1)
	// Ends when the writer has and all is read, or with the session.
	go func() {
		defer s.work.Done()
		defer x.q.close()
		err := x.run(s.ctx, g)
		if err != nil && s.ctx.Err() == nil {
			s.say("splice", x.name(), err.Error())
		}
	}()
}

func (x *splice) run(ctx context.Context, g Gang) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := x.q.ReadContext(ctx, buf)
		if errors.Is(err, io.EOF) {
			return g.CloseInput(ctx, x.to)
		}
		if err != nil {
			return err
		}
		if err := g.Input(ctx, x.to, buf[:n]); err != nil {
			return err
		}
	}
}
