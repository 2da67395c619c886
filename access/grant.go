package access

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hubfs/tree"
)

// A Role is what a grant allows; each holds those before it.
type Role string

// The roles.
const (
	View  Role = "view"  // read what is put out
	Write Role = "write" // type and write besides
	Owner Role = "owner" // end, remove and change besides, and let others in
)

// ParseRole reads a role.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.Level() != tree.LevelNone {
		return r, nil
	}
	return "", invalid("role %.40q: expected view, write or owner", s)
}

// Level is what the role allows, as the tree has it.
func (r Role) Level() tree.Level {
	switch r {
	case View:
		return tree.LevelView
	case Write:
		return tree.LevelWrite
	case Owner:
		return tree.LevelOwn
	}
	return tree.LevelNone
}

// Kinds of grants.
const (
	KindLink  = "link"  // for whoever brings its token
	KindKey   = "key"   // for the holder of a key
	KindUser  = "user"  // for a local user
	KindToken = "token" // for one connection, which brought a link's token and no key
)

// A Grant gives a role to somebody.
type Grant struct {
	ID       string    `json:"id"`               // never reused
	Parent   string    `json:"parent,omitempty"` // ID of the grant that it came of, and ends with; "": none
	Kind     string    `json:"kind"`
	Role     Role      `json:"role"`
	Patterns []string  `json:"patterns"`       // see CheckPattern
	User     string    `json:"user,omitempty"` // the local user, or guest:NAME; of a link "" if guests name themselves
	Key      string    `json:"key,omitempty"`  // fingerprint of the key: base64url of its SHA-256
	Made     time.Time `json:"made"`
	Expires  time.Time `json:"expires,omitzero"` // zero: not by itself
	Uses     int       `json:"uses,omitempty"`   // of a link: how often it can still be used
	Ask      bool      `json:"ask,omitempty"`    // view alone until approved
	Approved bool      `json:"approved,omitempty"`
	By       string    `json:"by,omitempty"` // who made it
}

// Asks reports whether somebody has to approve the grant until it is all that
// its role says.
func (g *Grant) Asks() bool {
	return g.Ask && !g.Approved && g.Kind != KindLink && g.Role != View
}

// ended reports whether a grant's time is over.
func (g *Grant) ended(now time.Time) bool {
	return !g.Expires.IsZero() && !now.Before(g.Expires)
}

// A grant is a Grant with what only the store needs. It is immutable.
type grant struct {
	Grant
	hash []byte // of a link: the SHA-256 of its token
}

// level is how much a grant allows at path now; within counts what may lie
// below.
func (g *grant) level(path string, within bool, now time.Time) tree.Level {
	if g.ended(now) || g.Kind == KindLink {
		return tree.LevelNone
	}
	l := g.Role.Level()
	if g.Asks() {
		l = min(l, tree.LevelView)
	}
	for _, p := range g.Patterns {
		if match(p, path) || within && matchPrefix(p, path) {
			return l
		}
	}
	return tree.LevelNone
}

// Limits of what one store holds, and one grant.
const (
	MaxGrants   = 4096
	MaxPatterns = 64
	MaxUses     = 1_000_000
	MaxGuests   = 256 // grants that come of that of one who does not own the server

	maxLife = 100 * 365 * 24 * time.Hour
)

// invalid is a tree.ErrInvalid with the reason.
func invalid(format string, v ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, v...), tree.ErrInvalid)
}

// check says what is wrong with a grant, made here or read from a file.
func (g *grant) check() error {
	if g.Role.Level() == tree.LevelNone {
		return invalid("role %.40q: expected view, write or owner", g.Role)
	}
	if n := len(g.Patterns); n < 1 || n > MaxPatterns {
		return invalid("%d patterns: expected 1 to %d", n, MaxPatterns)
	}
	for _, p := range g.Patterns {
		if err := CheckPattern(p); err != nil {
			return err
		}
	}
	if y := g.Expires.Year(); y < 1 || y > 9999 {
		return invalid("it would end in the year %d", y)
	}
	if len(g.By) > 255 || !printable(g.By) {
		return invalid("by %.40q is no name", g.By)
	}
	link, key := g.Kind == KindLink, g.Kind == KindKey
	switch g.Kind {
	case KindUser:
		if err := checkUser(g.User); err != nil {
			return err
		}
	case KindLink:
		if g.User != "" && !isGuest(g.User) {
			return invalid("%.40q is no guest's name", g.User)
		}
	case KindKey, KindToken:
		if !isGuest(g.User) {
			return invalid("%.40q is no guest's name", g.User)
		}
	default:
		return invalid("grant of kind %.40q: expected link, key, user or token", g.Kind)
	}
	switch {
	case key && !isFingerprint(g.Key):
		return invalid("key %.60q: expected a fingerprint, 43 characters of base64url", g.Key)
	case !key && g.Key != "":
		return invalid("a key in a grant of kind %s", g.Kind)
	case link && len(g.hash) != sha256.Size:
		return invalid("a link's hash of %d bytes", len(g.hash))
	case !link && (g.hash != nil || g.Uses != 0):
		return invalid("a token in a grant of kind %s", g.Kind)
	case g.Uses < 0 || g.Uses > MaxUses:
		return invalid("%d uses: expected 1 to %d", g.Uses, MaxUses)
	case link && g.Approved, g.Approved && !g.Ask:
		return invalid("approved, but nobody asks")
	}
	return nil
}

// checkUser refuses what cannot be the name of a local user: above all a colon,
// which guests have.
func checkUser(name string) error {
	if name == "" || len(name) > 255 || strings.Contains(name, ":") || !printable(name) {
		return invalid("user %.40q is no local user's name", name)
	}
	return nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isFingerprint reports whether s can be a key's fingerprint, in the only way
// in which it is written.
func isFingerprint(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == sha256.Size && !strings.ContainsAny(s, "\r\n")
}

// copy returns what others may see and change.
func (g *grant) copy() Grant {
	c := g.Grant
	c.Patterns = slices.Clone(g.Patterns)
	return c
}
