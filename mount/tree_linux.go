package mount

import (
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hubfs/client"
)

// A tree is what the nodes of a mount share.
type tree struct {
	c          *client.Conn
	complaints complaints
	owners     owners
	nodes      atomic.Uint64 // counts nodes, for each to be another to the kernel
}

// identity says to the kernel what node this is: none that it knows. The number
// that people see is the server's.
func (t *tree) identity(i client.Info) fs.StableAttr {
	return fs.StableAttr{Mode: kind(i), Ino: number(i.Path), Gen: t.nodes.Add(1)}
}

// number is the inode number of a file, which go-fuse chooses where the server
// has one that it cannot take.
func number(qidPath uint64) uint64 {
	if qidPath == ^uint64(0) {
		return 0
	}
	return qidPath
}

func kind(i client.Info) uint32 {
	if i.IsDir() {
		return syscall.S_IFDIR
	}
	return syscall.S_IFREG
}

// describe fills in what stat(2) shows.
func (t *tree) describe(out *fuse.Attr, i client.Info) {
	out.Ino = number(i.Path)
	out.Mode = kind(i) | i.Mode&0o777
	out.Nlink = 1
	out.Owner.Uid = t.owners.uid(i.UID)
	out.Owner.Gid = t.owners.gid(i.GID)
	out.SetTimes(&i.Atime, &i.Mtime, &i.Mtime)
	out.Blksize = 128 << 10 // how much cat and Python read at a time
	if !i.IsDir() && i.Length > 0 {
		out.Size = uint64(i.Length)
		out.Blocks = (out.Size + 511) / 512
	}
}
