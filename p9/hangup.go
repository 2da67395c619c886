package p9

import (
	"errors"
	"sync"
)

// errHangup is why a connection ended that somebody has cut.
var errHangup = errors.New("hung up by the server")

// Hangup cuts the connections for which cut is true, and returns how many these
// were. Of each no request is served any more and no reply goes out, whatever it
// waits for; it is over when its ServeConn returns. cut is called with no lock
// held.
func (s *Server) Hangup(cut func(ConnInfo) bool) int {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	n := 0
	var closing sync.WaitGroup
	for _, c := range conns {
		if !cut(c.info()) {
			continue
		}
		n++
		// Ends with the connection's Close, which may have a last word to say
		// to the peer; nobody waits for it behind somebody else's.
		closing.Go(func() { c.kill(errHangup) })
	}
	closing.Wait()
	return n
}
