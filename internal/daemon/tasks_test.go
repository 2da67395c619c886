package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/taskfs/fence"
	"hubfs/transport"
)

// TestIdleServerWaitsForSessionsAndNodes: one that persists, and one above.
func TestIdleServerWaitsForSessionsAndNodes(t *testing.T) {
	inPrivate(t)
	const idle = 20 * time.Millisecond
	stays := func(r *running, why string) {
		t.Helper()
		select {
		case err := <-r.done:
			t.Fatalf("%s: the server has ended: %v", why, err)
		case <-time.After(5 * idle):
		}
	}
	r := start(t, Config{Addr: address(t, "root"), Idle: idle, State: NoState})
	c := r.connect()
	ctl, err := c.OpenWrite(t.Context(), "/remote/clone", client.ORDWR, []byte("persist\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctl.Close()
	c.Close()
	stays(r, "a session")

	leaf := start(t, Config{Addr: address(t, "leaf"), Idle: idle, State: NoState,
		Node: NodeConfig{Join: Nodes{transport.Link{Addr: r.addr}}}})
	c = r.connect()
	if err := c.WriteFile(t.Context(), "/remote/0/ctl", []byte("wipe\n")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	stays(leaf, "a node above")
	stays(r, "a node below")
	leaf.cancel()
	leaf.ends()
	r.ends()
}

// TestTheEndOfAServerIsTheEndOfItsTasks, of those that run for a node above too,
// and that node knows.
func TestTheEndOfAServerIsTheEndOfItsTasks(t *testing.T) {
	inPrivate(t)
	dir := t.TempDir()
	root := start(t, Config{Addr: address(t, "root"), State: NoState})
	c := root.connect()
	events, err := c.Open(t.Context(), "/events", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	await := func(text string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p, said := make([]byte, 4096), ""
		for !strings.Contains(said, text) {
			n, err := events.ReadContext(ctx, p)
			if err != nil {
				t.Fatalf("waiting for %q: %q, %v", text, said, err)
			}
			said += string(p[:n])
		}
	}
	leaf := start(t, Config{Addr: address(t, "leaf"), State: NoState,
		Node: NodeConfig{Name: "leaf", Join: Nodes{transport.Link{Addr: root.addr}}}})
	await("node join leaf ")
	ctl, err := c.OpenWrite(t.Context(), "/remote/clone", client.ORDWR, []byte("res 1\ndir "+dir+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ctl.WriteContext(t.Context(), []byte("exec sh -c 'echo on; sleep 1000'")); err != nil {
		t.Fatal(err)
	}
	out, err := c.Open(t.Context(), "/remote/0/stdout", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	if n, err := out.ReadContext(t.Context(), p); err != nil || string(p[:n]) != "on\n" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	leaf.cancel()
	leaf.ends()
	await("node leave leaf") // and nobody has to fence it
	wait, err := c.ReadFile(t.Context(), "/remote/0/wait")
	if err != nil || !strings.HasPrefix(string(wait), "0 leaf ") {
		t.Errorf("wait: %q, %v", wait, err)
	}
	c.Close()
	root.cancel()
	root.ends()
}

// TestAPolicyThatCannotBeReadIsNoServer, for it would be missed when a node is lost.
func TestAPolicyThatCannotBeReadIsNoServer(t *testing.T) {
	inPrivate(t)
	file := filepath.Join(t.TempDir(), "fence")
	c := Config{Addr: address(t, "fence"), State: NoState, Node: NodeConfig{Fence: file}}
	if err := Run(t.Context(), c); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string]string{"* nosuch": "nosuch", "leaf[1-": "leaf[1-", "* watchdog slack=x": "slack"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := os.WriteFile(file, []byte("# who is far\nfar* manual\n* watchdog\n* command /bin/true verify=no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := c.Node.policy()
	if err != nil || p == (*fence.Policy)(nil) {
		t.Error(err)
	}
}
