// Package both is the second direction of a 9P connection.
//
// Requests have even types and replies odd ones, so one connection can carry 9P
// both ways: who dialed out, from behind a NAT, is then served and asked. Both
// ends have to agree on it: the client offers wire.VersionBoth, and a server that
// has nothing to ask answers wire.Version.
//
// Whoever reads the connection looks at the type of each message: one that
// belongs to the direction it does not serve itself it gives to a Way. A Way is
// a connection in its own right, over which a client or a server speaks that
// direction and knows nothing of the other.
//
// # Ordering
//
// Messages of one direction stay in order, and a message is never torn apart by
// one of the other direction. Between the directions there is no order.
//
// # Blocking
//
// Put and Fill never wait: what nobody reads is kept, up to a limit, and beyond
// it the connection has to end, for to stop reading would hold up the other
// direction. Write waits for the connection as long as that takes. A Way holds no
// lock while it waits or calls out, save the one that orders its writes.
//
// # The end
//
// With the connection both directions end: Read returns what is left, and then
// io.EOF. There is no message that ends one direction alone. A direction that is
// closed before the peer asked anything is over, and nobody is disturbed; if the
// side that answers closes it later the connection ends, for the peer would wait
// for ever; if the side that asks does, what still comes is dropped, and what it
// had open at the peer stays open until the connection ends.
package both

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"hubfs/internal/wire"
)

const (
	// unreadRequests is how many bytes of the peer's requests may wait for somebody to
	// read them.
	unreadRequests = 16 << 20
	// unreadReplies is the same for replies. They have been asked for, so that
	// who asks bounds them; but a peer may say what it was not asked.
	unreadReplies = 64 << 20

	// burst is up to how many bytes of several messages are sent at once, so
	// that the other direction gets its turn.
	burst = 64 << 10
)

var (
	errClosed = errors.New("the direction in which we answer was closed")
	errUnread = errors.New("too many messages of the other direction are unread")
)

// A Way is one direction of a connection, as a connection. One goroutine may
// read, and any may write; each Write has to hold whole messages, or the next
// one of the same writer goes on where it ended.
type Way struct {
	asks  bool               // immutable: we send the requests of this direction
	msize uint32             // immutable: largest message of the connection
	send  func([]byte) error // immutable: sends whole messages, in one piece
	end   func(error)        // immutable: ends the connection
	most  int                // immutable: limit of unread

	writing sync.Mutex // held while writing: orders the writes
	part    []byte     // guarded by writing; the beginning of a message

	mu     sync.Mutex
	queue  []piece       // guarded by mu; not yet read
	unread int           // guarded by mu; bytes in queue
	spare  []byte        // guarded by mu; a large buffer to be used again
	begun  bool          // guarded by mu; the peer has sent something
	closed bool          // guarded by mu; by Close
	over   bool          // guarded by mu; the connection has ended
	wake   chan struct{} // guarded by mu; closed when something changes; nil: nobody waits
}

// A piece is a run of messages, of which some bytes have been read.
type piece struct {
	b    []byte
	read int
}

// New returns a direction of a connection that has agreed on messages of msize
// bytes. If asks is set we send requests in it, else replies. Send sends whole
// messages as they stand, and waits until the connection has taken them; end
// ends the connection, and may be called while Put or Fill is. Both may be called
// from any goroutine.
func New(asks bool, msize uint32, send func([]byte) error, end func(error)) *Way {
	w := &Way{asks: asks, msize: msize, send: send, end: end, most: unreadRequests}
	if asks {
		w.most = unreadReplies
	}
	return w
}

// Put gives the direction a message that has come, which is copied. An error is
// the reason for which the connection has to end.
func (w *Way) Put(frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if take, err := w.admitLocked(len(frame)); !take {
		return err
	}
	n := len(w.queue)
	if n == 0 || cap(w.queue[n-1].b)-len(w.queue[n-1].b) < len(frame) {
		w.queue = append(w.queue, piece{b: make([]byte, 0, max(len(frame), 4<<10))})
		n++
	}
	tail := &w.queue[n-1]
	tail.b = append(tail.b, frame...)
	w.changedLocked()
	return nil
}

// Buffer returns a buffer for a large message, into which it can be read; Fill
// gives it back.
func (w *Way) Buffer(size int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.spare
	w.spare = nil
	if cap(b) < size || cap(b) > 2*size {
		return make([]byte, size)
	}
	return b[:size]
}

// Fill is Put for a message in a buffer of Buffer, which is the Way's again.
func (w *Way) Fill(frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	take, err := w.admitLocked(len(frame))
	if !take {
		return err
	}
	w.queue = append(w.queue, piece{b: frame[:len(frame):len(frame)]})
	w.changedLocked()
	return nil
}

// admitLocked says whether a message is to be kept, or why the connection ends.
func (w *Way) admitLocked(size int) (take bool, err error) {
	switch {
	case w.closed && !w.asks:
		return false, errClosed
	case w.closed || w.over:
		return false, nil
	case w.unread+size > w.most:
		return false, fmt.Errorf("%w (%d bytes)", errUnread, w.unread)
	}
	w.begun = true
	w.unread += size
	return true, nil
}

// End says that the connection has ended.
func (w *Way) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.changedLocked()
}

func (w *Way) changedLocked() {
	if w.wake != nil {
		close(w.wake)
		w.wake = nil
	}
}

// Read reads what the peer has sent in this direction, and waits for it.
func (w *Way) Read(p []byte) (int, error) {
	for {
		n, wake, err := w.tryRead(p)
		if wake == nil {
			return n, err
		}
		<-wake
	}
}

func (w *Way) tryRead(p []byte) (n int, wake <-chan struct{}, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 && n < len(p) {
		head := &w.queue[0]
		m := copy(p[n:], head.b[head.read:])
		n += m
		if head.read += m; head.read == len(head.b) {
			w.retireLocked()
		}
	}
	w.unread -= n
	switch {
	case w.closed:
		return 0, nil, net.ErrClosed
	case n > 0 || len(p) == 0:
		return n, nil, nil
	case w.over:
		return 0, nil, io.EOF
	}
	if w.wake == nil {
		w.wake = make(chan struct{})
	}
	return 0, w.wake, nil
}

// retireLocked takes the first of the queue, which has been read, out of it.
func (w *Way) retireLocked() {
	b := w.queue[0].b
	w.queue[0] = piece{}
	w.queue = w.queue[1:]
	if len(w.queue) == 0 {
		w.queue = nil // or its array would grow for ever
	}
	if cap(b) > burst {
		w.spare = b
	}
}

// Write sends whole messages, and keeps the beginning of one until the rest
// comes. It refuses what does not belong to this direction: the connection would
// not survive it.
func (w *Way) Write(p []byte) (int, error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	n := len(p)
	if len(w.part) > 0 {
		w.part = append(w.part, p...)
		p = w.part
	}
	rest, err := w.sendWhole(p)
	if err != nil {
		w.part = nil
		return 0, err
	}
	if w.part = append(w.part[:0], rest...); len(rest) == 0 && cap(w.part) > burst {
		w.part = nil
	}
	return n, nil
}

// sendWhole sends the whole messages at the front of p, and returns what is
// behind them.
func (w *Way) sendWhole(p []byte) (rest []byte, err error) {
	if err := w.alive(); err != nil {
		return nil, err
	}
	n := 0 // bytes of p that are known to be whole messages
	for {
		size, err := w.check(p[n:])
		if err != nil {
			return nil, err
		}
		if n > 0 && (size == 0 || n+size > burst) {
			if err := w.send(p[:n]); err != nil {
				return nil, err
			}
			p, n = p[n:], 0
		}
		if size == 0 {
			return p, nil
		}
		if t := wire.Type(p[n+4]); t == wire.Tversion && size >= wire.HeaderSize+4 {
			// The answer must fit the connection, whatever is asked for.
			p = append([]byte(nil), p...)
			at := p[n+wire.HeaderSize:]
			binary.LittleEndian.PutUint32(at, min(binary.LittleEndian.Uint32(at), w.msize))
		}
		n += size
	}
}

// check returns the size of the message at the front of p, or 0 if not all of it
// is there.
func (w *Way) check(p []byte) (size int, err error) {
	if len(p) < wire.HeaderSize {
		return 0, nil
	}
	if size, err = wire.FrameSize(p, w.msize); err != nil {
		return 0, err
	}
	if t := wire.Type(p[4]); (t%2 == 0) != w.asks {
		return 0, fmt.Errorf("%v in the wrong direction", t)
	}
	if len(p) < size {
		return 0, nil
	}
	return size, nil
}

func (w *Way) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.over {
		return net.ErrClosed
	}
	return nil
}

// Close ends the direction, as the package's doc has it.
func (w *Way) Close() error {
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.queue, w.spare, w.unread = nil, nil, 0
	alone := w.asks || !w.begun || w.over
	w.changedLocked()
	w.mu.Unlock()
	if first && !alone {
		w.end(errClosed)
	}
	return nil
}
