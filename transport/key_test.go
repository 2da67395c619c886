package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// newTestKey makes a key that no other test has.
func newTestKey(t *testing.T) *Key {
	t.Helper()
	k, err := LoadKey(filepath.Join(t.TempDir(), "hub", "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config", "hub", "server.pem")
	keys := make([]string, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := LoadKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = k.Fingerprint()
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] || !goodFingerprint(k) {
			t.Errorf("fingerprints %q and %q", keys[0], k)
		}
	}
	if m := mode(t, path); m != 0o600 {
		t.Errorf("key has mode %04o", m)
	}
	if m := mode(t, filepath.Dir(path)); m != 0o700 {
		t.Errorf("its folder has mode %04o", m)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if again, err := LoadKey(path); err != nil || again.Fingerprint() != keys[0] {
		t.Errorf("read again: %v, %v", again, err)
	}
}

func TestKeysThatAreNoSecretsAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if _, err := LoadKey(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, want string) {
		t.Helper()
		before, _ := os.ReadFile(path)
		_, err := LoadKey(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		if err != nil && strings.Contains(err.Error(), strings.Split(string(good), "\n")[1]) {
			t.Errorf("%s: the error has the key: %v", what, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s: the file was changed", what)
		}
	}
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	os.Chmod(path, 0o640)
	refused("readable by the group", "open to others")
	os.Chmod(path, 0o604)
	refused("readable by all", "open to others")
	os.Chmod(path, 0o600)
	os.Chmod(dir, 0o770)
	refused("replaceable by the group", "chmod 700")
	os.Chmod(dir, 0o700)

	write([]byte("no key\n"))
	refused("not a key", "expected a PEM block")
	write(good[:len(good)/2])
	refused("half a key", "expected a PEM block")
	write([]byte(strings.Replace(string(good), "PRIVATE", "PUBLIC", 2)))
	refused("another block", "expected a PEM block")
	write(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("junk")}))
	refused("junk in a block", "expected an ed25519 key")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	write(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
	refused("a key of another kind", "expected an ed25519 key")
	os.Remove(path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	refused("a folder", "not a plain file")
	if os.Geteuid() == 0 { // only root can give a file away
		os.Remove(path)
		write(good)
		os.Chown(path, 12345, -1)
		refused("another user's", "belongs to uid 12345")
		os.Chown(path, 0, -1)
		os.Chown(dir, 12345, -1)
		refused("in another user's folder", "belongs to uid 12345")
	}
}

func TestKeyDir(t *testing.T) {
	t.Setenv("HOME", "/home/ann")
	for xdg, want := range map[string]string{"/x": "/x/hub", "": "/home/ann/.config/hub", "relative": "/home/ann/.config/hub"} {
		t.Setenv("XDG_CONFIG_HOME", xdg)
		if dir, err := KeyDir(); err != nil || dir != want {
			t.Errorf("XDG_CONFIG_HOME=%s: %s, %v; want %s", xdg, dir, err, want)
		}
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	if dir, err := KeyDir(); err == nil {
		t.Errorf("without a home: %s", dir)
	}
}
