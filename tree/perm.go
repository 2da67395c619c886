package tree

// Permissions, as one digit of a mode has them.
const (
	PermRead  uint32 = 4
	PermWrite uint32 = 2
	PermExec  uint32 = 1
)

// Allows reports whether the mode bits of a node let a caller do all that perm
// says. As in Plan 9 the owner has the bits of owner, group and others
// together, and a group is the user of that name.
func (i Info) Allows(c *Caller, perm uint32) bool {
	have := i.Mode
	if c.User == i.GID {
		have |= i.Mode >> 3
	}
	if c.User == i.UID {
		have |= i.Mode >> 6
	}
	return have&perm == perm
}
