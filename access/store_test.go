package access

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/tree"
)

func TestGrantsThatCannotBe(t *testing.T) {
	s := open(t, "")
	work := []string{"work"}
	for i, in := range []Invitation{
		{Role: "admin", Patterns: work},
		{Patterns: work},
		{Role: View},
		{Role: View, Patterns: []string{"work", ""}},
		{Role: View, Patterns: make([]string, MaxPatterns+1)},
		{Role: View, Patterns: work, For: -1},
		{Role: View, Patterns: work, For: 1 << 62},
		{Role: View, Patterns: work, Uses: -1},
		{Role: View, Patterns: work, Uses: MaxUses + 1},
		{Role: View, Patterns: work, As: ":"},
		{Role: View, Patterns: work, By: "a\nb"},
	} {
		if g, token, err := s.Invite(in); !errors.Is(err, tree.ErrInvalid) || token != "" || g.ID != "" {
			t.Errorf("invitation %d: %v, %v", i, g, err)
		}
	}
	for i, g := range []Grant{
		{Kind: KindLink, Role: View, Patterns: work},
		{Kind: KindToken, Role: View, Patterns: work, User: "guest:x"},
		{Kind: KindUser, Role: View, Patterns: work},
		{Kind: KindUser, Role: View, Patterns: work, User: "guest:ann"},
		{Kind: KindUser, Role: View, Patterns: work, User: "ann", Key: fp(1)},
		{Kind: KindUser, Role: View, Patterns: work, User: "ann", Uses: 1},
		{Kind: KindUser, Role: View, Patterns: work, User: "ann", Approved: true},
		{Kind: KindUser, Role: View, Patterns: work, User: "ann", Expires: time.Unix(1, 0)},
		{Kind: KindUser, Role: View, Patterns: work, User: "ann", Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Kind: KindKey, Role: View, Patterns: work},
		{Kind: KindKey, Role: View, Patterns: work, Key: fp(1)[:42]},
		{Kind: KindKey, Role: View, Patterns: work, Key: fp(1)[:42] + "/"},
		{Kind: KindKey, Role: View, Patterns: work, Key: strings.Repeat("_", 43)}, // bits left over
		{Kind: KindKey, Role: View, Patterns: work, Key: fp(1) + "\n"},
	} {
		if g, err := s.Grant(g); !errors.Is(err, tree.ErrInvalid) {
			t.Errorf("grant %d: %v, %v", i, g, err)
		}
	}
	for _, id := range []string{"", "1", "0", "01", "+1", "x", strings.Repeat("9", 100)} {
		if err := s.Revoke(id); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("revoke %q: %v", id, err)
		}
		if err := s.Approve(id, true); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("approve %q: %v", id, err)
		}
	}
	if _, err := s.Login(somewhere, "x", "no fingerprint", "y"); !errors.Is(err, tree.ErrInvalid) {
		t.Error(err)
	}
	if l := s.List(); len(l) != 0 {
		t.Errorf("%v", l)
	}
}

func TestALocalUserHoldsAGrant(t *testing.T) {
	s := open(t, "")
	if _, err := s.Grant(Grant{Kind: KindUser, User: "bob", Role: View, Patterns: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	p, ok := s.ByUser("bob")
	if !ok || p.User() != "bob" || p.Level("") != tree.LevelView || p.Level("x") != tree.LevelView {
		t.Errorf("%+v", p)
	}
	for _, name := range []string{"", "Bob", "guest:bob", "bo", "root"} {
		if _, ok := s.ByUser(name); ok {
			t.Errorf("%q holds a grant", name)
		}
	}
}

// TestWhatCameOfAGrantEndsWithIt: of a guest who may invite, those whom it has
// invited, and those whom they have.
func TestWhatCameOfAGrantEndsWithIt(t *testing.T) {
	s := open(t, "")
	var ended []string
	s.Watch(func(ids []string) { ended = append(ended, ids...) })
	_, token := invite(t, s, Invitation{Role: Owner})
	var parties []*Party
	var middle string
	for i := range 4 {
		p := login(t, s, "x", fp(i), token)
		parties = append(parties, p)
		if i == 1 {
			middle = p.GrantIDs()[0]
		}
		_, token = invite(t, s, Invitation{Role: Owner, Parent: p.GrantIDs()[0]})
	}
	other, _ := invite(t, s, Invitation{})
	if err := s.Revoke(middle); err != nil {
		t.Fatal(err)
	}
	for i, p := range parties {
		if got := p.Level("work") == tree.LevelOwn; got != (i == 0) {
			t.Errorf("%d: %v", i, got)
		}
	}
	// Link 1, its key 2, link 3, its key 4, and so on; 3 is used up and goes too.
	if fmt.Sprint(ended) != "[3 4 5 6 7 8 9]" || len(s.List()) != 3 || s.List()[2].ID != other.ID {
		t.Errorf("ended %v, left %v", ended, s.List())
	}
	refused(t, s, somewhere, fp(9), token, ErrToken)
}

// TestNobodyGivesMoreThanHeHas: neither a higher role nor a later end.
func TestNobodyGivesMoreThanHeHas(t *testing.T) {
	s := open(t, "")
	_, token := invite(t, s, Invitation{Role: Write, For: time.Hour})
	p := login(t, s, "ann", fp(1), token)
	id := p.GrantIDs()[0]
	work := []string{"work"}
	if _, _, err := s.Invite(Invitation{Role: Owner, Patterns: work, Parent: id}); !errors.Is(err, tree.ErrPermission) {
		t.Error(err)
	}
	for _, life := range []time.Duration{0, 2 * time.Hour} {
		g, _ := invite(t, s, Invitation{Role: Write, Parent: id, For: life})
		if left := time.Until(g.Expires); left > time.Hour || left < 50*time.Minute {
			t.Errorf("for %v: expires in %v", life, left)
		}
	}
	g, err := s.Grant(Grant{Kind: KindUser, User: "bob", Role: View, Patterns: work, Parent: id})
	if err != nil || g.Expires.IsZero() {
		t.Errorf("%v, %v", g, err)
	}
	for _, parent := range []string{"99", "x"} {
		if _, _, err := s.Invite(Invitation{Role: View, Patterns: work, Parent: parent}); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("parent %s: %v", parent, err)
		}
	}
}

// TestAStoreIsTheSameWhenOpenedAgain: all that was made, used, approved and
// revoked, but not what belonged to connections; and no token is in the file.
func TestAStoreIsTheSameWhenOpenedAgain(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	if _, err := os.Stat(filepath.Dir(file)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder for nothing: %v", err)
	}
	l1, t1 := invite(t, s, Invitation{Uses: 3, For: time.Hour, As: "Ann-1", Ask: true, By: "me", Patterns: []string{"a", "b/*"}})
	p := login(t, s, "x", fp(1), t1)
	id, _ := p.Asks()
	if err := s.Approve(id, true); err != nil {
		t.Fatal(err)
	}
	l2, t2 := invite(t, s, Invitation{})
	login(t, s, "once", "", t2)
	if _, err := s.Grant(Grant{Kind: KindUser, User: "bob", Role: View, Patterns: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	gone, t3 := invite(t, s, Invitation{})
	if err := s.Revoke(gone.ID); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{t1, t2, t3} {
		if strings.Contains(string(text), token) {
			t.Errorf("a token is in the file: %s", text)
		}
	}
	want := s.List()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Invite(Invitation{Role: View, Patterns: []string{"x"}}); err == nil {
		t.Error("an invitation that is not kept")
	}
	again := open(t, file)
	var kept []Grant
	for _, g := range want {
		if g.Kind != KindToken && g.ID != l2.ID { // used up by a connection
			kept = append(kept, g)
		}
	}
	if got := again.List(); !reflect.DeepEqual(got, kept) {
		t.Errorf("got  %v\nwant %v", got, kept)
	}
	refused(t, again, somewhere, "", t2, ErrToken)
	refused(t, again, somewhere, "", t3, ErrToken)
	q := login(t, again, "x", fp(2), t1)
	if q.User() != "guest:Ann-1.2" || q.Level("b/x") != tree.LevelView {
		t.Errorf("%s may %v", q.User(), q.Level("b/x"))
	}
	if p, ok := again.ByKey(fp(1)); !ok || p.Level("a") != tree.LevelWrite || p.User() != "guest:Ann-1" {
		t.Errorf("%+v", p)
	}
	if n, _ := parseID(again.List()[len(again.List())-1].ID); n != 7 { // 6 is the one that was revoked
		t.Errorf("the next ID is %d", n)
	}
	if g := again.List()[0]; g.ID != l1.ID || g.Uses != 1 {
		t.Errorf("%+v", g)
	}
}

// TestADiskThatFails: what could not be written does not come to be, and the
// end of a grant does all the same.
func TestADiskThatFails(t *testing.T) {
	file := newFile(t)
	s := open(t, file)
	link, token := invite(t, s, Invitation{Uses: 2})
	p := login(t, s, "ann", fp(1), token)
	dir := filepath.Dir(file)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if g, token, err := s.Invite(Invitation{Role: View, Patterns: []string{"work"}}); err == nil || token != "" {
		t.Errorf("%v, %v", g, err)
	}
	if _, err := s.Login(somewhere, "x", fp(2), token); err == nil || errors.Is(err, tree.ErrPermission) {
		t.Errorf("login: %v", err)
	}
	if l := s.List(); len(l) != 2 || l[0].Uses != 1 {
		t.Errorf("%v", l)
	}
	if err := s.Revoke(p.GrantIDs()[0]); err == nil {
		t.Error("revoked for good, says who cannot write it")
	}
	if p.Level("work") != tree.LevelNone {
		t.Error("not revoked")
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	login(t, s, "x", fp(3), token) // writes all that is still to be written
	s.Close()
	if got := who(open(t, file)); got != "link , key guest:x" {
		t.Error(got, link)
	}
}

// TestFollowersHearWhatBecameOfGrants, in the order of what happened, before the
// call that did it returns.
func TestFollowersHearWhatBecameOfGrants(t *testing.T) {
	s := open(t, "")
	var heard []string
	s.Follow(func(events []Event) {
		for _, e := range events {
			heard = append(heard, e.What+" "+e.Grant.ID+" "+e.Grant.User)
		}
		s.List() // no lock is held
	})
	expect := func(want string) {
		t.Helper()
		if got := strings.Join(heard, ", "); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
		heard = nil
	}
	link, token := invite(t, s, Invitation{Uses: 2, Ask: true})
	expect("new 1 ")
	p := login(t, s, "ann", fp(1), token)
	expect("use 2 guest:ann")
	login(t, s, "ann", fp(1), token)
	expect("")
	if err := s.Approve("2", true); err != nil {
		t.Fatal(err)
	}
	expect("approve 2 guest:ann")
	login(t, s, "bob", "", token).End()
	expect("use 3 guest:bob, end 3 guest:bob")
	if err := s.Revoke(link.ID); err != nil {
		t.Fatal(err)
	}
	expect("end 1 , end 2 guest:ann")
	p.End()
	expect("")
}

// TestStoreInManyHands: the race detector's.
func TestStoreInManyHands(t *testing.T) {
	s := open(t, newFile(t))
	s.Watch(func([]string) { s.List() })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				g, token, err := s.Invite(Invitation{Role: Write, Patterns: []string{"work"}, Uses: 2})
				if err != nil {
					t.Error(err)
					return
				}
				p, err := s.Login(somewhere, "x", fp(i), token)
				if err != nil {
					t.Error(err)
					return
				}
				q, err := s.Login(somewhere, "y", "", token)
				if err != nil {
					t.Error(err)
					return
				}
				if p.Level("work") != tree.LevelWrite || q.Level("work") != tree.LevelWrite {
					t.Error("no rights")
				}
				s.ByKey(fp(i))
				q.End()
				if err := s.Revoke(g.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l := s.List(); len(l) != 0 {
		t.Errorf("%v", l)
	}
}

// TestAStoreIsFull: there is an end to what it holds, and an error then.
func TestAStoreIsFull(t *testing.T) {
	s := open(t, "")
	full := *s.state.Load()
	for i := range MaxGrants {
		full.grants = append(full.grants, &grant{Grant: Grant{ID: formatID(uint64(i + 1)), Kind: KindUser, User: "u", Role: View, Patterns: []string{"x"}}})
	}
	full.last = MaxGrants
	full.index()
	s.state.Store(&full)
	_, _, err := s.Invite(Invitation{Role: View, Patterns: []string{"work"}})
	if !errors.Is(err, tree.ErrLimit) {
		t.Error(err)
	}
	if err := s.Revoke("1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Invite(Invitation{Role: View, Patterns: []string{"work"}}); err != nil {
		t.Error(err)
	}
}

// BenchmarkLevel is what each line of a filtered text costs.
func BenchmarkLevel(b *testing.B) {
	s := open(b, "")
	_, token := invite(b, s, Invitation{Patterns: []string{"a", "b", "ci/*", "work"}})
	p := login(b, s, "ann", fp(1), token)
	for range 500 {
		invite(b, s, Invitation{})
	}
	b.ReportAllocs()
	for b.Loop() {
		if p.Level("ci/build-17") != tree.LevelWrite {
			b.Fatal()
		}
	}
}

// TestGuestLeavesGrantsForOthers: what comes of the grant of a guest, through as
// many hands as it likes, is a part of all the grants that there may be.
func TestGuestLeavesGrantsForOthers(t *testing.T) {
	s := open(t, "")
	_, token := invite(t, s, Invitation{Role: Owner})
	eve := login(t, s, "eve", fp(1), token).GrantIDs()[0]
	_, token = invite(t, s, Invitation{Parent: eve, Uses: MaxUses})
	friend := login(t, s, "eve", fp(2), token).GrantIDs()[0]
	for i := range MaxGuests - 2 {
		parent := eve
		if i%2 == 0 {
			parent = friend
		}
		invite(t, s, Invitation{Parent: parent})
	}
	if _, _, err := s.Invite(Invitation{Role: View, Patterns: []string{"work"}, Parent: friend}); !errors.Is(err, tree.ErrLimit) {
		t.Errorf("one invitation more: %v", err)
	}
	if _, err := s.Login(somewhere, "eve", fp(3), token); !errors.Is(err, tree.ErrLimit) {
		t.Errorf("one more who comes by an invitation: %v", err)
	}
	// Not those of others, nor of who owns the server.
	_, token = invite(t, s, Invitation{Role: Owner, Patterns: []string{"*"}})
	boss := login(t, s, "boss", fp(4), token).GrantIDs()[0]
	for range MaxGuests + 1 {
		invite(t, s, Invitation{Parent: boss})
	}
}

// TestGuestCutsNobodyElsesGuests: a connection ends with any of the grants that
// it came in with, so a guest gives none to those who hold some of others.
func TestGuestCutsNobodyElsesGuests(t *testing.T) {
	s := open(t, "")
	_, token := invite(t, s, Invitation{Role: Owner})
	eve := login(t, s, "eve", fp(1), token).GrantIDs()[0]
	if _, err := s.Grant(Grant{Kind: KindUser, Role: View, Patterns: []string{"build"}, User: "bob"}); err != nil {
		t.Fatal(err)
	}
	_, token = invite(t, s, Invitation{})
	login(t, s, "ann", fp(2), token)
	work := []string{"work"}
	for _, g := range []Grant{
		{Kind: KindUser, Role: View, Patterns: work, User: "bob", Parent: eve},
		{Kind: KindKey, Role: View, Patterns: work, Key: fp(2), Parent: eve},
	} {
		if _, err := s.Grant(g); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("%s: %v", g.Kind, err)
		}
	}
	for range 2 { // those that nobody knew, or that are its own
		for _, g := range []Grant{
			{Kind: KindUser, Role: View, Patterns: work, User: "rob", Parent: eve},
			{Kind: KindKey, Role: View, Patterns: work, Key: fp(3), Parent: eve},
		} {
			if _, err := s.Grant(g); err != nil {
				t.Errorf("%s: %v", g.Kind, err)
			}
		}
	}
}
