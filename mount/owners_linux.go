package mount

import (
	"os/user"
	"strconv"
	"sync"
)

// nobody is who owns what belongs to somebody that this machine does not know.
const nobody = 65534

// owners are the numbers of the names that a server knows users and groups by:
// those of this machine.
type owners struct {
	mu     sync.Mutex
	users  map[string]uint32 // guarded by mu
	groups map[string]uint32 // guarded by mu
}

func (o *owners) uid(name string) uint32 { return o.find(&o.users, name, lookupUser) }

// gid is the number of a group. A group that hubfs names after its one member
// is that user's.
func (o *owners) gid(name string) uint32 { return o.find(&o.groups, name, lookupGroup) }

func (o *owners) find(known *map[string]uint32, name string, lookup func(string) string) uint32 {
	o.mu.Lock()
	id, ok := (*known)[name]
	o.mu.Unlock()
	if ok {
		return id
	}
	id = nobody
	if n, err := strconv.ParseUint(lookup(name), 10, 32); err == nil {
		id = uint32(n)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if *known == nil || len(*known) > 10_000 { // a server may make up names
		*known = map[string]uint32{}
	}
	(*known)[name] = id
	return id
}

func lookupUser(name string) string {
	if u, err := user.Lookup(name); err == nil {
		return u.Uid
	}
	return name // which may be a number
}

func lookupGroup(name string) string {
	if g, err := user.LookupGroup(name); err == nil {
		return g.Gid
	}
	if u, err := user.Lookup(name); err == nil {
		return u.Gid
	}
	return name
}
