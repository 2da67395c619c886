package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"hubfs/client"
	"hubfs/transport"
)

// BenchmarkTLS measures 64 MiB of output, in blocks of 64 KiB, on its way to one
// reader over TLS: from a hub that holds it (kept), and from one that is written
// meanwhile, over a Unix socket (live). Tls is a connection of crypto/tls and
// nothing between, with the same settings.
//
// Goal: kept/tls at least 0.8. A live hub has one process more to its two.
func BenchmarkTLS(b *testing.B) {
	blocks := keptBytes / blockSize
	if quick() {
		blocks = 64
	}
	compare(b, 1, blocks, false, tlsCarrier(b), keptCarrier(b), liveCarrier(b))
}

const keptBytes = 64 << 20

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
	// From as much memory as the hub has: one cycle would lie in the processor's
	// cache.
	kept, at := bytes.Repeat(cycle(), keptBytes/cycleSize), 0
	c.write = func(block []byte) error {
		_, err := out.Write(kept[at : at+len(block)])
		at = (at + len(block)) % len(kept)
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

// liveCarrier is a hub that is written over a Unix socket and read by a guest.
func liveCarrier(b *testing.B) *carrier {
	out, where := guestHub(b, streamWays)
	c := &carrier{name: "live", ours: true}
	c.readers(b, "hub-tls", where, 1)
	pipe := out.Writer(32)
	c.write = func(block []byte) error {
		_, err := pipe.WriteContext(b.Context(), block)
		return err
	}
	return c
}

// keptCarrier is a hub that has what a guest reads, again and again.
func keptCarrier(b *testing.B) *carrier {
	out, where := guestHub(b, fmt.Sprintf("size stream %d\n", 2*keptBytes))
	for range keptBytes / cycleSize {
		if _, err := out.WriteContext(b.Context(), cycle()); err != nil {
			b.Fatal(err)
		}
	}
	c := &carrier{name: "kept", ours: true}
	c.readers(b, "kept-tls", where, 1)
	c.write = func([]byte) error { return nil }
	return c
}

// guestHub makes a hub and a guest who may read it, and returns how to write it and
// where readers find it.
func guestHub(b *testing.B, words string) (out *client.File, where string) {
	w := newWorld(b)
	w.serveTLS()
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
	if err := wc.WriteFile(ctx, "/ctl", []byte(words)); err != nil {
		b.Fatal(err)
	}
	g := w.party("reader", "stream") // one who may write counts in fear, and loses nothing
	return f, fmt.Sprintf("tls://%s#%s %s", g.link.Addr.Address, g.link.Addr.Pin, filepath.Join(w.dir, "reader", "client.pem"))
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
