package p9

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"hubfs/internal/both"
	"hubfs/internal/lobby"
	"hubfs/internal/wire"
	"hubfs/tree"
)

// spareJobs is how many used jobs a connection keeps for the next requests.
const spareJobs = 64

// goodbye is how long the end of a connection waits for the peer to take the
// replies that are queued.
const goodbye = time.Second

var (
	errPanic = errors.New("handler panicked")
	errHello = errors.New("no Tversion in time, or no login")
	errCrowd = errors.New("too many connections wait for a login")
)

// A conn is one connection. Its reader goroutine, the one that called serve,
// owns all that is not said to be guarded.
type conn struct {
	srv   *Server         // immutable, as are the next six
	ctx   context.Context // of ServeConn; what the Back of this connection gets is made of it
	id    uint64
	peer  Peer
	lim   Limits
	since time.Time
	quit  chan struct{} // closed when no more requests shall be read

	rwc io.ReadWriteCloser // read by the reader, written by whoever holds out.writing

	in        frames
	dec       wire.Decoder
	req       wire.Msg
	fids      map[uint32]*fid
	versioned bool
	back      back
	asking    sync.WaitGroup // the goroutines of Server.Back

	hello     *time.Timer  // ends a connection that does not speak, or not log in; nil: none
	place     *lobby.Place // of a peer that has to log in, until it has
	accountOf string       // whose the account is
	told      bool         // that it has begun

	w *writer // of whoever holds out.writing

	// loggingIn orders logins, and is held while one waits.
	loggingIn sync.Mutex

	mu       sync.Mutex
	tags     map[uint16]*job // guarded by mu; outstanding: jobs, and the flushes that wait for them
	kept     int             // guarded by mu; bytes of waiting writes and directory listings
	spare    *job            // guarded by mu; list of used jobs
	nspare   int             // guarded by mu; its length
	out      queue           // guarded by mu
	short    wire.Msg        // guarded by mu; reused
	msize    uint32          // guarded by mu; changed by the reader alone
	user     string          // guarded by mu; who it is, for people
	nfids    int             // guarded by mu; len(fids)
	closing  int             // guarded by mu; fids retired and not closed
	closed   chan struct{}   // guarded by mu; closed when closing reaches 0, if the reader waits
	logins   []login         // guarded by mu; the tokens that were good
	asks     *both.Way       // guarded by mu; the direction in which we ask; nil: none
	stranger bool            // guarded by mu, and changed by the reader alone: place is not nil
	account  *account        // guarded by mu, and changed by the reader alone; nil: the peer has no bounds
	stopped  bool            // guarded by mu; quit is closed
	err      error           // guarded by mu; why it was killed
	killed   bool            // guarded by mu
}

// serve serves the connection until its end.
func (c *conn) serve() error {
	if c.lim.Hello > 0 {
		hello := time.AfterFunc(c.lim.Hello, func() { c.kill(errHello) })
		defer hello.Stop()
		c.hello = hello
	}
	err := c.readRequests()
	c.mu.Lock()
	why := aborted
	if c.stopped && !c.killed {
		why = flushed // the peer listens still, for what took effect
	}
	if c.stopped || hungUp(err) {
		err = nil
	}
	c.mu.Unlock()
	c.reset(why)
	c.end(err)
	c.asking.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()
	if hungUp(c.err) {
		return nil
	}
	return c.err
}

// readRequests reads and serves requests until it cannot go on.
func (c *conn) readRequests() (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked(v)
			err = errPanic
		}
	}()
	for {
		if !c.waitRoom() {
			return context.Canceled
		}
		f, err := c.in.next()
		if err != nil {
			return err
		}
		select {
		case <-c.quit: // while it waited: what it has read comes too late
			return context.Canceled
		default:
		}
		switch {
		case c.in.both && f.b[4]%2 == 1:
			err = c.replyCame(f)
		case f.large:
			err = c.largeWrite(f.b)
		default:
			err = c.message(f.b)
		}
		if err != nil {
			return err
		}
	}
}

// waitRoom waits until the peer has taken enough of its replies. It returns
// false if the connection is to end.
func (c *conn) waitRoom() bool {
	for {
		c.mu.Lock()
		stopped, full := c.stopped, c.out.fullLocked(c.repliesLocked())
		if stopped || !full {
			c.mu.Unlock()
			return !stopped
		}
		room := c.out.roomLocked()
		c.mu.Unlock()
		c.kick()
		select {
		case <-room:
		case <-c.quit:
			return false
		}
	}
}

// message serves one request. The error of a message that cannot be decoded is
// its answer; an error returned ends the connection.
func (c *conn) message(frame []byte) error {
	m := &c.req
	err := c.dec.Decode(frame, m)
	if !m.Type.IsT() {
		err = fmt.Errorf("%v is not a request", m.Type)
	}
	if err != nil {
		c.trace("-> ", m)
		c.error(m.Tag, protoError(err.Error()), nil)
		return nil
	}
	c.trace("-> ", m)
	if m.Type == wire.Tversion {
		return c.version(m)
	}
	if err := c.check(m); err != nil {
		if m.Type == wire.Tflush && err == errDupTag {
			// flush(5): "the server ... never an Rerror", and an Rflush
			// would be taken for the answer to something else.
			return fmt.Errorf("tag %d of a Tflush: %w", m.Tag, err)
		}
		c.error(m.Tag, err, nil)
		return nil
	}
	switch m.Type {
	case wire.Tflush:
		c.flush(m.Tag, m.Oldtag)
	case wire.Tread:
		c.read(m)
	case wire.Twrite:
		c.write(m, tree.Piece{Data: m.Data}, true)
	case wire.Tclunk, wire.Tremove:
		c.clunk(m)
	default:
		r := wire.Msg{Type: m.Type + 1, Tag: m.Tag}
		if err := c.metadata(m, &r); err != nil {
			c.error(m.Tag, err, c.fids[m.Fid])
			return nil
		}
		c.reply(&r)
		if m.Type == wire.Tattach {
			c.begin(c.fids[m.Fid].caller)
		}
	}
	return nil
}

// check refuses what may not be served at all: anything before Tversion, and
// a request whose tag is that of an outstanding one.
func (c *conn) check(m *wire.Msg) error {
	if !c.versioned {
		return errNoVersion
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, dup := c.tags[m.Tag]; dup && !(m.Type == wire.Tflush && m.Tag == m.Oldtag) {
		return errDupTag
	}
	return nil
}

// largeWrite serves a Twrite of which the header has been read: its data goes
// from the socket to the buffer in which a stream may keep it.
func (c *conn) largeWrite(header []byte) error {
	m := &c.req
	tag, fid, off, count, err := wire.TwriteHeader(header)
	*m = wire.Msg{Type: wire.Twrite, Tag: tag, Fid: fid, Offset: off, Count: count}
	if err != nil {
		m.Tag = uint16(header[5]) | uint16(header[6])<<8
		c.trace("-> ", m)
		c.error(m.Tag, protoError(err.Error()), nil)
		return c.in.skipData(header)
	}
	b := c.srv.pool.get(int(count))
	if err := c.in.readData(b.data); err != nil {
		b.Free()
		return err
	}
	m.Data = b.data
	c.trace("-> ", m)
	m.Data = nil
	if err := c.check(m); err != nil {
		b.Free()
		c.error(tag, err, nil)
		return nil
	}
	c.write(m, tree.Piece{Data: b.data, Owner: b}, false)
	return nil
}

// metadata serves the requests that are answered on the spot.
func (c *conn) metadata(m, r *wire.Msg) error {
	switch m.Type {
	case wire.Tauth:
		return c.auth(m, r)
	case wire.Tattach:
		return c.attach(m, r)
	}
	f := c.fids[m.Fid]
	if f == nil {
		return errUnknownFid
	}
	switch m.Type {
	case wire.Twalk:
		return c.walk(f, m, r)
	case wire.Topen:
		return c.open(f, m, r)
	case wire.Tcreate:
		return c.create(f, m, r)
	case wire.Tstat:
		return c.stat(f, r)
	case wire.Twstat:
		return c.wstat(f, &m.Stat)
	}
	return fmt.Errorf("%v is not served", m.Type)
}

// version serves Tversion, which ends whatever went on before it (version(5)).
func (c *conn) version(m *wire.Msg) error {
	c.reset(aborted)
	c.versioned = false
	if m.Msize < wire.MinMsize {
		c.error(m.Tag, errSmallMsize, nil)
		return nil
	}
	r := wire.Msg{Type: wire.Rversion, Tag: m.Tag, Msize: min(m.Msize, c.lim.Msize), Version: "unknown"}
	// 9P2000.u and 9P2000.L are told what they extend.
	if base, _, _ := strings.Cut(m.Version, "."); base == wire.Version {
		r.Version = wire.Version
		c.versioned = true
		if c.srv.Back != nil && m.Version == wire.VersionBoth {
			r.Version = m.Version
			c.back.agreed, c.in.both = true, true
		}
		if c.hello != nil && c.place == nil {
			c.hello.Stop()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.msize = r.Msize
	if !c.versioned {
		c.msize = beforeVersion
	}
	c.in.most = c.msize
	if c.stranger {
		c.in.most = min(c.msize, strangerMsize)
	}
	c.replyLocked(&r)
	return nil
}

// reset drops every outstanding request without a reply, closes every fid,
// and returns when that is done. What took effect is answered all the same if why
// is flushed, and not if it is aborted.
func (c *conn) reset(why cancel) {
	c.endBack()
	c.in.both = false
	c.kick()
	c.mu.Lock()
	for _, j := range c.tags {
		j.cancel = why
	}
	c.mu.Unlock()
	for id, f := range c.fids {
		delete(c.fids, id)
		c.retire(f, nil, why)
	}
	c.mu.Lock()
	c.nfids = len(c.fids)
	var closed chan struct{}
	if c.closing > 0 {
		closed = make(chan struct{})
		c.closed = closed
	}
	c.mu.Unlock()
	if closed != nil {
		<-closed // handles that are busy: their calls return, or they are broken
	}
}

// end writes what is queued, and ends the connection; why is for kill. Nothing is
// held any more.
func (c *conn) end(why error) {
	c.kick()
	c.mu.Lock()
	written := make(chan struct{})
	if c.out.writing {
		c.out.written = written
	} else {
		close(written)
	}
	c.mu.Unlock()
	patience := time.NewTimer(goodbye)
	defer patience.Stop()
	select {
	case <-written:
	case <-patience.C:
	}
	c.kill(why)
	<-written
}

// stop ends the connection gently: no more requests, but the replies that are
// queued still go out.
func (c *conn) stop() {
	c.mu.Lock()
	c.stopLocked()
	c.mu.Unlock()
	if d, ok := c.rwc.(interface{ SetReadDeadline(time.Time) error }); ok {
		if d.SetReadDeadline(time.Unix(1, 0)) == nil {
			return
		}
	}
	c.rwc.Close()
}

func (c *conn) stopLocked() {
	if !c.stopped {
		c.stopped = true
		close(c.quit)
	}
}

// kill ends the connection at once. The first one who calls it says why.
func (c *conn) kill(why error) {
	c.mu.Lock()
	first := !c.killed
	if first {
		c.killed = true
		c.err = why
		c.stopLocked()
	}
	c.out.dead = true
	dropped := c.out.takeLocked()
	c.mu.Unlock()
	if dropped != nil {
		dropped.free()
	}
	if first {
		c.rwc.Close()
	}
}

// panicked ends the connection for a panic of a handler, and nothing else:
// this process holds other people's work.
func (c *conn) panicked(v any) {
	c.srv.log().Error("9p: handler panicked", "conn", c.id, "user", c.peer.User, "addr", c.peer.Addr,
		"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	c.kill(errPanic)
}

func (c *conn) info() ConnInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConnInfo{ID: c.id, User: c.user, Addr: c.peer.Addr, Fids: c.nfids, Waiting: len(c.tags), Since: c.since, Grants: c.grantsLocked()}
}

// trace logs a message, if that is wanted. Replies are logged with conn.mu
// held, so that the lines are in the order of the messages.
func (c *conn) trace(arrow string, m *wire.Msg) {
	if c.srv.Trace != nil {
		if m.Type.IsT() {
			m = c.shown(m)
		}
		c.srv.Trace.Info(arrow+m.String(), "conn", c.id)
	}
}
