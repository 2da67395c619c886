// Package feed carries the bytes of a job to a hub, beside the job: who has the
// bytes hands them over and goes on, however slow the server is, and whether it
// is there at all.
//
// # Ordering
//
// The hub gets the bytes in the order in which Add was called, each once: what
// has not been answered is kept, and when a connection is lost it is written
// again on the next, each byte at its offset, where the hub drops what it has
// already. It gets a beginning of the bytes without a gap, and all of them
// unless Finish says why not. The hub's end comes after the last byte.
//
// Offsets prove this only while nobody else writes the hub. When a write shows
// that somebody does, the feed goes on by appending, and a connection that is
// lost after that is the end, unless the feed may Rebase: what was under way may
// be there or not.
//
// # Blocking
//
// Add does not wait, unless the feed is to wait for the hub's readers (Fear) or
// for the server (Wait); Hurry ends that. A server that is there and takes bytes
// more slowly than they come gets a little time when the backlog is full, so
// that a burst does not cost the hub its end: a second and a fifth of the time in
// all, and only while it takes something each second. Everything else takes place in a
// goroutine of the feed's own, which Finish waits for.
//
// # Ownership
//
// The memory that Intake.Room returns is the feed's: the caller reads into it,
// and may read from it until it asks for room again. What Add was told of does
// not change any more.
package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hubfs/client"
)

// A Link is a hub that is open for writing, on one connection. What it is told
// after the connection is gone fails with an error that is server.Lost.
type Link interface {
	// Write sends p, whose first byte belongs at off; p belongs to the caller
	// again when it returns. The answer comes later: Answered of the feed has
	// to be told of each. An error, also of an earlier write, is final.
	Write(ctx context.Context, p []byte, off int64) error
	// Flush waits until every write is answered.
	Flush(ctx context.Context) error
	// Append opens the hub on the same connection so that writes go to its end.
	Append(ctx context.Context) (Link, error)
	// End ends the hub.
	End(ctx context.Context, status string, complete bool) error
	// Done is closed when the connection is gone, and Err says why.
	Done() <-chan struct{}
	Err() error
	// Close ends the connection, and the calls that wait.
	Close()
}

// A Config says how to feed a hub.
type Config struct {
	// Dial opens the very hub again, at offset at, when the connection to it
	// is lost, and says where it ends now. Where that makes no sense any more
	// the error is not server.Lost. nil: a lost connection is the end.
	Dial func(ctx context.Context, at int64) (l Link, next int64, err error)
	// Say is told what happens to the feed. It may wait a little, for it is
	// standard error that it writes to.
	Say func(Note)
	// Slow is called when Add or Finish has been waiting for the hub's readers
	// for SlowAfter, then twice as long, and so on, each time by a goroutine of
	// its own, until its context is done. nil: it is not.
	Slow func(ctx context.Context)

	Fear bool // wait for the hub's readers
	Wait bool // wait for the server: one that is slow, and one that is lost

	// Rebase says that the stream goes on at the end of whatever hub Dial
	// returns, also if that lacks what came before: a shell that was made anew
	// on another server. Where the connection is lost while others write too,
	// what was under way then may be there twice.
	Rebase bool

	Backlog  int           // bytes that may wait for the server
	Patience time.Duration // how long the server may take nothing once nothing more comes
	Retry    time.Duration // how long a lost server is tried; < 0: as long as the job runs
}

// SlowAfter is how long readers may hold the output up before it is said.
const SlowAfter = 5 * time.Second

// ahead is how much may wait for the hub's readers while the output does, too:
// enough to keep the connection busy.
const ahead = 1 << 20

// A Note is something that happens to a feed.
type Note struct {
	Kind Kind
	At   int64 // Back: where the hub goes on
	Err  error // Alone, NotEnded: why
	Over bool  // Alone: the job had ended
}

// A Kind is what a Note is about.
type Kind int

const (
	Lost     Kind = iota // the server is lost, and tried again
	Back                 // it is back
	Alone                // the hub does not get the rest; said once
	NotEnded             // the hub has all but its end
)

// ErrBehind says that the backlog has no room.
var ErrBehind = errors.New("the server does not keep up")

// A Feed is the way of a job's bytes to one hub.
type Feed struct {
	cfg    Config
	ctx    context.Context // ends the calls of the link
	cancel context.CancelFunc
	work   sync.WaitGroup // calls of Slow
	slow   chan struct{}  // who put a value in may have Slow called

	over    chan struct{} // closed when err is set
	closing chan struct{} // closed when nothing more comes
	nudge   chan struct{} // tells who tries again that it is no longer as it was
	done    chan struct{} // closed when run has returned

	plain bool // run's own: others write the hub too, so it is appended to without an offset

	mu        sync.Mutex
	link      Link // set under mu by run, which alone may look at it without
	queue     queue
	began     time.Time     // set by Start
	waited    time.Duration // guarded by mu: how long Add has waited for the server, without Wait
	hurried   bool          // guarded by mu
	stuck     bool          // guarded by mu: the server has taken nothing while Add waited
	fear      bool          // guarded by mu
	wait      bool          // guarded by mu
	connected bool          // guarded by mu
	closed    bool          // guarded by mu: nothing more comes
	status    string        // guarded by mu: the hub's end
	leave     bool          // guarded by mu: the hub is not to end
	err       error         // guarded by mu: why the hub does not get all; the first
	stall     *time.Timer   // guarded by mu: runs out when the server takes nothing; stopped while it may do so
	more      chan struct{} // guarded by mu: closed when there is more to send, or nothing more to come; nil: nobody waits
	room      chan struct{} // guarded by mu: closed when there may be room; nil: nobody waits
}

// segmentFor returns the most bytes of a segment for a hub that retains size
// bytes.
func segmentFor(size int64) int { return int(max(leastSegment, min(size/4, mostSegment))) }

// New returns a feed for a hub that ends at offset at, and is written unit bytes
// at a time at most.
func New(cfg Config, at int64, unit int) *Feed {
	ctx, cancel := context.WithCancel(context.Background())
	return &Feed{
		cfg: cfg, ctx: ctx, cancel: cancel,
		slow:    make(chan struct{}, 1),
		over:    make(chan struct{}),
		closing: make(chan struct{}),
		nudge:   make(chan struct{}, 1),
		done:    make(chan struct{}),
		queue:   queue{end: at, unit: unit},
		fear:    cfg.Fear,
		wait:    cfg.Wait,
	}
}

// Start begins to carry bytes through l.
func (f *Feed) Start(l Link) {
	f.link, f.connected, f.began = l, true, time.Now()
	f.stall = time.AfterFunc(f.cfg.Patience, f.stalled)
	f.stall.Stop()
	go f.run() // until Finish, which waits for it
}

// Answered says that the hub has taken n bytes that were written at off. It
// does not wait.
func (f *Feed) Answered(off int64, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue.answered(off, n)
	f.stuck = false
	f.watchLocked() // new time, for the server has taken something
	wake(&f.room)
}

// add queues bytes of c. It keeps them, and waits only if the feed is to wait.
func (f *Feed) add(c *chunk, p []byte) {
	for {
		room, most, err := f.tryAdd(c, p)
		if err != nil {
			f.fail(err)
		}
		if room == nil {
			return
		}
		f.await(room, most) // changed; look again
	}
}

// tryAdd is add, unless that has to wait: then room is closed when there may be
// room. Where most is not 0, it may wait for so long.
func (f *Feed) tryAdd(c *chunk, p []byte) (room <-chan struct{}, most time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit := f.cfg.Backlog
	held := f.wait
	if f.fear && f.connected {
		held, limit = true, min(limit, ahead)
	}
	switch {
	case f.err != nil || f.closed:
		return nil, 0, nil
	case f.queue.room(len(p), limit):
		f.queue.add(c, p)
		wake(&f.more)
		return nil, 0, nil
	case held:
		return waitFor(&f.room), 0, nil
	case !f.connected:
		return nil, 0, fmt.Errorf("%w for too long", client.ErrLost)
	}
	rest := time.Since(f.began) - f.waited
	if most = time.Second + rest/5 - f.waited; most > 0 && !f.stuck && !f.hurried {
		return waitFor(&f.room), min(most, time.Second), nil
	}
	return nil, 0, ErrBehind
}

// await waits for a change, or for so long if most is not 0. If it is the hub's
// readers that take long, it has that said.
func (f *Feed) await(changed <-chan struct{}, most time.Duration) {
	if most > 0 {
		since := time.Now()
		t := time.NewTimer(most)
		stuck := false
		select {
		case <-changed:
		case <-t.C:
			stuck = true
		}
		t.Stop()
		f.mu.Lock()
		f.stuck = f.stuck || stuck
		f.waited += time.Since(since)
		f.mu.Unlock()
		return
	}
	select {
	case f.slow <- struct{}{}:
		defer func() { <-f.slow }()
	default: // somebody else sees to it
		<-changed
		return
	}
	after := SlowAfter
	t := time.NewTimer(after)
	defer t.Stop()
	for {
		select {
		case <-changed:
			return
		case <-t.C:
			after *= 2
			t.Reset(after)
			f.mu.Lock()
			readers := f.fear && f.connected
			f.mu.Unlock()
			if readers && f.cfg.Slow != nil {
				f.work.Go(func() { f.cfg.Slow(f.ctx) }) // ends with the server's answer, or with the feed
			}
		}
	}
}

// fail says why the hub does not get all.
func (f *Feed) fail(err error) {
	f.mu.Lock()
	first := f.err == nil
	if first {
		f.err = err
		close(f.over)
		wake(&f.room)
		if !f.connected {
			f.queue.drop() // it would not be sent
		}
	}
	over := f.closed
	f.mu.Unlock()
	if first {
		f.cfg.Say(Note{Kind: Alone, Err: err, Over: over})
	}
}

// Finish says that nothing more comes, waits until the hub has all and has
// ended with status, or the server takes no more, and returns why the hub has
// not got all.
func (f *Feed) Finish(status string) error { return f.finish(status, false) }

// Leave is Finish, but the hub goes on.
func (f *Feed) Leave() error { return f.finish("", true) }

func (f *Feed) finish(status string, leave bool) error {
	f.mu.Lock()
	f.closed, f.status, f.leave = true, status, leave
	close(f.closing)
	f.watchLocked()
	wake(&f.more)
	f.mu.Unlock()
	f.nudged()
	f.await(f.done, 0)
	f.cancel()
	f.work.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stall.Stop()
	return f.err
}

// Hurry ends the waiting for readers and for the server, now and later.
func (f *Feed) Hurry() {
	f.mu.Lock()
	f.fear, f.wait, f.hurried = false, false, true
	f.watchLocked()
	wake(&f.room)
	f.mu.Unlock()
	f.nudged()
}

// nudged lets who tries to reach the server do so at once, and see what has
// changed.
func (f *Feed) nudged() {
	select {
	case f.nudge <- struct{}{}:
	default:
	}
}

// watchLocked starts the time that the server has, if there is cause for it.
func (f *Feed) watchLocked() {
	if f.closed && f.connected && !f.fear && !f.wait {
		f.stall.Reset(f.cfg.Patience)
	}
}

// stalled gives up on a server that takes nothing: first its writes, and if it
// does not even heed that, the connection.
func (f *Feed) stalled() {
	f.fail(ErrBehind)
	f.cancel()
	f.mu.Lock()
	l := f.link
	f.mu.Unlock()
	select {
	case <-f.done:
	case <-time.After(f.cfg.Patience):
		l.Close()
	}
}

// wake lets those look again who wait for a change.
func wake(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}

func waitFor(c *chan struct{}) <-chan struct{} {
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}
