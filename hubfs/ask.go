package hubfs

import (
	"fmt"
	"slices"
	"time"

	"hubfs/access"
	"hubfs/internal/lex"
	"hubfs/tree"
)

// Consent: a guest whose grant asks may look on, and type when somebody who owns
// the shell has approved. Its attachment asks for that: it is ro until then, and
// the others hear of it.

// asking returns the grant with which c asks to type into the shell; "": none.
func (s *shell) asking(c *tree.Caller) (id string) {
	if s.fs.cfg.Access == nil {
		return ""
	}
	for _, g := range s.fs.cfg.Access.List() {
		if isHeld(c, g.ID) && g.Asks() && g.Covers(s.name) {
			return g.ID
		}
	}
	return ""
}

// askLocked has an attachment ask.
func (s *shell) askLocked(a *attachment, id string) {
	a.asks = id
	a.sayLocked("mode ask")
	to := audience{level: tree.LevelOwn, paths: []string{s.name}}
	s.fs.sayLocked(to, "access ask", id, a.user, s.name)
	for _, b := range s.attached {
		if b.write {
			b.hearLocked(a)
		}
	}
}

// askAgain is how often at most somebody is told of one who asks: who comes and
// goes without end fills nobody's terminal.
const askAgain = 10 * time.Second

// hearLocked tells an attachment, which may type, that another asks.
func (a *attachment) hearLocked(b *attachment) {
	now := time.Now()
	if last, ok := a.heard[b.asks]; ok && now.Sub(last) < askAgain {
		return
	}
	if a.heard == nil {
		a.heard = map[string]time.Time{}
	}
	a.heard[b.asks] = now
	a.sayLocked("asks " + lex.Fields(b.asks, b.user))
}

// questionsLocked tells an attachment who is asking.
func (s *shell) questionsLocked(a *attachment) {
	for _, b := range s.attached {
		if b.asks != "" && a.write {
			a.hearLocked(b)
		}
	}
}

// approve answers a grant that asks, and the attachments that do with it.
func (fs *FS) approve(g access.Grant, yes bool, by string) error {
	if !g.Asks() {
		return fmt.Errorf("grant %s does not ask: %w", g.ID, tree.ErrInvalid)
	}
	if !yes {
		// They are told why before they are cut, and hear it if they are quick.
		fs.eachAsking(g.ID, func(a *attachment) { fs.detachLocked(a, "denied by "+lex.Field(by)) })
		return fs.cfg.Access.Approve(g.ID, false)
	}
	if err := fs.cfg.Access.Approve(g.ID, true); err != nil {
		return err
	}
	fs.eachAsking(g.ID, func(a *attachment) {
		a.asks, a.write = "", true
		a.sayLocked("mode rw")
		a.s.voteLocked(a)
		a.s.settleSizeLocked()
		a.s.settleDriverLocked()
		a.s.questionsLocked(a)
	})
	return nil
}

// eachAsking does something to each attachment that asks with a grant.
func (fs *FS) eachAsking(id string, do func(*attachment)) {
	fs.mu.Lock()
	defer fs.unlockDone()
	for _, s := range fs.byName {
		for _, a := range slices.Clone(s.attached) {
			if a.asks == id {
				do(a)
			}
		}
	}
}
