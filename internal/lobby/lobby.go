// Package lobby is where those wait who have not said yet who they are.
//
// There is room for so many, and for so many of one origin. Who comes when it is
// full takes the place of who has waited longest: of the same origin, if that has
// its share, else of all. Somebody who says who he is does that at once, so that
// a crowd that says nothing puts out itself and keeps nobody away, save that of
// two from one origin nobody can tell which means well.
package lobby

import (
	"net/netip"
	"slices"
	"sync"
)

// Limits say how much room there is.
type Limits struct {
	All  int // for everybody
	Each int // for one origin
}

// A Lobby holds those who wait. Its zero value is empty.
type Lobby struct {
	mu     sync.Mutex
	places []*Place // guarded by mu; who has waited longest first
}

// A Place is somebody's who waits.
type Place struct {
	lobby  *Lobby // immutable, as are the next two
	origin string
	out    func()
}

// Enter gives somebody a place, and puts somebody else out if there is none. Out
// is called, in a goroutine of its own, if that befalls who enters now; that he
// leaves is up to him.
func (l *Lobby) Enter(origin string, lim Limits, out func()) *Place {
	p := &Place{lobby: l, origin: origin, out: out}
	l.mu.Lock()
	defer l.mu.Unlock()
	mine, first := 0, -1
	for i, q := range l.places {
		if q.origin != origin {
			continue
		}
		if mine++; first < 0 {
			first = i
		}
	}
	switch {
	case mine >= max(lim.Each, 1):
		l.putOutLocked(first)
	case len(l.places) >= max(lim.All, 1):
		l.putOutLocked(0)
	}
	l.places = append(l.places, p)
	return p
}

func (l *Lobby) putOutLocked(i int) {
	go l.places[i].out() // ends when the peer's connection is closed, which may take its time
	l.places = slices.Delete(l.places, i, i+1)
}

// Leave gives the place back. Doing so again has no effect.
func (p *Place) Leave() {
	l := p.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.places, p); i >= 0 {
		l.places = slices.Delete(l.places, i, i+1)
	}
}

// Len is how many wait.
func (l *Lobby) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.places)
}

// Origin is what all connections from one place have in common, for an address
// as HOST:PORT: the host, or of IPv6 the network that one customer has, a /64.
// What is no such address is an origin of its own.
func Origin(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return addr
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	net, err := ip.Prefix(64)
	if err != nil { // cannot be: it has 128 bits
		return addr
	}
	return net.String()
}
