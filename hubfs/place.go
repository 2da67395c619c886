package hubfs

import (
	"hubfs/hub"
	"hubfs/internal/lex"
)

// The host of a shell reads NAME0 as anybody would, and may lose its connection,
// and with that its reader, at any time. What was typed must then stay for it,
// from where it stands, whoever else reads NAME0. So the server stands there
// for it while it does not: that is its place.

// newPlace returns a reader at an offset of the shell's stdin.
func (s *shell) newPlace(at int64) *hub.Reader {
	return s.stdin.hub.NewReader(hub.Addressed, hub.ReaderOptions{Label: lex.Fields(s.owner, "host "+s.name), At: at})
}

// isHost reports whether h is a reader of the host: of the connection on which
// it hosts, or did last.
func (h *hubHandle) isHost() bool {
	s := h.f.shell
	return s != nil && h.f.input && s.hosted && s.hostConn.Load() == h.conn
}

// takePlace is called when a reader of the host has taken its stand.
func (s *shell) takePlace() {
	s.fs.mu.Lock()
	place := s.place
	s.place = nil
	s.fs.mu.Unlock()
	if place != nil {
		place.Close()
	}
}

// keepPlace stands at an offset for the host, before its reader is closed or is
// its reader no more. Who has never read since the place was kept leaves it.
func (s *shell) keepPlace(at int64) {
	if !s.needsPlace(nil) {
		return
	}
	if place := s.newPlace(at); !s.needsPlace(place) {
		place.Close() // somebody was faster
	}
}

// needsPlace reports whether nobody stands at the host's place, and puts place
// there.
func (s *shell) needsPlace(place *hub.Reader) bool {
	s.fs.mu.Lock()
	defer s.fs.mu.Unlock()
	if s.place != nil || s.state == exited {
		return false
	}
	s.place = place
	return true
}
