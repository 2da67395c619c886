package transport

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// established is the state of a connection whose owner the kernel still knows:
// one that ends is listed as root's.
const established = "01"

// uidOfTCP is the uid of the process that holds the other end, at addr, of c,
// whose own end is at here. Both are on this machine.
func uidOfTCP(c *net.TCPConn, addr, here netip.AddrPort) (uid int, ok bool) {
	uid, ok, err := diagUID(addr, here)
	if err == nil {
		return uid, ok
	}
	// The table grows with all connections of the machine. It is not for who
	// comes and is gone again to have it read.
	if !isEstablished(c) {
		return 0, false
	}
	return tableUID(addr, here)
}

func isEstablished(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var info *unix.TCPInfo
	if raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}) != nil || err != nil {
		return false
	}
	return info.State == unix.BPF_TCP_ESTABLISHED
}

// tableUID looks into the kernel's tables for people, where it answers no
// questions.
func tableUID(addr, peer netip.AddrPort) (uid int, ok bool) {
	files := []string{"/proc/net/tcp", "/proc/net/tcp6"}
	if addr.Addr().Is6() {
		files = files[1:]
	}
	for _, name := range files {
		if uid, ok := uidIn(name, addr, peer); ok {
			return uid, true
		}
	}
	return 0, false
}

// uidIn looks for a connection in a file like /proc/net/tcp, proc_net_tcp(5).
func uidIn(name string, addr, peer netip.AddrPort) (uid int, ok bool) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid ...
		row := strings.Fields(lines.Text())
		if len(row) < 8 || row[3] != established {
			continue
		}
		if a, ok := procAddr(row[1]); !ok || a != addr {
			continue
		}
		if p, ok := procAddr(row[2]); !ok || p != peer {
			continue
		}
		uid, err := strconv.Atoi(row[7])
		return uid, err == nil
	}
	return 0, false
}

// procAddr reads an address of the kernel's table: groups of four bytes, each
// as the machine has it in a register, then the port.
func procAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	ip, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(ip)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for group := range slices.Chunk(ip, 4) {
		binary.NativeEndian.PutUint32(group, binary.BigEndian.Uint32(group))
	}
	a, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}
