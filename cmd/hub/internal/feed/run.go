package feed

import (
	"context"
	"fmt"
	"time"

	"hubfs/cmd/hub/internal/server"
)

// run carries everything to the hub and ends it.
func (f *Feed) run() {
	defer close(f.done)
	if err := f.carry(); err != nil {
		f.fail(err)
		<-f.closing
	}
	f.end()
	f.link.Close()
}

// carry brings everything to the hub until nothing more comes. It returns why
// the hub does not get the rest.
func (f *Feed) carry() error {
	for {
		err := f.serve(f.link)
		var l Link
		switch {
		case err == nil:
			return nil
		case server.Conflict(err) && !f.plain:
			l, err = f.appending()
		case server.Lost(err):
			l, err = f.again(err)
		}
		if err != nil {
			return err
		}
		f.use(l)
	}
}

// serve writes to l until nothing more comes and everything is answered.
func (f *Feed) serve(l Link) error {
	for {
		s, more := f.take()
		switch {
		case more != nil:
			select {
			case <-more: // changed; look again
			case <-l.Done():
				return l.Err()
			}
		case s.chunk == nil:
			return l.Flush(f.ctx)
		default:
			err := l.Write(f.ctx, s.data, s.off)
			f.mu.Lock()
			f.queue.release(s.chunk)
			f.mu.Unlock()
			if err != nil {
				return err
			}
		}
	}
}

// take returns what is to be sent next, which is nothing when nothing more
// comes, or a channel that is closed when there may be more.
func (f *Feed) take() (s segment, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.queue.next()
	if ok || f.closed {
		return s, nil
	}
	return segment{}, waitFor(&f.more)
}

// use has l be the way to the hub from now on.
func (f *Feed) use(l Link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.link, f.connected = l, true
	f.watchLocked()
	wake(&f.room)
}

// appending goes on at the end of a hub that others write, too. Which of the
// writes under way took effect is known when all are answered.
func (f *Feed) appending() (Link, error) {
	if err := f.link.Flush(f.ctx); !server.Conflict(err) {
		return nil, err
	}
	f.mu.Lock()
	f.queue.renumber(f.queue.answeredTo())
	f.mu.Unlock()
	f.plain = true
	return f.link.Append(f.ctx)
}

// again reaches the hub again after its connection was lost, or returns why
// not.
func (f *Feed) again(lost error) (Link, error) {
	f.link.Close()
	if f.plain && !f.cfg.Rebase {
		return nil, fmt.Errorf("%w, and others write the hub too", lost)
	}
	if f.cfg.Dial == nil || f.cfg.Retry == 0 {
		return nil, lost
	}
	f.mu.Lock()
	f.connected = false
	f.queue.rewind()
	f.stall.Stop()
	at := f.queue.answeredTo()
	wake(&f.room)
	f.mu.Unlock()
	f.cfg.Say(Note{Kind: Lost})
	since := time.Now()
	var pauses server.Pauses
	for {
		ctx, cancel := context.WithTimeout(f.ctx, f.cfg.Patience)
		l, next, err := f.cfg.Dial(ctx, at)
		late := ctx.Err() != nil
		cancel()
		switch {
		case err == nil && f.cfg.Rebase && (next < at || f.plain):
			f.rebase(next)
			f.cfg.Say(Note{Kind: Back, At: next})
			return l, nil
		case err == nil && next < at:
			l.Close()
			return nil, fmt.Errorf("the hub came back without %d bytes that it had", at-next)
		case err == nil:
			f.cfg.Say(Note{Kind: Back, At: next})
			return l, nil
		case !server.Lost(err) && !late:
			return nil, err
		case f.tired(since):
			return nil, lost
		}
		pause := pauses.Next()
		if f.cfg.Retry > 0 {
			pause = min(pause, max(0, f.cfg.Retry-time.Since(since)))
		}
		select {
		case <-time.After(pause):
		case <-f.nudge: // at once, and then it may be enough
		case <-f.over:
			return nil, lost
		}
	}
}

// rebase has what is not answered written from at on.
func (f *Feed) rebase(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue.renumber(at)
	f.plain = false
}

// tired reports whether a server that was lost then is to be tried no more. A
// job that is over waits for it as long as for one that takes nothing.
func (f *Feed) tired(since time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := time.Since(since)
	switch {
	case f.err != nil:
		return true
	case f.cfg.Retry > 0 && gone >= f.cfg.Retry:
		return true
	}
	return f.closed && !f.wait && gone >= f.cfg.Patience
}

// end ends the hub. If the connection is lost over that, it is tried again:
// a hub that never ends keeps its watchers waiting.
func (f *Feed) end() {
	for {
		f.mu.Lock()
		status, complete, leave := f.status, f.err == nil, f.leave
		f.mu.Unlock()
		if leave {
			return
		}
		err := f.endOnce(status, complete)
		if server.Lost(err) {
			if !complete {
				f.endLost(status)
				return
			}
			var l Link
			if l, err = f.again(err); err == nil {
				f.use(l)
				continue
			}
		}
		if err != nil {
			f.cfg.Say(Note{Kind: NotEnded, Err: err})
		}
		return
	}
}

// endLost tries once to tell a server that was given up how the hub ends, for
// those who watch it there. That the hub lacks something has been said.
func (f *Feed) endLost(status string) {
	if f.cfg.Dial == nil || f.plain {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.cfg.Patience)
	defer cancel()
	if l, _, err := f.cfg.Dial(ctx, 0); err == nil {
		f.use(l)
		_ = f.endOnce(status, false)
	}
}

func (f *Feed) endOnce(status string, complete bool) error {
	select {
	case <-f.link.Done():
		return f.link.Err()
	default:
	}
	// Not the feed's own context: that of a server which takes nothing is done,
	// but this it may take.
	ctx, cancel := context.WithTimeout(context.Background(), f.cfg.Patience)
	defer cancel()
	// A server that has stopped reading heeds nothing else.
	defer context.AfterFunc(ctx, f.link.Close)()
	return f.link.End(ctx, status, complete)
}
