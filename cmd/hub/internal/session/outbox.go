package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"hubfs/client"
)

// An outbox sends what is typed to the shell's input, in order and each byte
// once, over one connection after another.
//
// The input counts the bytes that it has taken, and each write says which they
// are. So what was not acknowledged is kept, and sent again through the next
// connection at the same place: the server drops what it had taken already.
//
// put writes to the connection by itself as long as the server keeps up: a
// keystroke meets no other goroutine. When many writes are without an answer,
// because a program takes no input, for pastes, and for writes larger than
// those before them, which the client sends one by one, it leaves the sending
// to a goroutine. So whoever types is not made to wait, and can leave.
type outbox struct {
	// Immutable.
	ctx    context.Context // ends everything
	drops  bool            // what does not fit while there is no connection is dropped; else put waits
	refuse func(error)     // is told once why the server takes no more of what is typed

	mu      sync.Mutex
	open    bool               // guarded by mu: there was a connection
	w       *client.PipeWriter // guarded by mu: to the input; nil: there is no connection
	taken   int64              // guarded by mu: bytes that the server has acknowledged
	kept    []byte             // guarded by mu: those behind them
	sent    int64              // guarded by mu: where those begin that w was not given
	tried   int64              // guarded by mu: those before it were given to some connection
	under   int                // guarded by mu: writes that may be without an answer
	proven  int                // guarded by mu: the server has taken a write of so many bytes
	idle    chan struct{}      // guarded by mu: closed when send ends; nil: it does not run
	room    chan struct{}      // guarded by mu: made when somebody waits for room
	dropped int64              // guarded by mu: bytes for which there was none
	err     error              // guarded by mu: the first that is not the connection's; nothing goes any more
}

const (
	outDepth = 256      // writes without an answer
	outKey   = 512      // bytes of what counts as a keystroke: surely one message
	outPiece = 32 << 10 // bytes of one write of send
	outQueue = 16 << 20 // bytes that are kept; then put waits after all
)

// put sends p. It is called by one goroutine at a time.
func (o *outbox) put(p []byte) {
	o.mu.Lock()
	if !o.open {
		o.mu.Unlock()
		return // who may not type yet types to nobody
	}
	for o.err == nil && len(o.kept) > outQueue && (o.w != nil || !o.drops) {
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
	if o.err != nil || len(o.kept) > outQueue {
		o.dropped += int64(len(p))
		o.mu.Unlock()
		return
	}
	direct := o.w != nil && o.sent == o.endLocked() && o.under < outDepth && len(p) <= o.proven
	o.kept = append(o.kept, p...)
	w := o.w
	if direct {
		o.under++
		o.sentLocked(len(p))
	}
	if w != nil && (!direct || o.under >= outDepth/2) {
		o.sendLocked()
	}
	o.mu.Unlock()
	if direct {
		o.failed(w, write(o.ctx, w, p))
	}
}

func write(ctx context.Context, w *client.PipeWriter, p []byte) error {
	_, err := w.WriteContext(ctx, p)
	return err
}

// endLocked is behind the last byte that was typed.
func (o *outbox) endLocked() int64 { return o.taken + int64(len(o.kept)) }

func (o *outbox) sentLocked(n int) {
	o.sent += int64(n)
	o.tried = max(o.tried, o.sent)
}

// sendLocked has a goroutine send what is kept.
func (o *outbox) sendLocked() {
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.send(o.w, o.idle) // ends when everything is answered, or with w's connection, or with ctx
	}
}

// connect goes on through f, a new open of the input. The one before is not
// told of anything any more.
func (o *outbox) connect(f *client.File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.SetOffset(o.taken)
	w := f.Writer(outDepth)
	w.Answered(func(off int64, n int) { o.answered(off + int64(n)) })
	o.open = true
	o.w, o.sent, o.under, o.proven, o.idle = w, o.taken, 0, 0, nil
	if len(o.kept) > 0 {
		o.sendLocked()
	}
}

// disconnect keeps what is typed from now on for another connection.
func (o *outbox) disconnect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = nil
	o.makeRoomLocked() // or not: then those who wait are to know
}

// answered is told that the server has taken all bytes before off. Where one
// connection says so late, it is true all the same.
func (o *outbox) answered(off int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(off, o.endLocked()) - o.taken
	if n <= 0 {
		return
	}
	o.taken += n
	if n == int64(len(o.kept)) {
		o.kept = o.kept[:0]
		if cap(o.kept) > outPiece {
			o.kept = nil
		}
	} else {
		o.kept = o.kept[n:]
	}
	o.makeRoomLocked()
}

// failed notes an error of a write through w. What is typed after one that is
// not the connection's is dropped.
func (o *outbox) failed(w *client.PipeWriter, err error) {
	if err == nil {
		return
	}
	o.mu.Lock()
	first := false
	switch {
	case o.w != w: // of a connection that was given up
	case errors.Is(err, client.ErrLost):
		o.w = nil
	case o.err == nil:
		o.err, first = err, true
	}
	o.makeRoomLocked()
	o.mu.Unlock()
	if first {
		o.refuse(err)
	}
}

func (o *outbox) makeRoomLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// send sends what is kept and was not sent, and waits for answers, until
// nothing is left.
func (o *outbox) send(w *client.PipeWriter, idle chan struct{}) {
	defer close(idle)
	piece := make([]byte, 0, outPiece)
	for {
		o.mu.Lock()
		if o.w != w {
			o.mu.Unlock()
			return
		}
		under := o.under
		// They do not count as sent while they are on their way, so that put
		// sends nothing past them. What is kept may move: so it is a copy.
		at := min(int(o.sent-o.taken), len(o.kept))
		piece = append(piece[:0], o.kept[at:min(len(o.kept), at+outPiece)]...)
		o.tried = max(o.tried, o.sent+int64(len(piece)))
		o.mu.Unlock()
		var err error
		if len(piece) > 0 {
			err = write(o.ctx, w, piece)
		}
		if err == nil {
			err = w.Flush(o.ctx)
		}
		o.failed(w, err)
		o.mu.Lock()
		if o.w != w {
			o.mu.Unlock()
			return
		}
		o.under -= under
		o.proven = min(max(o.proven, len(piece)), outKey)
		o.sentLocked(len(piece))
		if o.err != nil || err != nil || o.sent == o.endLocked() {
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
	idle, w := o.idle, o.w
	o.mu.Unlock()
	if w == nil {
		return
	}
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
	w.Flush(ctx)
}

// untaken returns how many typed bytes the server has not taken, as far as we
// know. Of those perhaps were sent, and it may have.
func (o *outbox) untaken() (n, perhaps int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n = int64(len(o.kept)) + o.dropped
	return n, max(min(o.tried, o.endLocked())-o.taken, 0)
}

// lacks returns how many bytes were dropped, for want of room.
func (o *outbox) lacks() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped
}
