// Package p9 serves a tree.Dir over 9P2000.
//
// A Server is a struct of settings; ServeConn serves a connection that somebody
// else has accepted or made. What is served is package tree; what goes over
// the wire is internal/wire. The rules are those of section 5 of the
// Plan 9 manual, and what real clients need beyond them is said where it is
// done.
//
// # Ordering
//
// The requests of one connection take effect in the order in which they
// arrive, with one exception: a read or a write of an open file may have to
// wait, and then only the reads, or only the writes, of the same fid wait
// behind it. So reads of one fid are answered in order with consecutive
// bytes, writes of one fid happen in order, and requests on different fids
// never wait for one another.
//
// Replies to one connection leave in the order in which they were made. A
// Tflush is answered after the reply, if there is one, of the request that it
// names. A read that has taken bytes from a stream always replies: either a
// flush finds the request still waiting and nothing was taken, or the bytes
// come before the Rflush.
//
// # Blocking
//
// One goroutine reads a connection and does all metadata, stream reads and
// stream writes in place. What waits on a stream is a record, tried again by
// whoever wakes it. Plain reads and writes, of handles that are no streams,
// run in a goroutine that lives as long as its fid has such requests.
//
// Where a connection goes both ways (Back), a writer of requests waits for the
// connection, and never the reader of the other direction for whoever reads the
// replies: of these some MiB are kept, and more end the connection.
//
// A peer that stops reading its replies stalls itself alone: once so many
// bytes are queued for it, its requests are not read any more, and its waiting
// reads take nothing from their streams.
//
// # Ownership
//
// Bytes handed out by a stream are written to the connection from where they
// lie, and freed once written or dropped. Bytes of large writes are read from
// the connection into a buffer of their own, which the stream may keep.
//
// # Permissions
//
// Open and create ask the mode bits of the file, with owner and group taken
// from its Info; a user is a member of the group of its own name, and of no
// other. Nobody passes by the bits: not the server's own user either
// (Caller.Admin), who can change the bits of what it owns.
//
// A peer that needs a login (Peer.LoginNeeded) gets no fid of the tree before.
// Who attaches by a login is whom Server.Login says, whatever the client calls
// itself. Tokens are in no trace.
//
// # Strangers and guests
//
// Who needs a login gets a few fids and small messages until it has one, and
// Limits.Hello until then. Of such connections there are so many, and so many of
// one origin: who comes when they are there takes the place of the one that has
// waited longest, so that a crowd that says nothing keeps nobody away.
//
// Whoever has bounds may have the server hold Limits.Guest bytes over all of its
// connections. Beyond that it gets errors, and its replies slowly, and nobody else
// notices. The server's own user has the limits of a connection alone.
package p9

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"hubfs/internal/fdio"
	"hubfs/internal/lobby"
	"hubfs/internal/wire"
	"hubfs/tree"
)

// A Server serves one tree. Its exported fields are set before the first
// connection and not changed afterwards.
type Server struct {
	Root   tree.Dir     // what is served
	Log    *slog.Logger // nil: silent
	Trace  *slog.Logger // every message of the direction that is served, on a line of its own; nil: none
	Limits Limits

	// Changed is told of each connection that begins, or if it needs a login has
	// one, in the goroutine that serves it, and of each such that has ended. No
	// lock is held. nil: nobody is told.
	Changed func(c ConnInfo, served bool)

	// Login makes a peer of one that brings a token, of which the error says
	// nothing: a client writes "token TOKEN" to the afid of a Tauth, or attaches
	// with token=TOKEN as its aname, or an element of it. It may wait; only its
	// connection waits with it. It is not called for a peer that has no bounds
	// and needs no login. nil: there are no logins.
	Login func(p Peer, uname, token string) (Peer, error)

	// Back speaks the other direction of a connection, whose peer serves us what
	// it has: rwc is a connection for a client of 9P. It is called in a goroutine
	// of its own when a peer that has asked for wire.VersionBoth has attached for
	// the first time, and after each Tversion that does; c is who has, with its
	// rights. When ctx is done, or rwc fails, it has to return: ServeConn waits for
	// it. Returning closes rwc, which ends nothing else. nil: we have nothing to
	// ask, and every connection goes one way.
	Back func(ctx context.Context, c *tree.Caller, rwc io.ReadWriteCloser)

	pool    pool      // buffers for the bytes of large reads and writes
	batches sync.Pool // of *batch

	lobby lobby.Lobby // connections that need a login and have none yet

	mu       sync.Mutex
	conns    map[uint64]*conn    // guarded by mu; those being served
	last     uint64              // guarded by mu; number of the last connection
	excl     map[uint64]struct{} // guarded by mu; qid.path of each ModeExclusive file that is open
	accounts map[string]*account // guarded by mu; of each user with bounds that is connected
}

// Limits say how much a peer may ask for. Beyond each of them it gets an
// error, or has to wait, and nobody else notices. A zero field means its
// default.
type Limits struct {
	Msize    uint32       // bytes of one message; default wire.MaxMsize
	Conns    int          // connections; default 20,000
	Lobby    lobby.Limits // connections that need a login and have none yet; default 1,000, 100 of one origin
	Fids     int          // fids of a connection; default 65,536
	Requests int          // requests of a connection that wait; default 16,384

	// Replies is how many bytes of replies may be queued for a connection
	// until its requests are no longer served; default 4 MiB.
	Replies int
	// Kept is how many bytes a connection may have the server keep for it:
	// the data of writes that wait, and directory listings half read; default
	// 16 MiB.
	Kept int

	// Guest is how many bytes the server holds for all connections of one user
	// with bounds (Peer.Rights): replies unread, writes that wait, listings, and
	// something for each connection (64 KiB), fid (2 KiB) and request that waits
	// (256). Who has as much gets errors, and of replies 16 KiB at a time;
	// default 64 MiB.
	Guest int

	// Hello is how long a new connection may take until its Tversion, or if it
	// needs a login until its attach; default 30 s, negative: for ever.
	Hello time.Duration
	// Stall is how long a peer may leave a queue of replies unread until it
	// is hung up; default one hour, negative: for ever.
	Stall time.Duration
}

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	if l.Msize == 0 || l.Msize > wire.MaxMsize {
		l.Msize = wire.MaxMsize
	}
	l.Msize = max(l.Msize, wire.MinMsize)
	def(&l.Conns, 20_000)
	def(&l.Lobby.All, 1000)
	def(&l.Lobby.Each, 100)
	def(&l.Fids, 65_536)
	def(&l.Requests, 16_384)
	def(&l.Replies, 4<<20)
	def(&l.Kept, 16<<20)
	def(&l.Guest, 64<<20)
	if l.Hello == 0 {
		l.Hello = 30 * time.Second
	}
	if l.Stall == 0 {
		l.Stall = time.Hour
	}
	return l
}

// A Peer is who is at the other end of a connection, as far as the transport
// knows.
type Peer struct {
	User   string      // "": the uname of Tattach counts
	Addr   string      // for people to read
	Admin  bool        // runs as the server's own user
	Rights tree.Rights // of every caller on the connection; nil: no bounds
	Grants []string    // IDs of the grants that Rights come of, for ConnInfo

	Ref any // whatever whoever serves the connection knows the peer by, for Login

	// LoginNeeded says that the peer is nobody until Login has let it in. Until
	// then it can say a token and no more.
	LoginNeeded bool
}

// A ConnInfo describes a connection that is being served.
type ConnInfo struct {
	ID      uint64
	User    string // "" while nobody has attached and the transport knows nobody
	Addr    string
	Fids    int
	Waiting int // requests not yet answered
	Since   time.Time
	Grants  []string // of its Peer, and of those that Login made of it
}

// ServeConn serves one connection and closes it. It returns when the
// connection is over and everything that was held for it is free: nil if the
// peer hung up or ctx was done. When ctx is done, replies that are queued still
// go out, for a second, if rwc has SetReadDeadline; else it is closed at once.
// Closing rwc must end a Read and a Write that wait. A *net.TCPConn or
// *net.UnixConn is written to with writev; anything else gets one Write for each
// batch of replies, or several that fill the records of TLS if it is a long one.
func (s *Server) ServeConn(ctx context.Context, rwc io.ReadWriteCloser, p Peer) error {
	c, err := s.newConn(ctx, rwc, p)
	if err != nil {
		refuse(rwc, err)
		return err
	}
	if !p.LoginNeeded {
		c.tell(true)
	}
	defer c.tell(false)
	defer s.forget(c)
	stop := context.AfterFunc(ctx, c.stop)
	defer stop()
	return c.serve()
}

// newConn makes a connection and enters it in the server's books.
func (s *Server) newConn(ctx context.Context, rwc io.ReadWriteCloser, p Peer) (*conn, error) {
	lim := s.Limits.withDefaults()
	fd := fdio.Socket(rwc)
	c := &conn{
		srv:   s,
		ctx:   ctx,
		peer:  p,
		lim:   lim,
		since: time.Now(),
		rwc:   rwc,
		w:     newWriter(rwc, fd, lim.Stall, &s.pool),
		in:    frames{r: rwc, most: beforeVersion},
		fids:  make(map[uint32]*fid),
		msize: beforeVersion,
		quit:  make(chan struct{}),
		user:  p.User,
		tags:  make(map[uint16]*job),
	}
	if fd != nil {
		c.in.r = fd
	}
	c.in.before = c.kick

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= lim.Conns {
		return nil, fmt.Errorf("too many connections (%d): %w", lim.Conns, tree.ErrLimit)
	}
	switch {
	case p.LoginNeeded:
		c.stranger = true
		c.place = s.lobby.Enter(origin(p), lim.Lobby, func() { c.kill(errCrowd) })
	case p.Rights != nil:
		a, err := s.openAccountLocked(p.User, lim.Guest)
		if err != nil {
			return nil, err
		}
		c.account, c.accountOf = a, p.User
	}
	if s.conns == nil {
		s.conns = make(map[uint64]*conn)
	}
	s.last++
	c.id = s.last
	s.conns[c.id] = c
	return c, nil
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
	if c.place != nil {
		c.place.Leave()
	}
	if c.account != nil {
		s.closeAccountLocked(c.accountOf, c.account)
	}
}

// origin is what all connections of a peer that has yet to log in, or of its
// neighbours, have in common.
func origin(p Peer) string {
	if p.User != "" {
		return "user " + p.User // of this machine
	}
	return lobby.Origin(p.Addr)
}

// tell tells that the connection has begun, or if that was told that it has
// ended.
func (c *conn) tell(served bool) {
	if c.srv.Changed == nil || !served && !c.told {
		return
	}
	c.told = true
	c.srv.Changed(c.info(), served)
}

// refuse tells a peer why it is not served, as the answer to the Tversion that
// it is about to send, and hangs up.
func refuse(rwc io.ReadWriteCloser, why error) {
	if nc, ok := rwc.(net.Conn); ok {
		frame, err := wire.Append(nil, &wire.Msg{Type: wire.Rerror, Tag: wire.NoTag, Ename: ename(why, false)})
		if err == nil {
			nc.SetWriteDeadline(time.Now().Add(time.Second))
			nc.Write(frame) // what the peer hears is all that matters, and it may not listen
		}
	}
	rwc.Close()
}

// Conns describes the connections being served, oldest first.
func (s *Server) Conns() []ConnInfo {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	infos := make([]ConnInfo, len(conns))
	for i, c := range conns {
		infos[i] = c.info()
	}
	slices.SortFunc(infos, func(a, b ConnInfo) int { return cmp.Compare(a.ID, b.ID) })
	return infos
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// claim takes the one open that a ModeExclusive file allows, across all
// connections.
func (s *Server) claim(path uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.excl[path]; taken {
		return false
	}
	if s.excl == nil {
		s.excl = make(map[uint64]struct{})
	}
	s.excl[path] = struct{}{}
	return true
}

// release gives back what claim took.
func (s *Server) release(path uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.excl, path)
}
