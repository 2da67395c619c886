package fdio

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

// pair returns two ends of a Unix socket.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c.(*net.UnixConn), d.(*net.UnixConn)
}

func file(t *testing.T, c syscall.Conn) *File {
	t.Helper()
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTryNeverWaits(t *testing.T) {
	a, b := pair(t)
	f := file(t, a)
	if n, err := f.TryRead(make([]byte, 10)); n != 0 || err != syscall.EAGAIN {
		t.Errorf("read of nothing: %d, %v", n, err)
	}
	sent := 0
	piece := bytes.Repeat([]byte("x"), 64<<10)
	for {
		n, err := f.TryWrite(piece)
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; n == 0 {
			break
		}
	}
	b.CloseWrite()
	a.CloseWrite()
	if got, err := io.ReadAll(b); len(got) != sent || err != nil {
		t.Errorf("%d bytes arrived of %d (%v)", len(got), sent, err)
	}
	if n, err := f.TryRead(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
}

// A vector of any shape arrives as its bytes, and what is taken is counted.
func TestVectorArrivesInOrder(t *testing.T) {
	a, b := pair(t)
	f := file(t, a)
	var vec [][]byte
	var want []byte
	for i := range 200 { // more than one writev takes
		p := bytes.Repeat([]byte{byte(i)}, i%7*i)
		vec = append(vec, p)
		want = append(want, p...)
	}
	got := make(chan []byte)
	go func() {
		p, _ := io.ReadAll(b)
		got <- p
	}()
	sent := 0
	for sent < len(want) {
		rest, skip := vec, sent
		for skip >= len(rest[0]) {
			skip -= len(rest[0])
			rest = rest[1:]
		}
		rest = append([][]byte{rest[0][skip:]}, rest[1:]...)
		n, err := f.TryWritev(rest)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	a.CloseWrite()
	if p := <-got; !bytes.Equal(p, want) {
		t.Errorf("%d bytes arrived, want %d", len(p), len(want))
	}
}

// What is behind p goes into next, and is counted; nothing is lost where only p
// is read.
func TestReadBothReadsOn(t *testing.T) {
	a, b := pair(t)
	f := file(t, a)
	b.Write([]byte("0123456789"))
	p, next := make([]byte, 4), make([]byte, 10)
	n, err := f.ReadBoth(p, next)
	if err != nil || n != 10 && n != 4 || string(p) != "0123" || string(next[:n-4]) != "456789"[:n-4] {
		t.Errorf("%d, %v: %q %q", n, err, p, next)
	}
	if n == 4 {
		if m, err := f.Read(next); err != nil || string(next[:m]) != "456789" {
			t.Errorf("%d, %v: %q", m, err, next)
		}
	}
}

func TestReadAndWriteWait(t *testing.T) {
	a, b := pair(t)
	f, g := file(t, a), file(t, b)
	want := bytes.Repeat([]byte("0123456789"), 1<<17)
	done := make(chan error)
	go func() {
		n, err := f.Write(want) // more than a socket holds
		if err == nil && n != len(want) {
			err = io.ErrShortWrite
		}
		a.Close()
		done <- err
	}()
	var got []byte
	p := make([]byte, 32<<10)
	for {
		n, err := g.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived of %d (%v)", len(got), len(want), err)
	}
	if _, err := f.Write(want); err == nil {
		t.Error("a closed socket was written")
	}
}

func TestDeadlinesAndCloseEndAWait(t *testing.T) {
	a, _ := pair(t)
	f := file(t, a)
	a.SetReadDeadline(time.Unix(1, 0))
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	a.SetReadDeadline(time.Time{})
	done := make(chan error)
	go func() {
		_, err := f.Read(make([]byte, 1))
		done <- err
	}()
	a.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	a, b := pair(t)
	f, g := file(t, a), file(t, b)
	p := make([]byte, 100)
	vec := [][]byte{p[:10], p[10:30]}
	allocs := testing.AllocsPerRun(100, func() {
		f.Write(p[:50])
		f.TryWritev(vec)
		g.Read(p[:20])
		g.TryRead(p)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// ReadFull fills what it was given from any reader, and only from a File reads
// on; a connection that is not a plain socket has none.
func TestReadFullFillsFromAnyReader(t *testing.T) {
	a, b := pair(t)
	f := Socket(a)
	b.Write([]byte("0123456789"))
	for name, r := range map[string]io.Reader{"file": f, "reader": bytes.NewReader([]byte("0123456789"))} {
		p, next := make([]byte, 4), make([]byte, 10)
		more, err := ReadFull(r, p, next)
		if err != nil || string(p) != "0123" || string(next[:more]) != "456789"[:more] {
			t.Errorf("%s: %v: %q %q", name, err, p, next[:more])
		}
		if more == 6 {
			continue
		}
		if n, err := r.Read(next); err != nil || string(next[:n]) != "456789"[more:] {
			t.Errorf("%s: then %v: %q", name, err, next[:n])
		}
	}
	c, d := net.Pipe()
	defer c.Close()
	defer d.Close()
	if Socket(c) != nil {
		t.Error("a pipe in memory is taken for a socket")
	}
}
