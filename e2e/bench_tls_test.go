package e2e

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"hubfs/client"
	"hubfs/transport"
)

// BenchmarkTLS measures one writer of 64 KiB blocks and one reader over TLS; bare
// is a connection of crypto/tls and nothing between, with the same settings. The
// hub's writer has a Unix socket.
//
// Goal: hub-tls/tls at least 0.8.
func BenchmarkTLS(b *testing.B) {
	blocks := 1024 // 64 MiB
	if quick() {
		blocks = 64
	}
	compare(b, 1, blocks, false, tlsCarrier(b), hubTLSCarrier(b))
}

// tlsCarrier is a TLS connection to one reader.
func tlsCarrier(b *testing.B) *carrier {
	key := benchKey(b)
	addr, err := transport.Parse("tls://127.0.0.1:" + freePort(b))
	if err != nil {
		b.Fatal(err)
	}
	l, err := transport.Listen(b.Context(), addr, transport.ListenOptions{Key: key})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conns := make(chan net.Conn, 1)
	go func() { // until there is a connection
		c, err := l.Accept()
		if err == nil {
			err = transport.Handshake(context.Background(), c)
		}
		if err != nil {
			b.Error(err)
		}
		conns <- c
	}()
	c := &carrier{name: "tls"}
	c.readers(b, "tls", fmt.Sprintf("tls://%s#%s", l.Addr(), key.Fingerprint()), 1)
	out := <-conns
	b.Cleanup(func() { out.Close() })
	c.write = func(block []byte) error {
		_, err := out.Write(block)
		return err
	}
	return c
}

func benchKey(b *testing.B) *transport.Key {
	b.Helper()
	key, err := transport.LoadKey(filepath.Join(shortTempDir(b), "bench", "key.pem"))
	if err != nil {
		b.Fatal(err)
	}
	return key
}

// hubTLSCarrier is a hub that is written over a Unix socket and read by a guest.
func hubTLSCarrier(b *testing.B) *carrier {
	w := newWorld(b)
	w.serveTLS()
	c := &carrier{name: "hub-tls", ours: true}
	ctx := b.Context()
	wc, err := client.New(ctx, w.dial("default"), streamOptions)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { wc.Close() })
	f, err := wc.Create(ctx, "/stream", 0o666, client.OWRITE)
	if err != nil {
		b.Fatal(err)
	}
	if err := wc.WriteFile(ctx, "/ctl", []byte(streamWays)); err != nil {
		b.Fatal(err)
	}
	g := w.party("reader", "--view", "stream")
	c.readers(b, "hub-tls", fmt.Sprintf("tls://%s#%s %s", g.link.Addr.Address, g.link.Addr.Pin, filepath.Join(w.dir, "reader", "client.pem")), 1)
	out := f.Writer(32)
	c.write = func(block []byte) error {
		_, err := out.WriteContext(ctx, block)
		return err
	}
	return c
}

// dialTLS connects to tls://HOST:PORT#FINGERPRINT, with the key in a file if one
// follows.
func dialTLS(ctx context.Context, where string) (net.Conn, error) {
	at, file, _ := strings.Cut(where, " ")
	addr, err := transport.Parse(at)
	if err != nil {
		return nil, err
	}
	var d transport.Dialer
	if file != "" {
		if d.Key, err = transport.LoadKey(file); err != nil {
			return nil, err
		}
	}
	return d.Dial(ctx, addr)
}
