package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hubfs/client"
)

// A file is one lookup of a file.
type file struct {
	fs.Inode
	t      *tree
	dir    *folder
	name   string
	length int64 // as it was when it was looked up
}

var (
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeAccesser  = (*file)(nil)
)

func (f *file) path() string { return f.dir.at(f.name) }

// Getattr describes the file. One that is open is described as the open one,
// whatever has its name by now.
func (f *file) Getattr(ctx context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if h, ok := h.(*handle); ok {
		info, err := h.f.Stat(ctx)
		if err != nil {
			return f.t.errno("stat", h.path, err)
		}
		f.t.describe(&out.Attr, info)
		return 0
	}
	return f.t.stat(ctx, f.path(), out)
}

// Setattr changes the file's description.
func (f *file) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return f.t.change(ctx, f.path(), in, out)
}

// Open opens the file.
func (f *file) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	at := f.path()
	c, err := f.t.c.Open(ctx, at, openMode(flags))
	if err != nil {
		return nil, 0, f.t.errno("open", at, err)
	}
	length := f.length
	if flags&syscall.O_TRUNC != 0 {
		length = 0
	}
	h := f.t.newHandle(c, at, flags, length)
	return h, h.flags(), 0
}

// Fsync has nothing to do: what a write has answered the server has.
func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return 0 }

// Access leaves it to the server.
func (f *file) Access(context.Context, uint32) syscall.Errno { return syscall.ENOSYS }

// access is the mode of 9P for what an open wants to do.
func access(flags uint32) uint8 {
	switch flags & syscall.O_ACCMODE {
	case syscall.O_WRONLY:
		return client.OWRITE
	case syscall.O_RDWR:
		return client.ORDWR
	}
	return client.OREAD
}

func openMode(flags uint32) uint8 {
	if flags&syscall.O_TRUNC != 0 {
		return access(flags) | client.OTRUNC
	}
	return access(flags)
}
