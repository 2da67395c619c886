package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hubfs/transport"
)

func known(t *testing.T) Known {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	k, err := KnownServers()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKnownServersAreRemembered(t *testing.T) {
	k := known(t)
	if pin, err := k.Pin("a:1"); pin != "" || err != nil {
		t.Errorf("%q, %v", pin, err)
	}
	for _, s := range [][2]string{{"a:1", "PINA"}, {"b:1", "PINB"}, {"a:1", "PINA"}, {"a:11", "OTHER"}} {
		if err := k.Remember(t.Context(), s[0], s[1]); err != nil {
			t.Fatal(err)
		}
	}
	for addr, want := range map[string]string{"a:1": "PINA", "b:1": "PINB", "a:11": "OTHER", "c:1": ""} {
		if pin, err := k.Pin(addr); pin != want || err != nil {
			t.Errorf("%s: %q, %v", addr, pin, err)
		}
	}
	fi, err := os.Stat(k.path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if fi, err := os.Stat(filepath.Dir(k.path)); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder %v, %v", fi.Mode(), err)
	}
}

// TestKnownServerWithAnotherKeyIsRefused, and what was known stays.
func TestKnownServerWithAnotherKeyIsRefused(t *testing.T) {
	k := known(t)
	if err := k.Remember(t.Context(), "a:1", "PIN"); err != nil {
		t.Fatal(err)
	}
	refused := func(err error) {
		t.Helper()
		var e *Error
		if !errors.Is(err, transport.ErrRefused) || !errors.As(err, &e) || !strings.Contains(e.Hint, k.path) {
			t.Errorf("%v", err)
		}
	}
	refused(k.Remember(t.Context(), "a:1", "OTHER"))
	_, err := k.pinned(transport.Addr{Network: "tls", Address: "a:1", Pin: "OTHER"})
	refused(err)
	a, err := k.pinned(transport.Addr{Network: "tls", Address: "a:1"})
	if a.Pin != "PIN" || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestKnownServersOfManyAtOnce: links are used at the same time, and none is
// forgotten.
func TestKnownServersOfManyAtOnce(t *testing.T) {
	k := known(t)
	var work sync.WaitGroup
	names := []string{"a:1", "b:2", "c:3", "d:4", "e:5", "f:6"}
	for _, n := range names {
		work.Go(func() {
			if err := k.Remember(t.Context(), n, "PIN"); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for _, n := range names {
		if pin, _ := k.Pin(n); pin != "PIN" {
			t.Errorf("%s was forgotten", n)
		}
	}
}

func TestKnownServersWithoutALastNewline(t *testing.T) {
	k := known(t)
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.path, []byte("# mine\na:1 PINA"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Remember(t.Context(), "b:1", "PINB"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(k.path)
	if string(text) != "# mine\na:1 PINA\nb:1 PINB\n" {
		t.Errorf("%q, %v", text, err)
	}
}
