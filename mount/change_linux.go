package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"hubfs/client"
)

// stat describes the file at path.
func (t *tree) stat(ctx context.Context, at string, out *fuse.AttrOut) syscall.Errno {
	info, err := t.c.Stat(ctx, at)
	if err != nil {
		return t.errno("stat", at, err)
	}
	t.describe(&out.Attr, info)
	return 0
}

// change changes what in asks for of the file at path. An owner stays who it is.
func (t *tree) change(ctx context.Context, at string, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	info, err := t.c.Stat(ctx, at)
	if err != nil {
		return t.errno("change", at, err)
	}
	if uid, ok := in.GetUID(); ok && uid != t.owners.uid(info.UID) {
		return syscall.EPERM
	}
	if gid, ok := in.GetGID(); ok && gid != t.owners.gid(info.GID) {
		return syscall.EPERM
	}
	if ch := wanted(in, info); ch != (client.Change{}) {
		if err := t.c.Wstat(ctx, at, ch); err != nil {
			return t.errno("change", at, err)
		}
	}
	return t.stat(ctx, at, out)
}

// wanted is what in asks for, in 9P's words.
func wanted(in *fuse.SetAttrIn, info client.Info) (ch client.Change) {
	if mode, ok := in.GetMode(); ok {
		mode = mode&0o777 | info.Mode&^0o777
		ch.Mode = &mode
	}
	if size, ok := in.GetSize(); ok {
		length := int64(size)
		ch.Length = &length
	}
	if t, ok := in.GetATime(); ok {
		ch.Atime = &t
	}
	if t, ok := in.GetMTime(); ok {
		ch.Mtime = &t
	}
	return ch
}

// rename gives the file at path another name in its folder.
func (t *tree) rename(ctx context.Context, at, name string) error {
	return t.c.Wstat(ctx, at, client.Change{Name: &name})
}
