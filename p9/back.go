package p9

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"hubfs/internal/both"
	"hubfs/internal/wire"
	"hubfs/tree"
)

// backQueue is how many bytes of our own requests may be queued for a
// connection until their writer waits. They are not counted with the replies:
// neither holds up the other, save that they share a line.
const backQueue = 1 << 20

var errNotAsked = errors.New("a reply came, and nobody has asked")

// A back is the direction of a connection in which we ask. The reader goroutine
// owns it.
type back struct {
	agreed bool               // on wire.VersionBoth; it begins with the first attach
	way    *both.Way          // nil: it has not begun
	cancel context.CancelFunc // of the context that Server.Back has
}

// begin runs Server.Back, if the version says so and it does not run yet, for who
// has attached.
func (c *conn) begin(who *tree.Caller) {
	if !c.back.agreed || c.back.way != nil {
		return
	}
	var way *both.Way
	way = both.New(true, c.msize, func(p []byte) error { return c.ask(way, p) }, c.kill)
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	c.asks = way
	c.mu.Unlock()
	c.back.way, c.back.cancel = way, cancel
	c.asking.Go(func() { // ends when way does: serve waits for it
		defer way.Close()
		defer func() {
			if v := recover(); v != nil {
				c.panicked(v)
			}
		}()
		c.srv.Back(ctx, who, way)
	})
}

// endBack ends the direction in which we ask. It does not wait for that.
func (c *conn) endBack() {
	if c.back.way != nil {
		c.back.cancel()
		c.back.way.End()
		c.mu.Lock()
		c.asks = nil
		c.mu.Unlock()
	}
	c.back = back{}
}

// replyCame takes a message with an odd type, of which not all may have been
// read.
func (c *conn) replyCame(f frame) error {
	way := c.back.way
	switch {
	case way == nil:
		return fmt.Errorf("%w: %v", errNotAsked, wire.Type(f.b[4]))
	case !f.large:
		return way.Put(f.b)
	}
	b := way.Buffer(int(binary.LittleEndian.Uint32(f.b)))
	n := copy(b, f.b)
	if err := c.in.readData(b[n:]); err != nil {
		return err
	}
	return way.Fill(b)
}

// ask queues requests of ours, when there is room. After a Tversion none of
// those from before it goes out.
func (c *conn) ask(way *both.Way, p []byte) error {
	for {
		c.mu.Lock()
		if c.out.dead || c.stopped || c.asks != way {
			c.mu.Unlock()
			return net.ErrClosed
		}
		if c.out.back < backQueue {
			break
		}
		room := c.out.roomLocked()
		c.mu.Unlock()
		select {
		case <-room: // also if the direction has ended: its bytes were written
		case <-c.quit:
		}
	}
	b := c.batchLocked()
	if len(p) < copyBelow {
		b.buf = append(b.buf, p...)
	} else {
		own := c.srv.pool.get(len(p))
		copy(own.data, p)
		b.cuts = append(b.cuts, cut{end: len(b.buf), piece: tree.Piece{Data: own.data, Owner: own}})
	}
	b.back += len(p)
	c.out.back += len(p)
	c.mu.Unlock()
	c.kick()
	return nil
}
