package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// serveTLS listens with a key, and returns the address with its pin.
func serveTLS(t *testing.T, key *Key) (net.Listener, Addr) {
	t.Helper()
	a := parse(t, "tls!127.0.0.1!0")
	l, err := Listen(t.Context(), a, ListenOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a = Bound(l, a)
	if a.Network != "tls" || strings.HasSuffix(a.Address, ":0") {
		t.Fatalf("bound to %+v", a)
	}
	a.Pin = key.Fingerprint()
	return l, a
}

// An accepted is what a server makes of a connection.
type accepted struct {
	c    net.Conn
	peer Peer
	err  error
}

// acceptTLS accepts one connection, and answers a byte to show that it serves.
func acceptTLS(ctx context.Context, l net.Listener) <-chan accepted {
	ch := make(chan accepted, 1)
	go func() { // ends with the handshake
		c, err := l.Accept()
		if err != nil {
			ch <- accepted{err: err}
			return
		}
		if err := Handshake(ctx, c); err != nil {
			c.Close()
			ch <- accepted{err: err}
			return
		}
		p, err := PeerOf(c)
		io.WriteString(c, "+")
		ch <- accepted{c, p, err}
	}()
	return ch
}

func TestBothEndsOfTLSKnowTheOther(t *testing.T) {
	server, client := newTestKey(t), newTestKey(t)
	l, a := serveTLS(t, server)
	for _, key := range []*Key{client, nil} {
		got := acceptTLS(t.Context(), l)
		c, err := Dialer{Key: key}.Dial(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s := <-got
		if s.err != nil {
			t.Fatal(s.err)
		}
		defer s.c.Close()
		want := Peer{UID: -1, Addr: c.LocalAddr().String()}
		if key != nil {
			want.Key = key.Fingerprint()
		}
		if s.peer != want {
			t.Errorf("peer %+v, want %+v", s.peer, want)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	}
}

func TestServerWithAnotherKeyIsRefused(t *testing.T) {
	l, a := serveTLS(t, newTestKey(t))
	right := a.Pin
	a.Pin = newTestKey(t).Fingerprint()
	got := acceptTLS(t.Context(), l)
	_, err := Dialer{Key: newTestKey(t)}.Dial(t.Context(), a)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "another key") || !strings.Contains(err.Error(), right) {
		t.Errorf("Dial: %v", err)
	}
	if s := <-got; s.err == nil {
		t.Error("the server has a client that does not want it")
	}
}

func TestServerWithoutAPinIsNotCalled(t *testing.T) {
	l, a := serveTLS(t, newTestKey(t))
	a.Pin = ""
	_, err := Dial(t.Context(), a)
	if !errors.Is(err, ErrUnknownServer) || !strings.Contains(Hint(err), "hub fingerprint") {
		t.Errorf("Dial: %v, hint %q", err, Hint(err))
	}
	l.(*tlsListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := l.Accept(); err == nil {
		t.Error("it was called")
	}
}

// What is not TLS 1.3 with our protocol, and a client that shows the
// certificate of a key that it does not have, come to nothing.
func TestWrongClientsAreRefused(t *testing.T) {
	key, mine, anothers := newTestKey(t), newTestKey(t), newTestKey(t)
	stolen := mine.cert
	stolen.Certificate = anothers.cert.Certificate // with the signature of our own key
	l, a := serveTLS(t, key)
	for name, tc := range map[string]struct {
		conf *tls.Config
		want string // in the server's error
	}{
		"TLS 1.2":           {&tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{protocol}}, "supported versions"},
		"TLS 1.0":           {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, NextProtos: []string{protocol}}, "supported versions"},
		"no protocol":       {&tls.Config{}, "does not speak"},
		"another protocol":  {&tls.Config{NextProtos: []string{"h2"}}, "protocol"},
		"another's key":     {&tls.Config{NextProtos: []string{protocol}, Certificates: []tls.Certificate{stolen}}, "signature"},
		"a protocol and h2": {&tls.Config{NextProtos: []string{"h2", protocol}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := acceptTLS(t.Context(), l)
			tc.conf.InsecureSkipVerify = true
			plain, err := net.Dial("tcp", a.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			c := tls.Client(plain, tc.conf)
			herr := c.HandshakeContext(t.Context())
			s := <-got
			switch {
			case tc.want == "":
				if s.err != nil || herr != nil {
					t.Errorf("%v, client %v", s.err, herr)
				}
			case s.err == nil || !strings.Contains(s.err.Error(), tc.want):
				t.Errorf("served: %v, want %q", s.err, tc.want)
			default:
				if n, err := c.Read(make([]byte, 1)); err == nil {
					t.Errorf("the client reads %d bytes", n)
				}
			}
			if s.c != nil {
				s.c.Close()
			}
		})
	}
	t.Run("plain text", func(t *testing.T) {
		got := acceptTLS(t.Context(), l)
		c, err := net.Dial("tcp", a.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "\x13\x00\x00\x00d\xff\xff\x00\x20\x00\x00\x06\x009P2000")
		if s := <-got; s.err == nil {
			t.Error("9P in plain text was served")
		}
	})
}

// A server that is no hub, or speaks an old TLS, is refused, whatever its key.
func TestWrongServersAreRefused(t *testing.T) {
	key := newTestKey(t)
	for name, conf := range map[string]*tls.Config{
		"TLS 1.2":     {MaxVersion: tls.VersionTLS12, NextProtos: []string{protocol}},
		"no protocol": {},
	} {
		conf.Certificates = []tls.Certificate{key.cert}
		l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got := acceptTLS(t.Context(), l)
		a := parse(t, "tls://"+l.Addr().String()+"#"+key.Fingerprint())
		if c, err := Dial(t.Context(), a); err == nil {
			c.Close()
			t.Errorf("%s: connected", name)
		}
		if s := <-got; s.c != nil {
			s.c.Close()
		}
	}
}

// Two sessions of one client are two proofs of its key.
func TestSessionsAreNotResumed(t *testing.T) {
	key := newTestKey(t)
	l, a := serveTLS(t, key)
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	for range 2 {
		got := acceptTLS(t.Context(), l)
		c, err := tls.Dial("tcp", a.Address, conf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		if c.ConnectionState().DidResume {
			t.Error("resumed")
		}
		(<-got).c.Close()
		c.Close()
	}
}

// A client that does not go on with its handshake is let go with ctx, and in
// any case soon: it holds nothing but itself.
func TestHandshakeHeedsItsContext(t *testing.T) {
	l, a := serveTLS(t, newTestKey(t))
	ctx, cancel := context.WithCancel(t.Context())
	got := acceptTLS(ctx, l)
	c, err := net.Dial("tcp", a.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "\x16\x03\x01") // the beginning of a hello
	cancel()
	if s := <-got; s.err == nil {
		t.Error("served")
	}
	if _, err := c.Read(make([]byte, 100)); err == nil {
		t.Error("an answer")
	}
}

// The fingerprint is that of the key alone: the certificate around it may
// change.
func TestFingerprintIsOfTheKey(t *testing.T) {
	k := newTestKey(t)
	again, err := newKey(k.cert.PrivateKey.(ed25519.PrivateKey))
	if err != nil || again.Fingerprint() != k.Fingerprint() {
		t.Errorf("%v, %v", again, err)
	}
	leaf, err := x509.ParseCertificate(again.cert.Certificate[0])
	if err != nil || leaf.NotAfter.Before(time.Now().AddDate(1000, 0, 0)) {
		t.Errorf("certificate: %v, %v", leaf.NotAfter, err)
	}
}
