package transport

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
)

// A Peer is who is at the other end of a connection.
type Peer struct {
	UID   int    // -1 if the network does not tell
	PID   int    // 0 if the network does not tell
	User  string // the name of UID; empty if the network does not tell
	Addr  string // pid:PID on this machine, or HOST:PORT
	Admin bool   // the server's own user, or root on a Unix socket
	Key   string // fingerprint of the key that a tls client has proved to have; empty if none
}

// PeerOf says who made connection c, after its Handshake.
func PeerOf(c net.Conn) (Peer, error) {
	switch c := c.(type) {
	case *net.UnixConn:
		return unixPeer(c)
	case *net.TCPConn:
		return tcpPeer(c), nil
	case *tls.Conn:
		return Peer{UID: -1, Addr: c.RemoteAddr().String(), Key: keyOf(c)}, nil
	}
	return Peer{}, fmt.Errorf("peer of a connection: %T is none of ours", c)
}

func unixPeer(c *net.UnixConn) (Peer, error) {
	uid, pid, err := peerCred(c)
	if err != nil {
		return Peer{}, err
	}
	p := Peer{UID: uid, PID: pid, User: userName(uid), Addr: "local", Admin: trusted(uid, os.Geteuid())}
	if pid > 0 {
		p.Addr = "pid:" + strconv.Itoa(pid)
	}
	return p, nil
}

// tcpPeer asks the system whose the other end is, if that is on this machine.
// Root counts as itself alone: what listens for others and passes them on, as
// container software does, often runs as root.
func tcpPeer(c *net.TCPConn) Peer {
	p := Peer{UID: -1, Addr: c.RemoteAddr().String()}
	there, ok1 := addrPort(c.RemoteAddr())
	here, ok2 := addrPort(c.LocalAddr())
	if !ok1 || !ok2 || !there.Addr().IsLoopback() || !here.Addr().IsLoopback() {
		return p
	}
	if uid, ok := uidOfTCP(c, there, here); ok {
		p.UID, p.User, p.Admin = uid, userName(uid), uid == os.Geteuid()
	}
	return p
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
}

// trusted reports whether a process of user self deals with user uid over a
// Unix socket. Root can read our memory anyway.
func trusted(uid, self int) bool { return uid == self || uid == 0 }

// userName is the name of uid, or the number where it has none.
func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.Current(); err == nil && u.Uid == id {
		return u.Username // cached: the usual case, once a connection
	}
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// who names a user for an error.
func who(uid int) string {
	if name := userName(uid); name != strconv.Itoa(uid) {
		return fmt.Sprintf("%s (uid %d)", name, uid)
	}
	return fmt.Sprintf("uid %d", uid)
}

// peerCred asks the kernel who is at the other end of a Unix socket.
func peerCred(c *net.UnixConn) (uid, pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, fmt.Errorf("peer credentials: %w", err)
	}
	var credErr error
	err = raw.Control(func(fd uintptr) { uid, pid, credErr = credOf(int(fd)) })
	if err == nil {
		err = credErr
	}
	if err != nil {
		return 0, 0, fmt.Errorf("peer credentials: %w", err)
	}
	return uid, pid, nil
}
