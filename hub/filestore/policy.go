package filestore

import "fmt"

// A Policy says when bytes are on disk, and not only with the system.
type Policy int

// Whatever the policy, bytes that are Stable outlive the process. What a crash
// of the machine may cost differs.
const (
	Second Policy = iota // a second of the stream, about
	Always               // nothing that is Stable
	Never                // whatever the system had not yet written by itself
)

var policies = [...]string{Second: "second", Always: "always", Never: "never"}

func (p Policy) String() string { return policies[p] }

// ParsePolicy returns the policy of that name.
func ParsePolicy(name string) (Policy, error) {
	for p, n := range policies {
		if n == name {
			return Policy(p), nil
		}
	}
	return 0, fmt.Errorf("unknown sync policy %q: always, second or never is meant", name)
}
