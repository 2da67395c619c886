package p9

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// A gate lets in who brings one of its tokens, once, under a guest's name.
type gate struct {
	mu   sync.Mutex
	used map[string]bool // guarded by mu
}

func (g *gate) login(p Peer, uname, token string) (Peer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	guest := Peer{User: "guest:" + uname, Addr: p.Addr, Rights: all{}, Grants: []string{token}}
	switch {
	case token == "empty":
		guest.Rights = nothing{}
		return guest, nil
	case token != "open sesame" && token != "another", g.used[token]:
		return Peer{}, fmt.Errorf("%w: wrong token", tree.ErrPermission)
	}
	if g.used == nil {
		g.used = map[string]bool{}
	}
	g.used[token] = true
	return guest, nil
}

// all and nothing are rights.
type (
	all     struct{}
	nothing struct{}
)

func (all) Level(string) tree.Level      { return tree.LevelOwn }
func (all) Within(string) tree.Level     { return tree.LevelOwn }
func (nothing) Level(string) tree.Level  { return tree.LevelNone }
func (nothing) Within(string) tree.Level { return tree.LevelNone }

// TestTraceShowsNoToken: however a token travels, and wherever a client puts it
// by mistake, no line of the trace or the log holds it, and the tree is not told.
func TestTraceShowsNoToken(t *testing.T) {
	const token = "s3cretS3cret"
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		opened := make(chan string, 1)
		m.root.kids["safe"] = secretFile{m.file("safe", "in the safe: "+token, 0o666), opened}
		var log bytes.Buffer
		l := slog.New(slog.NewTextHandler(&log, nil))
		s := &Server{Root: m.root, Log: l, Trace: l, Login: func(p Peer, uname, got string) (Peer, error) {
			if got != token {
				return Peer{}, tree.ErrPermission
			}
			return Peer{User: "guest:x", Rights: all{}}, nil
		}}
		c := dial(t, s, Peer{LoginNeeded: true})
		c.must(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.Version})
		c.must(wire.Msg{Type: wire.Tauth, Tag: 1, Afid: 5, Uname: "x"})
		c.rpc(wire.Msg{Type: wire.Tauth, Tag: 1, Afid: 6, Uname: "x", Aname: "token=" + token})
		c.rpc(twrite(1, 5, token))
		c.rpc(twrite(1, 6, "token "+token)) // no such fid
		c.rpc(twrite(1, 5, "token "+strings.Repeat(token, 300)))
		c.must(twrite(1, 5, "token "+token))
		for i, a := range []string{"token=", "v9fs,token=", "token=x,v9fs+Token=", "xtoken=", "ToKeN=,token="} {
			c.rpc(wire.Msg{Type: wire.Tattach, Tag: 1, Fid: uint32(20 + i), Afid: wire.NoFid, Uname: "x", Aname: a + token})
		}
		c.must(wire.Msg{Type: wire.Tattach, Tag: 1, Afid: wire.NoFid, Uname: "x", Aname: "x+token=" + token})
		c.rpc(twrite(1, 5, "token "+strings.Repeat(token, 5000))) // as no stranger could
		c.open(1, "safe", tree.OpenRDWR)
		if a := <-opened; a != "x+token=…" {
			t.Errorf("the tree was told %q", a)
		}
		if r := c.must(tread(1, 1, 100)); !bytes.Contains(r.Data, []byte(token)) {
			t.Errorf("read %q", r.Data)
		}
		c.must(twrite(1, 1, token))
		c.hangUp()
		if n := strings.Count(log.String(), "\n"); n < 30 {
			t.Errorf("a trace of %d lines", n)
		}
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, token) {
				t.Errorf("%s", line)
			}
		}
	})
}

// A secretFile holds what no trace may show.
type secretFile struct {
	*memFile
	opened chan string // gets the aname of whoever opens it
}

func (f secretFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) {
	f.opened <- c.Aname
	h, err := f.memFile.Open(c, mode)
	if err != nil {
		return nil, err
	}
	return secretHandle{h.(readWriter)}, nil
}

type readWriter interface {
	tree.Reader
	tree.Writer
}

type secretHandle struct{ readWriter }

func (secretHandle) Secret() {}

func TestAname(t *testing.T) {
	for _, test := range []struct{ aname, shown, token string }{
		{"", "", ""},
		{"v9fs", "v9fs", ""},
		{"token=abc", "token=…", "abc"},
		{"v9fs,token=abc,x", "v9fs,token=…,x", "abc"},
		{"x+token=abc+v9fs", "x+token=…+v9fs", "abc"},
		{"token=", "token=…", ""},
		{"TOKEN=abc", "TOKEN=…", ""},
		{"İ token=abc", "İ token=…", ""},
		{"İtoken=abc,,b", "İtoken=…,,b", ""},
		{"a=b=c", "a=…", ""},
		{"a,b", "a,b", ""},
	} {
		a := aname(test.aname)
		token, _ := a.login()
		if a.shown() != test.shown || token != test.token {
			t.Errorf("%q: shown %q, token %q", test.aname, a.shown(), token)
		}
	}
}

// TestHangupDoesNotWaitForAPeer: of two connections one has a last word to say
// that its peer does not take. The other is cut all the same.
func TestHangupDoesNotWaitForAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root}
		near, far := net.Pipe()
		said := make(chan struct{})
		done := make(chan error, 1)
		go func() { // ends with said
			done <- s.ServeConn(context.Background(), slowClose{far, said}, Peer{Grants: []string{"1"}})
		}()
		c := dial(t, s, Peer{Grants: []string{"1"}}).login("")
		c.open(1, "stream", tree.OpenRead)
		c.send(tread(7, 1, 10))
		other := dial(t, s, Peer{}).login("")
		synctest.Wait()

		cut := make(chan int, 1)
		go func() { // ends with said
			cut <- s.Hangup(func(i ConnInfo) bool { return len(i.Grants) > 0 })
		}()
		if !c.hungUp() {
			t.Error("not cut")
		}
		if err := <-c.done; !errors.Is(err, errHangup) {
			t.Errorf("ServeConn: %v", err)
		}
		if _, ok := c.take(); ok {
			t.Error("a reply went out")
		}
		close(said)
		if n := <-cut; n != 2 {
			t.Errorf("%d were cut", n)
		}
		<-done
		near.Close()
		other.open(1, "file", tree.OpenRead) // not cut
		other.hangUp()
		m.checkFreed(t)
	})
}

// TestNothingIsServedAfterHangup: neither what waits behind others, nor what comes
// while a connection that is cut says its last word.
func TestNothingIsServedAfterHangup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		f := slowFile{m.file("ctl", "", 0o666), make(chan struct{})}
		m.root.kids["ctl"] = f
		s := &Server{Root: m.root}
		near, far := net.Pipe()
		said := make(chan struct{})
		done := make(chan error, 1)
		go func() { // ends with said
			done <- s.ServeConn(context.Background(), slowClose{far, said}, Peer{Grants: []string{"1"}})
		}()
		c := &client{t: t, conn: near}
		go c.receive()
		c.login("")
		c.open(1, "ctl", tree.OpenWrite)
		c.send(twrite(4, 1, "before"))
		c.send(twrite(5, 1, "behind"))
		synctest.Wait()
		go s.Hangup(func(ConnInfo) bool { return true }) // ends with said
		synctest.Wait()
		close(f.done)
		synctest.Wait()
		near.SetWriteDeadline(time.Now().Add(time.Second)) // of the bubble: nobody may read it
		near.Write(encode(t, wire.Msg{Type: wire.Tcreate, Tag: 9, Fid: 0, Name: "after", Perm: 0o666}))
		synctest.Wait()
		close(said)
		<-done
		if got := string(f.memFile.data); got != "before" {
			t.Errorf("written: %q", got)
		}
		if _, there := m.root.kids["after"]; there {
			t.Error("a request was served that came after the end")
		}
		near.Close()
		m.checkFreed(t)
	})
}

// A slowClose takes its time.
type slowClose struct {
	net.Conn
	said chan struct{}
}

func (c slowClose) Close() error {
	<-c.said
	return c.Conn.Close()
}

// TestLoginThatEndsMeanwhileGetsNothing: the grant ends after the token was
// found good and before the connection is known to have come by it, so that
// Hangup misses it.
func TestLoginThatEndsMeanwhileGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root}
		r := &fading{}
		s.Login = func(p Peer, uname, token string) (Peer, error) {
			r.gone = true
			s.Hangup(func(i ConnInfo) bool { return len(i.Grants) > 0 })
			return Peer{User: "guest:x", Rights: r, Grants: []string{"1"}}, nil
		}
		c := dial(t, s, Peer{LoginNeeded: true})
		c.must(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.Version})
		for range 2 {
			c.send(wire.Msg{Type: wire.Tattach, Tag: 1, Afid: wire.NoFid, Uname: "x", Aname: "token=t"})
			c.expect(`Rerror tag 1 ename "permission denied: this server wants a token or a key that it knows"`)
		}
		c.hangUp()
	})
}

// A fading gives rights until it is gone.
type fading struct {
	all
	gone bool
}

func (f *fading) Within(path string) tree.Level {
	if f.gone {
		return tree.LevelNone
	}
	return tree.LevelOwn
}

// FuzzNobody feeds a server what a peer might send that has no token. Whatever
// that is, it gets nothing of the tree.
func FuzzNobody(f *testing.F) {
	version := wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 1 << 16, Version: wire.Version}
	add := func(ms ...wire.Msg) {
		b := encode(f, version)
		for _, m := range ms {
			b = append(b, encode(f, m)...)
		}
		f.Add(b)
	}
	auth := wire.Msg{Type: wire.Tauth, Tag: 1, Afid: 1, Uname: "glenda"}
	attach := wire.Msg{Type: wire.Tattach, Tag: 2, Fid: 2, Afid: 1, Uname: "glenda"}
	add(auth, twrite(2, 1, "token x"), attach, twrite(3, 1, "token y"), tflush(4, 3), attach)
	add(auth, wire.Msg{Type: wire.Twalk, Tag: 2, Fid: 1, Newfid: 2, Wname: []string{"..", "file"}},
		wire.Msg{Type: wire.Topen, Tag: 3, Fid: 1}, wire.Msg{Type: wire.Tclunk, Tag: 4, Fid: 1}, attach)
	attach.Afid, attach.Aname = wire.NoFid, "v9fs,token=x"
	add(attach, wire.Msg{Type: wire.Tcreate, Tag: 3, Fid: 2, Name: "n"}, wire.Msg{Type: wire.Tremove, Tag: 4, Fid: 2})
	f.Fuzz(func(t *testing.T, sent []byte) {
		m := newMem()
		var log bytes.Buffer
		s := &Server{Root: m.root, Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: Limits{Fids: 20, Requests: 20, Replies: 50_000}}
		s.Login = func(Peer, string, string) (Peer, error) { return Peer{}, tree.ErrPermission }
		near, far := net.Pipe()
		var replies []byte
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeConn(t.Context(), far, Peer{LoginNeeded: true}) })
		wg.Go(func() { replies, _ = io.ReadAll(near) })
		near.Write(sent) // an error is the server hanging up
		near.Close()
		wg.Wait()
		if n := m.closes.Load(); n != 0 {
			t.Errorf("%d files were opened", n)
		}
		if bytes.Contains(log.Bytes(), []byte("panic")) {
			t.Errorf("%s", log.Bytes())
		}
		checkReplies(t, sent, replies)
		for len(replies) >= 4 && int(le32(replies)) <= len(replies) {
			switch r := wire.Type(replies[4]); r {
			case wire.Rattach, wire.Rwalk, wire.Ropen, wire.Rcreate, wire.Rremove:
				t.Fatalf("got %v", r)
			}
			replies = replies[le32(replies):]
		}
	})
}
