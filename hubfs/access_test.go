package hubfs

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hubfs/access"
	"hubfs/internal/wire"
	"hubfs/tree"
)

// withAccess runs a test of a server that has grants.
func withAccess(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	bubble(t, Config{}, func(t *testing.T, s *server) {
		store, err := access.Open("", access.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		cfg := s.cfg
		cfg.Access = store
		test(t, newServer(t, cfg))
	})
}

// say writes words to /access, and returns the answer.
func (s *server) say(c *tree.Caller, words string) (string, error) {
	s.t.Helper()
	n, err := s.walk(c, "access")
	if err != nil {
		return "", err
	}
	h, err := n.(tree.File).Open(c, tree.OpenRDWR)
	if err != nil {
		return "", err
	}
	f := &file{t: s.t, path: "access", h: h}
	defer f.close()
	if err := f.write(words); err != nil {
		return "", err
	}
	answer, _, err := f.try(int64(len(words)), 1<<20)
	return answer, err
}

// comeIn redeems a link that words make, as a guest with a name.
func (s *server) comeIn(by *tree.Caller, name, words string) (c *tree.Caller, link string) {
	s.t.Helper()
	answer, err := s.say(by, words)
	if err != nil {
		s.t.Fatalf("%s: %v", words, err)
	}
	id, token, _ := strings.Cut(strings.TrimSpace(answer), " ")
	p, err := s.cfg.Access.Login("tls "+name, name, "", token)
	if err != nil {
		s.t.Fatalf("%s: login: %v", words, err)
	}
	return &tree.Caller{User: p.User(), Addr: "tls " + name, Conn: 200 + uint64(name[0]), Rights: p}, id
}

func TestAccessIsGivenAndTakenByWords(t *testing.T) {
	withAccess(t, func(t *testing.T, s *server) {
		s.ctl("shell work -- x")
		events := s.open("events", tree.OpenRead)
		ann, id := s.comeIn(glenda, "ann", "invite view work for=2h uses=2 as=ann")
		s.want("/ of ann", s.ls(ann, "/"), "events shell status work1 work2")
		if answer, err := s.say(glenda, "grant user=bob write wo*\ngrant key="+strings.Repeat("A", 43)+" owner * as=eve for=1h"); err != nil || answer != "3\n4\n" {
			t.Errorf("answer %q, %v", answer, err)
		}
		f := s.open("access", tree.OpenRead)
		got := f.text()
		f.close()
		at := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
		s.want("the list", got, "1 link guest:ann view work "+at+" 1 open\n"+
			"2 token guest:ann view work "+at+" - open\n3 user bob write wo* - - open\n"+
			"4 key guest:eve owner * "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+" - open\n")
		if strings.Contains(got, "AAAA") {
			t.Error("the list tells a key")
		}
		if _, err := s.say(glenda, "revoke "+id); err != nil {
			t.Fatal(err)
		}
		s.want("/ of ann, then", s.ls(ann, "/"), "")
		events.read("access new 1 guest:ann\naccess use 1 guest:ann\naccess new 3 bob\naccess new 4 guest:eve\n" +
			"access end 1 guest:ann\naccess end 2 guest:ann\n")
		for words, say := range map[string]string{
			"invite":                       "expected invite view|write|owner",
			"invite admin work":            "role",
			"invite view":                  "expected invite",
			"invite view wo[rk":            "pattern",
			"invite view work for=x":       "for=x is not a time",
			"invite view work for=-1h":     "is not a time",
			"invite view work uses=0":      "is not a number",
			"invite view work as=:":        "a name has letters",
			"grant bob view work":          "neither user=NAME nor key=",
			"grant user= view work":        "neither user=NAME nor key=",
			"grant user=guest:x view work": "is no local user's name",
			"grant key=short view work":    "fingerprint",
			"grant user=bob view work ask": "are for those who come with a link",
			"revoke 1":                     `no grant "1"`,
			"approve 3":                    "grant 3 does not ask",
			"deny x":                       `no grant "x"`,
			"what":                         "unknown command",
		} {
			_, err := s.say(glenda, words)
			checkError(t, words, err, nil, say)
		}
	})
	bubble(t, Config{}, func(t *testing.T, s *server) {
		if _, err := s.walk(glenda, "access"); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("a server without grants: %v", err)
		}
	})
}

// Who owns a thing lets others in to that, and gives no more than it has.
func TestAnOwnerOfAShellInvitesToThatAlone(t *testing.T) {
	withAccess(t, func(t *testing.T, s *server) {
		s.ctl("shell work -- x\nshell other -- x")
		ann, first := s.comeIn(glenda, "ann", "invite write lap")
		bea, _ := s.comeIn(glenda, "bea", "invite owner work")
		cat, _ := s.comeIn(glenda, "cat", "invite view *")
		dan, _ := s.comeIn(glenda, "dan", "invite owner *")
		refused := func(c *tree.Caller, words ...string) {
			t.Helper()
			for _, w := range words {
				if answer, err := s.say(c, w); !errors.Is(err, tree.ErrPermission) && !errors.Is(err, tree.ErrNotExist) {
					t.Errorf("%s says %s: %q, %v", c.User, w, answer, err)
				}
			}
		}
		refused(ann, "invite view lap") // it hosts nothing yet
		refused(cat, "invite view work")
		s.openAs(ann, "ctl", tree.OpenRDWR).mustWrite("host lap")
		refused(ann, "invite owner lap", "invite write work", "invite view *", "invite view la?", "invite view lap work", `invite view '\lap'`,
			"grant user=x owner lap", "revoke 1", "revoke 3", "revoke 99", "approve 1")
		refused(bea, "invite view lap", "invite view *", "invite owner other")
		eve, link := s.comeIn(ann, "eve", "invite write lap")
		s.want("/ of eve", s.ls(eve, "/"), "ctl events lap0 lap0.note lap1 lap2 shell status")
		s.comeIn(bea, "fay", "invite owner work uses=3")
		s.comeIn(dan, "gil", "invite owner *")

		lines := func(c *tree.Caller) string {
			var ids []string
			for line := range strings.Lines(s.catAs(c, "access")) {
				ids = append(ids, strings.Fields(line)[0])
			}
			return strings.Join(ids, " ")
		}
		n := link
		s.want("what ann sees", lines(ann), n+" "+fmt.Sprint(atoi(t, n)+1))
		if got := lines(dan); !strings.HasPrefix(got, "1 2 3 ") {
			t.Errorf("dan sees %s", got)
		}
		// What came of a grant ends with it.
		if _, err := s.say(dan, "revoke "+first); err != nil {
			t.Fatal(err)
		}
		s.want("/ of ann, then", s.ls(ann, "/"), "")
		s.want("/ of eve, then", s.ls(eve, "/"), "")
	})
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A guest who has to ask looks on, and types when the owner has approved.
func TestTypingIsAskedFor(t *testing.T) {
	withAccess(t, func(t *testing.T, s *server) {
		s.ctl("shell work -- x\nshell other -- x")
		events := s.open("events", tree.OpenRead)
		host := s.openAs(glenda, "shell/work/ctl", tree.OpenRDWR)
		host.mustWrite("attach rw 24 80")
		host.read("size 24 80\ndriver yes\n")
		ann, _ := s.comeIn(glenda, "ann", "invite write work ask")
		bea, _ := s.comeIn(glenda, "bea", "invite write work ask")
		attach := func(c *tree.Caller, want string) *file {
			t.Helper()
			f := s.openAs(c, "shell/work/ctl", tree.OpenRDWR)
			f.mustWrite("attach rw 30 90")
			f.read(want)
			f.waits()
			return f
		}
		a := attach(ann, "mode ask\nsize 24 80\ndriver no\n")
		b := attach(bea, "mode ask\nsize 24 80\ndriver no\n")
		host.read("asks 2 guest:ann\nasks 4 guest:bea\n")
		late := attach(glenda, "asks 2 guest:ann\nasks 4 guest:bea\nsize 30 90\ndriver yes\n")
		late.close()
		host.read("size 30 90\ndriver no\nsize 24 80\ndriver yes\n")
		typing := func(c *tree.Caller) error {
			n, err := s.walk(c, "work0")
			if err == nil {
				_, err = n.(tree.File).Open(c, tree.OpenWrite)
			}
			return err
		}
		for _, c := range []*tree.Caller{ann, bea} {
			if err := typing(c); !errors.Is(err, tree.ErrNotExist) {
				t.Errorf("%s types: %v", c.User, err)
			}
		}
		if got := s.cat("shell/work/clients"); strings.Count(got, " ro ") != 2 {
			t.Errorf("clients:\n%s", got)
		}
		a.read("size 30 90\nsize 24 80\n")
		b.read("size 30 90\nsize 24 80\n")

		if _, err := s.say(glenda, "approve 2\ndeny 4"); err != nil {
			t.Fatal(err)
		}
		a.read("mode rw\nsize 30 90\ndriver yes\nasks 4 guest:bea\n")
		b.read("size 30 90\ndetach denied by glenda\n")
		b.ends()
		if err := typing(ann); err != nil {
			t.Errorf("approved, and cannot type: %v", err)
		}
		if err := typing(bea); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("denied, and types: %v", err)
		}
		if got := s.cat("shell/work/clients"); !strings.Contains(got, "2 guest:ann 'tls ann' rw ") {
			t.Errorf("clients:\n%s", got)
		}
		// Whoever was approved need not ask again, nor may anybody else ask elsewhere.
		attach(ann, "size 30 90\ndriver yes\n")
		told, err := events.next()
		if err != nil || !strings.Contains(told, "access ask 2 guest:ann work\n") || !strings.Contains(told, "access end 4 guest:bea\n") {
			t.Errorf("events %q, %v", told, err)
		}
		cat, _ := s.comeIn(glenda, "cat", "invite view work other")
		f := s.openAs(cat, "shell/other/ctl", tree.OpenRDWR)
		checkError(t, "attach rw of a viewer", f.write("attach rw 5 5"), tree.ErrPermission, "attach: shell other: permission denied")
		f.mustWrite("attach ro 5 5")
	})
}

// Tokens and what is typed are in no trace and no log.
func TestSecretsAreNotTraced(t *testing.T) {
	withAccess(t, func(t *testing.T, s *server) {
		var trace strings.Builder
		s.trace = slog.New(slog.NewTextHandler(&trace, &slog.HandlerOptions{Level: slog.LevelDebug}))
		s.ctl("shell work -- x")
		p := s.dial(glenda)
		write := func(fid uint32, text string, path ...string) {
			t.Helper()
			p.must(wire.Msg{Type: wire.Twalk, Newfid: fid, Wname: path})
			p.must(wire.Msg{Type: wire.Topen, Fid: fid, Mode: map[bool]uint8{true: tree.OpenRDWR, false: tree.OpenWrite}[len(path) == 1]})
			p.must(wire.Msg{Type: wire.Twrite, Fid: fid, Data: []byte(text)})
		}
		write(1, "invite view work", "access")
		answer := string(p.must(wire.Msg{Type: wire.Tread, Fid: 1, Count: 100}).Data)
		_, token, _ := strings.Cut(strings.TrimSpace(answer), " ")
		write(2, "my password", "shell", "work", "input@"+testKey)
		p.close()
		if len(token) != 22 || !strings.Contains(trace.String(), "Twrite") {
			t.Fatalf("answer %q, trace:\n%s", answer, trace.String())
		}
		for _, secret := range []string{token, "password"} {
			if strings.Contains(trace.String(), secret) {
				t.Errorf("the trace tells %q:\n%s", secret, trace.String())
			}
		}
	})
}

// Who asks again and again fills nobody's terminal.
func TestWhoAsksIsToldOfNowAndThen(t *testing.T) {
	withAccess(t, func(t *testing.T, s *server) {
		s.ctl("shell work -- x")
		host := s.openAs(glenda, "shell/work/ctl", tree.OpenRDWR)
		host.mustWrite("attach rw 24 80")
		host.read("size 24 80\ndriver yes\n")
		ann, _ := s.comeIn(glenda, "ann", "invite write work ask")
		for range 3 {
			for range 5 {
				f := s.openAs(ann, "shell/work/ctl", tree.OpenRDWR)
				f.mustWrite("attach rw 30 90")
				f.close()
			}
			host.read("asks 2 guest:ann\n")
			host.waits()
			time.Sleep(askAgain)
		}
	})
}
