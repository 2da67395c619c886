package p9

import "hubfs/tree"

// Permissions, as one digit of a mode has them.
const (
	permRead  uint32 = 4
	permWrite uint32 = 2
	permExec  uint32 = 1
)

// allowed reports whether the mode bits of a node let a caller do what want
// says. As in Plan 9 the owner has the bits of owner, group and others
// together, and a group is the user of that name.
func allowed(c *tree.Caller, info tree.Info, want uint32) bool {
	have := info.Mode
	if c.User == info.GID {
		have |= info.Mode >> 3
	}
	if c.User == info.UID {
		have |= info.Mode >> 6
	}
	return have&want == want
}

// permFor returns the permissions that an open needs.
func permFor(mode uint8) uint32 {
	var want uint32
	switch mode & 3 {
	case tree.OpenRead:
		want = permRead
	case tree.OpenWrite:
		want = permWrite
	case tree.OpenRDWR:
		want = permRead | permWrite
	case tree.OpenExec:
		want = permExec
	}
	if mode&tree.OpenTrunc != 0 {
		want |= permWrite
	}
	return want
}
