package transport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// listenFDsStart is the first descriptor that systemd hands over,
// sd_listen_fds(3).
const listenFDsStart = 3

// Sockets are listening sockets that were open when this process was started.
// They stay open until it ends: who connects while nobody accepts waits.
type Sockets struct {
	files []*os.File // immutable; their names are those that systemd gave them
}

// Inherited takes the sockets that systemd has handed to this process, as
// sd_listen_fds(3) says, and the variables that say so out of the environment.
// It is called once, before anything is started; nil: there are none.
func Inherited() (*Sockets, error) {
	pid, fds, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(v)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // for another process, which has left us its environment
	}
	n, err := strconv.Atoi(fds)
	const most = 1024
	if err != nil || n < 0 || n > most {
		return nil, fmt.Errorf("LISTEN_FDS=%q: expected the number of sockets, up to %d", fds, most)
	}
	name := strings.Split(names, ":")
	s := &Sockets{}
	for i := range n {
		fd := listenFDsStart + i
		syscall.CloseOnExec(fd)
		text := ""
		if i < len(name) {
			text = name[i]
		}
		s.files = append(s.files, os.NewFile(uintptr(fd), text))
	}
	return s, nil
}

// at returns the socket that lies at path, nil if none does.
func (s *Sockets) at(path string) *os.File {
	if s == nil {
		return nil
	}
	for _, f := range s.files {
		if addr, ok := addrOf(f).(*syscall.SockaddrUnix); ok && addr.Name == path {
			return f
		}
	}
	return nil
}

// named returns the socket of that name; "": the only one.
func (s *Sockets) named(name string) (*os.File, error) {
	if s == nil || len(s.files) == 0 {
		return nil, errors.New("systemd has handed no socket to this process")
	}
	if name == "" && len(s.files) == 1 {
		return s.files[0], nil
	}
	var names []string
	var found []*os.File
	for _, f := range s.files {
		names = append(names, fmt.Sprintf("systemd!%s", f.Name()))
		if f.Name() == name {
			found = append(found, f)
		}
	}
	if name != "" && len(found) == 1 {
		return found[0], nil
	}
	return nil, fmt.Errorf("systemd has handed over %d sockets of that name: expected one of %s",
		len(found), strings.Join(names, ", "))
}

func addrOf(f *os.File) syscall.Sockaddr {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	var addr syscall.Sockaddr
	raw.Control(func(fd uintptr) { addr, err = syscall.Getsockname(int(fd)) })
	if err != nil {
		return nil
	}
	return addr
}

// openFD makes a File of descriptor number, which stays open.
func openFD(a Addr) (*os.File, error) {
	n, err := strconv.Atoi(a.Address)
	if err != nil {
		return nil, err
	}
	dup, err := syscall.Dup(n)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", n, err)
	}
	syscall.CloseOnExec(dup)
	syscall.CloseOnExec(n) // it is ours, not that of what we start
	return os.NewFile(uintptr(dup), a.String()), nil
}

// dialFD returns the connection that is open as a descriptor.
func dialFD(a Addr, insecure bool) (net.Conn, error) {
	f, err := openFD(a)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", a, err)
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("dial %s: expected a socket that is connected: %w", a, err)
	}
	switch c := c.(type) {
	case *net.UnixConn:
		return c, nil
	case *net.TCPConn:
		at, ok := c.RemoteAddr().(*net.TCPAddr)
		if ok && !insecure && !at.IP.IsLoopback() {
			c.Close()
			return nil, errBeyond(a, at.IP.String())
		}
		return tune(c), nil
	}
	c.Close()
	return nil, fmt.Errorf("dial %s: expected a Unix or TCP socket", a)
}

// listenFD listens on a descriptor, which stays open.
func listenFD(a Addr, o ListenOptions) (net.Listener, error) {
	f, err := openFD(a)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", a, err)
	}
	defer f.Close()
	return listenFile(a, f, o)
}

func listening(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	v := 0
	raw.Control(func(fd uintptr) { v, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN) })
	return v != 0
}

// listenFile listens on a socket that was opened by somebody else, and that
// stays as it is when the listener is closed. TCP beyond the loopback
// interface is served with tls: whoever opened it has not said --insecure.
func listenFile(a Addr, f *os.File, o ListenOptions) (net.Listener, error) {
	if !listening(f) {
		return nil, fmt.Errorf("listen at %s: expected a socket that listens", a)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", a, err)
	}
	switch l := l.(type) {
	case *net.UnixListener: // which does not remove a socket that it has not made
		return l, nil
	case *net.TCPListener:
		at, ok := l.Addr().(*net.TCPAddr)
		switch {
		case ok && at.IP.IsLoopback():
			return tcpListener{l}, nil
		case o.Key != nil:
			return &tlsListener{tcpListener{l}, serverConfig(o.Key)}, nil
		}
		l.Close()
		return nil, fmt.Errorf("listen at %s, beyond the loopback interface: %w", a, ErrNoKey)
	}
	l.Close()
	return nil, fmt.Errorf("listen at %s: expected a Unix or TCP socket", a)
}
