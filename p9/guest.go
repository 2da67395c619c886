package p9

import (
	"fmt"
	"sync/atomic"

	"hubfs/tree"
)

// What a peer that has to log in gets until it has: enough to say a token, and
// to hear that it was wrong.
const (
	strangerMsize    = 4 << 10 // of a message; what was agreed on holds from the attach on
	strangerFids     = 4
	strangerRequests = 8
	strangerKept     = 8 << 10
	strangerReplies  = 16 << 10
)

// What a peer with bounds is charged for what the server holds for it, besides
// bytes: about what they cost.
const (
	connCost = 64 << 10
	fidCost  = 2 << 10
	jobCost  = 256
)

// overdrawn is how many bytes of replies a connection may have queued, and get
// with one, when its account is full: it goes on, slowly.
const overdrawn = 16 << 10

// An account is what the connections of one user with bounds have the server hold
// for them, so that all of them together have no more than Limits.Guest.
type account struct {
	limit int64
	used  atomic.Int64
	conns int // guarded by Server.mu

	// turns has a value for each goroutine that reads or writes a plain file: what
	// they make meanwhile nobody has counted yet.
	turns chan struct{}
}

// plainAtOnce is how many plain files one user with bounds reads or writes at a
// time.
const plainAtOnce = 4

// enter waits until fewer goroutines than plainAtOnce are at work for the user.
func (a *account) enter() {
	if a != nil {
		a.turns <- struct{}{}
	}
}

func (a *account) leave() {
	if a != nil {
		<-a.turns
	}
}

// hold is tree.Caller.Hold.
func (a *account) hold(n int) error {
	if err := a.afford(n); n > 0 && err != nil {
		return err
	}
	a.used.Add(int64(n))
	return nil
}

func (a *account) full() bool { return a != nil && a.used.Load() >= a.limit }

// charge adds to what is held. It returns what is to be taken off later.
func (a *account) charge(n int) (charged int) {
	if a == nil {
		return 0
	}
	a.used.Add(int64(n))
	return n
}

// credit takes off what charge has returned.
func (a *account) credit(n int) {
	if n != 0 {
		a.used.Add(-int64(n))
	}
}

// afford reports why a user cannot have more.
func (a *account) afford(n int) error {
	if a != nil && a.used.Load()+int64(n) > a.limit {
		return fmt.Errorf("too much is held for this user (%d bytes): %w", a.limit, tree.ErrLimit)
	}
	return nil
}

// openAccountLocked returns the account of a user, with a connection on it.
func (s *Server) openAccountLocked(user string, limit int) (*account, error) {
	a := s.accounts[user]
	if a == nil {
		a = &account{limit: int64(limit), turns: make(chan struct{}, plainAtOnce)}
	}
	if err := a.afford(connCost); err != nil {
		return nil, err
	}
	if s.accounts == nil {
		s.accounts = make(map[string]*account)
	}
	s.accounts[user] = a
	a.conns++
	a.charge(connCost)
	return a, nil
}

// closeAccountLocked takes a connection off an account.
func (s *Server) closeAccountLocked(user string, a *account) {
	a.credit(connCost)
	if a.conns--; a.conns == 0 {
		delete(s.accounts, user)
	}
}

// welcome ends what is asked of strangers: the connection's peer has attached as
// p. A connection that has an account keeps it, whoever else attaches.
func (c *conn) welcome(p Peer) error {
	if c.place == nil {
		return nil
	}
	var a *account
	if p.Rights != nil {
		c.srv.mu.Lock()
		var err error
		a, err = c.srv.openAccountLocked(p.User, c.lim.Guest)
		c.srv.mu.Unlock()
		if err != nil {
			return err
		}
		c.accountOf = p.User
	}
	c.place.Leave()
	c.place = nil
	if c.hello != nil {
		c.hello.Stop()
	}
	c.mu.Lock()
	c.stranger = false
	c.account = a
	c.in.most = c.msize
	c.mu.Unlock()
	c.tell(true)
	return nil
}

// repliesLocked is how many bytes of replies may be queued.
func (c *conn) repliesLocked() int {
	switch {
	case c.stranger:
		return strangerReplies
	case c.account.full():
		return overdrawn
	}
	return c.lim.Replies
}

// mostFids is how many fids the connection may have.
func (c *conn) mostFids() int {
	if c.place != nil {
		return min(strangerFids, c.lim.Fids)
	}
	return c.lim.Fids
}

// waitingLocked is how many requests of the connection may wait, and with how
// many bytes.
func (c *conn) waitingLocked() (requests, kept int) {
	if c.stranger {
		return strangerRequests, strangerKept
	}
	return c.lim.Requests, c.lim.Kept
}
