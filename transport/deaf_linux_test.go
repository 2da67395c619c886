package transport

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDeafPeerIsNotASlowOne: who is gone is hung up, who does not read stays.
func TestDeafPeerIsNotASlowOne(t *testing.T) {
	l := mustListen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	const limit = 500 * time.Millisecond
	// fill connects, and sends until no more is taken.
	fill := func(filter bool) (client, server *net.TCPConn) {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		client, server = c.(*net.TCPConn), s.(*net.TCPConn)
		if filter {
			goDeaf(t, client)
		}
		server.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		for err == nil {
			_, err = server.Write(make([]byte, 64<<10))
		}
		server.SetWriteDeadline(time.Time{})
		hangUpDeaf(server, limit/10, limit)
		return client, server
	}
	slow, slowServer := fill(false)
	_, gone := fill(true)
	// The slow one was filled first, and looked at as often.
	if _, err := gone.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the server reads: %v", err)
	}
	if err := slowServer.SetDeadline(time.Time{}); err != nil {
		t.Errorf("the slow one: %v", err)
	}
	go slowServer.Close() // ends when what was sent is on its way
	if _, err := io.Copy(io.Discard, slow); err != nil {
		t.Errorf("the slow one: %v", err)
	}
}

// goDeaf has the kernel drop all that comes for c: it does not acknowledge it
// either.
func goDeaf(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	prog := unix.SockFprog{Len: 1, Filter: &nothing}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
	})
	if err != nil {
		t.Skipf("no filter for a socket: %v", err)
	}
}

func TestDeaf(t *testing.T) {
	for _, tc := range []struct {
		info unix.TCPInfo
		want bool
	}{
		{unix.TCPInfo{}, false},
		{unix.TCPInfo{Last_ack_recv: 60_000}, false},                                      // idle
		{unix.TCPInfo{Last_ack_recv: 60_000, Unacked: 1}, false},                          // idle until just now
		{unix.TCPInfo{Last_ack_recv: 14_999, Unacked: 1, Retransmits: 5}, false},          // slow
		{unix.TCPInfo{Last_ack_recv: 15_000, Unacked: 1, Retransmits: 5}, true},           // gone
		{unix.TCPInfo{Last_ack_recv: 60_000, Probes: 5}, false},                           // full, and asked whether it still is
		{unix.TCPInfo{Last_ack_recv: 200, Unacked: 10, Retransmits: 1, Probes: 1}, false}, // full
	} {
		if got := deaf(&tc.info, deafTime); got != tc.want {
			t.Errorf("%+v: %v", tc.info, got)
		}
	}
}
