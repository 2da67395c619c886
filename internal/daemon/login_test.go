package daemon

import (
	"context"
	"net"
	"strings"
	"testing"

	"9fans.net/go/plan9"
	plan9client "9fans.net/go/plan9/client"

	"hubfs/access"
)

// TestAClientOfOthersLogsIn: Plan 9's own client, by both ways that there are.
func TestAClientOfOthersLogsIn(t *testing.T) {
	h := newHouse(t, NoAccess)
	_, token := h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}, Uses: 2})
	dial := func() *plan9client.Conn {
		ours, theirs := net.Pipe()
		h.serving.Go(func() { h.servePeer(context.Background(), theirs, far("")) }) // until the client hangs up
		c, err := plan9client.NewConn(ours)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	check := func(fs *plan9client.Fsys, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		f, err := fs.Open("status", plan9.OREAD)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4096)
		if n, err := f.Read(p); n == 0 {
			t.Errorf("read: %v", err)
		}
		f.Close()
		fs.Close()
	}

	c := dial()
	if _, err := c.Attach(nil, "ann", ""); err == nil || !strings.Contains(err.Error(), "wants a token") {
		t.Errorf("attached without a token: %v", err)
	}
	afid, err := c.Auth("ann", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := afid.Write([]byte("token wrong")); err == nil {
		t.Error("a wrong token was taken")
	}
	if _, err := afid.WriteAt([]byte("token "+token), 0); err != nil {
		t.Fatal(err)
	}
	check(c.Attach(afid, "ann", ""))
	afid.Close()
	c.Close()

	c = dial()
	if _, err := c.Auth("ann", "token="+token); err == nil {
		t.Error("an afid for whom the aname lets in: plan9port's 9p would not go on")
	}
	check(c.Attach(nil, "ann", "token="+token))
	c.Close()
}
