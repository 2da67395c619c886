// Package mount shows the tree of a 9P server in a folder, through FUSE: what a
// client.Conn serves are files then for the shell, for Python and everything
// else. It needs no root where fusermount3 is installed.
//
//	m, err := mount.New(conn, "/home/rob/hub", mount.Options{Source: "default"})
//	<-m.Done() // unmounted
//
// One open of a file is one fid of the server, from open(2) to the last
// close(2), so that what belongs to an open (the place in a stream, the
// session of /remote/clone) belongs to the descriptor. The kernel keeps
// nothing: each name is looked up, each description asked for, each read and
// write a message to the server.
//
// A file without a length is a stream, as a live hub is: offsets have no effect,
// and a descriptor that is open for reading and writing has none (lseek fails),
// so that its reads and writes go on at the same time. A file with a length has
// offsets, and so have ctl and clone, for Python's open(name, "r+") wants to
// seek; NAME@, where the offset says which bytes of the stream are wanted; and
// what is in a folder called fs.
//
// # Ordering
//
// The reads of one descriptor are answered in their order, and so are its
// writes. A write of at most 1 MiB goes to the server whole, or as much as fits into
// one of its messages. The kernel tells of the last close(2) after that has
// returned, so that the server may hear of it a moment later than somebody who
// was told by the process that closed.
//
// # Blocking
//
// A read returns at once with what there is, else it waits, as a write to a hub
// that waits for its readers does. Nothing else waits for it: each lookup of a
// file makes an inode of its own in the kernel, which holds a lock of the inode
// while it writes. A signal ends the wait, with EINTR if the process handles
// it. Bytes that the server had taken from a stream for that read are returned
// by the next one of that descriptor; a write says how much of it was taken.
//
// # Ownership
//
// The Conn stays the caller's. When it ends the mount is still there, and
// everything in it fails with ENOTCONN, until Close. The mount goes with the
// process, also if that is killed: another, which does no more, sees to it.
//
// The server decides who may do what, and decides it for whom the Conn is
// attached as; the kernel lets nobody else into the folder, not even root.
package mount

import "log/slog"

// Options say how to mount.
type Options struct {
	// Source is what df and /proc/mounts show as the device.
	Source string

	// Log gets the server's own words for what an errno cannot say. nil: nobody
	// hears them.
	Log *slog.Logger
}

// An Error is why something could not be mounted or unmounted.
type Error struct {
	Text string
	Hint string // what to do about it; may be empty
	Err  error  // what it came from; may be nil
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }
