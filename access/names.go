package access

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	guestPrefix = "guest:"
	maxGuest    = 32   // characters of a guest's name
	maxNames    = 4096 // names that are remembered beside those that somebody bears
)

// GuestName returns what is left of a name that somebody gives himself when all
// has gone that a guest's name may not hold; "" if nothing is left.
func GuestName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return -1
	}, strings.TrimPrefix(s, guestPrefix))
	return s[:min(len(s), maxGuest)]
}

// isGuest reports whether a user is a guest's, in the only way it is written.
func isGuest(user string) bool {
	name, ok := strings.CutPrefix(user, guestPrefix)
	return ok && name != "" && name == GuestName(name)
}

// A bearer is who has borne a guest's name last: files may still belong to it.
type bearer struct {
	Name string    `json:"name"` // without guest:
	Of   string    `json:"of"`   // who: see bearerOf
	Last time.Time `json:"last"`
}

// bearerOf says to whom a name belongs: to a key, or, of those that show none,
// to the grant that named them.
func bearerOf(key, grant string) string {
	if key != "" {
		return "key:" + key
	}
	return "grant:" + grant
}

// fold makes names equal that look so.
func fold(name string) string { return strings.ToLower(name) }

// name gives a guest a name like the one it wants, which nobody else bears or
// has borne, and remembers it.
func (d *draft) name(want, of string) string {
	if want = GuestName(want); want == "" {
		want = "guest"
	}
	taken := map[string]bool{}
	for _, b := range d.names {
		if b.Of != of {
			taken[fold(b.Name)] = true
		}
	}
	for _, g := range d.grants {
		if g.Kind == KindKey || g.Kind == KindToken {
			taken[fold(strings.TrimPrefix(g.User, guestPrefix))] = true
		}
	}
	name := want
	for n := 2; taken[fold(name)]; n++ {
		tail := "." + strconv.Itoa(n)
		name = want[:min(len(want), maxGuest-len(tail))] + tail
	}
	d.remember(name, of)
	return guestPrefix + name
}

// remember notes who bears a name; of too many that nobody bears now the one
// borne longest ago is forgotten.
func (d *draft) remember(name, of string) {
	d.names = slices.DeleteFunc(slices.Clone(d.names), func(b bearer) bool { return fold(b.Name) == fold(name) })
	d.names = append(d.names, bearer{name, of, d.now})
	for len(d.names) > maxNames {
		d.names = d.names[1:] // kept in the order of Last
	}
}
