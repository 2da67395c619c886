package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hubfs/client"
)

// TestAServerThatIsStartedAgainHasItsSpooledHubs
func TestAServerThatIsStartedAgainHasItsSpooledHubs(t *testing.T) {
	inPrivate(t)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	c := Config{Addr: address(t, "again")}
	r := start(t, c)
	if found, err := os.ReadDir(os.Getenv("XDG_STATE_HOME")); err != nil || len(found) > 0 {
		t.Errorf("a server that has spooled nothing left %v, %v", found, err)
	}
	conn := r.connect()
	f, err := conn.Create(t.Context(), "/job", 0o666, client.OWRITE)
	if err != nil {
		t.Fatal(err)
	}
	write(t, conn, "spool job")
	if _, err := f.WriteContext(t.Context(), []byte("all of it")); err != nil {
		t.Fatal(err)
	}
	write(t, conn, "end job exit 0")
	r.cancel()
	r.ends()

	again := start(t, c)
	conn = again.connect() // one, on which the reader has gone before the status is read
	got, err := conn.ReadFile(t.Context(), "/job")
	if err != nil || string(got) != "all of it" {
		t.Errorf("the hub: %q, %v", got, err)
	}
	status, err := conn.ReadFile(t.Context(), "/status")
	if err != nil || !strings.Contains(string(status), "\nhub job 0 9 1048576 0 0 spool,ended 0 'exit 0'\n") {
		t.Errorf("status: %v\n%s", err, status)
	}
	again.cancel()
	again.ends()
}

// TestAServerWhoseStateCannotBeItsOwnSaysSo, and leaves its name free.
func TestAServerWhoseStateCannotBeItsOwnSaysSo(t *testing.T) {
	inPrivate(t)
	c := Config{Addr: address(t, "open"), State: filepath.Join(t.TempDir(), "state")}
	if err := os.Mkdir(c.State, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.State, 0o770); err != nil {
		t.Fatal(err)
	}
	if err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "others may write to it") {
		t.Errorf("run: %v", err)
	}
	c.State = NoState
	r := start(t, c)
	r.cancel()
	r.ends()
}

func TestStateDir(t *testing.T) {
	inPrivate(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ addr, xdg, home, flag, want string }{
		{"work", "/xdg", "/home/u", "", "/xdg/hub/work"},
		{"work", "", "/home/u", "", "/home/u/.local/state/hub/work"},
		{"work", "relative", "/home/u", "", "/home/u/.local/state/hub/work"},
		{"work", "/xdg", "/home/u", "none", ""},
		{"work", "/xdg", "/home/u", "/srv/state", "/srv/state"},
		{"work", "/xdg", "/home/u", "state", here + "/state"},
		{"unix!/tmp/s", "/xdg", "/home/u", "", ""},
		{"unix!/tmp/s", "/xdg", "/home/u", "/srv/state", "/srv/state"},
		{"work", "", "", "/srv/state", "/srv/state"},
	} {
		t.Setenv("XDG_STATE_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		got, err := stateDir(address(t, c.addr), c.flag)
		if err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	t.Setenv("XDG_STATE_HOME", "")
	for _, home := range []string{"", "relative"} {
		t.Setenv("HOME", home)
		if got, err := stateDir(address(t, "work"), ""); err != nil || got != "" {
			t.Errorf("HOME=%q: %q, %v", home, got, err)
		}
	}
}
