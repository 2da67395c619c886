package access

// An Event is what has become of a grant.
type Event struct {
	What  string // see below
	Grant Grant  // as it is now, or was before its end
}

// What events tell.
const (
	EventNew     = "new"     // somebody has made it
	EventUse     = "use"     // it came of a link that was used
	EventApprove = "approve" // it asked, and is approved
	EventEnd     = "end"     // revoked, expired, or over with its connection
)

// Follow has f called with what has become of grants, in the goroutine that
// changed them and with no lock held. Changes of several goroutines may come in
// another order than they happened in.
func (s *Store) Follow(f func([]Event)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.watchers = append(s.watchers, f)
}

// Watch is Follow for whom only the IDs of those that have ended matter.
func (s *Store) Watch(f func(ended []string)) {
	s.Follow(func(events []Event) {
		var ended []string
		for _, e := range events {
			if e.What == EventEnd {
				ended = append(ended, e.Grant.ID)
			}
		}
		if len(ended) > 0 {
			f(ended)
		}
	})
}

// events says what has changed between two states, ends first.
func events(was, is *state) []Event {
	var out []Event
	for _, g := range was.grants {
		if is.byID[g.ID] == nil {
			out = append(out, Event{EventEnd, g.copy()})
		}
	}
	for _, g := range is.grants {
		switch before := was.byID[g.ID]; {
		case before == nil && g.ofLink(is):
			out = append(out, Event{EventUse, g.copy()})
		case before == nil:
			out = append(out, Event{EventNew, g.copy()})
		case g.Approved && !before.Approved:
			out = append(out, Event{EventApprove, g.copy()})
		}
	}
	return out
}

// ofLink reports whether a grant came of a link.
func (g *grant) ofLink(st *state) bool {
	p := st.byID[g.Parent]
	return p != nil && p.Kind == KindLink
}
