package daemon

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/transport"
)

// listens is where a server says that it is to be found, but for its own
// address.
func listens(t *testing.T, c *client.Conn) []string {
	t.Helper()
	status, err := c.ReadFile(t.Context(), "/status")
	if err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for line := range strings.Lines(string(status)) {
		if addr, ok := strings.CutPrefix(line, "listen "); ok {
			addrs = append(addrs, strings.TrimSpace(addr))
		}
	}
	if len(addrs) == 0 {
		t.Fatalf("nothing listens: %q", status)
	}
	return addrs[1:]
}

func refusal(t *testing.T, c *client.Conn, line string) string {
	t.Helper()
	err := c.WriteFile(t.Context(), "/ctl", []byte(line+"\n"))
	if err == nil {
		t.Fatalf("%s: done", line)
	}
	return err.Error()
}

func TestListenAndUnlisten(t *testing.T) {
	inPrivate(t)
	t.Setenv("XDG_CONFIG_HOME", os.Getenv("XDG_RUNTIME_DIR"))
	r := start(t, Config{Addr: address(t, "l")})
	c := r.connect()
	path := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "other")
	write(t, c, "listen unix!"+path)
	write(t, c, "listen tcp!127.0.0.1!0")
	key := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "hub", "server.pem")
	if _, err := os.Stat(key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key that nobody needs: %v", err)
	}
	write(t, c, "listen tls!127.0.0.1!0")
	at := listens(t, c)
	if len(at) != 3 || at[0] != "unix!"+path || !strings.HasPrefix(at[1], "tcp!127.0.0.1!") || !strings.HasPrefix(at[2], "tls://127.0.0.1:") {
		t.Fatalf("listens at %q", at)
	}
	// It answers when it listens, at the very port that it says.
	other := &running{t: t, addr: address(t, at[0])}
	oc := other.connect()
	for _, a := range at[1:] {
		tcp, err := net.Dial("tcp", address(t, a).Address)
		if err != nil {
			t.Fatal(err)
		}
		tcp.Close()
	}
	k, err := ServerKey()
	if err != nil {
		t.Fatal(err)
	}
	tls, err := transport.Dial(t.Context(), address(t, at[2]))
	if err != nil {
		t.Fatal(err)
	}
	tls.Close()
	if !strings.HasSuffix(at[2], "#"+k.Fingerprint()) {
		t.Errorf("the key of %s is %s", at[2], k.Fingerprint())
	}

	for line, want := range map[string]string{
		"listen unix!" + path:   "already running",
		"listen " + at[1]:       "somebody listens at",
		"listen tcp!0.0.0.0!0":  "plain TCP can be read and altered",
		"listen gopher!x":       "expected NAME",
		"listen ssh!host":       "cannot listen there",
		"listen fd!99999":       "99999",
		"listen systemd":        "no socket",
		"unlisten l":            "the server's own",
		"unlisten nothing":      "nothing listens",
		"unlisten tcp!h!1":      "nothing listens",
		"listen":                "expected listen ADDR",
		"listen a b":            "expected listen ADDR",
		"listen \"unix!/a\nb\"": "control",
	} {
		if text := refusal(t, c, line); !strings.Contains(text, want) {
			t.Errorf("%s: %q, want %q", line, text, want)
		}
	}
	if again := listens(t, c); len(again) != 3 {
		t.Errorf("listens at %q", again)
	}

	for _, a := range at {
		write(t, c, "unlisten "+a)
	}
	if left := listens(t, c); len(left) > 0 {
		t.Errorf("still listens at %q", left)
	}
	if _, err := transport.Dial(t.Context(), other.addr); !errors.Is(err, transport.ErrNotRunning) {
		t.Errorf("after unlisten: %v", err)
	}
	if _, err := oc.ReadFile(t.Context(), "/ctl"); err != nil {
		t.Errorf("who was there: %v", err)
	}
	write(t, c, "listen unix!"+path) // once more
	r.cancel()
	r.ends()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// TestAddressesOutlastALull: a server that was about to end for want
// of work, and stays, is where it was.
func TestAddressesOutlastALull(t *testing.T) {
	inPrivate(t)
	s := newServer(Config{Addr: address(t, "lull"), Log: slog.New(slog.DiscardHandler)})
	defer s.endListening()
	if err := s.listen(t.Context(), Addrs{s.cfg.Addr}); err != nil {
		t.Fatal(err)
	}
	s.accept()
	for _, a := range []string{"tcp!127.0.0.1!0", "unix!" + filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "o")} {
		if err := s.listenAt(a); err != nil {
			t.Fatal(err)
		}
	}
	before := strings.Join(s.listening(), " ")
	closed := s.closeListeners()
	if left := s.listening(); len(left) > 0 {
		t.Errorf("still listens at %q", left)
	}
	if err := s.listen(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	s.accept()
	if after := strings.Join(s.listening(), " "); after != before {
		t.Errorf("listens at %q, was %q", after, before)
	}
	s.endListening()
	if err := s.listenAt("tcp!127.0.0.1!0"); !errors.Is(err, errEnding) {
		t.Errorf("at the end: %v", err)
	}
}

// A client that has promised to say something is let go when it does not; one
// that does stays.
func TestSilentClientIsLetGo(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "silent")})
	nc, err := transport.Dial(t.Context(), r.addr)
	if err != nil {
		t.Fatal(err)
	}
	toRelay, fromUs := io.Pipe()
	toUs, fromRelay := io.Pipe()
	defer fromUs.Close()
	defer toUs.Close() // of what is written nothing is read: a network that is gone
	const silence = 100 * time.Millisecond
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- Relay(toRelay, fromRelay, nc, silence) }() // ends when we are silent
	version := "\x13\x00\x00\x00d\xff\xff\x00\x20\x00\x00\x06\x009P2000"
	for i := range version {
		io.WriteString(fromUs, version[i:i+1])
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "said nothing") || time.Since(began) < silence {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	case <-time.After(patience):
		t.Fatal("it is still there")
	}
}
