// Package scatter divides one stream of input among many tasks: all of it to each,
// record by record in turn, or the next record to the task that asks.
//
// # Records
//
// A Framing says where a record ends: behind a separator, after a number of bytes,
// or where the length before it says. What ends a record, and a length before it,
// go to the task with it, so that the task can tell records apart as well. What
// comes last and is not ended is a record too. In Enum records may be of any
// length: they are passed on in pieces. In Pull they are at most MaxRecord long,
// for each is kept until its task has taken it.
//
// # Ordering
//
// Each task gets its bytes in the order of the stream. In Enum record i goes to
// task i mod N of the N that there were at the beginning, whatever becomes of
// them. In Pull the records go out in the order of the stream, to the tasks in the
// order in which they asked; a task has one record at a time, which it has taken
// when it asks for the next. A record that a task may not have taken when it was
// lost goes to another, once that is Fenced: so it goes at least once. The end of
// the input is told to all when every record was taken.
//
// # Blocking
//
// Run waits for the source and for the tasks: what a task does not take holds back
// who writes the source. Replay waits for the tasks and for Run to come between two
// pieces. Nothing else blocks.
//
// # Ownership
//
// Run is called once. The other methods may be called from any goroutine, before
// Run, while it runs and after it.
package scatter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"hubfs/pipes"
	"hubfs/taskfs/ranks"
)

// A Mode is how input is divided.
type Mode string

// The modes.
const (
	Bcast Mode = "bcast" // all to each
	Enum  Mode = "enum"  // record i to task i mod N
	Pull  Mode = "pull"  // the next record to the task that asks
)

// A Target takes the input of tasks. *gang.Gang is one.
type Target interface {
	// Input gives bytes to some, and waits until each of them has room. p is not
	// changed, and the caller's again when it returns.
	Input(ctx context.Context, set ranks.Set, p []byte) error
	// CloseInput says that no more comes.
	CloseInput(ctx context.Context, set ranks.Set) error
}

// Options are a Scatter's.
type Options struct {
	To      Target
	Set     ranks.Set // the tasks
	Mode    Mode      // "": Bcast
	Framing Framing   // of Enum and Pull
	// Keep is how many bytes are kept for tasks that are run anew (see Replay), in
	// Bcast and Enum.
	Keep int
}

// Errors of what the input is.
var (
	ErrCut  = errors.New("the input ended within a record")
	ErrLong = fmt.Errorf("a record is longer than %d bytes, and pull takes none that is", MaxRecord)
)

// MaxRecord is how long a record of Pull may be.
const MaxRecord = 1 << 20

// An UnsentError says that the tasks had all ended before the input did.
type UnsentError struct{ Bytes int64 }

func (e *UnsentError) Error() string {
	return fmt.Sprintf("%d bytes of input had no task to go to", e.Bytes)
}

// ErrNotKept says that input is gone which a task would need to be run anew.
var ErrNotKept = errors.New("the input that it had is not kept")

// A Scatter divides one stream.
type Scatter struct {
	o     Options
	order []int // ranks of Set, ascending

	// turn is held while something is given to tasks, so that pieces keep their
	// order and a replay comes between two of them. It holds one token.
	turn  chan struct{}
	split splitter // of Enum; with the turn
	count int      // records that have ended, of Enum; with the turn
	past  []byte   // what came, as far as it is kept; with the turn
	whole bool     // past is all that came; with the turn

	mu sync.Mutex
	// guarded by mu
	live  ranks.Set      // tasks that take input
	away  ranks.Set      // tasks that are lost, and may be run anew
	eof   bool           // CloseInput was said to all that are live
	ready []int          // live tasks that ask, of Pull
	asks  map[int]bool   // the same
	busy  map[int][]byte // what tasks have, or had when they were lost, and may not have taken, of Pull
	again [][]byte       // records to be given once more, of Pull
	wake  chan struct{}  // closed when any of these has changed
}

// New returns a Scatter.
func New(o Options) *Scatter {
	if o.Mode == "" {
		o.Mode = Bcast
	}
	s := &Scatter{
		o: o, turn: make(chan struct{}, 1), split: splitter{f: o.Framing}, whole: true,
		live: o.Set, asks: map[int]bool{}, busy: map[int][]byte{}, wake: make(chan struct{}),
	}
	if o.Mode != Bcast {
		s.order = make([]int, 0, o.Set.Len())
		for r := range o.Set.All() {
			s.order = append(s.order, r)
		}
	}
	return s
}

// buffer is how much of the source is taken at a time.
const buffer = 64 << 10

// Run gives what src has to the tasks until it has ended, at its first mark too,
// and then says so to them. It returns at the first error of either side, or an
// *UnsentError if input came and all tasks had ended. What a task makes of the end
// is its own: Run does not wait for that.
func (s *Scatter) Run(ctx context.Context, src pipes.Source) error {
	if s.o.Mode == Pull {
		return s.pull(ctx, src)
	}
	buf := make([]byte, buffer)
	for {
		n, err := src.ReadContext(ctx, buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := s.give(ctx, buf[:n]); err != nil {
			return err
		}
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	cut := s.o.Mode == Enum && s.split.cut()
	err := s.close(ctx)
	s.unlock()
	if err == nil && cut {
		err = ErrCut
	}
	return err
}

func (s *Scatter) lock(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Scatter) unlock() { <-s.turn }

// close says to all that are live that nothing follows. The turn is held.
func (s *Scatter) close(ctx context.Context) error {
	s.mu.Lock()
	s.eof = true
	live := s.live
	s.mu.Unlock()
	if live.Empty() {
		return nil
	}
	return s.o.To.CloseInput(ctx, live)
}

// give passes on a piece of the stream, of Bcast or Enum.
func (s *Scatter) give(ctx context.Context, p []byte) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	s.mu.Lock()
	live, none := s.live, s.live.Empty() && s.away.Empty()
	s.mu.Unlock()
	if none {
		return &UnsentError{int64(len(p))}
	}
	switch {
	case s.o.Keep <= 0:
		s.whole = false
	case s.whole && len(s.past)+len(p) <= s.o.Keep:
		s.past = append(s.past, p...)
	default:
		s.whole, s.past = false, nil
	}
	if s.o.Mode == Bcast {
		if live.Empty() {
			return nil
		}
		return s.o.To.Input(ctx, live, p)
	}
	return s.deal(ctx, &s.split, &s.count, live, p)
}

// deal gives the records in p in turn, and passes over those of tasks that are not
// in to. What one task gets of p it gets at once.
func (s *Scatter) deal(ctx context.Context, split *splitter, count *int, to ranks.Set, p []byte) error {
	parts := map[int][]byte{}
	var order []int
	for len(p) > 0 {
		n, end := split.next(p)
		r := s.order[*count%len(s.order)]
		if part, ok := parts[r]; ok {
			parts[r] = append(part[:len(part):len(part)], p[:n]...)
		} else if to.Contains(r) {
			parts[r] = p[:n]
			order = append(order, r)
		}
		p = p[n:]
		if end {
			*count++
		}
	}
	for _, r := range order {
		if err := s.o.To.Input(ctx, ranks.Of(r), parts[r]); err != nil {
			return err
		}
	}
	return nil
}

// Ready says that these tasks ask for a record each.
func (s *Scatter) Ready(set ranks.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range set.Intersect(s.live).All() {
		delete(s.busy, r) // taken
		if !s.asks[r] {
			s.asks[r] = true
			s.ready = append(s.ready, r)
		}
	}
	s.changedLocked()
}

// Lost says that tasks may run or not: they get nothing until they are in Replay.
func (s *Scatter) Lost(set ranks.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = s.away.Union(set.Intersect(s.live))
	s.goneLocked(set)
}

// Fenced says that tasks which were lost run no more: what they have not taken may
// go to others.
func (s *Scatter) Fenced(set ranks.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range set.All() {
		if rec, ok := s.busy[r]; ok {
			delete(s.busy, r)
			s.again = append(s.again, rec)
		}
	}
	s.changedLocked()
}

// Gone says that tasks have ended for good.
func (s *Scatter) Gone(set ranks.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range set.All() {
		delete(s.busy, r)
	}
	s.away = s.away.Minus(set)
	s.goneLocked(set)
}

func (s *Scatter) goneLocked(set ranks.Set) {
	s.live = s.live.Minus(set)
	s.ready = slices.DeleteFunc(s.ready, func(r int) bool {
		gone := set.Contains(r)
		if gone {
			delete(s.asks, r)
		}
		return gone
	})
	s.changedLocked()
}

// Join has tasks of the Set that were Gone read what comes from now on. After the
// end they are told of that.
func (s *Scatter) Join(ctx context.Context, set ranks.Set) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	return s.join(ctx, set)
}

// join is Join with the turn held.
func (s *Scatter) join(ctx context.Context, set ranks.Set) error {
	s.mu.Lock()
	s.live, s.away = s.live.Union(set), s.away.Minus(set)
	s.changedLocked()
	eof := s.eof
	s.mu.Unlock()
	if eof {
		return s.o.To.CloseInput(ctx, set)
	}
	return nil
}

// changedLocked wakes Run of Pull.
func (s *Scatter) changedLocked() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// Replay gives tasks that are run anew what the stream has had for them, and what
// follows. They have been Lost before, and Fenced. ErrNotKept says that it cannot:
// they get nothing.
func (s *Scatter) Replay(ctx context.Context, set ranks.Set) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	switch {
	case s.o.Mode == Pull:
	case !s.whole:
		return ErrNotKept
	case s.o.Mode == Enum:
		split, count := splitter{f: s.o.Framing}, 0
		for p := s.past; len(p) > 0; p = p[min(len(p), buffer):] {
			if err := s.deal(ctx, &split, &count, set, p[:min(len(p), buffer)]); err != nil {
				return err
			}
		}
	default:
		for p := s.past; len(p) > 0; p = p[min(len(p), buffer):] {
			if err := s.o.To.Input(ctx, set, p[:min(len(p), buffer)]); err != nil {
				return err
			}
		}
	}
	return s.join(ctx, set)
}
