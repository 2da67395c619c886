package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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
		// Both ways to ask say the same.
		there, _ := addrPort(c.RemoteAddr())
		here, _ := addrPort(c.LocalAddr())
		if uid, ok := tableUID(there, here); !ok || uid != 12345 {
			t.Errorf("%s: the table has uid %d, %v", host, uid, ok)
		}
		switch uid, ok, err := diagUID(there, here); {
		case err != nil:
			t.Logf("%s: %v", host, err)
		case !ok || uid != 12345:
			t.Errorf("%s: sock_diag has uid %d, %v", host, uid, ok)
		}
		p, err := PeerOf(c)
		if err != nil || p.UID != 12345 || p.User != "12345" || p.Admin {
			t.Errorf("%s: peer %+v, %v", host, p, err)
		}
	}
}

// TestWhoHasGoneIsNobody: of a connection that ends the kernel says that it is
// root's, or it says who listens at its place.
func TestWhoHasGoneIsNobody(t *testing.T) {
	l, err := Listen(t.Context(), parse(t, "tcp!127.0.0.1!0"), ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, end := range map[string]func(*net.TCPConn){
		"closed": func(c *net.TCPConn) { c.Close() },
		"reset":  func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	} {
		client, server := meet(t, l, Bound(l, parse(t, "tcp!127.0.0.1!0")))
		end(client.(*net.TCPConn))
		server.Read(make([]byte, 1)) // it has heard of the end
		if p, err := PeerOf(server); err != nil || p.UID != -1 || p.User != "" || p.Admin {
			t.Errorf("%s: peer %+v, %v", name, p, err)
		}
	}
	// Nobody is connected from here; somebody listens.
	here, _ := addrPort(l.Addr())
	if uid, ok, err := diagUID(here, netip.AddrPortFrom(here.Addr(), 1)); ok {
		t.Errorf("a listener is uid %d, %v", uid, err)
	}
}

// The kernel's answers are read like anybody's.
func TestAnswersOfSockDiagAreChecked(t *testing.T) {
	a, b := netip.MustParseAddrPort("127.0.0.1:1000"), netip.MustParseAddrPort("127.0.0.1:2000")
	good := diagRequest(a, b)[:unix.SizeofNlMsghdr]
	good = append(good, byte(unix.AF_INET), unix.BPF_TCP_ESTABLISHED, 0, 0)
	good = append(good, diagID(a, b)...)
	good = append(good, make([]byte, 12)...) // interface and cookie
	for _, v := range []uint32{1, 2, 3, 1001, 5} {
		good = binary.NativeEndian.AppendUint32(good, v)
	}
	if uid, ok, err := diagAnswer(good, a, b); uid != 1001 || !ok || err != nil {
		t.Fatalf("%d, %v, %v", uid, ok, err)
	}
	for n := range good {
		if _, ok, err := diagAnswer(good[:n], a, b); ok || err == nil {
			t.Errorf("%d bytes of it: %v, %v", n, ok, err)
		}
	}
	for what, at := range map[string]int{"state": 17, "port": 20, "address": 24} {
		bad := slices.Clone(good)
		bad[at] ^= 6
		if uid, ok, _ := diagAnswer(bad, a, b); ok {
			t.Errorf("another %s: uid %d", what, uid)
		}
	}
}
