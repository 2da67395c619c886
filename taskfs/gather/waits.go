package gather

import "hubfs/taskfs/ranks"

// Waits reports whether output of any of these tasks waits for Next.
func (r *Relay) Waits(set ranks.Set) bool { panic("not built yet") }
