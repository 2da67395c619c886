package access

import (
	"net/netip"
	"time"
)

const (
	maxWrong  = 10 // wrong tokens of one address within wrongSpan
	wrongSpan = time.Minute

	maxAddrs = 16 << 10 // addresses that are remembered
)

// An attempts counts the wrong tokens that addresses have brought.
type attempts struct {
	by map[string]*wrongs // by network
}

// wrongs are the times of the last wrong tokens, a ring.
type wrongs struct {
	at   [maxWrong]time.Time
	next int
}

// last is when the latest was.
func (w *wrongs) last() time.Time { return w.at[(w.next+maxWrong-1)%maxWrong] }

// blocked reports whether addr has tried so often that it is not listened to.
func (a *attempts) blocked(addr string, now time.Time) bool {
	w := a.by[network(addr)]
	if w == nil {
		return false
	}
	oldest := w.at[w.next]
	return !oldest.IsZero() && now.Sub(oldest) < wrongSpan
}

// wrong notes a wrong token.
func (a *attempts) wrong(addr string, now time.Time) {
	if a.by == nil {
		a.by = map[string]*wrongs{}
	}
	key := network(addr)
	w := a.by[key]
	if w == nil {
		a.room(now)
		w = new(wrongs)
		a.by[key] = w
	}
	w.at[w.next] = now
	w.next = (w.next + 1) % maxWrong
}

// room sees to it that one more address can be remembered. Those that have
// been quiet go, and if there is none, the one that has been quiet longest.
func (a *attempts) room(now time.Time) {
	if len(a.by) < maxAddrs {
		return
	}
	var quiet string
	for key, w := range a.by {
		if now.Sub(w.last()) >= wrongSpan {
			delete(a.by, key)
		} else if q := a.by[quiet]; q == nil || w.last().Before(q.last()) {
			quiet = key
		}
	}
	if len(a.by) >= maxAddrs {
		delete(a.by, quiet)
	}
}

// network is what counts as one address: the host without its port, of IPv6
// the /64 that one host has to itself. What is no such address is on this
// machine, and counts as one.
func network(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "local"
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(64) // an IPv6 address has 64 bits
	return p.String()
}
