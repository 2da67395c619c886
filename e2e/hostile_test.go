package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"9fans.net/go/plan9"
	"golang.org/x/sys/unix"

	"hubfs/client"
	"hubfs/transport"
)

// A tlsServer is a hubfs that listens for guests.
type tlsServer struct {
	*server
	addr string // HOST:PORT
}

// serveTLS starts a hubfs with its name default, at a port of its own.
func (w *world) serveTLS(args ...string) *tlsServer {
	w.tb.Helper()
	s := &tlsServer{server: w.serve(append([]string{"-s", "default", "-a", "tls!127.0.0.1!0"}, args...)...)}
	for line := range strings.Lines(w.want("read", "status")) {
		text, listens := strings.CutPrefix(strings.TrimSpace(line), "listen ")
		if a, err := transport.Parse(text); listens && err == nil && a.Network == "tls" {
			s.addr = a.Address
		}
	}
	if s.addr == "" {
		w.tb.Fatal("the server does not say where it listens for guests")
	}
	return s
}

// invite returns a link, of which the arguments say for what.
func (w *world) invite(args ...string) transport.Link {
	w.tb.Helper()
	line := w.want(append([]string{"invite"}, args...)...)
	_, rest, _ := strings.Cut(line, "'")
	text, _, _ := strings.Cut(rest, "'")
	link, err := transport.ParseLink(text)
	if err != nil {
		w.tb.Fatalf("hub invite %q: %q: %v", args, line, err)
	}
	return link
}

// A party has redeemed a link, and may have many connections.
type party struct {
	w    *world
	link transport.Link
	key  *transport.Key
}

// party makes a guest of a link.
func (w *world) party(name string, invitation ...string) *party {
	w.tb.Helper()
	key, err := transport.LoadKey(w.dir + "/" + name + "/client.pem")
	if err != nil {
		w.tb.Fatal(err)
	}
	g := &party{w: w, link: w.invite(append(invitation, "--as", name)...), key: key}
	c, err := client.New(w.tb.Context(), g.dial(), client.Options{Uname: name, Token: g.link.Token})
	if err != nil {
		w.tb.Fatalf("%s: %v", name, err)
	}
	c.Close()
	return g
}

func (g *party) dial() net.Conn {
	g.w.tb.Helper()
	c, err := transport.Dialer{Key: g.key}.Dial(g.w.tb.Context(), g.link.Addr)
	if err != nil {
		g.w.tb.Fatal(err)
	}
	g.w.tb.Cleanup(func() { c.Close() })
	return c
}

// raw makes a connection on which the test says itself what goes out when.
func (g *party) raw(msize uint32) *raw {
	g.w.tb.Helper()
	return rawOver(g.w.tb, g.dial(), msize)
}

// pings returns the median and the worst time of some requests, each of which has
// to be answered.
func pings(t *testing.T, c *client.Conn, n int) (median, worst time.Duration) {
	t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		if _, err := c.Stat(t.Context(), "/"); err != nil {
			t.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[n/2], took[n-1]
}

// A siege measures what becomes of others while a server has a crowd before it.
type siege struct {
	t      *testing.T
	server *server
	friend *client.Conn // the server's own user, who was there before
	calm   time.Duration
	memory int
}

func (w *world) besiege(t *testing.T, s *server) *siege {
	t.Helper()
	c, err := client.New(t.Context(), w.dial("default"), client.Options{Uname: "friend", Ordered: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	pings(t, c, 200)
	calm, _ := pings(t, c, 500)
	return &siege{t, s, c, calm, s.memory()}
}

// holds fails if others wait much longer than before, or the server has grown by
// more than so many bytes. Both are looked at again for a while: the machine may
// have other things to do, and what was freed is not given back at once.
func (s *siege) holds(most int) {
	s.t.Helper()
	for start := time.Now(); ; {
		median, worst := pings(s.t, s.friend, 500)
		grown := s.server.memory() - s.memory
		slow, fat := median > 3*s.calm+time.Millisecond, grown > most
		if (slow || fat) && !raceEnabled && time.Since(start) < patience {
			continue
		}
		s.t.Logf("a request of somebody else: %v before, %v now, %v at worst; the server has grown by %d KiB", s.calm, median, worst, grown>>10)
		if raceEnabled {
			return // it has times and memory of its own
		}
		if slow {
			s.t.Errorf("a request takes %v, %v before", median, s.calm)
		}
		if fat {
			s.t.Errorf("the server has grown by %d MiB, %d may be", grown>>20, most>>20)
		}
		return
	}
}

// crowdSize is how many connections a crowd has: ten thousand, if the system lets
// a process have as many files.
func crowdSize(t *testing.T) int {
	t.Helper()
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	n := 10_000
	if raceEnabled {
		n = 2000
	}
	if most := int(min(lim.Cur, 1<<30)) - 500; n > most {
		t.Logf("%d connections instead of %d: the system allows no more files", most, n)
		n = most
	}
	return n
}

// TestCrowdThatSaysNothing: ten thousand connections from as many addresses, and
// ten thousand from one, each of which says nothing, or a Tversion and nothing
// more. Who was there before goes on as if nothing were, and a guest with a link
// comes in. The server holds 500 of them before their handshake and 1,000 behind
// it, of one address 100.
func TestCrowdThatSaysNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  func(i int) string
		speak bool
	}{
		{"many addresses", func(i int) string { return fmt.Sprintf("127.%d.%d.%d", 1+i/62_500, i/250%250, 1+i%250) }, false},
		{"one address", func(int) string { return "127.0.0.9" }, false},
		{"Tversion alone", func(i int) string { return fmt.Sprintf("127.1.%d.%d", i/250, 1+i%250) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.serveTLS()
			w.want("new", "work", "--", "cat")
			link := w.invite("work")
			siege := w.besiege(t, s.server)
			n := crowdSize(t)
			if c.speak {
				n /= 5 // a handshake takes us as long as the server
			}
			crowd := make([]net.Conn, 0, n)
			for i := range n {
				crowd = append(crowd, w.stranger(s.addr, c.from(i), c.speak))
				if i == n/2 {
					w.comesIn(link) // while they come
				}
			}
			siege.holds(96 << 20)
			w.comesIn(w.invite("work")) // when they are there
			for _, c := range crowd {
				c.Close()
			}
			siege.holds(96 << 20)
			w.want("kill", "work")
		})
	}
}

// stranger connects from an address of this machine. If it speaks, it completes a
// handshake and says Tversion; else it says nothing. A server that hangs up on it
// is no error.
func (w *world) stranger(addr, from string, speak bool) net.Conn {
	w.tb.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.DialContext(w.tb.Context(), "tcp", addr)
	if err != nil {
		w.tb.Fatal(err)
	}
	if !speak {
		return c
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"hub9p"}, MinVersion: tls.VersionTLS13})
	hello, err := (&plan9.Fcall{Type: plan9.Tversion, Tag: plan9.NOTAG, Msize: 1 << 20, Version: "9P2000"}).Bytes()
	if err != nil {
		w.tb.Fatal(err)
	}
	t.SetDeadline(time.Now().Add(patience))
	if _, err := t.Write(hello); err == nil {
		io.ReadFull(t, make([]byte, 19))
	}
	return t
}

// comesIn has somebody redeem a link and look at something.
func (w *world) comesIn(link transport.Link) {
	w.tb.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(w.tb.Context(), patience)
	defer cancel()
	conn, err := transport.Dialer{}.Dial(ctx, link.Addr)
	if err != nil {
		w.tb.Fatalf("a guest does not come in: %v", err)
	}
	c, err := client.New(ctx, conn, client.Options{Uname: "ann", Token: link.Token})
	if err != nil {
		w.tb.Fatalf("a guest does not come in: %v", err)
	}
	defer c.Close()
	if _, err := c.Stat(ctx, "/work1"); err != nil {
		w.tb.Errorf("a guest does not see the shell: %v", err)
	}
	w.tb.Logf("a guest was in after %v", time.Since(start))
}

// TestGuestWhoTakesEverything: over many connections a guest opens as many files
// as it gets, and asks for megabytes of which it reads none. It gets errors; what
// it holds is bounded by 64 MiB, as the server counts; others go on.
func TestGuestWhoTakesEverything(t *testing.T) {
	w := newWorld(t)
	s := w.serveTLS("-q", "16M")
	history := numbered(16 << 20)
	if r := w.hubInput(string(history), "write", "log"); r.code != 0 {
		t.Fatal(r)
	}
	eve, mallory, ann := w.party("eve", "--view", "log"), w.party("mallory", "--view", "log"), w.party("ann", "--view", "log")
	siege := w.besiege(t, s.server)
	const most = 160 << 20 // what is charged, and as much again for the collector

	t.Run("replies unread", func(t *testing.T) {
		siege.t = t
		const conns = 100
		var crowd []*raw
		for range conns {
			c := eve.raw(1 << 20)
			c.open(1, "log", plan9.OREAD)
			crowd = append(crowd, c)
		}
		var asks []*plan9.Fcall
		for tag := range uint16(16) {
			asks = append(asks, tread(tag, 1, 1<<20))
		}
		for _, c := range crowd {
			c.send(asks...)
		}
		siege.holds(most)
		ann.sees(t, "log")
	})
	t.Run("all fids", func(t *testing.T) {
		siege.t = t
		n := mallory.takeFids("log")
		t.Logf("%d files are open", n)
		if n < 25_000 || n > 33_000 {
			t.Errorf("%d files are open", n)
		}
		_, err := client.New(t.Context(), mallory.dial(), client.Options{Uname: "mallory"})
		if err == nil || !strings.Contains(err.Error(), "too much is held") {
			t.Errorf("one connection more: %v", err)
		}
		siege.holds(most)
		ann.sees(t, "log")
	})
}

// sees reads the beginning of a hub.
func (g *party) sees(t *testing.T, hub string) {
	t.Helper()
	c, err := client.New(t.Context(), g.dial(), client.Options{Uname: "ann", Ordered: true})
	if err != nil {
		t.Fatalf("another guest: %v", err)
	}
	defer c.Close()
	f, err := c.Open(t.Context(), "/"+hub, client.OREAD)
	if err != nil {
		t.Fatalf("another guest: %v", err)
	}
	want := string(numbered(1000))
	p := make([]byte, len(want))
	if n, err := f.ReadContext(t.Context(), p); n != len(p) || string(p) != want {
		t.Errorf("another guest reads %d bytes, %v", n, err)
	}
}

// takeFids walks to a hub and opens it, as often as it gets, and returns how
// often that was.
func (g *party) takeFids(hub string) (n int) {
	g.w.tb.Helper()
	c := g.raw(8192)
	for fid := uint32(1); ; {
		var asks []*plan9.Fcall
		for i := range uint16(100) {
			asks = append(asks,
				&plan9.Fcall{Type: plan9.Twalk, Tag: 2 * i, Fid: 0, Newfid: fid, Wname: []string{hub}},
				&plan9.Fcall{Type: plan9.Topen, Tag: 2*i + 1, Fid: fid, Mode: plan9.OREAD})
			fid++
		}
		c.send(asks...)
		refused := false
		for range asks {
			switch rx := c.receive(); {
			case rx.Type == plan9.Ropen:
				n++
			case rx.Type == plan9.Rerror:
				refused = true
			}
		}
		if refused {
			return n
		}
	}
}

// TestOldTLSAndPlaintextAreRefused, by the server as it is installed.
func TestOldTLSAndPlaintextAreRefused(t *testing.T) {
	w := newWorld(t)
	s := w.serveTLS()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10} {
		conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"hub9p"}, MinVersion: tls.VersionTLS10, MaxVersion: version}
		c, err := tls.Dial("tcp", s.addr, conf)
		if err == nil {
			c.Close()
			t.Errorf("%s is spoken", tls.VersionName(version))
		}
	}
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	hello, err := (&plan9.Fcall{Type: plan9.Tversion, Tag: plan9.NOTAG, Msize: 8192, Version: "9P2000"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	c.Write(hello)
	answer, err := io.ReadAll(c)
	if errors.Is(err, unix.ETIMEDOUT) || strings.Contains(string(answer), "9P2000") {
		t.Errorf("plaintext is answered %q, %v", answer, err)
	}
	if _, answer := w.tryServe("-s", "open", "-a", "tcp!0.0.0.0!0"); !strings.Contains(answer, "loopback") {
		t.Errorf("plain TCP on every interface: %q", answer)
	}
	other := strings.Repeat("A", 43)
	if r := w.hub("-s", "tls://"+s.addr+"#"+other, "ls"); r.code == 0 || !strings.Contains(r.stderr, "another key") {
		t.Errorf("a server with another key: %+v", r)
	}
}
