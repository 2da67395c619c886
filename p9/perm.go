package p9

import "hubfs/tree"

// permFor returns the permissions that an open needs.
func permFor(mode uint8) uint32 {
	var want uint32
	switch mode & 3 {
	case tree.OpenRead:
		want = tree.PermRead
	case tree.OpenWrite:
		want = tree.PermWrite
	case tree.OpenRDWR:
		want = tree.PermRead | tree.PermWrite
	case tree.OpenExec:
		want = tree.PermExec
	}
	if mode&tree.OpenTrunc != 0 {
		want |= tree.PermWrite
	}
	return want
}
