package access

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/tree"
)

// TestALinkIsExchangedForAKey: the key holds what the link gave, with the link
// and without, and nobody else does.
func TestALinkIsExchangedForAKey(t *testing.T) {
	s := open(t, "")
	link, token := invite(t, s, Invitation{Role: Write, Patterns: []string{"work", "ci/*"}, By: "me"})
	if link.Kind != KindLink || link.Uses != 1 || link.By != "me" || !link.Expires.IsZero() {
		t.Errorf("%+v", link)
	}
	p := login(t, s, "ann", fp(1), token)
	again := login(t, s, "other name", fp(1), token)
	byKey, ok := s.ByKey(fp(1))
	if !ok {
		t.Fatal("the key holds nothing")
	}
	for _, p := range []*Party{p, again, byKey} {
		if p.User() != "guest:ann" || len(p.GrantIDs()) != 1 || p.Level("work") != tree.LevelWrite ||
			p.Level("ci/x") != tree.LevelWrite || p.Level("home") != tree.LevelNone {
			t.Errorf("%+v", p)
		}
	}
	refused(t, s, somewhere, fp(2), token, ErrToken)
	refused(t, s, somewhere, "", token, ErrToken)
	if _, ok := s.ByKey(fp(2)); ok {
		t.Error("another key holds a grant")
	}
	if got := who(s); got != "link , key guest:ann" {
		t.Error(got)
	}
}

// TestATokenWithoutAKeyIsTheConnections.
func TestATokenWithoutAKeyIsTheConnections(t *testing.T) {
	s := open(t, "")
	link, token := invite(t, s, Invitation{Uses: 2})
	p := login(t, s, "ann", "", token)
	if _, ok := s.ByKey(""); ok {
		t.Error("no key is a key")
	}
	if p.Level("work") != tree.LevelWrite {
		t.Error(p.Level("work"))
	}
	p.End()
	p.End()
	if p.Level("work") != tree.LevelNone || p.Within("") != tree.LevelNone {
		t.Error("it has ended, and may still")
	}
	second := login(t, s, "ann", "", token)
	refused(t, s, somewhere, "", token, ErrToken)
	second.End()
	if l := s.List(); len(l) != 0 {
		t.Errorf("%v: nothing can come of link %s any more", l, link.ID)
	}
}

// TestTokensThatLetNobodyIn: guessed, garbled, used up, expired, revoked.
func TestTokensThatLetNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "")
		_, token := invite(t, s, Invitation{})
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(raw)*8 != 128 {
			t.Fatalf("token of %d bytes: %v", len(raw), err)
		}
		near := []byte(token)
		near[0] ^= 1
		for i, bad := range []string{
			"", "x", token[:21], token + "A", " " + token, token + "\n", token + "=", "token " + token,
			strings.ToUpper(token), strings.ToLower(token), string(near), string(raw), strings.Repeat("A", 22), strings.Repeat("A", 1<<20),
		} {
			refused(t, s, fmt.Sprintf("10.0.0.%d:1", i), fp(1), bad, ErrToken)
		}
		brief, expires := invite(t, s, Invitation{For: time.Minute, Uses: 2})
		if want := time.Now().Add(time.Minute); !brief.Expires.Equal(want) {
			t.Errorf("expires %v, not %v", brief.Expires, want)
		}
		gone, revoked := invite(t, s, Invitation{Uses: 2})
		if err := s.Revoke(gone.ID); err != nil {
			t.Fatal(err)
		}
		refused(t, s, "10.1.0.1:1", fp(1), revoked, ErrToken)
		login(t, s, "", fp(2), expires)
		time.Sleep(time.Minute)
		refused(t, s, "10.1.0.2:1", fp(1), expires, ErrToken)
		refused(t, s, "10.1.0.2:1", fp(2), expires, ErrToken)
		if _, ok := s.ByKey(fp(2)); ok {
			t.Error("a key outlives its link")
		}
		login(t, s, "", fp(1), token) // is still good
	})
}

// TestAGrantEndsInTime: a key's 30 days, and a link's end for all that came of
// it, at the very moment and without anybody asking; whoever follows is told.
func TestAGrantEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "")
		var mu sync.Mutex
		var ended []string
		s.Watch(func(ids []string) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, ids...)
		})
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if fmt.Sprint(ended) != fmt.Sprint(want) {
				t.Errorf("ended %v, want %v", ended, want)
			}
			ended = nil
		}
		_, token := invite(t, s, Invitation{})
		p := login(t, s, "", fp(1), token) // 1, 2
		_, token = invite(t, s, Invitation{For: 90 * time.Second, Uses: 9})
		q, r := login(t, s, "", fp(2), token), login(t, s, "", "", token) // 3, 4, 5
		time.Sleep(90*time.Second - 1)
		told()
		if q.Level("work") != tree.LevelWrite || r.Level("work") != tree.LevelWrite {
			t.Error("ended too soon")
		}
		time.Sleep(time.Nanosecond)
		if q.Level("work") != tree.LevelNone || r.Within("") != tree.LevelNone {
			t.Error("goes on")
		}
		told("3", "4", "5")
		time.Sleep(keyLife - 90*time.Second - 1)
		told()
		if p.Level("work") != tree.LevelWrite {
			t.Error("ended too soon")
		}
		time.Sleep(time.Nanosecond)
		told("1", "2")
		if p.Level("work") != tree.LevelNone || len(s.List()) != 0 {
			t.Error("goes on")
		}
	})
}

// TestTheEndOfAGrantDoesNotWaitForTheAlarm, which a machine that sleeps does not
// hear: what has expired gives nothing, whether it has been cleared away or not.
func TestTheEndOfAGrantDoesNotWaitForTheAlarm(t *testing.T) {
	s := open(t, "")
	if _, err := s.Grant(Grant{Kind: KindUser, User: "bob", Role: View, Patterns: []string{"work"}}); err != nil {
		t.Fatal(err)
	}
	p, _ := s.ByUser("bob")
	late := *s.state.Load()
	g := *late.grants[0]
	g.Expires = time.Now()
	late.grants = []*grant{&g}
	late.index()
	s.state.Store(&late)
	if _, ok := s.ByUser("bob"); ok || p.Level("work") != tree.LevelNone || p.Within("") != tree.LevelNone || len(s.List()) != 0 {
		t.Errorf("%v %v %v", ok, p.Level("work"), s.List())
	}
}

// TestOneOfManyGetsAOneUseLink: at the same time, with keys and without, from a
// file and in memory.
func TestOneOfManyGetsAOneUseLink(t *testing.T) {
	for _, file := range []string{"", newFile(t)} {
		s := open(t, file)
		for range 20 {
			link, token := invite(t, s, Invitation{})
			const clients = 16
			var wg sync.WaitGroup
			parties := make(chan *Party, clients)
			for i := range clients {
				wg.Go(func() {
					key := fp(i)
					if i%2 == 0 {
						key = ""
					}
					if p, err := s.Login(fmt.Sprintf("10.0.%d.%s:1", i, link.ID), "x", key, token); err == nil {
						parties <- p
					} else if err != ErrToken {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(parties) != 1 {
				t.Fatalf("%d came in", len(parties))
			}
			if err := s.Revoke(link.ID); err != nil {
				t.Error(err)
			}
			if p := <-parties; p.Level("work") != tree.LevelNone {
				t.Error("revoked, and still in")
			}
		}
	}
}

// TestTenWrongTokensAMinute: then not even the right one is looked at, until
// the first of the ten is a minute old.
func TestTenWrongTokensAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name   string
			wrong  string // with %d for its number
			others []string
			free   []string
		}{
			{"a port more", "192.0.2.1:%d", []string{"192.0.2.1:9", "[::ffff:192.0.2.1]:1"}, []string{"192.0.2.2:1", "pid:1", "[::1]:1"}},
			{"IPv6, by the /64", "[2001:db8::%d]:5", []string{"[2001:db8::ffff:0:0:1]:5"}, []string{"[2001:db8:0:1::1]:5"}},
			{"this machine", "pid:%d", []string{"local", "pid:9", ""}, []string{"127.0.0.1:80"}},
		} {
			s := open(t, "")
			_, token := invite(t, s, Invitation{Uses: 100})
			for i := range 10 {
				time.Sleep(time.Second)
				refused(t, s, fmt.Sprintf(test.wrong, i), fp(1), "wrong", ErrToken)
			}
			for _, addr := range test.others {
				refused(t, s, addr, fp(1), token, ErrAttempts)
				refused(t, s, addr, fp(1), "wrong", ErrAttempts) // and is not counted
			}
			for _, addr := range test.free {
				if _, err := s.Login(addr, "", fp(2), token); err != nil {
					t.Errorf("%s: %s: %v", test.name, addr, err)
				}
			}
			time.Sleep(51*time.Second - 1)
			refused(t, s, test.others[0], fp(1), token, ErrAttempts)
			time.Sleep(time.Nanosecond)
			refused(t, s, test.others[0], fp(1), "wrong", ErrToken) // the place of the first
			refused(t, s, test.others[0], fp(1), token, ErrAttempts)
			time.Sleep(time.Second)
			if _, err := s.Login(test.others[0], "", fp(1), token); err != nil {
				t.Errorf("%s: after a minute: %v", test.name, err)
			}
		}
	})
}

// TestGuessesAtTheSameTimeAreCounted: many connections do not get more tries.
func TestGuessesAtTheSameTimeAreCounted(t *testing.T) {
	s := open(t, "")
	invite(t, s, Invitation{})
	var wg sync.WaitGroup
	looked := make(chan error, 100)
	for i := range 100 {
		wg.Go(func() {
			if _, err := s.Login(somewhere, "x", "", fmt.Sprint("guess", i)); err != ErrAttempts {
				looked <- err
			}
		})
	}
	wg.Wait()
	if n := len(looked); n != maxWrong {
		t.Errorf("%d guesses were looked at", n)
	}
}

// TestAddressesAreForgotten: however many try, what is kept of them is bounded,
// and whoever has tried too often of late is not forgotten for those.
func TestAddressesAreForgotten(t *testing.T) {
	var a attempts
	now := time.Now()
	for i := range 3 * maxAddrs {
		now = now.Add(time.Millisecond)
		addr := fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
		a.wrong(addr, now)
		if i%1000 == 0 {
			if i > 10_000 && !a.blocked("192.0.2.1:5", now) {
				t.Fatalf("forgotten after %d others", i)
			}
			a.wrong("192.0.2.1:1", now)
		}
	}
	if n := len(a.now) + len(a.before); n > 2*maxAddrs {
		t.Errorf("%d addresses", n)
	}
}

// TestAskIsViewUntilApproved: what a link with Ask gives, and what comes of the
// answer; a viewer has nothing to ask.
func TestAskIsViewUntilApproved(t *testing.T) {
	s := open(t, newFile(t))
	link, token := invite(t, s, Invitation{Ask: true, Uses: 3, Role: Owner})
	p := login(t, s, "ann", fp(1), token)
	id, ok := p.Asks()
	if !ok || p.Level("work") != tree.LevelView {
		t.Errorf("%v %v %v", id, ok, p.Level("work"))
	}
	if err := s.Approve(link.ID, true); err == nil {
		t.Error("a link is approved")
	}
	if _, _, err := s.Invite(Invitation{Role: View, Patterns: []string{"work"}, Parent: id}); err == nil {
		t.Error("who asks may invite")
	}
	if err := s.Approve(id, true); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Asks(); ok || p.Level("work") != tree.LevelOwn {
		t.Errorf("approved: %v", p.Level("work"))
	}
	if err := s.Approve(id, true); err == nil {
		t.Error("approved twice")
	}
	q := login(t, s, "bob", fp(2), token)
	id, _ = q.Asks()
	if err := s.Approve(id, false); err != nil {
		t.Fatal(err)
	}
	if _, ok := q.Asks(); ok || q.Level("work") != tree.LevelNone {
		t.Error("denied, and still there")
	}
	_, token = invite(t, s, Invitation{Ask: true, Role: View})
	if _, ok := login(t, s, "eve", fp(3), token).Asks(); ok {
		t.Error("a viewer asks")
	}
}

// TestAKeyHoldsSeveralGrants: the most of them counts, and each ends for itself.
func TestAKeyHoldsSeveralGrants(t *testing.T) {
	s := open(t, "")
	_, one := invite(t, s, Invitation{Role: View, Patterns: []string{"*"}})
	two, another := invite(t, s, Invitation{Role: Owner, Patterns: []string{"mine"}})
	login(t, s, "ann", fp(1), one)
	p := login(t, s, "eve", fp(1), another)
	if p.User() != "guest:ann" || len(p.GrantIDs()) != 2 || p.Level("mine") != tree.LevelOwn || p.Level("") != tree.LevelView {
		t.Errorf("%+v", p)
	}
	if err := s.Revoke(two.ID); err != nil {
		t.Fatal(err)
	}
	if p.Level("mine") != tree.LevelView {
		t.Error(p.Level("mine"))
	}
}

// TestWrongTokensOfALocalUserAreHisOwn: on this machine all have the address of
// the loopback, or none. Who guesses there keeps no other user out.
func TestWrongTokensOfALocalUserAreHisOwn(t *testing.T) {
	s := open(t, "")
	_, token := invite(t, s, Invitation{})
	for range maxWrong {
		refused(t, s, Local("eve"), "", "wrong", ErrToken)
	}
	refused(t, s, Local("eve"), "", token, ErrAttempts)
	if _, err := s.Login(Local("ann"), "ann", "", token); err != nil {
		t.Error(err)
	}
}
