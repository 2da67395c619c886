package hubfs

import (
	"strings"

	"hubfs/internal/handles"
	"hubfs/tree"
)

// A rule says what it takes to do something with a thing, of a caller whose
// rights have bounds. Mode bits are asked besides.
type rule struct {
	path  string // what rights know it as; "": the server as a whole
	owner string // who made it; what may write to the thing owns it then
	below bool   // to have the level at anything below path will do

	see, read, write tree.Level

	also func(c *tree.Caller) bool // who else may all this, asked under fs.mu; nil: nobody
}

// guestShare is which part of what all may have together one guest may have: a
// caller whose rights have bounds.
const guestShare = 16

// guestMost is how much of most one guest may have, and at least one thing.
func guestMost(most, one int) int { return max(most/guestShare, one) }

// nobody is a level that none has.
const nobody = tree.LevelOwn + 1

// ruleLocked returns the rule of a node. This is the one place that says who
// may do what with which file; the words of ctl files say it themselves.
func ruleLocked(n tree.Node) rule {
	const view, write, own = tree.LevelView, tree.LevelWrite, tree.LevelOwn
	switch n := n.(type) {
	case *dir:
		return rule{path: strings.TrimSuffix(n.pathLocked(), "/"), owner: n.owner, below: true,
			see: view, read: view, write: nobody}
	case *hubFile:
		switch s := n.shell; {
		case n.session && n.input: // what is typed is for its tasks alone
			return rule{path: remoteName, owner: n.owner, see: own, read: own, write: own}
		case n.session:
			return rule{path: remoteName, owner: n.owner, see: view, read: view, write: own}
		case s == nil:
			return rule{path: n.pathLocked(), owner: n.owner, see: view, read: view, write: write}
		case n.input: // what is typed is for the shell alone
			return s.rule(write, own, write)
		default: // what a shell says nobody says for it
			return s.rule(view, view, own)
		}
	case *hubView:
		r := ruleLocked(n.f)
		if n.f.input && n.at.Kind == handles.Addressed { // which tells whether bytes are the same
			r.write = own
		}
		return r
	case standsFor:
		return ruleLocked(n.Stream())
	case *timesFile:
		r := ruleLocked(n.f)
		r.see, r.write = max(r.see, r.read), nobody
		return r
	case *noteFile:
		return n.shell.rule(write, nobody, write)
	case *inputFile:
		return n.shell.rule(write, nobody, write)
	case *shellDir:
		return n.shell.rule(view, view, nobody)
	case *shellCtl:
		return n.shell.rule(view, view, view)
	case *waitFile:
		return n.shell.rule(view, view, nobody)
	case *text:
		return n.rule
	case *remoteDir:
		return n.rule()
	case *shellsDir:
		return rule{below: true, see: view, read: view, write: nobody}
	case *eventsFile:
		return rule{owner: n.owner, below: true, see: view, read: view, write: nobody}
	case *ctlFile:
		return rule{below: true, see: write, read: write, write: write}
	case *accessFile:
		return rule{below: true, see: own, read: own, write: own, also: n.fs.ownsShellLocked}
	case *statsFile:
		return rule{see: view, read: view, write: view}
	}
	return rule{see: nobody, read: nobody, write: nobody}
}

// rule returns a rule for something of a shell.
func (s *shell) rule(see, read, write tree.Level) rule {
	return rule{path: s.name, owner: s.owner, see: see, read: read, write: write}
}

// level is how much c may do with the thing. What it made itself it owns, as
// soon as it may write to it.
func (r rule) level(c *tree.Caller) tree.Level {
	l := c.Level(r.path)
	if l == tree.LevelWrite && r.owner != "" && c.User == r.owner {
		return tree.LevelOwn
	}
	return l
}

// may reports whether c has a level for the thing, or, if that does, below it.
func (r rule) may(c *tree.Caller, need tree.Level) bool {
	if c.Rights == nil || r.level(c) >= need || r.also != nil && r.also(c) {
		return true
	}
	return r.below && c.Rights.Within(r.path) >= need
}

// mayOwnLocked reports whether c has an owner's rights to a node. Within bounds
// they are those of the level; without, it is who made the node, or runs as the
// server's own user, who could end the server anyway.
func mayOwnLocked(c *tree.Caller, n tree.Node) bool {
	r := ruleLocked(n)
	if c.Rights != nil {
		return r.level(c) == tree.LevelOwn
	}
	return c.Admin || c.User == r.owner
}

// ownsShellLocked reports whether c owns any shell.
func (fs *FS) ownsShellLocked(c *tree.Caller) bool {
	for _, s := range fs.byName {
		if s.rule(0, 0, 0).level(c) == tree.LevelOwn {
			return true
		}
	}
	return false
}

// mayAll reports whether c has a level for the server as a whole.
func mayAll(c *tree.Caller, need tree.Level) bool { return c.Level("") >= need }

// seesLocked reports whether a node is there for c.
func seesLocked(c *tree.Caller, n tree.Node) bool {
	if c == nil || c.Rights == nil { // nil: the server itself
		return true
	}
	r := ruleLocked(n)
	return r.may(c, r.see)
}

// checkLevel says whether c may do what takes a level for the thing at path,
// which need not be there.
func checkLevel(c *tree.Caller, path string, need tree.Level) error {
	if c == nil || c.Level(path) >= need {
		return nil
	}
	return tree.ErrPermission
}
