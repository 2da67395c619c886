package access

import (
	"testing"

	"hubfs/tree"
)

func TestLinkIsExchangedForAKey(t *testing.T) {
	s, err := Open("", Options{})
	if err != nil {
		t.Fatal(err)
	}
	link, token, err := s.Invite(Invitation{Role: Write, Patterns: []string{"work"}, By: "u"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Login("1.2.3.4:5", "ann", fp(1), token)
	if err != nil {
		t.Fatal(err)
	}
	if p.User() != "guest:ann" || p.Level("work") != tree.LevelWrite || p.Level("other") != tree.LevelNone ||
		p.Within("") != tree.LevelWrite || p.Level("") != tree.LevelNone {
		t.Errorf("%+v", p)
	}
	if err := s.Revoke(link.ID); err != nil {
		t.Fatal(err)
	}
	if p.Level("work") != tree.LevelNone {
		t.Error("revoked, and still there")
	}
}
