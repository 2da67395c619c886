package cluster

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/p9"
	"hubfs/taskfs/frame"
	"hubfs/tree"
)

// A served is a tree with the one file, uplink, of a node.
type served struct{ n *Node }

func (s served) Stat() tree.Info {
	return tree.Info{Name: "/", Path: 1, Mode: tree.ModeDir | 0o555, UID: "us", GID: "us"}
}

func (s served) Lookup(_ *tree.Caller, name string) (tree.Node, error) {
	if name != "uplink" {
		return nil, tree.ErrNotExist
	}
	return servedFile(s), nil
}

func (s served) List(*tree.Caller) ([]tree.Info, error) { return nil, nil }

type servedFile served

func (f servedFile) Stat() tree.Info {
	return tree.Info{Name: "uplink", Path: 2, Mode: 0o600, UID: "us", GID: "us"}
}

func (f servedFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	h, l := NewUplink(c)
	go f.n.Above(context.Background(), l) // until h is closed
	return h, nil
}

// dial opens the uplink of a node over a connection of 9P.
func dial(t *testing.T, n *Node) (frame.Link, *client.Conn) {
	t.Helper()
	here, there := net.Pipe()
	s := &p9.Server{Root: served{n}}
	go s.ServeConn(context.Background(), there, p9.Peer{User: "us", Addr: "here"}) // until here is closed
	c, err := client.New(t.Context(), here, client.Options{Uname: "us", Ordered: true})
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Open(t.Context(), "uplink", client.ORDWR)
	if err != nil {
		t.Fatal(err)
	}
	return frame.NewStream(f, "there"), c
}

// TestANodeIsBelowOverAFile: all that nodes say to one another goes over one
// open of one file, both ways at once, of any size.
func TestANodeIsBelowOverAFile(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		l, conn := dial(t, leaf.Node)
		below := make(chan error, 1)
		go func() { below <- top.Below(context.Background(), l, "") }() // until the link ends
		synctest.Wait()
		c, p := top.h.child(), leaf.h.parent()
		if c.Addr() != "there" {
			t.Errorf("address %s", c.Addr())
		}
		big := bytes.Repeat([]byte("0123456789"), frame.MaxBody/10)
		got := make(chan frame.Frame, 100)
		leaf.h.above = func(_ *Parent, f frame.Frame) { got <- f }
		top.h.below = func(_ *Child, f frame.Frame) { got <- f }
		for range 3 {
			for _, body := range [][]byte{nil, []byte("x"), big} {
				if err := c.Send(t.Context(), frame.Frame{Kind: frame.Input, Session: 3, Body: body}); err != nil {
					t.Fatal(err)
				}
				if err := p.Send(t.Context(), frame.Frame{Kind: frame.Output, Session: 3, Body: body}); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if f := <-got; !bytes.Equal(f.Body, body) {
						t.Errorf("%v: %d bytes, want %d", f.Kind, len(f.Body), len(body))
					}
				}
			}
		}
		time.Sleep(time.Hour)
		if c.State() != Up {
			t.Errorf("%s", c.State())
		}
		conn.Close() // as a cut connection
		<-below
		<-p.Done()
		top.h.take()
		top.Ack("leaf")
		is(t, "handler", top.h.take(), "fenced leaf")
	})
}

func TestANodeLeavesOverAFile(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		l, conn := dial(t, leaf.Node)
		defer conn.Close()
		below := make(chan error, 1)
		go func() { below <- top.Below(context.Background(), l, "") }() // until the link ends
		synctest.Wait()
		begun := time.Now()
		if err := leaf.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-below; err != nil {
			t.Errorf("below: %v", err)
		}
		if d := time.Since(begun); d > 0 {
			t.Errorf("it took %v", d)
		}
		is(t, "events", top.events.take(), "node join leaf E", "node leave leaf")
	})
}

// TestAnUplinkWaitsWithoutBlocking, and wakes who waits, once.
func TestAnUplinkWaitsWithoutBlocking(t *testing.T) {
	handle, l := NewUplink(&tree.Caller{Addr: "somewhere"})
	if l.Addr() != "somewhere" {
		t.Errorf("address %s", l.Addr())
	}
	r, w := handle.(tree.StreamReader), handle.(tree.StreamWriter)
	woken := 0
	wake := func() { woken++ }
	read := func(max int) ([]byte, bool) {
		t.Helper()
		pieces, ready, err := r.ReadStream(nil, 0, max, wake)
		if err != nil {
			t.Fatal(err)
		}
		var p []byte
		for _, piece := range pieces {
			p = append(p, piece.Data...)
		}
		return p, ready
	}
	if p, ready := read(10); ready || len(p) > 0 {
		t.Fatalf("%d bytes, %v", len(p), ready)
	}
	send := func(body string) {
		t.Helper()
		if err := l.Send(t.Context(), frame.Frame{Kind: frame.Output, Session: 1, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	send("hello")
	send("world")
	if woken != 1 {
		t.Errorf("woken %d times", woken)
	}
	var got []byte
	for len(got) < 22 {
		p, ready := read(3)
		if !ready || len(p) == 0 || len(p) > 3 {
			t.Fatalf("%d bytes, %v", len(p), ready)
		}
		got = append(got, p...)
	}
	if f, n, _, err := frame.Next(got); err != nil || n != 11 || string(f.Body) != "hello" {
		t.Errorf("%q, %d, %v", f.Body, n, err)
	}
	if _, ready := read(3); ready {
		t.Error("there is more")
	}
	r.CancelRead()
	send("later")
	if woken != 1 {
		t.Error("a read that was withdrawn is woken")
	}

	p, _ := frame.Append(nil, frame.Frame{Kind: frame.Input, Session: 1, Body: make([]byte, 1<<20)})
	freed := 0
	for i := range 3 {
		n, ready, err := w.WriteStream(tree.Piece{Data: p, Owner: freer{&freed}}, 0, wake)
		switch {
		case err != nil:
			t.Fatal(err)
		case i < 2 && (!ready || n != len(p) || freed != i+1):
			t.Fatalf("write %d: %d, %v, freed %d times", i, n, ready, freed)
		case i == 2 && (ready || n != 0 || freed != 2):
			t.Fatalf("it takes everything: %d, %v, freed %d times", n, ready, freed)
		}
	}
	if n := w.CancelWrite(); n != 0 {
		t.Errorf("%d bytes of a write that was withdrawn", n)
	}
	if _, err := l.Recv(t.Context()); err != nil || woken != 1 {
		t.Errorf("%v, woken %d times", err, woken)
	}

	read(1000)
	if _, ready := read(10); ready {
		t.Error("there is more")
	}
	handle.Close()
	if woken != 2 {
		t.Errorf("woken %d times: who waits does not see the end", woken)
	}
	if p, ready := read(10); !ready || len(p) > 0 {
		t.Errorf("after the end: %d bytes, %v", len(p), ready)
	}
	if _, _, err := w.WriteStream(tree.Piece{Data: p}, 0, wake); !errors.Is(err, frame.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if _, err := l.Recv(t.Context()); err != nil {
		t.Errorf("what came before the end: %v", err)
	}
	if _, err := l.Recv(t.Context()); !errors.Is(err, frame.ErrClosed) {
		t.Errorf("recv: %v", err)
	}
}

type freer struct{ n *int }

func (f freer) Free() { *f.n++ }
