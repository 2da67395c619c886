package session

import (
	"context"
	"sync"
	"time"

	"hubfs/client"
)

// An outbox sends what is typed to the shell's input hub, in order.
//
// put writes to the connection by itself as long as the server keeps up: a
// keystroke meets no other goroutine. When many writes are without an answer,
// because a program takes no input, for pastes, and for writes larger than
// those before them, which the client sends one by one, it leaves the sending
// to a goroutine. So whoever types is not made to wait, and can leave.
type outbox struct {
	ctx context.Context // ends everything
	w   *client.PipeWriter

	mu     sync.Mutex
	sent   int           // guarded by mu: writes that may be without an answer
	proven int           // guarded by mu: the server has taken a write of so many bytes
	queue  []byte        // guarded by mu: what waits behind them
	idle   chan struct{} // guarded by mu: closed when send ends; nil: it does not run
	room   chan struct{} // guarded by mu: made when somebody waits for room in the queue
	err    error         // guarded by mu: the first error; nothing goes any more
}

const (
	outDepth = 256      // writes without an answer
	outKey   = 512      // bytes of what counts as a keystroke: surely one message
	outPiece = 32 << 10 // bytes of one write of send
	outQueue = 16 << 20 // bytes that wait; then put waits after all
)

func newOutbox(ctx context.Context, f *client.File) *outbox {
	return &outbox{ctx: ctx, w: f.Writer(outDepth)}
}

// put sends p. It is called by one goroutine at a time.
func (o *outbox) put(p []byte) {
	o.mu.Lock()
	for o.err == nil && len(o.queue) > outQueue {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
		case <-o.ctx.Done():
			return
		}
		o.mu.Lock()
	}
	if o.err != nil {
		o.mu.Unlock()
		return
	}
	direct := len(o.queue) == 0 && o.sent < outDepth && len(p) <= o.proven
	if direct {
		o.sent++
	} else {
		o.queue = append(o.queue, p...)
	}
	if (!direct || o.sent >= outDepth/2) && o.idle == nil {
		o.idle = make(chan struct{})
		go o.send(o.idle) // ends when everything is answered, or with ctx
	}
	o.mu.Unlock()
	if direct {
		o.fail(o.write(p))
	}
}

func (o *outbox) write(p []byte) error {
	_, err := o.w.WriteContext(o.ctx, p)
	return err
}

// fail notes an error. What is typed then is dropped: the shell has ended, or
// the connection, and that is for others to say.
func (o *outbox) fail(err error) {
	if err == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.makeRoomLocked()
}

func (o *outbox) makeRoomLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// send sends what is queued and waits for answers, until nothing is left.
func (o *outbox) send(idle chan struct{}) {
	defer close(idle)
	for {
		o.mu.Lock()
		sent := o.sent
		// The queue is not empty while its first part is on its way, so that
		// put sends nothing past it.
		p := o.queue[:min(len(o.queue), outPiece)]
		o.mu.Unlock()
		if len(p) > 0 {
			o.fail(o.write(p))
		}
		o.fail(o.w.Flush(o.ctx))
		o.mu.Lock()
		o.sent -= sent
		o.proven = min(max(o.proven, len(p)), outKey)
		if o.queue = o.queue[len(p):]; len(o.queue) == 0 {
			o.queue = nil
		}
		o.makeRoomLocked()
		if o.err != nil || len(o.queue) == 0 {
			o.idle = nil
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// flush waits until everything was taken, or for so long. It is called when
// put is not.
func (o *outbox) flush(d time.Duration) {
	ctx, cancel := context.WithTimeout(o.ctx, d)
	defer cancel()
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
	o.w.Flush(ctx)
}
