package taskfs

import (
	"hubfs/tree"
)

// A cloneFile is /remote/clone: each open makes a session and is one of its ctl.
type cloneFile struct {
	meta
	fs *FS
}

// Open makes a session.
func (f *cloneFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if err := mayRun(c); err != nil {
		return nil, err
	}
	sl, err := f.fs.clone(c)
	if err != nil {
		return nil, err
	}
	return newCtlHandle(sl, c, mode), nil
}
