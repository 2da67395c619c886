package daemon

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"hubfs/access"
	"hubfs/p9"
	"hubfs/transport"
	"hubfs/tree"
)

// NoAccess is the value of Config.Access for a server that forgets its grants
// when it ends.
const NoAccess = "none"

// accessFile is where a server keeps its grants, "" if in memory alone. A server
// of the user's own, which has a NAME, has a file for each NAME; for others the
// flag says where.
func accessFile(a transport.Addr, flag string) (string, error) {
	switch {
	case flag == NoAccess || flag == "" && !a.Local():
		return "", nil
	case flag != "":
		return filepath.Abs(flag)
	}
	dir, err := transport.KeyDir()
	if err != nil {
		return "", nil // a user without a home can say where
	}
	return filepath.Join(dir, "access", a.String()+".json"), nil
}

// openAccess reads the grants, and has connections cut whose grants end. The
// server that had the name before may have the file still.
func (s *server) openAccess() error {
	file, err := accessFile(s.cfg.Addr, s.cfg.Access)
	if err != nil {
		return err
	}
	if s.access, err = access.Open(file, access.Options{Log: s.log, Wait: takeover}); err != nil {
		return err
	}
	s.access.Watch(func(ended []string) {
		s.p9.Hangup(func(c p9.ConnInfo) bool {
			return slices.ContainsFunc(c.Grants, func(id string) bool { return slices.Contains(ended, id) })
		})
	})
	s.p9.Login = s.login
	return nil
}

// A visitor is what a login has to know of a connection, and what came of it.
type visitor struct {
	key string // fingerprint of the key that the client has; "": none. Immutable.

	mu      sync.Mutex
	parties []*access.Party // guarded by mu; those that have logged in
}

// servePeer serves a connection of which it is known who made it.
func (s *server) servePeer(ctx context.Context, c io.ReadWriteCloser, p transport.Peer) error {
	v := &visitor{key: p.Key}
	defer v.end()
	return s.p9.ServeConn(ctx, c, s.identify(p, v))
}

// identify says who is at the other end of a connection: the user whose server
// this is, somebody who holds a grant, or nobody, who has to log in.
func (s *server) identify(t transport.Peer, v *visitor) p9.Peer {
	p := p9.Peer{User: t.User, Addr: t.Addr, Admin: t.Admin, Ref: v}
	if t.Admin {
		return p
	}
	var party *access.Party
	held := false
	switch {
	case t.Key != "":
		party, held = s.access.ByKey(t.Key)
	case t.User != "":
		party, held = s.access.ByUser(t.User)
	}
	if !held {
		p.LoginNeeded, p.Rights = true, nobody{}
		return p
	}
	p.User, p.Rights, p.Grants = party.User(), party, party.GrantIDs()
	return p
}

// login makes a guest of a peer that brings a token.
func (s *server) login(p p9.Peer, uname, token string) (p9.Peer, error) {
	v := p.Ref.(*visitor)
	addr := p.Addr
	if p.LoginNeeded && p.User != "" { // of this machine: he has attempts of his own
		addr = access.Local(p.User)
	}
	party, err := s.access.Login(addr, uname, v.key, token)
	if err != nil {
		s.spare.write(slog.LevelWarn, "login refused", "addr", p.Addr, "err", err)
		return p9.Peer{}, err
	}
	v.mu.Lock()
	v.parties = append(v.parties, party)
	v.mu.Unlock()
	return p9.Peer{User: party.User(), Addr: p.Addr, Rights: party, Grants: party.GrantIDs(), Ref: v}, nil
}

// end ends what the connection held for itself alone.
func (v *visitor) end() {
	v.mu.Lock()
	parties := v.parties
	v.parties = nil
	v.mu.Unlock()
	for _, p := range parties {
		p.End()
	}
}

// nobody has no rights.
type nobody struct{}

func (nobody) Level(string) tree.Level  { return tree.LevelNone }
func (nobody) Within(string) tree.Level { return tree.LevelNone }
