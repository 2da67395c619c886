package daemon

import (
	"bufio"
	"context"
	"strings"
	"testing"

	"hubfs/client"
)

// TestConnectionsAreEvents: who comes is told with the number that /status has,
// and when they go.
func TestConnectionsAreEvents(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "conns"), State: NoState})
	watcher := r.connect()
	events, err := watcher.Open(t.Context(), "/events", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(reader{t.Context(), events})
	visitor := r.connect()
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "conn new 2 ") {
		t.Fatalf("event %q", lines.Text())
	}
	who := strings.TrimPrefix(lines.Text(), "conn new ")
	status, err := visitor.ReadFile(t.Context(), "/status")
	if err != nil || !strings.Contains(string(status), "\nconn "+who+" ") {
		t.Errorf("no conn %s in the status: %v\n%s", who, err, status)
	}
	visitor.Close()
	if !lines.Scan() || lines.Text() != "conn end 2" {
		t.Errorf("event %q", lines.Text())
	}
}

// A reader is a File for those who know no context.
type reader struct {
	ctx context.Context
	f   *client.File
}

func (r reader) Read(p []byte) (int, error) { return r.f.ReadContext(r.ctx, p) }
