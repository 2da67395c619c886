package session

import (
	"slices"
	"strings"
	"testing"

	"hubfs/cmd/hub/internal/server"
)

func TestGuestsAreThoseWithGrants(t *testing.T) {
	clients := []server.Client{
		{ID: "1", User: "me", Mode: "rw"},
		{ID: "2", User: "guest:ann", Mode: "ro"},
		{ID: "3", User: "guest:bob", Mode: "rw"},
		{ID: "4", User: "guest:ann", Mode: "ro"},
		{ID: "5", User: "guest:eve", Mode: "ro"},
	}
	grants := []server.Grant{
		{ID: "l", Kind: "link", Who: "guest:ann", State: "used"},
		{ID: "a", Kind: "key", Who: "guest:ann", State: "asks"},
		{ID: "b", Kind: "key", Who: "guest:bob", State: "open"},
		{ID: "c", Kind: "key", Who: "guest:away", State: "asks"},
		{ID: "e", Kind: "key", Who: "guest:eve", State: "asks"},
	}
	gs := guestsOf(clients, grants, func(id string) bool { return id != "e" })
	var got []string
	for _, g := range gs {
		var ids []string
		for _, c := range g.clients {
			ids = append(ids, c.ID)
		}
		got = append(got, g.user+" "+strings.Join(ids, ",")+" "+strings.Join(g.grants, ",")+" "+strings.Join(g.asks, ","))
	}
	// Who came last is at the end.
	want := []string{"guest:bob 3 b ", "guest:ann 2,4 a a", "guest:eve 5 e "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	text := whoText(clients, gs)
	for _, line := range []string{"guest:ann            asks to type", "me                   types"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}
