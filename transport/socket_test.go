package transport

import (
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// handOver makes listening sockets, as systemd does for a service, and returns
// them as the service has them.
func handOver(t *testing.T, sockets map[string]net.Listener) *Sockets {
	t.Helper()
	s := &Sockets{}
	for name, l := range sockets {
		var f *os.File
		var err error
		switch l := l.(type) {
		case *net.UnixListener:
			l.SetUnlinkOnClose(false)
			f, err = l.File()
		case *net.TCPListener:
			f, err = l.File()
		}
		if err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		named := os.NewFile(uintptr(fd), name)
		t.Cleanup(func() { l.Close(); named.Close() })
		s.files = append(s.files, named)
	}
	return s
}

func mustListen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSocketAtANameIsItsListener(t *testing.T) {
	a := local(t, "default")
	if err := os.MkdirAll(a.Address[:strings.LastIndex(a.Address, "/")], 0o700); err != nil {
		t.Fatal(err)
	}
	s := handOver(t, map[string]net.Listener{"x": mustListen(t, "unix", a.Address), "y": mustListen(t, "tcp", "127.0.0.1:0")})
	for range 2 { // a server may stop listening, and begin again
		l, err := Listen(t.Context(), a, ListenOptions{Sockets: s})
		if err != nil {
			t.Fatal(err)
		}
		if b := Bound(l, a); b != a {
			t.Errorf("bound to %v", b)
		}
		_, server := meet(t, l, a)
		if p, err := PeerOf(server); err != nil || !p.Admin {
			t.Errorf("%+v, %v", p, err)
		}
		l.Close()
		// Who comes in between waits, and the socket is not ours to remove.
		c, err := Dial(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		l, err = Listen(t.Context(), a, ListenOptions{Sockets: s})
		if err != nil {
			t.Fatal(err)
		}
		if waiting, err := l.Accept(); err != nil {
			t.Error(err)
		} else {
			waiting.Close()
		}
		l.Close()
	}
	if _, err := Listen(t.Context(), a, ListenOptions{}); err == nil || !strings.Contains(err.Error(), "already running") {
		t.Errorf("a second server: %v", err)
	}
}

func TestSocketsByTheirNames(t *testing.T) {
	one := handOver(t, map[string]net.Listener{"hub.socket": mustListen(t, "tcp", "127.0.0.1:0")})
	two := handOver(t, map[string]net.Listener{
		"near": mustListen(t, "tcp", "127.0.0.1:0"), "far": mustListen(t, "tcp", "0.0.0.0:0"),
	})
	key := newTestKey(t)
	for _, tc := range []struct {
		s    *Sockets
		addr string
		want string // of the address it is bound to, or the error
	}{
		{one, "systemd", "tcp!127.0.0.1!"},
		{one, "systemd!hub.socket", "tcp!127.0.0.1!"},
		{one, "systemd!x", "expected one of systemd!hub.socket"},
		{two, "systemd", "expected one of systemd!"},
		{two, "systemd!near", "tcp!127.0.0.1!"},
		{two, "systemd!far", "tls!*!"},
		{nil, "systemd", "no socket"},
		{&Sockets{}, "systemd!near", "no socket"},
	} {
		a := parse(t, tc.addr)
		got := ""
		l, err := Listen(t.Context(), a, ListenOptions{Sockets: tc.s, Key: key})
		if err != nil {
			got = err.Error()
		} else {
			got = Bound(l, a).String()
			l.Close()
		}
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", tc.addr, got, tc.want)
		}
	}
	if _, err := Listen(t.Context(), parse(t, "systemd!far"), ListenOptions{Sockets: two}); err == nil {
		t.Error("plain TCP beyond the loopback interface")
	}
}

func TestVariablesOfSystemd(t *testing.T) {
	set := func(pid, fds, names string) {
		t.Setenv("LISTEN_PID", pid)
		t.Setenv("LISTEN_FDS", fds)
		t.Setenv("LISTEN_FDNAMES", names)
	}
	me := strconv.Itoa(os.Getpid())
	for _, tc := range []struct {
		pid, fds string
		bad      bool
	}{
		{"", "", false}, {"1", "1", false}, {"", "1", false}, {me, "0", false}, {me, "x", true}, {me, "-1", true}, {me, "99999", true},
	} {
		set(tc.pid, tc.fds, "a:b")
		s, err := Inherited()
		if (err != nil) != tc.bad || s != nil && len(s.files) > 0 {
			t.Errorf("%q %q: %+v, %v", tc.pid, tc.fds, s, err)
		}
		for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
			if value, ok := os.LookupEnv(v); ok {
				t.Errorf("%s=%s is left for the shells", v, value)
			}
		}
	}
}

func TestDescriptors(t *testing.T) {
	ours, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	a := Addr{Network: "fd", Address: strconv.Itoa(int(theirs.Fd()))}
	c, err := Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(ours, "x")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if _, err := Listen(t.Context(), a, ListenOptions{}); err == nil || !strings.Contains(err.Error(), "expected a socket that listens") {
		t.Errorf("listen on a connection: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	pipe := Addr{Network: "fd", Address: strconv.Itoa(int(r.Fd()))}
	if _, err := Dial(t.Context(), pipe); err == nil || !strings.Contains(err.Error(), "expected a socket") {
		t.Errorf("dial a pipe: %v", err)
	}
	if _, err := Dial(t.Context(), parse(t, "fd!99999")); err == nil || !strings.Contains(err.Error(), "99999") {
		t.Errorf("dial nothing: %v", err)
	}

	tcp := mustListen(t, "tcp", "127.0.0.1:0")
	defer tcp.Close()
	f, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := Addr{Network: "fd", Address: strconv.Itoa(int(f.Fd()))}
	l, err := Listen(t.Context(), fd, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	meet(t, l, Bound(l, fd))
}

func TestSidesOfAddresses(t *testing.T) {
	if _, err := Listen(t.Context(), parse(t, "ssh!host"), ListenOptions{}); err == nil || !strings.Contains(err.Error(), "a server cannot listen there") {
		t.Error(err)
	}
	if _, err := Dial(t.Context(), parse(t, "systemd")); err == nil || !strings.Contains(err.Error(), "a client cannot go there") {
		t.Error(err)
	}
}
