package frame

import (
	"context"
	"fmt"
	"sync"
)

// A Passive is a Link whose bytes somebody else carries, who never waits: Take
// gives what is to be carried to the other end, and Put brings what has come from
// there.
type Passive struct {
	addr string
	out  *queue

	taking sync.Mutex // held by Take
	rest   []byte     // guarded by taking; of a frame that was too long for one Take

	mu      sync.Mutex
	in      inbox  // guarded by mu
	over    error  // guarded by mu; nothing comes any more, and why
	woken   func() // guarded by mu; who waits in Recv
	putWake func() // guarded by mu; who waits to Put
}

// NewPassive returns a Passive. addr is what Addr says.
func NewPassive(addr string) *Passive {
	return &Passive{addr: addr, out: newQueue(0)}
}

// Take returns at most max bytes for the other end, which are the caller's. If
// there are none, ready is false, and wake will be called once when trying again
// may have another result; it must not block. No bytes and ready say that none
// will ever come.
func (l *Passive) Take(max int, wake func()) (p []byte, ready bool) {
	l.taking.Lock()
	defer l.taking.Unlock()
	p, l.rest = l.rest, nil
	if held := l.out.held(); len(p) < max && held > 0 {
		p = append(make([]byte, 0, len(p)+min(held, max+batch/4)), p...)
	}
	for len(p) < max {
		w := wake
		if len(p) > 0 {
			w = nil
		}
		f, ok, err := l.out.take(w)
		if !ok {
			if len(p) == 0 && err == nil {
				return nil, false
			}
			break
		}
		p, _ = Append(p, f) // it was checked when it was sent
	}
	if len(p) > max {
		p, l.rest = p[:max:max], p[max:]
	}
	return p, true
}

// CancelTake withdraws the wait of a Take.
func (l *Passive) CancelTake() { l.out.cancel() }

// Put brings bytes from the other end, and copies them. It takes all or none; if
// none, ready is false, and wake will be called once when trying again may have
// another result; it must not block.
func (l *Passive) Put(p []byte, wake func()) (ready bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		return false, l.over
	}
	if l.in.len() > header+maxLength { // there is a whole frame to take first
		l.putWake = wake
		return false, nil
	}
	l.in.put(p)
	woken := l.woken
	l.woken = nil
	if woken != nil {
		woken() // closes a channel
	}
	return true, nil
}

// CancelPut withdraws the wait of a Put.
func (l *Passive) CancelPut() {
	l.mu.Lock()
	l.putWake = nil
	l.mu.Unlock()
}

// Send puts a frame where Take finds it.
func (l *Passive) Send(ctx context.Context, f Frame) error {
	return l.out.send(ctx, f)
}

// Recv returns the next frame of what was Put.
func (l *Passive) Recv(ctx context.Context) (Frame, error) {
	for {
		woken := make(chan struct{})
		f, ok, err := l.next(func() { close(woken) })
		if ok || err != nil {
			return f, err
		}
		select {
		case <-woken:
		case <-ctx.Done():
			l.mu.Lock()
			l.woken = nil
			l.mu.Unlock()
			return Frame{}, ctx.Err()
		}
	}
}

func (l *Passive) next(woken func()) (Frame, bool, error) {
	l.mu.Lock()
	f, ok, _, err := l.in.next()
	if err != nil {
		err = fmt.Errorf("read from %s: %w", l.addr, err)
		l.mu.Unlock()
		l.end(err)
		return Frame{}, false, err
	}
	if !ok {
		defer l.mu.Unlock()
		if l.over == nil {
			l.woken = woken
		}
		return Frame{}, false, l.over
	}
	wake := l.putWake
	l.putWake = nil
	l.mu.Unlock()
	if wake != nil {
		wake()
	}
	return f, true, nil
}

// Close ends the link. What was sent can still be taken, and what has been put
// can be received.
func (l *Passive) Close() error {
	l.end(ErrClosed)
	return nil
}

func (l *Passive) end(why error) {
	l.out.close(why, true)
	l.mu.Lock()
	if l.over == nil {
		l.over = why
	}
	woken, wake := l.woken, l.putWake
	l.woken, l.putWake = nil, nil
	l.mu.Unlock()
	if woken != nil {
		woken()
	}
	if wake != nil {
		wake()
	}
}

// Addr says where the other end is.
func (l *Passive) Addr() string { return l.addr }
