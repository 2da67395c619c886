package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hubfs/tree"
)

// keyLife is how long a key holds a role that a link gave without an end.
const keyLife = 30 * 24 * time.Hour

var (
	// ErrToken is what a token that lets nobody in gets, whatever the reason.
	ErrToken = fmt.Errorf("%w: the token is wrong, used up, expired or revoked", tree.ErrPermission)

	// ErrAttempts is what an address gets that has brought too many of them.
	ErrAttempts = fmt.Errorf("%w: too many attempts, wait a minute", tree.ErrPermission)
)

// Login lets in who brings a link's token from addr. If it shows a key, that
// holds the role from now on, until the link expires, or for 30 days; bringing
// the token once more is the same login, and uses nothing up. Without a key the
// role is this connection's, and the Party has to be told of its End. uname is
// what a guest calls itself, where the link does not say.
func (s *Store) Login(addr, uname, key, token string) (*Party, error) {
	if key != "" && !isFingerprint(key) {
		return nil, invalid("key %.60q: expected a fingerprint, 43 characters of base64url", key)
	}
	link, err := s.try(addr, token)
	if err != nil {
		return nil, err
	}
	p := &Party{store: s}
	err = s.change(false, func(d *draft) error { return d.redeem(p, link, uname, key) })
	if err != nil {
		if errors.Is(err, ErrToken) {
			s.wrong(addr)
		}
		return nil, err
	}
	s.log.Info("access: login", "user", p.user, "addr", addr, "grant", link)
	return p, nil
}

// try looks for the link with a token, unless addr has tried too often.
func (s *Store) try(addr, token string) (link string, err error) {
	hash := sha256.Sum256([]byte(token))
	s.tries.Lock()
	defer s.tries.Unlock()
	now := time.Now()
	if s.attempts.blocked(addr, now) {
		return "", ErrAttempts
	}
	// Every hash is looked at, and all of it: how long this takes says
	// nothing of what is there.
	for _, g := range s.state.Load().grants {
		if g.Kind == KindLink && subtle.ConstantTimeCompare(g.hash, hash[:]) == 1 {
			link = g.ID
		}
	}
	if link == "" {
		s.attempts.wrong(addr, now)
		return "", ErrToken
	}
	return link, nil
}

// wrong counts a token that was right and is not any more.
func (s *Store) wrong(addr string) {
	s.tries.Lock()
	defer s.tries.Unlock()
	s.attempts.wrong(addr, time.Now())
}

// redeem exchanges a use of a link for a grant of the party's own.
func (d *draft) redeem(p *Party, id, uname, key string) error {
	link := d.find(id)
	if link == nil || link.ended(d.now) {
		return ErrToken
	}
	if key != "" {
		for _, g := range d.grants {
			if g.Kind == KindKey && g.Key == key && g.Parent == id && !g.ended(d.now) {
				p.hold(&d.state, g.User, key)
				return nil
			}
		}
	}
	if link.Uses == 0 {
		return ErrToken
	}
	less := *link
	less.Uses--
	d.replace(&less)

	g := grant{Grant: Grant{
		Parent: id, Kind: KindToken, Role: link.Role, Patterns: link.Patterns,
		Expires: link.Expires, Ask: link.Ask, By: link.By,
	}}
	// Who is not named by the owner but by himself is another one each time.
	want, of := uname, bearerOf("", strconv.FormatUint(d.last+1, 10))
	if link.User != "" {
		want, of = link.User, bearerOf("", id)
	}
	if key != "" {
		g.Kind, g.Key = KindKey, key
		if g.Expires.IsZero() {
			g.Expires = d.now.Add(keyLife)
		}
		g.User = d.keyName(key, want)
	} else {
		g.User = d.name(want, of)
	}
	made, err := d.add(&g)
	if err != nil {
		return err
	}
	if key == "" {
		p.user, p.ids, p.token = made.User, []string{made.ID}, made.ID
		return nil
	}
	p.hold(&d.state, made.User, key)
	return nil
}

// hold gives a party all grants of its key.
func (p *Party) hold(st *state, user, key string) {
	p.user = user
	for _, g := range st.grants {
		if g.Kind == KindKey && g.Key == key {
			p.ids = append(p.ids, g.ID)
		}
	}
}

// ByKey returns the party of who has shown to have a key, if that holds a
// grant.
func (s *Store) ByKey(key string) (*Party, bool) {
	return s.by(func(g *grant) bool { return g.Kind == KindKey && g.Key == key })
}

// ByUser returns the party of a local user, if it holds a grant.
func (s *Store) ByUser(name string) (*Party, bool) {
	return s.by(func(g *grant) bool { return g.Kind == KindUser && g.User == name })
}

func (s *Store) by(holds func(*grant) bool) (*Party, bool) {
	p, now := &Party{store: s}, time.Now()
	for _, g := range s.state.Load().grants {
		if holds(g) && !g.ended(now) {
			p.user = g.User
			p.ids = append(p.ids, g.ID)
		}
	}
	return p, len(p.ids) > 0
}
