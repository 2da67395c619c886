package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOnlyEstablishedConnectionsHaveOwners: the kernel lists a connection that
// ends as root's, whoever had it.
func TestOnlyEstablishedConnectionsHaveOwners(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the tables of this test are those of a little-endian machine")
	}
	table := filepath.Join(t.TempDir(), "tcp")
	const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1608 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1049 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1608 0100007F:B7BE 01 00000000:00000000 00:00000000 00000000  1001        0 1050 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:B7BE 0100007F:1608 01 00000000:00000000 00:00000000 00000000  1002        0 1051 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:B7BF 0100007F:1608 06 00000000:00000000 03:00000F3C 00000000     0        0 0 3 0000000000000000
   4: 0100007F:B7C0 0100007F:1608 08 00000000:00000000 00:00000000 00000000  1003        0 0 1 0000000000000000 20 4 30 10 -1
   5: 0100007F:B7C1 0100007F:1609 01 00000000:00000000 00:00000000 00000000  1004        0 0 1 0000000000000000 20 4 30 10 -1
   6: junk
   7: 0100007F:B7C2 0100007F:1608 01 00000000:00000000 00:00000000 00000000  none        0 0 1 0000000000000000 20 4 30 10 -1
   8: 0000000000000000FFFF00000100007F:B7C3 0000000000000000FFFF00000100007F:1608 01 00000000:00000000 00:00000000 00000000  1005 0 0 1 0
   9: 00000000000000000000000001000000:B7C4 00000000000000000000000001000000:1608 01 00000000:00000000 00:00000000 00000000  1006 0 0 1 0
`
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddrPort("127.0.0.1:5640") // 0x1608
	for port, want := range map[uint16]int{
		0xB7BE: 1002, 0xB7BF: -1, 0xB7C0: -1, 0xB7C1: -1, 0xB7C2: -1, 0xB7C3: 1005, 0xB7C5: -1,
	} {
		uid, ok := uidIn(table, netip.AddrPortFrom(server.Addr(), port), server)
		if !ok {
			uid = -1
		}
		if uid != want {
			t.Errorf("port %04X: uid %d, want %d", port, uid, want)
		}
	}
	v6 := netip.MustParseAddr("::1")
	if uid, ok := uidIn(table, netip.AddrPortFrom(v6, 0xB7C4), netip.AddrPortFrom(v6, 5640)); !ok || uid != 1006 {
		t.Errorf("::1: uid %d, %v", uid, ok)
	}
	if _, ok := uidIn(table+"none", server, server); ok {
		t.Error("a table that is not there")
	}
}

func TestAnotherUserOnLoopbackTCPIsNoAdmin(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := Listen(t.Context(), parse(t, "tcp!"+host+"!0"), ListenOptions{})
		if err != nil {
			t.Logf("%s: %v", host, err)
			continue
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		var fd int
		as(t, 12345, func(func() int) {
			var addr syscall.Sockaddr = &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
			domain := syscall.AF_INET
			if host == "::1" {
				addr, domain = &syscall.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}, syscall.AF_INET6
			}
			if fd, err = syscall.Socket(domain, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err == nil {
				err = syscall.Connect(fd, addr)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p, err := PeerOf(c)
		if err != nil || p.UID != 12345 || p.User != "12345" || p.Admin {
			t.Errorf("%s: peer %+v, %v", host, p, err)
		}
	}
}
