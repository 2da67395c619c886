package access

import (
	"slices"
	"time"

	"hubfs/tree"
)

// A Party is who came in, with the grants that it held then. What these allow
// now is looked up at each question.
type Party struct {
	store *Store
	user  string
	ids   []string
	token string // ID of the grant that ends with the connection; "": none
}

var _ tree.Rights = (*Party)(nil)

// User is whom the server takes the party for: a local user, or guest:NAME.
func (p *Party) User() string { return p.user }

// GrantIDs are the grants that the party came in with. It is to be cut when one
// of them ends.
func (p *Party) GrantIDs() []string { return slices.Clone(p.ids) }

// Level is how much the party may do with the thing at path.
func (p *Party) Level(path string) tree.Level { return p.level(path, false) }

// Within is how much it may do with anything at path or below.
func (p *Party) Within(path string) tree.Level { return p.level(path, true) }

func (p *Party) level(path string, within bool) (l tree.Level) {
	st, now := p.store.state.Load(), time.Now()
	for _, id := range p.ids {
		if g := st.byID[id]; g != nil {
			l = max(l, g.level(path, within, now))
		}
	}
	return l
}

// Asks returns the grant with which the party asks to do more than view, if
// nobody has decided yet.
func (p *Party) Asks() (id string, ok bool) {
	st, now := p.store.state.Load(), time.Now()
	for _, id := range p.ids {
		if g := st.byID[id]; g != nil && g.Asks() && !g.ended(now) {
			return id, true
		}
	}
	return "", false
}

// End says that the party's connection is over: what it held for that
// connection alone ends.
func (p *Party) End() {
	if p.token != "" {
		p.store.endToken(p.token)
	}
}
