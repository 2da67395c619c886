package gather

import "hubfs/taskfs/ranks"

// Waits reports whether output of any of these tasks waits for Next.
func (r *Relay) Waits(set ranks.Set) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for rank := range set.All() {
		if rank < len(r.queue.at) && r.queue.at[rank].waiting() != nil {
			return true
		}
	}
	return false
}
