package hubfs

import (
	"fmt"
	"strings"

	"hubfs/internal/handles"
	"hubfs/tree"
)

// A timesFile is NAME@times: when the bytes of a hub came. A line says that
// those before OFFSET were there at a time, OFFSET UNIX.mmm.
type timesFile struct {
	f    *hubFile
	name string
}

// Stat describes the file: who may read the hub may read it.
func (t *timesFile) Stat() tree.Info {
	info := t.f.Stat()
	info.Name = t.name
	info.Path += uint64(handles.Times)
	info.Mode &= 0o444
	info.Length = 0
	return info
}

// Open gives a handle for reading.
func (t *timesFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	if tree.Writable(mode) {
		return nil, tree.ErrPermission
	}
	return handles.NewText(c, t.content), nil
}

func (t *timesFile) content() string {
	var b strings.Builder
	for _, m := range t.f.hub.Moments() {
		fmt.Fprintf(&b, "%d %s\n", m.Offset, unixMilli(m.Time))
	}
	return b.String()
}
