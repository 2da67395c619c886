package access

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestGuestsHaveNamesOfTheirOwn: whatever they call themselves, nobody is taken
// for a local user or for another guest.
func TestGuestsHaveNamesOfTheirOwn(t *testing.T) {
	s := open(t, "")
	_, token := invite(t, s, Invitation{Uses: 1000})
	for i, test := range []struct{ uname, user string }{
		{"ann", "guest:ann"},
		{"ann", "guest:ann.2"},
		{"Ann", "guest:Ann.3"},
		{"a nn", "guest:ann.4"},
		{"guest:ann", "guest:ann.5"},
		{"guest:guest:ann", "guest:guestann"},
		{"ann.3", "guest:ann.3.2"},
		{"аnn", "guest:nn"}, // a Cyrillic a
		{"ann\u202e", "guest:ann.6"},
		{"ann\x00root", "guest:annroot"},
		{"root", "guest:root"},
		{":root", "guest:root.2"},
		{"", "guest:guest"},
		{"\n:/", "guest:guest.2"},
		{strings.Repeat("x", 40), "guest:" + strings.Repeat("x", 32)},
		{strings.Repeat("x", 33), "guest:" + strings.Repeat("x", 30) + ".2"},
	} {
		key := fp(i)
		if i%2 == 1 {
			key = ""
		}
		if p := login(t, s, test.uname, key, token); p.User() != test.user {
			t.Errorf("%q is %s, not %s", test.uname, p.User(), test.user)
		}
	}
}

// TestANameIsNotInherited: files belong to it, so whoever comes after a guest
// has gone is not that guest. The guest itself is, by its key, or by the name
// that the owner gave its link.
func TestANameIsNotInherited(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	link, token := invite(t, s, Invitation{Uses: 3})
	login(t, s, "ann", fp(1), token)
	login(t, s, "ann", "", token).End()
	if err := s.Revoke(link.ID); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, file)
	_, token = invite(t, s, Invitation{Uses: 9})
	for _, test := range []struct{ uname, key, user string }{
		{"ann", fp(2), "guest:ann.3"},
		{"ann.2", fp(3), "guest:ann.2.2"},
		{"other", fp(1), "guest:ann"},
		{"ann", "", "guest:ann.4"},
	} {
		p := login(t, s, test.uname, test.key, token)
		if p.User() != test.user {
			t.Errorf("%q is %s, not %s", test.uname, p.User(), test.user)
		}
		p.End()
	}
	_, token = invite(t, s, Invitation{Uses: 3, As: "ci"})
	for _, want := range []string{"guest:ci", "guest:ci"} {
		p := login(t, s, "x", "", token)
		if p.User() != want {
			t.Errorf("%s", p.User())
		}
		p.End()
	}
	_, token = invite(t, s, Invitation{As: "ci"})
	if p := login(t, s, "x", "", token); p.User() != "guest:ci.2" {
		t.Errorf("of another link: %s", p.User())
	}
}

// TestNamesAreForgottenInTime: what is kept is bounded, and who is there keeps
// his name all the same.
func TestNamesAreForgottenInTime(t *testing.T) {
	s := open(t, "")
	_, token := invite(t, s, Invitation{Uses: MaxUses})
	login(t, s, "ann", fp(1), token)
	long := *s.state.Load()
	for i := range maxNames - 5 {
		long.names = append(long.names, bearer{fmt.Sprint("n", i), "grant:99", time.Now()})
	}
	s.state.Store(&long)
	for range 10 {
		login(t, s, "other", "", token).End()
	}
	if n := len(s.state.Load().names); n != maxNames {
		t.Errorf("%d names", n)
	}
	if p := login(t, s, "ann", fp(2), token); p.User() != "guest:ann.2" {
		t.Error(p.User())
	}
}

// FuzzGuestName: of whatever a client calls itself comes a name that is none of
// a local user, and that stays as it is.
func FuzzGuestName(f *testing.F) {
	for _, s := range []string{"ann", "guest:ann", "a\u0301nn", "\xff\xfe", "root:x:0:0", "..", strings.Repeat("é", 50), "A.b_c-9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := GuestName(s)
		if len(name) > maxGuest || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			t.Errorf("%q gives %q", s, name)
		}
		if GuestName(name) != name || name != "" && !isGuest("guest:"+name) {
			t.Errorf("%q does not stay", name)
		}
		if checkUser("guest:"+name) == nil {
			t.Error("a guest could be a local user")
		}
	})
}
