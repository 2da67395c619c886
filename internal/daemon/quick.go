package daemon

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"hubfs/internal/fdio"
)

// relayBytes is how much a relay carries at a time: as much as a message of ssh
// has, and more of what has piled up.
const relayBytes = 64 << 10

// quick returns r, w and c in a way that costs a keystroke on its way through us
// less, and whether it could: without a thread that blocks, of which another would
// have to take over. What is neither pipe nor socket, as sshd's are, stays as it is: the flag that
// this takes belongs to the open file, which others may share.
func quick(r, w *os.File, c net.Conn) (io.Reader, io.Writer, net.Conn, bool) {
	if !passing(r) || !passing(w) {
		return r, w, c, false
	}
	in, err := polled(r)
	if err != nil {
		return r, w, c, false
	}
	out, err := polled(w)
	if err != nil {
		return in, w, c, false
	}
	if fast := fdio.Socket(c); fast != nil {
		c = quickConn{c, fast}
	}
	return in, out, c, true
}

// passing reports whether f is a pipe or a socket.
func passing(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// polled is pollable with system calls that cost less. The file lives as long as
// the process.
func polled(f *os.File) (*fdio.File, error) {
	p, err := pollable(f)
	if err != nil {
		return nil, err
	}
	return fdio.New(p)
}

// pollable opens f once more, for the runtime's poller to watch.
func pollable(f *os.File) (*os.File, error) {
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	p := os.NewFile(uintptr(fd), f.Name())
	if err = p.SetDeadline(time.Time{}); err == nil {
		return p, nil
	}
	syscall.SetNonblock(fd, false) // as f has to find it
	p.Close()
	return nil, err
}

// A quickConn is a connection that is read and written by fdio.
type quickConn struct {
	net.Conn
	fast *fdio.File
}

func (c quickConn) Read(p []byte) (int, error)  { return c.fast.Read(p) }
func (c quickConn) Write(p []byte) (int, error) { return c.fast.Write(p) }

// CloseWrite ends what is sent, and no more.
func (c quickConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// carry copies as io.Copy does, in larger pieces.
func carry(w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, relayBytes))
}
