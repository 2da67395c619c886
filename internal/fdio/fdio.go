// Package fdio reads and writes descriptors that the runtime's poller watches,
// with system calls of which the scheduler is not told.
//
// A descriptor that does not block answers at once, so the scheduler need not
// prepare for a call that does. Telling it costs more than it seems: the first
// call after a pause wakes the runtime's monitor, a thread that then runs some
// fifty times for nothing, on a processor that a keystroke's next station could
// use. On Linux this is a third of the time that a keystroke's echo takes.
//
// # Blocking
//
// Read and Write wait, in the poller, and heed the deadlines of what they
// read and write. TryRead and TryWrite never wait.
//
// # Ordering
//
// One goroutine at a time may read, and one may write.
package fdio

import (
	"io"
	"net"
	"syscall"
)

// A File is a descriptor in the poller, of a socket, a pipe or a terminal. It
// does not own the descriptor: closing what it was made of makes its calls
// fail.
type File struct {
	raw syscall.RawConn // immutable

	// The parameters and results of a call, and its body, made once: a closure
	// for each call would be garbage for each keystroke.
	rbuf     []byte
	rnext    []byte // what is read after rbuf is full
	rn       int
	rerr     error
	tryRead  func(fd uintptr) bool
	waitRead func(fd uintptr) bool

	wvec      [][]byte
	wone      [1][]byte
	wn        int
	werr      error
	tryWrite  func(fd uintptr) bool
	waitWrite func(fd uintptr) bool
}

// New returns a File for c, a net.Conn that is a plain socket, or an *os.File
// that does not block: one that has deadlines.
func New(c syscall.Conn) (*File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	f := &File{raw: raw}
	f.tryRead = func(fd uintptr) bool {
		f.rn, f.rerr = readFD(fd, f.rbuf, f.rnext)
		return true
	}
	f.waitRead = func(fd uintptr) bool {
		f.rn, f.rerr = readFD(fd, f.rbuf, f.rnext)
		return f.rerr != syscall.EAGAIN
	}
	f.tryWrite = func(fd uintptr) bool {
		f.writeSome(fd)
		return true
	}
	f.waitWrite = func(fd uintptr) bool {
		f.writeSome(fd)
		return f.werr != syscall.EAGAIN
	}
	return f, nil
}

// socketBuffer is how much a Unix socket may hold that the peer has not read:
// each time it is full costs a switch to the peer and back. TCP finds its own.
const socketBuffer = 1 << 20

// Socket returns a File for rwc if it is a Unix or TCP socket and nothing
// around one, else nil. Such a socket has a writev, too. A Unix socket gets a
// larger buffer, if the system allows it. What is around one may say that its
// bytes go there as they are, by a method Socket.
func Socket(rwc io.ReadWriteCloser) *File {
	var c syscall.Conn
	if around, ok := rwc.(interface{ Socket() *net.UnixConn }); ok {
		rwc = around.Socket()
	}
	switch nc := rwc.(type) {
	case *net.TCPConn:
		c = nc
	case *net.UnixConn:
		nc.SetWriteBuffer(socketBuffer) // the system's own will do too
		c = nc
	default:
		return nil
	}
	f, err := New(c)
	if err != nil { // closed; whoever uses it will learn so
		return nil
	}
	return f
}

// ReadFull fills p from r. If r is a File, the beginning of what follows may
// come with it into next; more is how many bytes of that there are.
func ReadFull(r io.Reader, p, next []byte) (more int, err error) {
	f, ok := r.(*File)
	if !ok {
		_, err := io.ReadFull(r, p)
		return 0, err
	}
	for n := 0; n < len(p); {
		m, err := f.ReadBoth(p[n:], next)
		if err != nil {
			return 0, err
		}
		n += m
		more = max(n-len(p), 0)
	}
	return more, nil
}

// Read reads at least one byte, and waits for it. The end of the stream is
// io.EOF.
func (f *File) Read(p []byte) (int, error) { return f.read(p, f.waitRead) }

// TryRead reads what is there. If nothing is, the error is syscall.EAGAIN.
func (f *File) TryRead(p []byte) (int, error) { return f.read(p, f.tryRead) }

// ReadBoth reads as Read does, into p and on into next when p is full: the rest
// of a message and the beginning of the one behind it, with one system call.
// Where the system has no call for that it stops at the end of p.
func (f *File) ReadBoth(p, next []byte) (int, error) {
	f.rnext = next
	n, err := f.read(p, f.waitRead)
	f.rnext = nil
	return n, err
}

func (f *File) read(p []byte, body func(uintptr) bool) (int, error) {
	f.rbuf = p
	err := f.raw.Read(body)
	f.rbuf = nil
	switch {
	case err != nil:
		return 0, err
	case f.rerr != nil:
		return 0, f.rerr
	case f.rn == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return f.rn, nil
}

// Write writes all of p, and waits until it has been taken.
func (f *File) Write(p []byte) (int, error) {
	f.wone[0] = p
	return f.write(f.wone[:], f.waitWrite)
}

// TryWrite writes as much of p as is taken at once, which may be nothing.
func (f *File) TryWrite(p []byte) (int, error) {
	f.wone[0] = p
	return f.write(f.wone[:], f.tryWrite)
}

// TryWritev is TryWrite for the bytes of all of vec, in their order.
func (f *File) TryWritev(vec [][]byte) (int, error) { return f.write(vec, f.tryWrite) }

func (f *File) write(vec [][]byte, body func(uintptr) bool) (int, error) {
	f.wvec, f.wn, f.werr = vec, 0, nil
	err := f.raw.Write(body)
	f.wvec, f.wone[0] = nil, nil
	if err == nil && f.werr != syscall.EAGAIN {
		err = f.werr
	}
	return f.wn, err
}

// writeSome writes until all of wvec is written, or no more is taken. It counts
// the bytes in wn and leaves wvec as it is: the caller may have a use for it.
func (f *File) writeSome(fd uintptr) {
	for {
		vec, skip := f.wvec, f.wn
		for len(vec) > 0 && skip >= len(vec[0]) {
			skip -= len(vec[0])
			vec = vec[1:]
		}
		if len(vec) == 0 {
			f.werr = nil
			return
		}
		n, err := writeFD(fd, vec, skip)
		if err != nil {
			f.werr = err
			return
		}
		f.wn += n
	}
}
