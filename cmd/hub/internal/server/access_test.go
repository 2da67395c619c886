package server

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestGrantsOfTheAccessFile(t *testing.T) {
	got, err := parseGrants("" +
		"a1 link - write 'work' 2026-11-20T18:00:00Z 2 open\n" +
		"a2 key guest:ann view 'ci/* two' - - asks more\n\n")
	want := []Grant{
		{ID: "a1", Kind: "link", Who: "-", Role: "write", Patterns: "work", Expires: time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC), Uses: 2, State: "open"},
		{ID: "a2", Kind: "key", Who: "guest:ann", Role: "view", Patterns: "ci/* two", State: "asks"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"a1 link\n", "a1 link - write w soon 2 open\n", "a1 link - write w - many open\n"} {
		if _, err := parseGrants(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestGrantLeadsToWhatItsPatternsMatch(t *testing.T) {
	for patterns, want := range map[string]bool{
		"work": true, "*": true, "w*": true, "ci/* work": true, "wor": false, "ci/work": false, "": false, "[": false,
	} {
		if got := (Grant{Patterns: patterns}).LeadsTo("work"); got != want {
			t.Errorf("%q leads to work: %v", patterns, got)
		}
	}
}

func TestInvitationAsALine(t *testing.T) {
	for want, i := range map[string]Invitation{
		"invite write work\n":                              {Role: "write", Name: "work"},
		"invite view 'a b' for=2h0m0s uses=3 as=ann ask\n": {Role: "view", Name: "a b", For: 2 * time.Hour, Uses: 3, As: "ann", Ask: true},
	} {
		if got := Line(i.words()...); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestListenersForGuestsFirst: the loopback is no good for others, and plain
// TCP for nobody.
func TestListenersForGuestsFirst(t *testing.T) {
	pin := "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	var got []string
	for _, a := range parseListeners("server s 1 2\nlisten tcp!127.0.0.1!9\nlisten tls://127.0.0.1:7777#" + pin +
		"\nlisten tls!*!7778\nlisten nonsense!\nhub x\n") {
		got = append(got, a.String())
	}
	want := []string{"tls!*!7778", "tls://127.0.0.1:7777#" + pin}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// An invitation is pasted into a shell: a server that says it has made one gets
// nothing else in there.
func TestInvitationIsOfHarmlessLetters(t *testing.T) {
	if id, token, ok := parseInvitation("12 abc-_Z9\n"); id != "12" || token != "abc-_Z9" || !ok {
		t.Errorf("%q %q %v", id, token, ok)
	}
	for _, line := range []string{"", "12", "12 ", " abc", "12 a'b", "12 a';id;'", "12 a b", "12 $(id)", "12 a\nb", "1;2 abc", "12 \x1b[2Jabc", "12 abc\n\n"} {
		if id, token, ok := parseInvitation(line); ok {
			t.Errorf("%q: %q %q", line, id, token)
		}
	}
}
