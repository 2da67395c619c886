package access

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"hubfs/tree"
)

const somewhere = "198.51.100.1:4000"

// fp is the fingerprint of a key.
func fp(n int) string {
	h := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
	return base64.RawURLEncoding.EncodeToString(h[:])
}

// open opens a store, "" in memory, and closes it with the test.
func open(t testing.TB, file string) *Store {
	t.Helper()
	s, err := Open(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// newFile is where a store can be kept.
func newFile(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "access", "name.json")
}

func invite(t testing.TB, s *Store, in Invitation) (Grant, string) {
	t.Helper()
	if in.Patterns == nil {
		in.Patterns = []string{"work"}
	}
	if in.Role == "" {
		in.Role = Write
	}
	g, token, err := s.Invite(in)
	if err != nil {
		t.Fatal(err)
	}
	return g, token
}

func login(t testing.TB, s *Store, uname, key, token string) *Party {
	t.Helper()
	p, err := s.Login(somewhere, uname, key, token)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refused fails unless a token lets nobody in.
func refused(t testing.TB, s *Store, addr, key, token string, want error) {
	t.Helper()
	p, err := s.Login(addr, "x", key, token)
	if !errors.Is(err, want) || p != nil {
		t.Errorf("login with %q: %v, %v", token, p, err)
	}
	if err != nil && (!errors.Is(err, tree.ErrPermission) || len(token) > 9 && strings.Contains(err.Error(), token)) {
		t.Errorf("error %q", err)
	}
}

// who lists the users of grants, in order.
func who(s *Store) string {
	var users []string
	for _, g := range s.List() {
		users = append(users, g.Kind+" "+g.User)
	}
	return strings.Join(users, ", ")
}
