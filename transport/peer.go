package transport

import (
	"fmt"
	"net"
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
	Admin bool   // the server's own user, or root
}

// PeerOf says who made connection c. On a Unix socket, anybody but the user
// who runs this process and root is ErrRefused.
func PeerOf(c net.Conn) (Peer, error) {
	if c.LocalAddr().Network() != "unix" {
		return Peer{UID: -1, Addr: c.RemoteAddr().String()}, nil
	}
	uid, pid, err := peerCred(c)
	if err != nil {
		return Peer{}, err
	}
	if self := os.Geteuid(); !trusted(uid, self) {
		return Peer{}, &opError{fmt.Sprintf("connection of %s refused: this server is for %s alone",
			who(uid), who(self)), ErrRefused}
	}
	p := Peer{UID: uid, PID: pid, User: userName(uid), Addr: "local", Admin: true}
	if pid > 0 {
		p.Addr = "pid:" + strconv.Itoa(pid)
	}
	return p, nil
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
func peerCred(c net.Conn) (uid, pid int, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, 0, fmt.Errorf("peer credentials: %T is not a Unix socket", c)
	}
	raw, err := u.SyscallConn()
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
