package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// What <linux/inet_diag.h> and <linux/sock_diag.h> call these.
const (
	sockDiagByFamily = 20
	noCookie         = ^uint32(0)

	diagIDLen  = 48
	diagReqLen = 8 + diagIDLen
	diagMsgLen = 4 + diagIDLen + 20
)

// errNoDiag means that the kernel does not answer questions about sockets, or
// knows of no such one.
var errNoDiag = errors.New("no sock_diag")

// diagUID asks the kernel for the uid of the one socket at addr that is
// connected to peer, sock_diag(7). It costs the same however many there are.
func diagUID(addr, peer netip.AddrPort) (uid int, ok bool, err error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %w", errNoDiag, err)
	}
	defer unix.Close(s)
	// The kernel answers at once, or not at all.
	soon := unix.NsecToTimeval(int64(time.Second))
	unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &soon)
	if err := unix.Sendto(s, diagRequest(addr, peer), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, false, fmt.Errorf("%w: %w", errNoDiag, err)
	}
	buf := make([]byte, 4096)
	n, from, err := unix.Recvfrom(s, buf, 0)
	if err != nil {
		return 0, false, fmt.Errorf("%w: %w", errNoDiag, err)
	}
	if k, isNetlink := from.(*unix.SockaddrNetlink); !isNetlink || k.Pid != 0 { // another process may write to us
		return 0, false, errNoDiag
	}
	return diagAnswer(buf[:n], addr, peer)
}

// diagRequest asks for one socket: a header, and a struct inet_diag_req_v2.
func diagRequest(addr, peer netip.AddrPort) []byte {
	order := binary.NativeEndian
	p := make([]byte, 0, unix.SizeofNlMsghdr+diagReqLen)
	p = order.AppendUint32(p, unix.SizeofNlMsghdr+diagReqLen)
	p = order.AppendUint16(p, sockDiagByFamily)
	p = order.AppendUint16(p, unix.NLM_F_REQUEST)
	p = order.AppendUint32(p, 1) // the number of the request
	p = order.AppendUint32(p, 0) // from whom; the kernel knows

	family := byte(unix.AF_INET)
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	p = append(p, family, unix.IPPROTO_TCP, 0, 0)
	p = order.AppendUint32(p, 1<<unix.BPF_TCP_ESTABLISHED) // the number that TCP_ESTABLISHED is everywhere
	p = append(p, diagID(addr, peer)...)
	p = order.AppendUint32(p, 0) // any interface
	p = order.AppendUint32(p, noCookie)
	return order.AppendUint32(p, noCookie)
}

// diagID is the beginning of a struct inet_diag_sockid.
func diagID(addr, peer netip.AddrPort) []byte {
	p := binary.BigEndian.AppendUint16(nil, addr.Port())
	p = binary.BigEndian.AppendUint16(p, peer.Port())
	for _, a := range []netip.Addr{addr.Addr(), peer.Addr()} {
		var ip [16]byte
		copy(ip[:], a.AsSlice())
		p = append(p, ip[:]...)
	}
	return p
}

// diagAnswer reads the answer: a header, and a struct inet_diag_msg or an error.
// Where there is no such connection the kernel may say who listens there.
func diagAnswer(p []byte, addr, peer netip.AddrPort) (uid int, ok bool, err error) {
	order := binary.NativeEndian
	if len(p) < unix.SizeofNlMsghdr+4 {
		return 0, false, errNoDiag
	}
	kind, body := order.Uint16(p[4:]), p[unix.SizeofNlMsghdr:]
	switch {
	case kind == unix.NLMSG_ERROR:
		// ENOENT if there is none such, and if the module is not there.
		return 0, false, fmt.Errorf("%w: %w", errNoDiag, unix.Errno(-int32(order.Uint32(body))))
	case kind != sockDiagByFamily || len(body) < diagMsgLen:
		return 0, false, errNoDiag
	}
	id := diagID(addr, peer)
	if body[1] != unix.BPF_TCP_ESTABLISHED || string(body[4:4+len(id)]) != string(id) {
		return 0, false, nil
	}
	return int(order.Uint32(body[4+diagIDLen+12:])), true, nil
}
