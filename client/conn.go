package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"hubfs/internal/both"
	"hubfs/internal/fdio"
	"hubfs/internal/wire"
)

// A Conn is one connection to a server, attached to one tree.
type Conn struct {
	rwc     io.ReadWriteCloser
	fd      *fdio.File    // rwc, if it is a plain socket, which has a writev; else nil
	ordered bool          // as Options has it
	msize   uint32        // largest message either side may send
	root    uint32        // the fid of the attach
	done    chan struct{} // closed when the connection has ended
	back    *both.Way     // the direction in which the server asks; nil: there is none
	cancel  func()        // ends the context of Options.Serve; nil with back
	pool    sync.Pool     // of *call
	pulse   *pulse        // nil: nobody feels it

	// turn is the right to write to rwc: whoever put a value in has it. It may
	// be held while writing, for ordering writes is its job.
	turn chan struct{}
	wbuf []byte      // guarded by turn: what is being written
	vec  [2][]byte   // guarded by turn: likewise, as a vector
	bufs net.Buffers // guarded by turn: the part of vec not yet written

	frames frames         // the receiving goroutine's alone
	work   sync.WaitGroup // the receiving goroutine, that of the pulse, Options.Serve, and those that tidy up

	mu    sync.Mutex
	err   error  // guarded by mu: why the connection ended; nil while it lives
	slots []slot // guarded by mu: what each tag stands for
	tags  []uint16
	fids  []uint32 // guarded by mu, like tags: free, to be used again
	nfid  uint32   // guarded by mu: fids from here on were never used
}

// New makes a Conn of a connection: it agrees on a version and a message size
// and attaches. It owns rwc from now on, and closes it if it fails. With a
// server that keeps to the order it does not wait for the answer to the attach:
// if that is refused, the connection ends, and every call says why.
func New(ctx context.Context, rwc io.ReadWriteCloser, o Options) (*Conn, error) {
	if o.Msize == 0 || o.Msize > wire.MaxMsize {
		o.Msize = wire.MaxMsize
	}
	c := &Conn{
		rwc:     rwc,
		ordered: o.Ordered,
		done:    make(chan struct{}),
		turn:    make(chan struct{}, 1),
		frames:  frames{r: rwc},
	}
	c.pool.New = func() any { return &call{done: make(chan struct{}, 1)} }
	if c.fd = fdio.Socket(rwc); c.fd != nil {
		c.frames.r = c.fd
	}
	if o.Keepalive > 0 {
		c.pulse = new(pulse)
		c.frames.r = listener{c.frames.r, c.pulse}
	}
	goesBoth, err := c.version(ctx, o)
	if err != nil {
		rwc.Close()
		return nil, fmt.Errorf("agree on a version: %w", err)
	}
	if goesBoth {
		c.serve(o)
	}
	c.work.Go(c.receive) // until the connection ends; Close waits for it
	if err := c.attach(ctx, o); err != nil {
		c.Close()
		return nil, fmt.Errorf("attach: %w", err)
	}
	if c.pulse != nil {
		c.work.Go(func() { c.keepAlive(o.Keepalive) }) // until the connection ends
	}
	return c, nil
}

// version agrees on the protocol. Nothing else may be said meanwhile
// (version(5)), so it reads the answer itself. It reports whether the connection
// goes both ways.
func (c *Conn) version(ctx context.Context, o Options) (goesBoth bool, err error) {
	stop := context.AfterFunc(ctx, func() { c.rwc.Close() })
	defer stop()
	m := wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: o.Msize, Version: wire.Version}
	if o.Serve != nil {
		m.Version = wire.VersionBoth
	}
	offer := m.Version
	b, err := wire.Append(nil, &m)
	if err != nil {
		return false, err
	}
	if _, err = c.rwc.Write(b); err == nil {
		b, _, err = c.frames.next(o.Msize)
	}
	if ctx.Err() != nil {
		return false, ctx.Err() // which is why rwc failed
	}
	if err != nil {
		return false, lost(err)
	}
	var d wire.Decoder
	if err := d.Decode(b, &m); err != nil {
		return false, broken("%w", err)
	}
	switch {
	case m.Type == wire.Rerror:
		return false, &Error{m.Ename}
	case m.Type != wire.Rversion:
		return false, broken("%v in answer to Tversion", m.Type)
	case m.Version != wire.Version && m.Version != offer:
		return false, fmt.Errorf("the server speaks %q, not %s", m.Version, wire.Version)
	case m.Msize < wire.MinMsize || m.Msize > o.Msize:
		return false, broken("message size %d in answer to %d", m.Msize, o.Msize)
	}
	c.msize = m.Msize
	return m.Version == wire.VersionBoth, nil
}

func (c *Conn) attach(ctx context.Context, o Options) error {
	root, err := c.newFid()
	if err != nil {
		return err
	}
	c.root = root
	afid, err := c.login(ctx, o)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	cl := c.newCall(wire.Tattach)
	cl.m.Fid, cl.m.Afid, cl.m.Uname, cl.m.Aname = root, afid, o.Uname, o.Aname
	cl.unheard = o.Ordered
	if o.Ordered {
		c.send(ctx, cl) // what follows finds it done; if it is refused, receive ends the connection
	} else if err := c.ask(ctx, cl); err != nil {
		return err // if it is ctx's, the caller closes the connection, and the call ends
	}
	if afid != wire.NoFid {
		c.clunk(afid)
	}
	return nil
}

// Both reports whether the server may ask, too, and Options.Serve answers.
func (c *Conn) Both() bool { return c.back != nil }

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, or nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection, and with it every call that waits. When it
// returns, no goroutine of the Conn is left. It returns nil if the connection
// had lived till now, and else why it ended before.
func (c *Conn) Close() error {
	c.fail(net.ErrClosed)
	c.work.Wait()
	if err := c.Err(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// fail ends the connection, unless it has ended, and every call that waits.
func (c *Conn) fail(err error) {
	var waiting []*call
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = lost(err)
	for i := range c.slots {
		if cl := c.slots[i].call; cl != nil {
			waiting = append(waiting, cl)
		}
	}
	c.slots, c.tags = nil, nil
	err = c.err
	c.mu.Unlock()

	close(c.done)
	c.rwc.Close()
	if c.back != nil {
		c.cancel()
		c.back.End()
	}
	for _, cl := range waiting {
		cl.finish(err)
	}
}

// newFid returns a fid that the server does not know.
func (c *Conn) newFid() (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.fids); n > 0 {
		fid := c.fids[n-1]
		c.fids = c.fids[:n-1]
		return fid, nil
	}
	if c.nfid == wire.NoFid {
		return 0, errFids
	}
	c.nfid++
	return c.nfid - 1, nil
}

// freeFid takes back a fid that the server does not know, or does not know any
// more: it has answered every request that named it as new or ended it.
func (c *Conn) freeFid(fid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fids = append(c.fids, fid)
}

// clunk gives up a fid without waiting for the answer. The fid is free when
// that has come, whatever it is (clunk(5)).
func (c *Conn) clunk(fid uint32) {
	cl := c.newCall(wire.Tclunk)
	cl.m.Fid, cl.fid = fid, fid
	cl.unheard = true
	c.send(context.Background(), cl)
}
