// Package conduit moves the bytes of one stream into another, as they are or
// through a program, and counts them. It knows nothing of hubs.
//
// # Ordering
//
// Bytes reach the Sink in the order of the Source, or in that in which the
// program wrote them. The result is known when the last of them was taken and
// both ends are closed.
//
// An eof mark of the Source does not end a conduit. It is passed to Mark when
// all before it is in the Sink; a program does not see it.
//
// # Blocking
//
// Plain, Through, Stop and Kill do not wait for a stream or a program. A Sink
// that waits holds up the reading of the Source, as far as the program, if
// there is one, takes no more.
//
// # Ownership
//
// The conduit closes its ends: the Source as soon as no more will be read, so
// that nobody waits for a reader that does not come. If Through fails, nothing
// was read and both are closed.
//
// A goroutine, or a process with those of package shellctl, lives until Done is
// closed.
package conduit

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"hubfs/pipes"
	"hubfs/shellctl"
)

// bufferSize is how much a plain conduit moves at once.
const bufferSize = 64 << 10

// LastWords is how long a program that was killed has to get rid of its output,
// after the grace. Then the Sink is cut off.
const LastWords = time.Second

// A Source is where bytes come from. Close may be called while a read waits,
// which then fails.
type Source interface {
	pipes.Source
	Close() error
}

// A Sink is where they go.
type Sink interface {
	pipes.Sink
	Close() error
}

// Ends are what a conduit joins.
type Ends struct {
	From Source
	To   Sink
	Mark func()            // a plain conduit has come to an eof mark; nil: passed over
	Say  func(line string) // a line that the program wrote to its standard error; not nil with a program
}

// A Process is a program that runs. Kill hangs up and, after grace, kills; it
// does not wait.
type Process interface {
	Kill(grace time.Duration)
	Done() <-chan struct{}
	Wait(ctx context.Context) (shellctl.Status, error)
}

// A Result says how a conduit ended.
type Result struct {
	// Err is why an end gave or took no more; nil if the Source was complete,
	// the program ended by itself, or Stop was called.
	Err error
	// Status is the program's.
	Status shellctl.Status
}

// A Conduit joins its Ends.
type Conduit struct {
	ends    Ends          // immutable
	plain   bool          // immutable
	grace   time.Duration // immutable; of a kill when an end fails
	in, out atomic.Int64

	ctx    context.Context // of what waits for the ends
	cancel context.CancelFunc

	done   chan struct{} // closed when all is over
	result Result        // set before done is closed

	// guarded by mu
	mu       sync.Mutex
	proc     Process     // nil: none, or it is only starting
	over     bool        // nothing more is to be read
	killed   bool        // Kill was called
	finished bool        // too late for anything
	timer    *time.Timer // of the next thing to do to a program that does not end
	err      error       // why an end failed, the first
}

func newConduit(e Ends) *Conduit {
	c := &Conduit{ends: e, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Plain joins the ends to one another.
func Plain(e Ends) *Conduit {
	c := newConduit(e)
	c.plain = true
	go c.copy() // ends with the Source, or when an end fails or c is stopped
	return c
}

func (c *Conduit) copy() {
	// What fails is noted where it does.
	_ = pipes.Copy(c.ctx, (*sink)(c), (*source)(c), make([]byte, bufferSize), func() error {
		if c.ends.Mark != nil {
			c.ends.Mark()
		}
		return nil
	})
	c.finish(shellctl.Status{})
}

// Through joins the ends by a program, which start starts. The grace is what it
// has to end when an end fails.
func Through(e Ends, grace time.Duration, start func(shellctl.Streams) (Process, error)) (*Conduit, error) {
	c := newConduit(e)
	c.grace = grace
	said := &said{say: e.Say}
	p, err := start(shellctl.Streams{Stdin: (*passing)(c), Stdout: (*sink)(c), Stderr: said})
	if err != nil {
		c.close()
		return nil, err
	}
	c.mu.Lock()
	c.proc = p
	killed := c.killed
	c.mu.Unlock()
	if killed { // for an end that failed at once
		c.Kill(grace)
	}
	go func() { // ends with the process
		<-p.Done()
		st, _ := p.Wait(context.Background()) // the error is the Sink's once more
		said.end()
		c.finish(st)
	}()
	return c, nil
}

// finish is the end of a conduit.
func (c *Conduit) finish(st shellctl.Status) {
	c.mu.Lock()
	c.over = true
	c.finished = true
	c.result = Result{c.err, st}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.close()
}

func (c *Conduit) close() {
	c.cancel()
	c.ends.From.Close()
	c.ends.To.Close()
	close(c.done)
}

// Counts returns how many bytes have been read from the Source, and written to
// the Sink.
func (c *Conduit) Counts() (in, out int64) { return c.in.Load(), c.out.Load() }

// Done is closed when all is over.
func (c *Conduit) Done() <-chan struct{} { return c.done }

// Result returns how it ended. It is valid when Done is closed.
func (c *Conduit) Result() Result { return c.result }

// Stop ends the conduit without an error: nothing more is read. A program gets
// the end of its input, and so may write what it still holds; if it has not
// ended after grace it is killed.
func (c *Conduit) Stop(grace time.Duration) {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return
	}
	c.over = true
	if c.plain {
		c.cancel()
	} else {
		c.timer = time.AfterFunc(grace, func() { c.Kill(grace) })
	}
	c.mu.Unlock()
	c.ends.From.Close()
}

// Kill is Stop without time for what the program has to say: it gets a hangup
// and, after grace, a kill. It may come after a Stop.
func (c *Conduit) Kill(grace time.Duration) {
	if c.plain {
		c.Stop(grace)
		return
	}
	c.mu.Lock()
	c.over, c.killed = true, true
	p := c.proc
	if c.finished || p == nil { // or else Through kills it
		c.mu.Unlock()
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(grace+LastWords, c.cancel)
	c.mu.Unlock()
	c.ends.From.Close()
	p.Kill(grace)
}

// fail ends a conduit because one of its ends has failed.
func (c *Conduit) fail(err error) {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return
	}
	c.over, c.err = true, err
	c.mu.Unlock()
	c.Kill(c.grace)
}

// A source is the Source of a conduit, counted.
type source Conduit

func (s *source) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, err := s.ends.From.ReadContext(ctx, p)
	s.in.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		(*Conduit)(s).fail(err)
	}
	return n, err
}

// A sink is its Sink, counted.
type sink Conduit

// WriteContext heeds the conduit's own context: who ends a program that does
// not get rid of its output cancels that.
func (s *sink) WriteContext(_ context.Context, p []byte) (int, error) {
	n, err := s.ends.To.WriteContext(s.ctx, p)
	s.out.Add(int64(n))
	if err != nil {
		(*Conduit)(s).fail(err)
	}
	return n, err
}

// A passing is a source as a program is to see it: without marks, and at its
// end when nothing more is to be read.
type passing Conduit

func (s *passing) ReadContext(ctx context.Context, p []byte) (int, error) {
	for {
		n, err := (*source)(s).ReadContext(ctx, p)
		switch {
		case err == nil, pipes.IsEnded(err), ctx.Err() != nil:
			return n, err
		case errors.Is(err, io.EOF):
			continue // a mark: the program is to go on
		}
		return 0, ended{}
	}
}

// ended says to a program that was stopped that its input is complete.
type ended struct{}

func (ended) Error() string        { return "the conduit was stopped" }
func (ended) Ended() bool          { return true }
func (ended) Is(target error) bool { return target == io.EOF }
