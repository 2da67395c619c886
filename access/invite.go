package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"hubfs/tree"
)

// An Invitation says what a link is to give, and to whom.
type Invitation struct {
	Role     Role
	Patterns []string
	For      time.Duration // until it expires, and what came of it; 0: not by itself
	Uses     int           // how often it can be used; 0: once
	As       string        // what guests are called; "": as they say
	Ask      bool          // view alone until somebody approves
	By       string        // who invites
	Parent   string        // the inviter's own grant, beyond which it does not go; "": none
}

const tokenSize = 16 // bytes

// Invite makes a link. The token is nowhere but in what it returns.
func (s *Store) Invite(in Invitation) (made Grant, token string, err error) {
	if in.For < 0 || in.For > maxLife {
		return Grant{}, "", invalid("a link for %v: expected a time, as 2h", in.For)
	}
	if in.Uses == 0 {
		in.Uses = 1
	}
	if in.Uses < 0 || in.Uses > MaxUses {
		return Grant{}, "", invalid("%d uses: expected 1 to %d", in.Uses, MaxUses)
	}
	g := grant{Grant: Grant{
		Parent: in.Parent, Kind: KindLink, Role: in.Role, Patterns: in.Patterns,
		Uses: in.Uses, Ask: in.Ask, By: in.By,
	}}
	if in.As != "" {
		name := GuestName(in.As)
		if name == "" {
			return Grant{}, "", invalid("name %.40q: expected letters, digits, . _ or -", in.As)
		}
		g.User = guestPrefix + name
	}
	b := make([]byte, tokenSize)
	rand.Read(b) // never fails
	token = base64.RawURLEncoding.EncodeToString(b)
	hash := sha256.Sum256([]byte(token))
	g.hash = hash[:]
	made, err = s.add(g, in.For)
	if err != nil {
		return Grant{}, "", fmt.Errorf("invite: %w", err)
	}
	return made, token, nil
}

// Grant gives a role to a local user or to a key, as g's Kind says. ID and Made
// are set here, and the name of a key's holder if it has one already.
func (s *Store) Grant(g Grant) (Grant, error) {
	if g.Kind != KindUser && g.Kind != KindKey {
		return Grant{}, invalid("grant of kind %.40q: expected user or key", g.Kind)
	}
	made, err := s.add(grant{Grant: g}, 0)
	if err != nil {
		return Grant{}, fmt.Errorf("grant: %w", err)
	}
	return made, nil
}

// add enters a new grant. A life of 0 leaves its end as it is.
func (s *Store) add(g grant, life time.Duration) (made Grant, err error) {
	g.Patterns = slices.Clone(g.Patterns)
	err = s.change(false, func(d *draft) error {
		if life > 0 {
			g.Expires = d.now.Add(life)
		}
		if !g.Expires.IsZero() && !g.Expires.After(d.now) {
			return invalid("it would end before it begins")
		}
		if g.Kind == KindKey && isFingerprint(g.Key) {
			g.User = d.keyName(g.Key, g.User)
		}
		if g.Parent != "" {
			if err := d.within(&g); err != nil {
				return err
			}
			if err := d.strange(&g); err != nil {
				return err
			}
		}
		made, err = d.add(&g)
		return err
	})
	return made, err
}

// within bounds a grant by its parent's role and end. Whether its patterns stay
// within the parent's is for the caller to see to, who knows the things.
func (d *draft) within(g *grant) error {
	p := d.find(g.Parent)
	if p == nil || p.ended(d.now) {
		return fmt.Errorf("grant %.20q has ended: %w", g.Parent, tree.ErrPermission)
	}
	if p.Asks() || p.Role.Level() < g.Role.Level() {
		return fmt.Errorf("a role of %s where grant %s has less: %w", g.Role, p.ID, tree.ErrPermission)
	}
	if !p.Expires.IsZero() && (g.Expires.IsZero() || g.Expires.After(p.Expires)) {
		g.Expires = p.Expires
	}
	return nil
}

// strange says whether a guest may give a user or a key something. Who has come
// by others is not cut because a guest gives him something and takes it back.
func (d *draft) strange(g *grant) error {
	if g.Kind == KindLink || d.find(g.Parent).Covers("") {
		return nil
	}
	of := map[string]bool{g.Parent: true} // parents come before children
	for _, o := range d.grants {
		of[o.ID] = of[o.ID] || of[o.Parent]
		if o.Kind == g.Kind && o.Key == g.Key && (g.Key != "" || o.User == g.User) && !of[o.ID] {
			return fmt.Errorf("that %s holds grants of others, who may give more: %w", g.Kind, tree.ErrPermission)
		}
	}
	return nil
}

// keyName is what the holder of a key is called.
func (d *draft) keyName(key, want string) string {
	for _, g := range d.grants {
		if g.Kind == KindKey && g.Key == key {
			return g.User
		}
	}
	of := bearerOf(key, "")
	for _, b := range d.names {
		if b.Of == of {
			want = b.Name // files may belong to it
		}
	}
	return d.name(want, of)
}
