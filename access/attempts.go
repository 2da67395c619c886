package access

import (
	"net/netip"
	"strings"
	"time"
)

const (
	maxWrong  = 10 // wrong tokens of one address within wrongSpan
	wrongSpan = time.Minute

	maxAddrs = 16 << 10 // addresses in one of the two tables of attempts
)

const localPrefix = "user "

// Local is the address of a user of this machine, whoever else tries from there.
func Local(user string) string { return localPrefix + user }

// An attempts counts the wrong tokens that addresses have brought. It has two
// tables, so that what is old goes without a look at each: every minute, or
// when the new one is full, that takes the place of the old one. Who has tried
// lately is in one of them, unless many thousands have tried since.
type attempts struct {
	now, before map[string]*wrongs // by network
	turned      time.Time          // when the tables changed places
}

// wrongs are the times of the last wrong tokens, a ring.
type wrongs struct {
	at   [maxWrong]time.Time
	next int
}

// blocked reports whether addr has tried so often that it is not listened to.
func (a *attempts) blocked(addr string, now time.Time) bool {
	w := a.find(network(addr), now)
	if w == nil {
		return false
	}
	oldest := w.at[w.next]
	return !oldest.IsZero() && now.Sub(oldest) < wrongSpan
}

// wrong notes a wrong token.
func (a *attempts) wrong(addr string, now time.Time) {
	key := network(addr)
	w := a.find(key, now)
	if w == nil {
		w = new(wrongs)
		a.put(key, w, now)
	}
	w.at[w.next] = now
	w.next = (w.next + 1) % maxWrong
}

// find returns what is known of a network, which is not old then.
func (a *attempts) find(key string, now time.Time) *wrongs {
	w := a.now[key]
	if w == nil {
		if w = a.before[key]; w != nil {
			a.put(key, w, now)
		}
	}
	return w
}

func (a *attempts) put(key string, w *wrongs, now time.Time) {
	if a.now == nil || len(a.now) >= maxAddrs || now.Sub(a.turned) >= wrongSpan {
		a.now, a.before = map[string]*wrongs{}, a.now
		a.turned = now
	}
	a.now[key] = w
}

// network is what counts as one address: a user of this machine, as Local has
// it; else the host without its port, of IPv6 the /64 that one host has to
// itself. What is none of these is on this machine, and counts as one.
func network(addr string) string {
	if strings.HasPrefix(addr, localPrefix) {
		return addr
	}
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
