package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/internal/supervise"
	"hubfs/transport"
)

// TestMain makes this program what Background starts: "child" as the first
// argument says so.
func TestMain(m *testing.M) {
	if supervise.Main(os.Args) {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// child is a process in the background that does what its first argument says.
func child(args []string) int {
	tell := Ready()
	switch args[0] {
	case "fail":
		tell(errors.New("no such luck"))
	case "in-use":
		tell(fmt.Errorf("server x is %w", transport.ErrInUse))
	case "die":
		fmt.Fprintln(os.Stderr, "last words")
	case "look":
		dir, _ := os.Getwd()
		tell(fmt.Errorf("dir %s, HUB_SHELL %q, HUB_ESCAPE %q", dir, os.Getenv("HUB_SHELL"), os.Getenv("HUB_ESCAPE")))
	case "serve":
		addr, err := transport.Parse(args[1])
		if err == nil {
			err = Run(context.Background(), Config{Addr: addr, Idle: 50 * time.Millisecond, Ready: tell})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func TestBackgroundTellsWhatBecameOfIt(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	t.Setenv("HUB_SHELL", "outer")
	t.Setenv("HUB_ESCAPE", "^A")
	for what, want := range map[string]string{
		"fail": "no such luck",
		"die":  "it ended at once: see " + log,
		"look": `dir /, HUB_SHELL "", HUB_ESCAPE "^A"`,
	} {
		err := Background(t.Context(), log, []string{"child", what})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
	}
	if err := Background(t.Context(), log, []string{"child", "in-use"}); !errors.Is(err, transport.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "last words") {
		t.Errorf("log: %q, %v", text, err)
	}
}

// TestManyStartersOneServer: clients that come at once and find no server
// start one, and all of them get to it.
func TestManyStartersOneServer(t *testing.T) {
	inPrivate(t)
	addr := address(t, "many")
	var wg sync.WaitGroup
	conns := make([]net.Conn, 8)
	errs := make([]error, len(conns))
	for i := range conns {
		wg.Go(func() { conns[i], errs[i] = Dial(t.Context(), addr, []string{"child", "serve", "many"}) })
	}
	wg.Wait()
	for i, nc := range conns {
		if errs[i] != nil {
			t.Error(errs[i])
			continue
		}
		c, err := client.New(t.Context(), nc, client.Options{Uname: "u"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		status, err := c.ReadFile(t.Context(), "/status")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(status), "conn "); n == 0 || n > len(conns) {
			t.Errorf("%d connections: %s", n, status)
		}
	}
	log, err := os.ReadFile(logPath(addr))
	if err != nil || strings.Contains(string(log), "already running") {
		t.Errorf("more than one was started: %q, %v", log, err)
	}
}

func TestOnlyANameIsStarted(t *testing.T) {
	inPrivate(t)
	path := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "s")
	_, err := Dial(t.Context(), address(t, "unix!"+path), []string{"child", "serve", "unix!" + path})
	if !errors.Is(err, transport.ErrNotRunning) {
		t.Errorf("%v", err)
	}
}

func TestStarterThatGivesUpHoldsNobodyUp(t *testing.T) {
	inPrivate(t)
	addr := address(t, "slow")
	if err := os.MkdirAll(filepath.Dir(addr.Address), 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockStart(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := lockStart(ctx, addr); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	unlock()
	again, err := lockStart(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
