package hubfs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hubfs/access"
	"hubfs/internal/lex"
	"hubfs/tree"
)

const (
	inviteUsage = "view|write|owner PATTERN... [for=TIME] [uses=N] [as=NAME] [ask]"
	grantUsage  = "user=NAME|key=FINGERPRINT view|write|owner PATTERN... [for=TIME] [as=NAME]"
)

// words are the commands of the file.
func (h *accessHandle) words() []lex.Word {
	return []lex.Word{
		lex.Command("invite", inviteUsage, "make a link; the answer is its ID and its token", 2, -1, h.invite),
		lex.Command("grant", grantUsage, "give a role to a user or a key; the answer is the grant's ID", 3, -1, h.grant),
		lex.Command("revoke", "ID", "end a grant and what came of it", 1, 1, func(args []string) error {
			return h.decide(args[0], func(g access.Grant) error { return h.store().Revoke(g.ID) })
		}),
		lex.Command("approve", "ID", "let somebody who asks do what he was invited to", 1, 1, func(args []string) error {
			return h.decide(args[0], func(g access.Grant) error { return h.f.fs.approve(g, true, h.c.User) })
		}),
		lex.Command("deny", "ID", "send somebody away who asks", 1, 1, func(args []string) error {
			return h.decide(args[0], func(g access.Grant) error { return h.f.fs.approve(g, false, h.c.User) })
		}),
	}
}

func (h *accessHandle) store() *access.Store { return h.f.fs.cfg.Access }

// A bid is what the words invite and grant ask for.
type bid struct {
	role     access.Role
	patterns []string
	life     time.Duration // 0: it does not end by itself
	uses     int           // 0: not said
	as       string
	ask      bool
}

// parseBid reads ROLE PATTERN... and the options behind it. The first word
// behind the role is a pattern, whatever it looks like.
func parseBid(args []string) (b bid, err error) {
	if b.role, err = access.ParseRole(args[0]); err != nil {
		return b, lex.Malformed("role %q", lex.Clip(args[0]))
	}
	for i, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		switch {
		case i > 0 && name == "for":
			if b.life, err = time.ParseDuration(value); err != nil || b.life <= 0 {
				return b, lex.Malformed("for=%s is not a time, as 2h or 30m", lex.Clip(value))
			}
		case i > 0 && name == "uses":
			if b.uses, err = strconv.Atoi(value); err != nil || b.uses < 1 {
				return b, lex.Malformed("uses=%s is not a number of 1 or more", lex.Clip(value))
			}
		case i > 0 && name == "as":
			if b.as = access.GuestName(value); b.as == "" {
				return b, lex.Malformed("as=%s: a name has letters, digits, . _ or -", lex.Clip(value))
			}
		case i > 0 && arg == "ask":
			b.ask = true
		default:
			if err := access.CheckPattern(arg); err != nil {
				return b, lex.Malformed("%v", err)
			}
			b.patterns = append(b.patterns, arg)
		}
	}
	return b, nil
}

// invite is the word: it makes a link.
func (h *accessHandle) invite(args []string) error {
	b, err := parseBid(args)
	if err != nil {
		return err
	}
	parent, err := h.f.fs.mayBid(h.c, b)
	if err != nil {
		return err
	}
	g, token, err := h.store().Invite(access.Invitation{
		Role: b.role, Patterns: b.patterns, For: b.life, Uses: b.uses, As: b.as, Ask: b.ask, By: h.c.User, Parent: parent,
	})
	if err != nil {
		return err
	}
	h.answer(g.ID, token)
	return nil
}

// grant is the word: it gives a role to a local user or to a key.
func (h *accessHandle) grant(args []string) error {
	what, who, _ := strings.Cut(args[0], "=")
	b, err := parseBid(args[1:])
	switch {
	case err != nil:
		return err
	case what != "user" && what != "key" || who == "":
		return lex.Malformed("%q is neither user=NAME nor key=FINGERPRINT", lex.Clip(args[0]))
	case b.ask || b.uses > 0, b.as != "" && what == "user":
		return lex.Malformed("uses, ask and as are for those who come with a link")
	}
	g := access.Grant{Kind: access.KindUser, Role: b.role, Patterns: b.patterns, User: who, By: h.c.User}
	if what == "key" {
		g.Kind, g.Key, g.User = access.KindKey, who, "guest:"+cmp.Or(b.as, "guest")
	}
	if b.life > 0 {
		g.Expires = time.Now().Add(b.life)
	}
	if g.Parent, err = h.f.fs.mayBid(h.c, b); err != nil {
		return err
	}
	if g, err = h.store().Grant(g); err != nil {
		return err
	}
	h.answer(g.ID)
	return nil
}

// decide does something to a grant, if that is c's.
func (h *accessHandle) decide(id string, do func(access.Grant) error) error {
	all := h.store().List()
	i := slices.IndexFunc(all, func(g access.Grant) bool { return g.ID == id })
	if i < 0 || !h.f.fs.mayGrant(h.c, all[i], all) {
		return fmt.Errorf("no grant %q: %w", lex.Clip(id), tree.ErrNotExist)
	}
	return do(all[i])
}

// mayBid says whether c may give a role to others, and of which of its own grants
// the new one comes: it ends with that. Who owns the server may give any. Who owns
// things on it may give for these, by their names, and no more than it holds.
func (fs *FS) mayBid(c *tree.Caller, b bid) (parent string, err error) {
	if c.Rights == nil {
		return "", nil
	}
	paths := []string{""}
	if !mayAll(c, tree.LevelOwn) {
		var ok bool
		if paths, ok = literals(b.patterns); !ok {
			return "", tree.ErrPermission
		}
	}
	for _, path := range paths {
		if fs.levelAt(c, path) < tree.LevelOwn || c.Level(path) < b.role.Level() {
			return "", tree.ErrPermission
		}
	}
	for _, g := range fs.cfg.Access.List() {
		lacks := func(path string) bool { return !g.Covers(path) }
		if isHeld(c, g.ID) && g.Role.Level() >= b.role.Level() && !g.Asks() && !slices.ContainsFunc(paths, lacks) {
			return g.ID, nil
		}
	}
	return "", tree.ErrPermission
}

// mayGrant reports whether c may see a grant, and end it: who owns the server,
// who made it or that which it came of, and who owns, by a grant, what it is for.
func (fs *FS) mayGrant(c *tree.Caller, g access.Grant, all []access.Grant) bool {
	if c.Rights == nil || mayAll(c, tree.LevelOwn) {
		return true
	}
	if paths, ok := literals(g.Patterns); ok &&
		!slices.ContainsFunc(paths, func(path string) bool { return c.Level(path) < tree.LevelOwn }) {
		return true
	}
	// Parents come before what came of them.
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].ID == g.Parent {
			if isHeld(c, g.Parent) {
				return true
			}
			g = all[i]
		}
	}
	return false
}

// isHeld reports whether c came in with a grant.
func isHeld(c *tree.Caller, id string) bool {
	p, ok := c.Rights.(interface{ GrantIDs() []string })
	return ok && slices.Contains(p.GrantIDs(), id)
}
