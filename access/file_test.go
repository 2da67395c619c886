package access

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// good is a file as a server writes it.
func good(t testing.TB) string {
	t.Helper()
	file := newFile(t)
	s := open(t, file)
	link, token := invite(t, s, Invitation{Uses: 2, For: 1 << 55})
	login(t, s, "ann", fp(1), token)
	if _, err := s.Grant(Grant{Kind: KindUser, User: "bob", Role: View, Patterns: []string{"*"}, Parent: link.ID}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAFileOfOthersIsRefused: whatever somebody else could have written, or
// could read.
func TestAFileOfOthersIsRefused(t *testing.T) {
	text := good(t)
	for name, test := range map[string]struct {
		make func(file string) error
		want string
	}{
		"readable": {func(file string) error { return os.Chmod(file, 0o640) }, "mode 0640"},
		"writable": {func(file string) error { return os.Chmod(file, 0o606) }, "mode 0606"},
		"folder":   {func(file string) error { return os.Chmod(filepath.Dir(file), 0o777) }, "others may write"},
		"fifo": {func(file string) error {
			return errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600))
		}, "not a plain file"},
		"a folder itself": {func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) }, "not a plain file"},
		"lock elsewhere":  {func(file string) error { return os.Symlink("/etc/passwd", file+".lock") }, "too many levels"},
	} {
		file := filepath.Join(t.TempDir(), "grants")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := test.make(file); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), test.want) || s != nil {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestABadFileIsRefused: nothing in it is believed that a server would not write.
func TestABadFileIsRefused(t *testing.T) {
	text := good(t)
	if _, err := decode([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"empty":             {text, ""},
		"null":              {text, "null"},
		"version":           {`"version": 1`, `"version": 2`},
		"more after it":     {text, text + "{}"},
		"cut":               {"]", ""},
		"unknown field":     {`"kind": "user"`, `"kind": "user", "admin": true`},
		"kind":              {`"kind": "user"`, `"kind": "root"`},
		"a connection's":    {`"kind": "key"`, `"kind": "token"`},
		"role":              {`"role": "view"`, `"role": "all"`},
		"pattern":           {`"work"`, `"../work"`},
		"user":              {`"user": "bob"`, `"user": "guest:bob"`},
		"guest":             {`"user": "guest:ann"`, `"user": "ann"`},
		"another's guest":   {`"user": "guest:ann"`, `"user": "guest:a n"`},
		"key":               {fp(1), fp(1)[1:]},
		"ID of old":         {`"id": "3"`, `"id": "1"`},
		"IDs without end":   {`"last": 3`, `"last": 18446744073709551615`},
		"ID not given out":  {`"last": 3`, `"last": 2`},
		"ID":                {`"id": "3"`, `"id": "03"`},
		"ID below":          {`"id": "1"`, `"id": "-1"`},
		"hash":              {`"hash": "`, `"hash": "AAAA`},
		"no hash":           {`"hash"`, `"key"`},
		"uses":              {`"uses": 1`, `"uses": -1`},
		"approved":          {`"uses": 1`, `"uses": 1, "approved": true`},
		"time":              {`"expires": "`, `"expires": "x`},
		"name":              {`"name": "ann"`, `"name": "a:nn"`},
		"name without much": {`"name": "ann"`, `"name": ""`},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("%s: no %s in %s", name, change[0], text)
		}
		if st, err := decode([]byte(strings.Replace(text, change[0], change[1], 1))); err == nil {
			t.Errorf("%s: taken: %+v", name, st.grants)
		}
	}
	two := strings.Replace(text, `"kind": "user"`, `"kind": "key", "key": "`+fp(2)+`"`, 1)
	two = strings.Replace(two, `"user": "bob"`, `"user": "guest:Ann"`, 1)
	if _, err := decode([]byte(two)); err == nil || !strings.Contains(err.Error(), "another key has its name") {
		t.Errorf("two keys of one name: %v", err)
	}
}

// FuzzFile: whatever a file holds, it is refused, or it gives a store in which
// every grant is one that could have been made here, and which writes a file
// that gives the same store.
func FuzzFile(f *testing.F) {
	text := good(f)
	f.Add([]byte(text))
	f.Add([]byte(strings.Replace(text, `"parent": "1"`, `"parent": "3"`, 1)))
	f.Add([]byte(strings.Replace(text, `"parent": "1"`, `"parent": "99"`, -1)))
	f.Add([]byte(`{"version":1,"last":18446744073709551615,"grants":[]}`))
	f.Add([]byte(`{"version":1,"last":3,"grants":[{"id":"2","kind":"user","role":"view","patterns":["*"],"user":"b","made":"0001-01-01T00:00:00Z","expires":"9999-12-31T23:59:59Z"}]}`))
	f.Add([]byte(`{"version":1,"last":1,"grants":null,"names":[{"name":"a","of":"key:x","last":"2026-01-01T00:00:00+23:59"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		st, err := decode(text)
		if err != nil {
			return
		}
		st.index()
		s := &Store{}
		s.state.Store(st)
		if _, _, err := s.changeAlone(true, func(*draft) error { return nil }); err != nil { // as Open does
			t.Fatal(err)
		}
		if s.alarm != nil {
			s.alarm.Stop()
		}
		is := s.state.Load()
		seen := map[string]bool{}
		for _, g := range is.grants {
			if err := g.check(); err != nil || seen[g.ID] || g.Parent != "" && !seen[g.Parent] {
				t.Errorf("%+v: %v", g, err)
			}
			seen[g.ID] = true
		}
		out, err := encode(is)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		back, err := decode(out)
		if err != nil {
			t.Fatalf("cannot be read again: %v\n%s", err, out)
		}
		if again, _ := encode(back); !reflect.DeepEqual(again, out) {
			t.Errorf("%s\nis another one: %s", out, again)
		}
	})
}
