package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/access"
	"hubfs/client"
	"hubfs/p9"
	"hubfs/transport"
)

// fingerprints of keys that clients have.
const (
	annsKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	bobsKey = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"
	newKey  = "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA"
)

// far is somebody at another machine, with a key or without.
func far(key string) transport.Peer {
	return transport.Peer{UID: -1, Addr: "203.0.113.7:1000", Key: key}
}

// A house is a server that tests enter as whoever they say.
type house struct {
	*server
	t    *testing.T
	said *lockedLog // with a trace
}

func newHouse(t *testing.T, file string) *house {
	t.Helper()
	said := new(lockedLog)
	s := newServer(Config{Addr: address(t, "house"), State: NoState, Access: file, Log: slog.New(slog.NewTextHandler(said, nil)), Trace: true})
	if err := s.makeTree(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.p9.Hangup(func(p9.ConnInfo) bool { return true })
		s.serving.Wait()
		s.access.Close()
		s.fs.Shutdown(context.Background())
	})
	return &house{s, t, said}
}

// enter connects as a peer.
func (h *house) enter(p transport.Peer, o client.Options) (*client.Conn, error) {
	ours, theirs := net.Pipe()
	h.serving.Go(func() { h.servePeer(context.Background(), theirs, p) }) // until either side hangs up
	o.Ordered = false                                                     // so that New waits for the attach
	c, err := client.New(h.t.Context(), ours, o)
	if err == nil {
		h.t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func (h *house) mustEnter(p transport.Peer, o client.Options) *client.Conn {
	h.t.Helper()
	c, err := h.enter(p, o)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) invite(in access.Invitation) (id, token string) {
	h.t.Helper()
	g, token, err := h.access.Invite(in)
	if err != nil {
		h.t.Fatal(err)
	}
	return g.ID, token
}

// users are those who are connected and have shown who they are, in order.
func (h *house) users() string {
	var users []string
	for _, c := range h.p9.Conns() {
		if c.User != "" {
			users = append(users, c.User)
		}
	}
	return strings.Join(users, " ")
}

func TestWhoIsWho(t *testing.T) {
	h := newHouse(t, NoAccess)
	for _, g := range []access.Grant{
		{Kind: access.KindUser, User: "bob", Role: access.View, Patterns: []string{"*"}},
		{Kind: access.KindKey, Key: annsKey, User: "ann", Role: access.Write, Patterns: []string{"work"}},
	} {
		if _, err := h.access.Grant(g); err != nil {
			t.Fatal(err)
		}
	}
	own := transport.Peer{UID: os.Geteuid(), User: "me", Addr: "pid:1", Admin: true}
	for _, test := range []struct {
		name   string
		peer   transport.Peer
		user   string
		admin  bool
		login  bool
		bounds bool
	}{
		{"own user", own, "me", true, false, false},
		{"another user with a grant", transport.Peer{UID: 77, User: "bob", Addr: "pid:2"}, "bob", false, false, true},
		{"another user", transport.Peer{UID: 78, User: "eve", Addr: "pid:3"}, "eve", false, true, true},
		{"a user without a name", transport.Peer{UID: 79, User: "79", Addr: "pid:3"}, "79", false, true, true},
		{"a key with a grant", far(annsKey), "guest:ann", false, false, true},
		{"a key", far(bobsKey), "", false, true, true},
		{"no key", far(""), "", false, true, true},
		{"a network that does not tell", transport.Peer{UID: -1, Addr: "127.0.0.1:5"}, "", false, true, true},
	} {
		p := h.identify(test.peer, &visitor{})
		if p.User != test.user || p.Admin != test.admin || p.LoginNeeded != test.login || (p.Rights != nil) != test.bounds {
			t.Errorf("%s: %+v", test.name, p)
		}
		if test.bounds && !test.login && len(p.Grants) != 1 {
			t.Errorf("%s: grants %v", test.name, p.Grants)
		}
	}
}

// TestAClientIsNotWhomItSays: what a client calls itself gives it nothing, with
// a login or without.
func TestAClientIsNotWhomItSays(t *testing.T) {
	h := newHouse(t, NoAccess)
	if _, err := h.access.Grant(access.Grant{Kind: access.KindUser, User: "bob", Role: access.Owner, Patterns: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	for _, uname := range []string{"bob", "root", ownUser(), "guest:bob", ""} {
		if _, err := h.enter(far(bobsKey), client.Options{Uname: uname}); !errors.Is(err, client.ErrPermission) {
			t.Errorf("%q: %v", uname, err)
		}
	}
	_, token := h.invite(access.Invitation{Role: access.View, Patterns: []string{"work"}})
	h.mustEnter(far(bobsKey), client.Options{Uname: "bob", Token: token})
	if u := h.users(); u != "guest:bob" {
		t.Errorf("connected: %s", u)
	}
	// Not even what one was granted by name makes another user of it.
	h.mustEnter(transport.Peer{UID: 77, User: "bob", Addr: "pid:2"}, client.Options{Uname: "root"})
	if u := h.users(); u != "guest:bob bob" {
		t.Errorf("connected: %s", u)
	}
}

// TestLinkIsWorthNothingAfterItsUse: over the wire, by Tauth and by aname, with
// a key and without.
func TestLinkIsWorthNothingAfterItsUse(t *testing.T) {
	for _, key := range []string{annsKey, ""} {
		for _, by := range []string{"Tauth", "aname"} {
			h := newHouse(t, NoAccess)
			_, token := h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}})
			with := func(token string) client.Options {
				if by == "aname" {
					return client.Options{Uname: "ann", Aname: "token=" + token}
				}
				return client.Options{Uname: "ann", Token: token}
			}
			c := h.mustEnter(far(key), with(token))
			if _, err := h.enter(far(bobsKey), with(token)); !errors.Is(err, client.ErrPermission) {
				t.Errorf("key %q, by %s: a second one came in: %v", key, by, err)
			}
			c.Close()
			// A key holds the role without the link, and with it.
			_, err := h.enter(far(key), client.Options{Uname: "ann"})
			_, again := h.enter(far(key), with(token))
			if (err == nil) != (key != "") || (again == nil) != (key != "") {
				t.Errorf("key %q, by %s: back without the token: %v, with it: %v", key, by, err, again)
			}
			h.p9.Hangup(func(p9.ConnInfo) bool { return true })
			h.serving.Wait()
			if l := h.access.List(); (len(l) > 0) != (key != "") {
				t.Errorf("key %q, by %s: left over when all have gone: %v", key, by, l)
			}
		}
	}
}

// TestRevokeCutsAReadThatWaits: at once, and before Revoke returns nothing goes
// out any more. Others stay.
func TestRevokeCutsAReadThatWaits(t *testing.T) {
	h := newHouse(t, NoAccess)
	own := h.mustEnter(transport.Peer{User: "me", Admin: true}, client.Options{})
	hub, err := own.Create(t.Context(), "/hub", 0o666, client.OWRITE)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string]func(link, held string) error{
		"the link revoked": func(link, held string) error { return h.access.Revoke(link) },
		"the key revoked":  func(link, held string) error { return h.access.Revoke(held) },
		"denied":           func(link, held string) error { return h.access.Approve(held, false) },
	}
	for name, end := range ends {
		for _, key := range []string{annsKey, ""} {
			link, token := h.invite(access.Invitation{Role: access.Write, Patterns: []string{"*"}, Ask: true})
			c := h.mustEnter(far(key), client.Options{Token: token})
			f, err := c.Open(t.Context(), "/hub", client.OREAD)
			if err != nil {
				t.Fatal(err)
			}
			lost := make(chan error, 1)
			go func() { // ends with the connection
				_, err := f.ReadContext(context.Background(), make([]byte, 10))
				lost <- err
			}()
			list := h.access.List()
			if err := end(link, list[len(list)-1].ID); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			select {
			case err := <-lost:
				if !errors.Is(err, client.ErrLost) {
					t.Errorf("%s: the read ended with %v", name, err)
				}
			case <-time.After(patience):
				t.Fatalf("%s: the read waits on", name)
			}
			if _, err := h.enter(far(key), client.Options{}); err == nil {
				t.Errorf("%s: came in again", name)
			}
		}
	}
	if _, err := hub.WriteContext(t.Context(), []byte("still here")); err != nil {
		t.Error(err)
	}
}

// TestRevokeRacesWithLogins: whichever comes first, when both are over nobody is
// in by what was revoked.
func TestRevokeRacesWithLogins(t *testing.T) {
	h := newHouse(t, NoAccess)
	for i := range 200 {
		link, token := h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}, Uses: 2})
		o := client.Options{Token: token}
		if i%2 == 0 {
			o = client.Options{Aname: "token=" + token}
		}
		var wg sync.WaitGroup
		conns := make(chan *client.Conn, 2)
		for _, key := range []string{newKey, ""} {
			wg.Go(func() {
				peer := far(key)
				peer.Addr = fmt.Sprintf("203.0.113.%d:1", i) // for nobody to have tried too often
				if c, err := h.enter(peer, o); err == nil {
					conns <- c
				} else if !errors.Is(err, client.ErrPermission) && !errors.Is(err, client.ErrLost) {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := h.access.Revoke(link); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		close(conns)
		for c := range conns {
			if _, err := c.ReadFile(t.Context(), "/status"); !errors.Is(err, client.ErrLost) {
				t.Fatalf("round %d: still in: %v", i, err)
			}
		}
		if l := h.access.List(); len(l) != 0 {
			t.Fatalf("round %d: left: %v", i, l)
		}
	}
}

// TestGrantsSurviveTheServer: who holds a role is known again; what was revoked,
// used up or a connection's is not.
func TestGrantsSurviveTheServer(t *testing.T) {
	inPrivate(t)
	r := start(t, Config{Addr: address(t, "again"), State: NoState})
	file, err := accessFile(r.addr, "")
	if err != nil || filepath.Base(file) != "again.json" {
		t.Fatal(file, err)
	}
	r.connect()
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file without a grant: %v", err)
	}
	r.cancel()
	r.ends()

	h := newHouse(t, file)
	_, token := h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}, Uses: 3})
	revoked, other := h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}})
	h.mustEnter(far(annsKey), client.Options{Uname: "ann", Token: token})
	h.mustEnter(far(""), client.Options{Uname: "once", Token: token})
	h.mustEnter(far(bobsKey), client.Options{Uname: "bob", Token: other})
	if err := h.access.Revoke(revoked); err != nil {
		t.Fatal(err)
	}
	h.access.Close() // as it is when the process dies: connections and all

	again := newHouse(t, file)
	again.mustEnter(far(annsKey), client.Options{})
	if u := again.users(); u != "guest:ann" {
		t.Errorf("ann is %s", u)
	}
	if _, err := again.enter(far(bobsKey), client.Options{Token: other}); !errors.Is(err, client.ErrPermission) {
		t.Errorf("revoked, and came in: %v", err)
	}
	again.mustEnter(far(newKey), client.Options{Uname: "ann", Token: token}) // the third use
	if u := again.users(); u != "guest:ann guest:ann.2" {
		t.Errorf("connected: %s", u)
	}
	if _, err := again.enter(far(""), client.Options{Token: token}); !errors.Is(err, client.ErrPermission) {
		t.Errorf("a fourth use of three: %v", err)
	}
}

// TestAServerWaitsForTheFile: two servers of one file do not overwrite what the
// other has noted.
func TestAServerWaitsForTheFile(t *testing.T) {
	inPrivate(t)
	file, err := accessFile(address(t, "shared"), "")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, file)
	h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}})
	if s, err := access.Open(file, access.Options{}); err == nil || !strings.Contains(err.Error(), "another server has the file") {
		t.Errorf("%v, %v", s, err)
	}
	opened := make(chan error, 1)
	go func() { // ends with the first server
		s, err := access.Open(file, access.Options{Wait: patience})
		if err == nil && len(s.List()) != 2 {
			err = errors.New("opened before the other had closed it")
		}
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	h.invite(access.Invitation{Role: access.View, Patterns: []string{"*"}})
	h.access.Close()
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// TestABadFileStopsTheServer: it does not begin as if nobody had been granted
// anything, and it does not overwrite what it cannot read.
func TestABadFileStopsTheServer(t *testing.T) {
	inPrivate(t)
	addr := address(t, "bad")
	file := filepath.Join(t.TempDir(), "grants")
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mode 0644", "version 0"} {
		err := Run(t.Context(), Config{Addr: addr, Access: file})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("got %v, want %q in it", err, want)
		}
		os.Chmod(file, 0o600)
	}
	start(t, Config{Addr: addr, Access: NoAccess}).connect() // the name is free
}

// TestNothingSecretIsSaid: tokens of links that were made, used, and tried in
// vain are in no line of the log, with a trace, and not in /status.
func TestNothingSecretIsSaid(t *testing.T) {
	h := newHouse(t, NoAccess)
	_, token := h.invite(access.Invitation{Role: access.Owner, Patterns: []string{"*"}, Uses: 2})
	h.enter(far(""), client.Options{Uname: "x", Aname: "v9fs,token=" + token})
	h.enter(far(annsKey), client.Options{Uname: "x", Token: token})
	h.enter(far(bobsKey), client.Options{Uname: "x", Token: token})
	h.enter(far(bobsKey), client.Options{Uname: "x", Aname: "token=" + token})
	own := h.mustEnter(transport.Peer{User: "me", Admin: true}, client.Options{})
	f, err := own.Open(t.Context(), "/access", client.ORDWR)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteContext(t.Context(), []byte("invite view work\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	n, err := f.ReadContext(t.Context(), answer)
	id, made, _ := strings.Cut(strings.TrimSpace(string(answer[:n])), " ")
	if err != nil || len(made) != len(token) {
		t.Fatalf("invited with %q, %v", answer[:n], err)
	}
	status, err := own.ReadFile(t.Context(), "/status")
	if err != nil {
		t.Fatal(err)
	}
	list, err := own.ReadFile(t.Context(), "/access")
	if err != nil || !strings.Contains("\n"+string(list), "\n"+id+" link ") {
		t.Errorf("%s, %v", list, err)
	}
	text := h.said.text() + string(status) + string(list)
	if strings.Contains(text, token) || strings.Contains(text, made) || !strings.Contains(text, "Tauth") || !strings.Contains(text, "login refused") {
		t.Errorf("%s", text)
	}
}

// A lockedLog keeps what is logged.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
