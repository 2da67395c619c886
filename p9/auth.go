package p9

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// maxToken is how long a token may be.
const maxToken = 1024

// A login is a token that let a connection's peer in. Whoever brings it again
// on the same connection, as v9fs does for each user that attaches, is the same
// peer: the token may not be good a second time.
type login struct {
	token [sha256.Size]byte
	peer  Peer
}

// mayLogIn reports whether a login can be of use: not to a peer without bounds.
// It would get an afid where plan9port's 9p, which always asks for one, cannot
// do without a ticket then.
func (c *conn) mayLogIn() bool {
	return c.srv.Login != nil && (c.peer.LoginNeeded || c.peer.Rights != nil)
}

// auth serves Tauth: a fid to which a token is written (attach(5)).
func (c *conn) auth(m, r *wire.Msg) error {
	if _, inAname := aname(m.Aname).login(); inAname || !c.mayLogIn() {
		return errNoAuth
	}
	a := &afid{conn: c, uname: m.Uname, aname: m.Aname}
	a.info = tree.Info{
		Name: "auth", Path: c.id<<32 | uint64(m.Afid), Mode: modeAuth | 0o600,
		Atime: c.since, Mtime: c.since, UID: m.Uname, GID: m.Uname, MUID: m.Uname,
	}
	f := &fid{
		caller: &tree.Caller{User: m.Uname, Addr: c.peer.Addr, Conn: c.id},
		afid:   a,
		at:     &place{node: a, up: &place{node: c.srv.Root}},
	}
	if err := c.newFid(m.Afid, f); err != nil {
		return err
	}
	f.setOpen(a, tree.OpenRDWR, false)
	r.Qid = qid(a.info)
	return nil
}

// An afid is the file behind the fid of a Tauth, which is open from the start.
// It is written in a goroutine of its own, for a login may wait.
type afid struct {
	conn         *conn  // immutable, as are all but the last two
	uname, aname string // of the Tauth
	info         tree.Info

	peer Peer // guarded by conn.mu; who has logged in
	in   bool // guarded by conn.mu; somebody has
}

// Stat describes the file.
func (a *afid) Stat() tree.Info { return a.info }

// ReadAt says that there is nothing to read: the answer to a token is that of
// its write.
func (a *afid) ReadAt(p []byte, off int64) (int, error) { return 0, nil }

// WriteAt takes "token TOKEN", in one write.
func (a *afid) WriteAt(p []byte, off int64) (int, error) {
	token, ok := strings.CutPrefix(strings.TrimSuffix(string(p[:min(len(p), maxToken+16)]), "\n"), "token ")
	if !ok || off != 0 || len(token) > maxToken {
		return 0, errAuthWrite // without what was written
	}
	c := a.conn
	c.mu.Lock()
	in := a.in
	c.mu.Unlock()
	if in {
		return 0, errAuthTwice
	}
	peer, err := c.login(a.uname, token)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a.peer, a.in = peer, true
	return len(p), nil
}

// Secret keeps tokens out of traces.
func (a *afid) Secret() {}

// Close ends the open.
func (a *afid) Close() error { return nil }

// attacher returns who attaches: the connection's peer, or whom a token makes
// of it.
func (c *conn) attacher(m *wire.Msg, name aname) (Peer, error) {
	token, inAname := name.login()
	switch {
	case (m.Afid != wire.NoFid || inAname) && !c.mayLogIn():
		return Peer{}, errNoAuth
	case m.Afid != wire.NoFid:
		return c.authenticated(m)
	case inAname:
		return c.login(m.Uname, token)
	case c.peer.LoginNeeded:
		return Peer{}, errLogin
	}
	return c.peer, permitted(c.peer)
}

// authenticated returns who has logged in on the afid of a Tattach, which has
// to be for the same user and tree (attach(5)).
func (c *conn) authenticated(m *wire.Msg) (Peer, error) {
	f := c.fids[m.Afid]
	if f == nil || f.afid == nil {
		return Peer{}, errNotAfid
	}
	if f.afid.uname != m.Uname || f.afid.aname != m.Aname {
		return Peer{}, errOtherAfid
	}
	c.mu.Lock()
	peer, in := f.afid.peer, f.afid.in
	c.mu.Unlock()
	if !in {
		return Peer{}, errLogin
	}
	return peer, permitted(peer)
}

// permitted refuses who may do nothing: what let it in is over. Asked after the
// connection is in the books as that peer's, it leaves no gap before Hangup.
func permitted(p Peer) error {
	if p.Rights != nil && p.Rights.Within("") == tree.LevelNone {
		return errLogin
	}
	return nil
}

// login makes a peer of who brings a token. It may wait for Server.Login, and
// for other logins of the connection.
func (c *conn) login(uname, token string) (Peer, error) {
	c.loggingIn.Lock()
	defer c.loggingIn.Unlock()
	sum := sha256.Sum256([]byte(token))
	c.mu.Lock()
	for _, l := range c.logins {
		if subtle.ConstantTimeCompare(l.token[:], sum[:]) == 1 {
			c.mu.Unlock()
			return l.peer, permitted(l.peer)
		}
	}
	c.mu.Unlock()
	p, err := c.srv.Login(c.peer, uname, token)
	if err != nil {
		return Peer{}, err
	}
	c.mu.Lock()
	c.logins = append(c.logins, login{sum, p})
	if c.user == "" || c.peer.LoginNeeded {
		c.user = p.User
	}
	c.mu.Unlock()
	return p, permitted(p)
}

// grantsLocked are the grants of everybody on the connection.
func (c *conn) grantsLocked() []string {
	grants := c.peer.Grants[:len(c.peer.Grants):len(c.peer.Grants)]
	for _, l := range c.logins {
		grants = append(grants, l.peer.Grants...)
	}
	return grants
}
