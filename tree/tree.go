// Package tree says what a served file is: what a 9P server needs to know of
// a file to serve it, and nothing of how it is served.
//
// A Node is a file or a directory. A Dir looks its children up; a File is
// opened and gives a Handle, which is one open of that file. What else a node
// or a handle can do it says by implementing the optional interfaces below:
// Creator, Remover, Changer for nodes; Reader, Writer, StreamReader,
// StreamWriter for handles.
//
// # Ordering
//
// The server calls the reading methods of one Handle one at a time, in the
// order in which the requests arrived, and its writing methods likewise. A
// read and a write of one Handle may run at the same time. Close is called
// once, after every other call on the Handle has returned, and after
// CancelRead and CancelWrite where something waited.
//
// # Blocking
//
// Stat, Lookup, List, Open, Create, Remove, Change, ReadStream and WriteStream
// run in the goroutine that reads a connection and must not block. ReadAt and
// WriteAt may take their time: they run in a goroutine of their own. What may
// wait for other people (a stream) must be a StreamReader or StreamWriter, so
// that waiting costs a record and not a goroutine, and can be withdrawn.
//
// # Ownership
//
// The bytes of a Piece handed out by ReadStream are shared and must not be
// changed by anybody; whoever was handed the Piece calls Free once when it is
// done with them. A Piece given to WriteStream passes to the callee, if it
// takes it, under the same rule.
package tree

import "time"

// Mode bits of a file, as in 9P's stat: the permissions are the low nine bits.
const (
	ModeDir       uint32 = 0x80000000 // a directory
	ModeAppend    uint32 = 0x40000000 // writes append, whatever their offset
	ModeExclusive uint32 = 0x20000000 // one open at a time
	ModePerm      uint32 = 0o777      // read, write, execute for owner, group, others
)

// Open modes, as in 9P's Topen: one access in the low two bits, and flags.
const (
	OpenRead   uint8 = 0    // OREAD
	OpenWrite  uint8 = 1    // OWRITE
	OpenRDWR   uint8 = 2    // ORDWR
	OpenExec   uint8 = 3    // OEXEC: read, but permission x is asked
	OpenTrunc  uint8 = 0x10 // OTRUNC
	OpenRClose uint8 = 0x40 // ORCLOSE: remove on close; the server does it
)

// Readable reports whether an open with this mode may read.
func Readable(mode uint8) bool { return mode&3 != OpenWrite }

// Writable reports whether an open with this mode may write.
func Writable(mode uint8) bool { return mode&3 == OpenWrite || mode&3 == OpenRDWR }

// Info describes a node, as 9P's stat does.
type Info struct {
	Name    string    // last element of the path; "/" for the root
	Path    uint64    // qid.path: never 0, never reused; the same for the same file
	Version uint32    // qid.vers: 0 for what must not be cached
	Mode    uint32    // ModeDir, ModeAppend, ModeExclusive and the permissions
	Length  int64     // bytes; 0 for directories and live streams
	Atime   time.Time // last read
	Mtime   time.Time // last change
	UID     string    // owner
	GID     string    // group
	MUID    string    // who changed it last
}

// IsDir reports whether the node is a directory.
func (i Info) IsDir() bool { return i.Mode&ModeDir != 0 }

// A Caller is who asks: one attach of one connection. It is never nil.
type Caller struct {
	User  string // whom the server takes the peer for
	Addr  string // where the peer is, for people to read: "unix uid 1000 pid 77"
	Aname string // what the peer asked to attach to, "" for the usual tree
	Conn  uint64 // number of the connection, never reused
	Admin bool   // the peer runs as the server's own user

	// Rights bound what the caller may do, before any mode bits are asked; nil
	// sets no bounds.
	Rights Rights

	// Hold says that the server holds n bytes more for the caller until it says
	// so with -n. It is an error, and none are held, if that is too much; n < 0
	// never is. nil: there is no limit.
	Hold func(n int) error
}

// Holds calls Hold, if there is one.
func (c *Caller) Holds(n int) error {
	if c == nil || c.Hold == nil || n == 0 {
		return nil
	}
	return c.Hold(n)
}

// Level is how much the caller may do with the thing at path, as Rights has it.
func (c *Caller) Level(path string) Level {
	if c.Rights == nil {
		return LevelOwn
	}
	return c.Rights.Level(path)
}

// A Level is how much somebody may do with a thing. Each holds those below it.
type Level uint8

const (
	LevelNone  Level = iota // it is not there
	LevelView               // see it, and read what it puts out
	LevelWrite              // type into it, write to it
	LevelOwn                // end it, remove it, change it
)

// Rights say how much one party may do. What they say may change at any time.
type Rights interface {
	// Level is about the thing at path, without a slash at its front; "" is
	// the tree as a whole. It must not block.
	Level(path string) Level
	// Within is the highest level that anything at path or below it can have,
	// so that who may see a thing finds the way there.
	Within(path string) Level
}

// A Node is a file or a directory: it implements File or Dir.
type Node interface {
	// Stat describes the node as it is now.
	Stat() Info
}

// A Dir is a directory.
type Dir interface {
	Node
	// Lookup returns the child called name, which is never "", "." or "..".
	// The error for a name that is not there is ErrNotExist or wraps it.
	Lookup(c *Caller, name string) (Node, error)
	// List describes the children, in an order that stays the same while
	// nothing comes or goes.
	List(c *Caller) ([]Info, error)
}

// A File is a node that can be opened. The server has checked the
// permissions; Open may refuse for a reason of its own.
type File interface {
	Node
	Open(c *Caller, mode uint8) (Handle, error)
}

// A Creator is a Dir in which nodes can be made. The server has checked that
// the caller may write to the directory, and has taken the directory's
// permissions into account in perm, which holds ModeDir for a directory.
// The Handle is nil for a directory. The error for a name that is taken is
// ErrExist or wraps it.
type Creator interface {
	Dir
	Create(c *Caller, name string, perm uint32, mode uint8) (Node, Handle, error)
}

// A Remover is a Node that can be removed. It decides itself who may.
type Remover interface {
	Node
	Remove(c *Caller) error
}

// A Changer is a Node whose description can be changed. It decides itself who
// may change what, and changes all that is asked or nothing. The server
// answers a change of nothing by itself.
type Changer interface {
	Node
	Change(c *Caller, ch Change) error
}

// A Change holds what to change of a node; nil is "leave it".
type Change struct {
	Name   *string
	Mode   *uint32 // permissions and ModeAppend, ModeExclusive; never ModeDir
	Length *int64
	Atime  *time.Time
	Mtime  *time.Time
	GID    *string
}

// A Handle is one open of one File. It implements Reader or StreamReader if
// it was opened for reading, and Writer or StreamWriter if for writing; what
// it does not implement the server refuses with ErrPermission.
type Handle interface {
	// Close ends the open. It must not block.
	Close() error
}

// A Reader is a Handle that is read at an offset. n < len(p) is a short read;
// 0 and nil is the end of the file.
type Reader interface {
	Handle
	ReadAt(p []byte, off int64) (n int, err error)
}

// A Writer is a Handle that is written at an offset.
type Writer interface {
	Handle
	WriteAt(p []byte, off int64) (n int, err error)
}

// A Secret is a Handle whose bytes are nobody's but the peer's: no trace shows
// them.
type Secret interface {
	Handle
	Secret()
}

// A Freer is told once that bytes are no longer looked at.
type Freer interface{ Free() }

// A Piece is a run of bytes that several parties share. Owner may be nil.
type Piece struct {
	Data  []byte
	Owner Freer
}

// Free says that the holder is done with the piece.
func (p Piece) Free() {
	if p.Owner != nil {
		p.Owner.Free()
	}
}

// A StreamReader is a Handle whose reads may wait for somebody to write.
//
// ReadStream appends at most max bytes to dst, as shared pieces.
//
//   - ready and no error: what was appended is the answer, and the handle's
//     position has moved past it. Nothing appended is the end of file.
//   - not ready: nothing was appended; wake will be called once, when trying
//     again may have another result. wake may be called at any time from any
//     goroutine, even before ReadStream has returned, with no lock of the
//     stream held; it must not block. There is at most one such wait for each
//     handle, for the server tries only the oldest read.
//   - an error: nothing was appended, and nothing waits.
//
// CancelRead withdraws the wait. After it has returned, a wake that had not
// begun does not come any more; one may still be running, and finds nothing to
// do. Nothing was taken from the stream by a read that only waited.
type StreamReader interface {
	Handle
	ReadStream(dst []Piece, off int64, max int, wake func()) (pieces []Piece, ready bool, err error)
	CancelRead()
}

// A StreamWriter is a Handle whose writes may have to wait: for room, or until
// what was taken is where it is to be kept.
//
// WriteStream takes all of p, or nothing, or as much as a limit on the size of
// one write allows. If p.Owner is nil the callee must
// copy what it keeps before it returns; else it may keep the Piece instead
// and Free it later, and the server does not touch it again once WriteStream
// has taken bytes. In every other case the Piece stays with the server.
//
//   - ready and no error: the first n bytes were taken.
//   - not ready, n is 0: nothing was taken; wake as in StreamReader.
//   - not ready, n > 0: the first n bytes were taken, and the write is not done
//     yet. It is tried again, after the wake, without a Piece: that does not
//     fail, and gives the same n.
//   - an error: nothing was taken, and nothing waits.
//
// CancelWrite withdraws the wait, with wakes as for CancelRead. If it returns
// n > 0 the write took effect all the same, n bytes of it, and the Piece has
// passed to the callee, if it had not before.
type StreamWriter interface {
	Handle
	WriteStream(p Piece, off int64, wake func()) (n int, ready bool, err error)
	CancelWrite() (n int)
}
