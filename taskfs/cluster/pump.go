package cluster

import (
	"context"
	"sync"
)

// most is how many bytes of frames may wait for a handler, for each link.
const most = 16 << 20

// A tally counts what runs. Unlike a sync.WaitGroup it may be waited for while
// it goes up and down.
type tally struct {
	mu   sync.Mutex
	n    int           // guarded by mu
	idle chan struct{} // guarded by mu; closed when n is 0; nil: nobody waits
}

func (t *tally) add() {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
}

func (t *tally) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// Go runs f in a goroutine that is counted. It ends when f does.
func (t *tally) Go(f func()) {
	t.add()
	go func() { // until f returns; wait waits for it
		defer t.done()
		f()
	}()
}

// wait waits until nothing runs.
func (t *tally) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A pump makes calls one at a time, in order, in a goroutine that is there while
// there are any.
type pump struct {
	running *tally

	mu    sync.Mutex
	calls []call        // guarded by mu
	bytes int           // guarded by mu; of frames
	runs  bool          // guarded by mu; its goroutine is there
	room  chan struct{} // guarded by mu; closed when a call has been made; nil: nobody waits
}

type call struct {
	size int // of the frame that it delivers; 0: it is no frame
	do   func()
}

// put adds the call that delivers a frame, and waits while too much is waiting.
// It reports whether the frame was taken.
func (p *pump) put(ctx context.Context, size int, do func()) bool {
	for {
		p.mu.Lock()
		if ctx.Err() != nil {
			p.mu.Unlock()
			return false
		}
		if p.bytes < most {
			p.addLocked(call{size, do})
			p.mu.Unlock()
			return true
		}
		if p.room == nil {
			p.room = make(chan struct{})
		}
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		}
	}
}

// tell adds a call.
func (p *pump) tell(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addLocked(call{do: do})
}

// drop forgets the frames that wait.
func (p *pump) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.calls[:0]
	for _, c := range p.calls {
		if c.size == 0 {
			kept = append(kept, c)
		}
	}
	clear(p.calls[len(kept):])
	p.calls, p.bytes = kept, 0
}

func (p *pump) addLocked(c call) {
	p.calls = append(p.calls, c)
	p.bytes += c.size
	if !p.runs {
		p.runs = true
		p.running.Go(p.run)
	}
}

func (p *pump) run() {
	for {
		p.mu.Lock()
		if len(p.calls) == 0 {
			p.calls, p.runs = nil, false
			p.mu.Unlock()
			return
		}
		c := p.calls[0]
		p.calls[0] = call{}
		p.calls = p.calls[1:]
		p.mu.Unlock()
		c.do()
		p.mu.Lock()
		p.bytes -= min(c.size, p.bytes) // less if it was dropped meanwhile
		if p.room != nil {
			close(p.room)
			p.room = nil
		}
		p.mu.Unlock()
	}
}

// An errand is something to do again and again, in a goroutine that is there
// while it is done. However often it is kicked meanwhile, it is done once more.
type errand struct {
	running *tally
	do      func()

	mu    sync.Mutex
	runs  bool // guarded by mu
	again bool // guarded by mu
}

func (e *errand) kick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs {
		e.again = true
		return
	}
	e.runs = true
	e.running.Go(func() {
		for more := true; more; {
			e.do()
			e.mu.Lock()
			more, e.again = e.again, false
			e.runs = more
			e.mu.Unlock()
		}
	})
}
