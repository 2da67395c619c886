package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// How often a connection is looked at, and for how long its peer may leave
// unacknowledged what was sent to it.
const (
	lookEvery = 5 * time.Second
	deafTime  = 15 * time.Second
)

// hangUpDeaf closes c when its peer acknowledges nothing any more: it has gone
// without a word. The kernel's keepalive does not look while something is under
// way, and retransmits for a quarter of an hour. Its TCP_USER_TIMEOUT is for
// this, but takes a peer for gone that is there and does not read, which is
// everybody's right: a watcher stopped with Ctrl-Z, a writer of a hub in fear.
func hangUpDeaf(c *net.TCPConn, every, limit time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	var look func()
	look = func() {
		var info *unix.TCPInfo
		// An error means that c is closed: then nobody looks again.
		if raw.Control(func(fd uintptr) {
			info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		}) != nil || err != nil {
			return
		}
		if deaf(info, limit) {
			c.Close()
			return
		}
		time.AfterFunc(every, look)
	}
	time.AfterFunc(every, look)
}

// deaf reports whether something was sent, has been sent again, and not even a
// full buffer was acknowledged.
func deaf(info *unix.TCPInfo, limit time.Duration) bool {
	return info.Unacked > 0 && info.Retransmits > 0 && time.Duration(info.Last_ack_recv)*time.Millisecond >= limit
}
