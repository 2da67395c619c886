package mount

import (
	"context"
	"crypto/rand"
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hubfs/client"
)

// nameMax is how long a name may be.
const nameMax = 255

// A folder is a directory. It stays the same node to the kernel as long as its
// parent has it under its name, for processes work in it.
type folder struct {
	fs.Inode
	t *tree
}

var (
	_ fs.NodeLookuper  = (*folder)(nil)
	_ fs.NodeReaddirer = (*folder)(nil)
	_ fs.NodeGetattrer = (*folder)(nil)
	_ fs.NodeSetattrer = (*folder)(nil)
	_ fs.NodeCreater   = (*folder)(nil)
	_ fs.NodeMkdirer   = (*folder)(nil)
	_ fs.NodeUnlinker  = (*folder)(nil)
	_ fs.NodeRmdirer   = (*folder)(nil)
	_ fs.NodeRenamer   = (*folder)(nil)
	_ fs.NodeStatfser  = (*folder)(nil)
	_ fs.NodeAccesser  = (*folder)(nil)
)

// path is the way to the folder from the root. Of one that has no place any
// more it is one that leads nowhere.
func (d *folder) path() string { return d.Path(d.Root()) }

// at is the way to the child called name.
func (d *folder) at(name string) string { return path.Join(d.path(), name) }

// Lookup finds a child. A file is a new node each time, since the kernel has one
// writer of a node at a time, and one that waits would make all others wait,
// beyond the reach of any signal.
func (d *folder) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	at := d.at(name)
	info, err := d.t.c.Stat(ctx, at)
	if err != nil {
		return nil, d.t.errno("look up", at, err)
	}
	d.t.describe(&out.Attr, info)
	if info.IsDir() {
		if was := d.GetChild(name); was != nil && was.IsDir() && was.StableAttr().Ino == number(info.Path) {
			return was, 0
		}
	}
	return d.child(ctx, name, info), 0
}

// child is a new node for the child called name.
func (d *folder) child(ctx context.Context, name string, info client.Info) *fs.Inode {
	var node fs.InodeEmbedder
	if info.IsDir() {
		node = &folder{t: d.t}
	} else {
		node = &file{t: d.t, dir: d, name: name, length: info.Length}
	}
	return d.NewInode(ctx, node, d.t.identity(info))
}

// Readdir lists the folder, in the server's order.
func (d *folder) Readdir(ctx context.Context) (fs.DirStream, syscall.Errno) {
	at := d.path()
	infos, err := d.t.c.ReadDir(ctx, at)
	if err != nil {
		return nil, d.t.errno("list", at, err)
	}
	list := make([]fuse.DirEntry, 0, len(infos)+2)
	list = append(list, fuse.DirEntry{Name: ".", Mode: syscall.S_IFDIR}, fuse.DirEntry{Name: "..", Mode: syscall.S_IFDIR})
	for _, i := range infos {
		if !named(i.Name) {
			continue // the kernel would refuse the whole list
		}
		list = append(list, fuse.DirEntry{Name: i.Name, Mode: kind(i), Ino: number(i.Path)})
	}
	return fs.NewListDirStream(list), 0
}

// named reports whether a name that a server has given can be one here.
func named(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= nameMax && !strings.ContainsAny(name, "/\x00")
}

// Getattr describes the folder.
func (d *folder) Getattr(ctx context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return d.t.stat(ctx, d.path(), out)
}

// Setattr changes the folder's description.
func (d *folder) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	return d.t.change(ctx, d.path(), in, out)
}

// Create makes a file and opens it. Somebody may have made it since the kernel
// looked; then it is opened, unless it is to be new.
func (d *folder) Create(ctx context.Context, name string, flags, perm uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	at := d.at(name)
	f, err := d.t.c.Create(ctx, at, perm&0o777, access(flags))
	if errors.Is(err, client.ErrExist) && flags&syscall.O_EXCL == 0 {
		f, err = d.t.c.Open(ctx, at, openMode(flags))
	}
	if err != nil {
		return nil, nil, 0, d.t.errno("create", at, err)
	}
	info, err := f.Stat(ctx)
	if err != nil {
		f.Close()
		return nil, nil, 0, d.t.errno("create", at, err)
	}
	d.t.describe(&out.Attr, info)
	h := d.t.newHandle(f, at, flags, info.Length)
	return d.child(ctx, name, info), h, h.flags(), 0
}

// Mkdir makes a folder.
func (d *folder) Mkdir(ctx context.Context, name string, perm uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	at := d.at(name)
	err := d.t.c.Mkdir(ctx, at, perm&0o777)
	var info client.Info
	if err == nil {
		info, err = d.t.c.Stat(ctx, at)
	}
	if err != nil {
		return nil, d.t.errno("mkdir", at, err)
	}
	d.t.describe(&out.Attr, info)
	return d.child(ctx, name, info), 0
}

// Unlink removes a file.
func (d *folder) Unlink(ctx context.Context, name string) syscall.Errno {
	return d.t.errno("remove", d.at(name), d.t.c.Remove(ctx, d.at(name)))
}

// Rmdir removes a folder.
func (d *folder) Rmdir(ctx context.Context, name string) syscall.Errno { return d.Unlink(ctx, name) }

// Rename changes a name, which in 9P stays in its folder. EXDEV would make mv(1)
// copy, and a stream has no end.
func (d *folder) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	const noReplace = 1
	switch dest, ok := to.(*folder); {
	case flags&^noReplace != 0:
		return syscall.EINVAL
	case !ok || dest != d:
		return syscall.ENOTSUP
	}
	at := d.at(name)
	err := d.t.rename(ctx, at, newName)
	if errors.Is(err, client.ErrExist) && flags&noReplace == 0 {
		err = d.replace(ctx, name, newName)
	}
	return d.t.errno("rename", at, err)
}

// replace is rename(2) onto a name that there is: 9P has no such thing. What is
// replaced goes only when it is sure that the other may have its name.
func (d *folder) replace(ctx context.Context, name, newName string) error {
	aside := ".mv-" + rand.Text()
	if err := d.t.rename(ctx, d.at(name), aside); err != nil {
		return err
	}
	// From here on it is seen to its end, whoever sends a signal.
	ctx = context.WithoutCancel(ctx)
	err := d.t.c.Remove(ctx, d.at(newName))
	if err == nil {
		err = d.t.rename(ctx, d.at(aside), newName)
	}
	if err != nil {
		return errors.Join(err, d.t.rename(ctx, d.at(aside), name))
	}
	return nil
}

// Statfs says how long names may be: of room nothing is known.
func (d *folder) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.NameLen, out.Bsize, out.Frsize = nameMax, 4096, 4096
	return 0
}

// Access leaves it to the server, which decides when a file is opened. The
// kernel does not ask again.
func (d *folder) Access(context.Context, uint32) syscall.Errno { return syscall.ENOSYS }
