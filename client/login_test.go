package client_test

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/internal/wire"
)

// TestTokenIsWrittenToAnAfid: the token goes to the afid before the attach, which
// names the afid; then the afid is given up. Nothing is said twice, and nothing
// before the server has agreed to what came before.
func TestTokenIsWrittenToAnAfid(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			s := &script{t: t, conn: theirs}
			made := async(func() error {
				c, err := client.New(t.Context(), ours, client.Options{Uname: "rob", Aname: "x", Token: "s3cret", Ordered: ordered})
				if err == nil {
					err = c.Close()
				}
				return err
			})
			s.reply(s.want(wire.Tversion), wire.Msg{Msize: 8192, Version: "9P2000"})
			auth := s.want(wire.Tauth)
			if auth.Uname != "rob" || auth.Aname != "x" {
				t.Errorf("%v", &auth)
			}
			s.reply(auth, wire.Msg{Qid: wire.Qid{Type: wire.QTAUTH, Path: 1}})
			w := s.want(wire.Twrite)
			if w.Fid != auth.Afid || w.Offset != 0 || string(w.Data) != "token s3cret" {
				t.Errorf("%v", &w)
			}
			s.reply(w, wire.Msg{Count: uint32(len(w.Data))})
			a := s.want(wire.Tattach)
			if a.Afid != auth.Afid || a.Fid == auth.Afid || a.Uname != "rob" || a.Aname != "x" {
				t.Errorf("%v", &a)
			}
			s.reply(a, wire.Msg{Qid: wire.Qid{Type: wire.QTDIR, Path: 1}})
			if c := s.want(wire.Tclunk); c.Fid != auth.Afid {
				t.Errorf("%v", &c)
			}
			theirs.Close()
			<-made
		})
	}
}

// TestLoginThatIsRefused: whatever the server has against a token, the client
// says so, without the token, and does not try to get in another way.
func TestLoginThatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		auth, write wire.Msg
		want        string
	}{
		"no logins": {auth: wire.Msg{Type: wire.Rerror, Ename: "no authentication required"}, want: "log in: no authentication required"},
		"wrong":     {write: wire.Msg{Type: wire.Rerror, Ename: "permission denied: wrong"}, want: "log in: permission denied: wrong"},
		"half":      {write: wire.Msg{Count: 3}, want: "log in: short write"},
		"more":      {write: wire.Msg{Count: 300}, want: "broke the protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				s := &script{t: t, conn: theirs}
				made := async(func() error {
					_, err := client.New(t.Context(), ours, client.Options{Token: "s3cret", Ordered: true})
					return err
				})
				s.reply(s.want(wire.Tversion), wire.Msg{Msize: 8192, Version: "9P2000"})
				s.reply(s.want(wire.Tauth), test.auth)
				if test.auth.Type == 0 {
					s.reply(s.want(wire.Twrite), test.write)
				}
				if m := s.next(); m.Type != 0 {
					t.Errorf("the client went on with %v", &m)
				}
				err := <-made
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("got %v, want %q in it", err, test.want)
				}
			})
		})
	}
}
