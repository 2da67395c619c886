package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"hubfs/cmd/hub/internal/server"
	"hubfs/transport"
)

const (
	testPin   = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	testToken = "AAAAAAAAAAAAAAAAAAAAAA"
	testLink  = "hub://h.example:7777/work#" + testPin + "." + testToken
)

func TestLinkInALine(t *testing.T) {
	for _, line := range []string{testLink, " " + testLink + "\r\n", "hub attach '" + testLink + "'\n", `"` + testLink + `"`} {
		if got, err := linkIn(line); got != testLink || err != nil {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	_, err := linkIn("work #" + testToken)
	if err == nil || strings.Contains(err.Error(), testToken) {
		t.Errorf("%v", err)
	}
}

// TestErrorsOfLinksHoldNoSecret: an error ends up in logs and reports.
func TestErrorsOfLinksHoldNoSecret(t *testing.T) {
	for _, link := range []string{
		"hub://nohost/work#" + testPin + "." + testToken,
		"hub://h:1/work#short." + testToken,
		"hub://h:1#" + testPin + "." + testToken,
		"hub://h:1/wo%rk#" + testPin + "." + testToken,
	} {
		a := &app{stderr: io.Discard}
		_, err := a.follow(link)
		if err == nil || strings.Contains(err.Error()+hintOf(err), testToken) {
			t.Errorf("%s: %v", link, err)
		}
		if exitCode(err) != exitUsage {
			t.Errorf("%s: exit %d", link, exitCode(err))
		}
	}
	a := &app{serverFlag: "other"}
	if _, err := a.follow(testLink); err == nil {
		t.Error("-s and a link")
	}
}

func TestServerMayBeALink(t *testing.T) {
	a := &app{serverFlag: testLink}
	l, err := a.where()
	if err != nil || l.Token != testToken || l.Addr.Pin != testPin || l.Addr.Address != "h.example:7777" {
		t.Errorf("%v", err)
	}
	// What shells and other processes are told of the server is not the secret.
	if strings.Contains(l.Addr.String(), testToken) {
		t.Errorf("%s", l.Addr)
	}
}

func TestGuestCommandFitsTheThing(t *testing.T) {
	st := server.Status{Hubs: []server.Hub{{Name: "build it"}, {Name: "work1"}}, Shells: []server.Shell{{Name: "work"}}}
	for name, want := range map[string]string{
		"work":     "hub attach 'hub://h:1/work#",
		"notyet":   "hub attach 'hub://h:1/notyet#",
		"build it": "watch 'build it'",
		"ci/*":     "' ls",
		"remote":   "' nodes",
	} {
		l := transport.Link{Addr: transport.Addr{Network: "tls", Address: "h:1", Pin: testPin}, Name: name, Token: testToken}
		if got := guestCommand(st, l); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestHostOfAServer(t *testing.T) {
	for addr, want := range map[string]string{
		"ssh://me@box:2222/other": "box",
		"ssh://box":               "box",
		"tls://[::1]:7777":        "::1",
		"tcp!10.0.0.1!7":          "10.0.0.1",
	} {
		a, err := transport.Parse(addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostOf(a); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	own, err := transport.Parse("default")
	if err != nil {
		t.Fatal(err)
	}
	if got := hostOf(own); got == "" || anyHost(got) {
		t.Errorf("this machine: %q", got)
	}
}

func TestListenAddresses(t *testing.T) {
	for s, want := range map[string]string{
		":7777":                 "tls!*!7777",
		"127.0.0.1:0":           "tls!127.0.0.1!0",
		"[::1]:7777":            "tls!::1!7777",
		"tls://10.0.0.1:7777":   "tls!10.0.0.1!7777",
		"7777":                  "",
		"tcp!127.0.0.1!7777":    "",
		"tls://10.0.0.1:777777": "",
	} {
		a, err := listenAddr(s)
		if got := a.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%s: %q, %v, want %q", s, got, err, want)
		}
	}
}

func TestTableOfGrants(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var b strings.Builder
	err := writeGrants(&b, []server.Grant{
		{ID: "a1", Kind: "link", Role: "write", Patterns: "work", Expires: now.Add(90 * time.Minute), Uses: 1, State: "open"},
		{ID: "a2", Kind: "key", Who: "guest:a\x1b[2Jnn", Role: "view", Patterns: "*", State: "asks"},
	}, now)
	want := "" +
		"ID  KIND  WHO            ROLE   TO    EXPIRES     USES  STATE\n" +
		"a1  link  -              write  work  in 1h30m0s  1     open\n" +
		"a2  key   guest:a?[2Jnn  view   *     -           -     asks\n"
	if got := b.String(); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestInviteOptionsAreChecked(t *testing.T) {
	for _, o := range []inviteOptions{{view: true, owner: true, uses: 1}, {uses: 0}, {uses: 1, life: -time.Hour}} {
		if err := o.check(); !errors.As(err, new(*usageError)) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
