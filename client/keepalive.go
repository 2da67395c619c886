package client

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"hubfs/internal/wire"
)

// A pulse is what there was on a connection since it was felt last.
type pulse struct{ heard, sent atomic.Bool }

// beats are how often the pulse is felt within Options.Keepalive.
const beats = 4

// keepAlive asks the server for something when it has been silent, or we have,
// and ends the connection when nothing at all comes. It counts beats and not
// time: after this process was stopped the first finds one that was missed, not
// a server that has been silent for as long.
func (c *Conn) keepAlive(every time.Duration) {
	t := time.NewTicker(max(every/beats, 1))
	defer t.Stop()
	var silent, mute int
	var asking atomic.Bool
	for {
		select {
		case <-t.C:
		case <-c.done:
			return
		}
		if silent++; c.pulse.heard.Swap(false) {
			silent = 0
		}
		if mute++; c.pulse.sent.Swap(false) {
			mute = 0
		}
		if silent == 3*beats-1 { // and what came last came up to a beat before the first
			c.fail(fmt.Errorf("the server has said nothing for %v", 3*every))
			return
		}
		if silent != beats && silent != 2*beats && mute < beats || asking.Swap(true) {
			continue
		}
		mute = 0
		// It may wait in a write that the other end does not take; ends with
		// that, at the latest with the connection.
		c.work.Go(func() {
			cl := c.newCall(wire.Tstat)
			cl.m.Fid, cl.unheard = c.root, true
			c.send(context.Background(), cl)
			asking.Store(false)
		})
	}
}

// A listener is the reader of a connection that notes what it hears, also of
// a reply that takes long to come.
type listener struct {
	r io.Reader
	p *pulse
}

func (l listener) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if n > 0 {
		l.p.heard.Store(true)
	}
	return n, err
}
