package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// A world is a proxy before a server that hands the test each connection.
type world struct {
	t      *testing.T
	*Proxy // before it
	conns  chan net.Conn
}

func newWorld(t *testing.T, network string) *world {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "server")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, conns: make(chan net.Conn, 10)}
	accepted := make(chan struct{})
	go func() { // ends with the listener
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.conns <- c
		}
	}()
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "proxy")
	}
	if w.Proxy, err = Listen(network, address, network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		l.Close()
		<-accepted
	})
	return w
}

// connect returns both ends of a connection through the proxy.
func (w *world) connect() (client, server net.Conn) {
	w.t.Helper()
	client, err := net.Dial(w.Addr().Network(), w.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	server = <-w.conns
	w.t.Cleanup(func() { client.Close(); server.Close() })
	client.SetDeadline(time.Now().Add(patience))
	server.SetDeadline(time.Now().Add(patience))
	return client, server
}

// silent fails if something comes over c: a byte, or an end.
func silent(t *testing.T, what string, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: %d bytes, %v", what, n, err)
	}
}

func pass(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("%q came, %v, want %q", got, err, text)
	}
}

func both(t *testing.T, f func(t *testing.T, w *world)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { f(t, newWorld(t, network)) })
	}
}

// TestBytesArrive: many, both ways at once, and the end of each way by itself.
func TestBytesArrive(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.Delay(5 * time.Millisecond)
		client, server := w.connect()
		data := make([]byte, 20<<20) // several windows
		for i := range data {
			data[i] = byte(i / 3)
		}
		send := func(c net.Conn) {
			c.Write(data)
			c.(interface{ CloseWrite() error }).CloseWrite()
		}
		go send(client) // these end when all is read
		go send(server)
		for name, c := range map[string]net.Conn{"client": client, "server": server} {
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s got %d bytes of %d, %v", name, len(got), len(data), err)
			}
		}
	})
}

// TestDelayTakesNothingFromTheBandwidth: messages that are sent one behind the
// other arrive one behind the other, each after the delay and not all delays
// after another.
func TestDelayTakesNothingFromTheBandwidth(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		const delay, messages = 100 * time.Millisecond, 100
		w.Delay(delay)
		client, server := w.connect()
		start := time.Now()
		for range messages {
			client.Write([]byte("x"))
		}
		io.ReadFull(server, make([]byte, messages))
		if took := time.Since(start); took < delay || took > 10*delay {
			t.Errorf("%d messages took %v", messages, took)
		}
		start = time.Now()
		pass(t, server, client, "back")
		if took := time.Since(start); took < delay {
			t.Errorf("the way back took %v", took)
		}
	})
}

// TestFaultFallsBehindItsByte: exactly the bytes before it arrive.
func TestFaultFallsBehindItsByte(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, after := range []int64{0, 1, 1000, 100_000} {
			w.Plan(func(int) Fault { return Fault{Cut, after} })
			client, server := w.connect()
			client.Write(make([]byte, 200_000))
			if got, err := io.ReadAll(server); int64(len(got)) != after || err != nil {
				t.Errorf("cut behind %d: %d bytes, %v", after, len(got), err)
			}
			if _, err := io.ReadAll(client); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the client does not learn of the cut")
			}

			w.Plan(func(int) Fault { return Fault{SilentUp, after} })
			client, server = w.connect()
			client.Write(make([]byte, 200_000))
			io.ReadFull(server, make([]byte, after))
			silent(t, "the server", server)
			pass(t, server, client, "heard") // the other way is as it was
		}
	})
}

// TestBothWaysCount: a fault counts what both ways have carried.
func TestBothWaysCount(t *testing.T) {
	w := newWorld(t, "tcp")
	w.Plan(func(int) Fault { return Fault{Cut, 10} })
	client, server := w.connect()
	pass(t, client, server, "12345")
	pass(t, server, client, "67890")
	client.Write([]byte("x"))
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

// TestBlackholeTellsNobody: not of bytes, and not of an end.
func TestBlackholeTellsNobody(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		client, server := w.connect()
		pass(t, client, server, "hello")
		w.Silence(Blackhole)
		client.Write(make([]byte, 2*window)) // is taken all the same
		server.Write([]byte("anybody?"))
		silent(t, "the client", client)
		client.Close()
		silent(t, "the server", server)

		other, end := w.connect() // is not concerned
		pass(t, other, end, "hello")
	})
}

// TestHalfOpen: what the client sends vanishes, also its hanging up; what the
// server sends to nobody vanishes, too.
func TestHalfOpen(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		client, server := w.connect()
		pass(t, client, server, "hello")
		w.Silence(SilentUp)
		pass(t, server, client, "one way")
		client.Close()
		for range 10 {
			if _, err := server.Write(make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
		}
		silent(t, "the server", server)
	})
}

func TestHoldKeepsAndReleaseDelivers(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		client, server := w.connect()
		pass(t, client, server, "awake")
		w.Hold()
		client.Write([]byte("asleep"))
		silent(t, "the server", server)
		w.Release()
		got := make([]byte, 6)
		if _, err := io.ReadFull(server, got); string(got) != "asleep" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestResetIsAnError(t *testing.T) {
	w := newWorld(t, "tcp")
	client, server := w.connect()
	pass(t, client, server, "hello")
	w.Reset()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
}

// TestServerAway: who comes while the server is away, or refused, is told; and
// a proxy can be taken away and put back.
func TestServerAway(t *testing.T) {
	w := newWorld(t, "tcp")
	gone := func() {
		t.Helper()
		c, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	w.Refuse(true)
	gone()
	w.Refuse(false)
	client, server := w.connect()
	pass(t, client, server, "hello")
	if n := w.Count(); n != 1 {
		t.Errorf("%d connections have come", n)
	}
	addr := w.Addr().String()
	w.Close()
	gone()
	again, err := Listen("tcp", addr, "tcp", "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	gone() // nobody is at that port
	again.Close()
}

// TestSeedGivesTheSameDay, and another seed another one.
func TestSeedGivesTheSameDay(t *testing.T) {
	a, b, c := Random(7, 1000), Random(7, 1000), Random(8, 1000)
	seen := map[Kind]bool{}
	same := true
	for n := range 100 {
		f := a(n)
		seen[f.Kind] = true
		if f != b(n) {
			t.Fatalf("%d: %v and %v", n, f, b(n))
		}
		if f.After < 0 || f.After >= 1000 {
			t.Fatalf("%d: %v", n, f)
		}
		same = same && f == c(n)
	}
	if same || len(seen) != 5 {
		t.Errorf("another seed gives the same: %v; kinds: %v", same, seen)
	}
	for n := range 100 {
		if f := Random(7, 1000, Cut, Hold)(n); f.Kind != Cut && f.Kind != Hold {
			t.Fatalf("%v was not asked for", f)
		}
	}
}
