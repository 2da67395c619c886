package daemon

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"hubfs/client"
	"hubfs/transport"
)

// alone serves one connection, and returns the other end of it and what becomes of
// the server.
func alone(ctx context.Context, t *testing.T, alive bool) (net.Conn, chan error) {
	t.Helper()
	here, there := net.Pipe()
	ended := make(chan error, 1)
	c := Config{Addr: address(t, "alone"), State: NoState, Access: NoAccess, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- serveAlone(ctx, c, there, alive) }() // until it is hung up
	return here, ended
}

// TestAServerForOneConnectionGoesWithIt, and leaves nothing behind.
func TestAServerForOneConnectionGoesWithIt(t *testing.T) {
	inPrivate(t)
	conn, ended := alone(t.Context(), t, true)
	greeting := make([]byte, len(transport.Greeting))
	if _, err := io.ReadFull(conn, greeting); err != nil || !bytes.Equal(greeting, []byte(transport.Greeting)) {
		t.Fatalf("%q, %v", greeting, err)
	}
	c, err := client.New(t.Context(), conn, client.Options{Uname: "whoever"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stat(t.Context(), "/remote/uplink"); err != nil {
		t.Error(err)
	}
	if f, err := c.Create(t.Context(), "/hub", 0o666, client.OWRITE); err != nil { // it is whose process it is
		t.Error(err)
	} else {
		f.Close()
	}
	c.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(os.Getenv("XDG_RUNTIME_DIR") + "/hub/*")
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestAServerForOneConnectionEndsWhenItIsTold, with the connection.
func TestAServerForOneConnectionEndsWhenItIsTold(t *testing.T) {
	inPrivate(t)
	ctx, cancel := context.WithCancel(t.Context())
	conn, ended := alone(ctx, t, false)
	c, err := client.New(t.Context(), conn, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-c.Done()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
