package daemon

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestQuickRelay: pipes, as sshd has them, are read and written without a thread
// that blocks, and the bytes are the same; a file, or one of each, stays as it is.
func TestQuickRelay(t *testing.T) {
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{inR, inW, outR, outW, file, l} {
		defer c.Close()
	}
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()

	if r, w, _, ok := quick(inR, file, conn); ok || r != io.Reader(inR) || w != io.Writer(file) {
		t.Error("a file was opened anew")
	}
	r, w, c, ok := quick(inR, outW, conn)
	if !ok {
		t.Fatal("not quick")
	}
	done := make(chan error, 1)
	go func() { done <- Relay(r, w, c, 0) }() // until the peer hangs up
	io.WriteString(inW, "question")
	got := make([]byte, 8)
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != "question" {
		t.Errorf("%q, %v", got, err)
	}
	inW.Close()
	if n, err := peer.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	io.WriteString(peer, "answer")
	peer.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n, err := io.ReadFull(outR, got[:6]); string(got[:n]) != "answer" {
		t.Errorf("%q, %v", got[:n], err)
	}
}
