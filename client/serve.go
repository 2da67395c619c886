package client

import (
	"context"
	"encoding/binary"

	"hubfs/internal/both"
	"hubfs/internal/wire"
)

// serve begins to serve the other direction of the connection.
func (c *Conn) serve(o Options) {
	c.back = both.New(false, c.msize, c.answerBack, c.fail)
	c.frames.both = true
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.work.Go(func() { // until Serve returns, as it has to when the connection ends
		defer c.back.Close()
		o.Serve(ctx, c.back)
	})
}

// answerBack sends replies to what the server has asked.
func (c *Conn) answerBack(p []byte) error {
	if err := c.take(context.Background()); err != nil {
		return err
	}
	defer c.release()
	if c.pulse != nil {
		c.pulse.sent.Store(true)
	}
	if _, err := c.rwc.Write(p); err != nil {
		c.fail(err)
		return err
	}
	return nil
}

// asked takes a request of the server's, of which not all may have been read.
func (c *Conn) asked(frame []byte, long bool) error {
	if !long {
		return c.back.Put(frame)
	}
	b := c.back.Buffer(int(binary.LittleEndian.Uint32(frame)))
	n := copy(b, frame)
	if err := c.frames.read(b[n:]); err != nil {
		return err
	}
	return c.back.Fill(b)
}

// isRequest reports whether a message belongs to the other direction.
func isRequest(frame []byte) bool { return wire.Type(frame[4])%2 == 0 }
