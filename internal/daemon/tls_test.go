package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/transport"
)

// TestALinkOverTLS: a link is made by a word, and used over tls by a client that
// shows a key, which has the role from then on. Another key has nothing by it, nor
// has who shows none. When the link is revoked, who waits in a read is cut.
func TestALinkOverTLS(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "tls"), Also: Addrs{address(t, "tls!127.0.0.1!0")}})
	own := r.connect()
	write(t, own, "shell work -- cat")
	server, err := ServerKey()
	if err != nil {
		t.Fatal(err)
	}
	at := address(t, strings.Fields(listens(t, own)[0])[0])
	at.Pin = server.Fingerprint()
	newKey := func(name string) *transport.Key {
		k, err := transport.LoadKey(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ann, bob := newKey("ann"), newKey("bob")
	enter := func(k *transport.Key, o client.Options) (*client.Conn, error) {
		nc, err := transport.Dialer{Key: k}.Dial(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.New(t.Context(), nc, o)
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return c, err
	}

	// Nobody is anybody by what he says, not even on this machine.
	for _, k := range []*transport.Key{ann, nil} {
		for _, uname := range []string{ownUser(), "root", "guest:ann"} {
			if _, err := enter(k, client.Options{Uname: uname}); !errors.Is(err, client.ErrPermission) {
				t.Errorf("%s came in: %v", uname, err)
			}
		}
	}
	f, err := own.Open(t.Context(), "/access", client.ORDWR)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteContext(t.Context(), []byte("invite view work for=1h\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 200)
	n, err := f.ReadContext(t.Context(), answer)
	id, token, ok := strings.Cut(strings.TrimSpace(string(answer[:n])), " ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", answer[:n], err)
	}
	first, err := enter(ann, client.Options{Uname: "ann", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	for _, k := range []*transport.Key{bob, nil} {
		if _, err := enter(k, client.Options{Uname: "ann", Token: token}); !errors.Is(err, client.ErrPermission) {
			t.Errorf("a used link lets in: %v", err)
		}
	}
	c, err := enter(ann, client.Options{Uname: "whoever"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), "/work0", client.OWRITE); !errors.Is(err, client.ErrNotExist) {
		t.Errorf("a viewer finds the input: %v", err)
	}
	out, err := c.Open(t.Context(), "/work1", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() { // ends with the connection
		p := make([]byte, 100)
		for {
			if _, err := out.ReadContext(context.Background(), p); err != nil {
				lost <- err
				return
			}
		}
	}()
	if err := own.WriteFile(t.Context(), "/access", []byte("revoke "+id+"\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-lost:
		if !errors.Is(err, client.ErrLost) {
			t.Errorf("the read ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the read waits on")
	}
	if _, err := enter(ann, client.Options{}); !errors.Is(err, client.ErrPermission) {
		t.Errorf("revoked, and came in: %v", err)
	}
}
