package p9

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/internal/lobby"
	"hubfs/internal/wire"
	"hubfs/tree"
)

// A quiet connection has sent what it had to send, and waits. Nothing reads what
// it gets: net.Pipe has no buffer, so that its replies stay with the server.
type quiet struct {
	conn net.Conn
	done chan error
}

func connect(s *Server, p Peer) *quiet {
	near, far := net.Pipe()
	q := &quiet{near, make(chan error, 1)}
	go func() { q.done <- s.ServeConn(context.Background(), far, p) }() // until the hang-up
	return q
}

func stranger(addr string) Peer { return Peer{Addr: addr, LoginNeeded: true} }

func version(msize uint32) wire.Msg {
	return wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: msize, Version: wire.Version}
}

// letIn logs in with a token, and attaches fid 0.
func (c *client) letIn(token string) *client {
	c.t.Helper()
	c.must(version(wire.MaxMsize))
	c.must(wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid, Uname: "ann", Aname: "token=" + token})
	return c
}

// everybody lets in whoever brings a token, which is their name.
func everybody(p Peer, uname, token string) (Peer, error) {
	if token == "" {
		return Peer{}, tree.ErrPermission
	}
	return Peer{User: "guest:" + token, Addr: p.Addr, Rights: all{}}, nil
}

// TestHelloRunsUntilTheLogin: Tversion is not enough for who has to log in, nor
// is one byte a minute, nor are wrong tokens.
func TestHelloRunsUntilTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Root: newMem().root, Login: everybody}
		begun := time.Now()
		ended := func(name string, q *quiet) {
			t.Helper()
			if err := <-q.done; !errors.Is(err, errHello) || time.Since(begun) != 30*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(begun))
			}
		}
		silent := connect(s, stranger("192.0.2.1:1"))
		spoke := dial(t, s, stranger("192.0.2.1:2"))
		spoke.must(version(8192))
		in := dial(t, s, stranger("192.0.2.1:3")).letIn("ann")
		slow := connect(s, stranger("192.0.2.1:4"))
		go func() { // until the server hangs up
			frame := encode(t, version(8192))
			for i := range frame {
				if _, err := slow.conn.Write(frame[i : i+1]); err != nil {
					return
				}
				time.Sleep(time.Minute) // of the bubble
			}
		}()
		wrong := dial(t, s, stranger("192.0.2.1:5"))
		wrong.must(version(8192))
		go func() { // until the server hangs up
			bad := encode(t, wire.Msg{Type: wire.Tattach, Tag: 1, Afid: wire.NoFid, Aname: "token="})
			for {
				if _, err := wrong.conn.Write(bad); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		ended("silent", silent)
		ended("Tversion alone", &quiet{done: spoke.done})
		ended("a byte a minute", slow)
		ended("wrong tokens", &quiet{done: wrong.done})
		time.Sleep(time.Hour)
		in.must(wire.Msg{Type: wire.Tstat, Tag: 1})
		in.hangUp()
		if n := s.lobby.Len(); n != 0 {
			t.Errorf("%d still wait for a login", n)
		}
	})
}

// TestStrangerGetsLittle: a few fids and small messages, and a few requests that
// wait, however long a login takes.
func TestStrangerGetsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &Server{Root: newMem().root, Login: func(p Peer, uname, token string) (Peer, error) {
			<-release
			return everybody(p, uname, token)
		}}
		c := dial(t, s, stranger("192.0.2.1:1"))
		if r := c.must(version(wire.MaxMsize)); r.Msize != wire.MaxMsize {
			t.Errorf("agreed on %d bytes", r.Msize)
		}
		for i := range strangerFids {
			c.must(wire.Msg{Type: wire.Tauth, Tag: 1, Afid: uint32(i), Uname: "ann"})
		}
		if r := c.rpc(wire.Msg{Type: wire.Tauth, Tag: 1, Afid: 100, Uname: "ann"}); r.Type != wire.Rerror || !strings.Contains(r.Ename, "too many fids") {
			t.Errorf("one more: %v", &r)
		}
		for tag := range 100 {
			c.send(twrite(uint16(tag+10), 0, "token ann"+strings.Repeat(" ", 1000)))
		}
		refused := 0
		for {
			r, ok := c.take()
			if !ok {
				break
			}
			if r.Type != wire.Rerror || !strings.Contains(r.Ename, "too many") {
				t.Errorf("%v", &r)
			}
			refused++
		}
		if waits := 100 - refused; waits > strangerRequests+1 {
			t.Errorf("%d requests wait", waits)
		}
		close(release)
		c.hangUp()
	})
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Root: newMem().root, Login: everybody}
		for _, size := range []int{strangerMsize - 100, strangerMsize + 1} {
			c := dial(t, s, stranger("192.0.2.1:1"))
			c.must(version(wire.MaxMsize))
			c.send(twrite(1, 0, strings.Repeat("x", size)))
			if large := size > strangerMsize; c.hungUp() != large {
				t.Errorf("%d bytes of a stranger: hung up is %v", size, !large)
			}
			c.hangUp()
		}
		c := dial(t, s, stranger("192.0.2.1:1")).letIn("ann")
		c.open(1, "stream", tree.OpenWrite)
		c.must(twrite(2, 1, strings.Repeat("x", 500_000)))
		c.hangUp()
	})
}

// TestStrangerWhoReadsNothing stalls with little queued, and is let go with the
// rest.
func TestStrangerWhoReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Root: newMem().root, Login: everybody}
		q := connect(s, stranger("192.0.2.1:1"))
		go func() { // until the server hangs up
			q.conn.Write(encode(t, version(8192)))
			for {
				if _, err := q.conn.Write(encode(t, wire.Msg{Type: wire.Tstat, Tag: 1})); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		c := onlyConn(s)
		c.mu.Lock()
		queued := c.out.bytes
		c.mu.Unlock()
		if queued > strangerReplies+200 {
			t.Errorf("%d bytes are queued for a stranger", queued)
		}
		if err := <-q.done; !errors.Is(err, errHello) {
			t.Error(err)
		}
	})
}

// TestCrowdOfStrangers: ten thousand connections say nothing, from one origin or
// each from another. So many as there is room for stay, and who logs in meanwhile
// comes in, also from the crowd's own origin. What the server holds for them all
// is bounded: 32 KiB for each that stays.
func TestCrowdOfStrangers(t *testing.T) {
	for name, test := range map[string]struct {
		origin func(i int) string
		stay   int
	}{
		"one origin":   {func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i) }, 100},
		"many origins": {func(i int) string { return fmt.Sprintf("10.0.%d.%d:1", i/250, i%250) }, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMem()
				s := &Server{Root: m.root, Login: everybody}
				owner := dial(t, s, Peer{User: "glenda", Addr: "pid:1"}).login("")
				before := heap()
				var crowd []*quiet
				for i := range 10_000 {
					crowd = append(crowd, connect(s, stranger(test.origin(i))))
					if i%2000 == 1999 {
						synctest.Wait()
						friend := dial(t, s, stranger("198.51.100.7:9")).letIn("ann")
						neighbour := dial(t, s, stranger(test.origin(0))).letIn("bob")
						for _, c := range []*client{owner, friend, neighbour} {
							c.must(wire.Msg{Type: wire.Tstat, Tag: 1})
						}
						friend.hangUp()
						neighbour.hangUp()
					}
				}
				synctest.Wait()
				// Two friends may have taken a place each time.
				if n := len(s.Conns()) - 1; n > test.stay || n < test.stay-10 {
					t.Errorf("%d connections stay", n)
				}
				after := heap()
				if grown, most := after-before, int64(32<<10*test.stay)+10_000*testCost; grown > most {
					t.Errorf("%d bytes are held, want at most %d", grown, most)
				}
				for _, q := range crowd {
					q.conn.Close()
					<-q.done
				}
				owner.hangUp()
			})
		})
	}
}

// TestCrowdOfSlowOnes: ten thousand connections that each send a byte a minute are
// gone when the time for a login is over, though each has said something. Nobody is
// told of them.
func TestCrowdOfSlowOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Root: newMem().root, Login: everybody, Limits: Limits{Lobby: lobby.Limits{All: 20_000}}}
		told := 0
		s.Changed = func(ConnInfo, bool) { told++ }
		frame := encode(t, version(8192))
		var crowd []*quiet
		for i := range 10_000 {
			q := connect(s, stranger(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)))
			crowd = append(crowd, q)
			go func() { // until the server hangs up
				for i := range frame {
					if _, err := q.conn.Write(frame[i : i+1]); err != nil {
						return
					}
					time.Sleep(time.Minute) // of the bubble
				}
			}()
		}
		synctest.Wait()
		if n := len(s.Conns()); n != 10_000 {
			t.Errorf("%d connections are there", n)
		}
		friend := dial(t, s, stranger("198.51.100.7:9")).letIn("ann")
		friend.must(wire.Msg{Type: wire.Tstat, Tag: 1})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n := len(s.Conns()); n != 1 {
			t.Errorf("%d connections are there when their time is over", n)
		}
		friend.must(wire.Msg{Type: wire.Tstat, Tag: 1})
		friend.hangUp()
		if told != 2 { // that the friend came and went
			t.Errorf("told of connections %d times", told)
		}
		time.Sleep(time.Minute) // for those who are about to write
		for _, q := range crowd {
			<-q.done
		}
	})
}

// testCost is what is held for a connection that has ended: the test has two ends
// of a pipe, and a bubble forgets no timer that was stopped, here that of Hello.
const testCost = 8 << 10

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what a pool has kept is gone now, too
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return int64(ms.HeapAlloc + ms.StackInuse)
}

// guests makes connections of a guest, as many as it gets.
func guests(t *testing.T, s *Server, user string, most int) (in []*client, refused error) {
	t.Helper()
	for range most {
		c := dial(t, s, Peer{User: user, Addr: "192.0.2.1:1", Rights: all{}})
		synctest.Wait()
		select {
		case err := <-c.done:
			return in, err
		default:
		}
		in = append(in, c.login(""))
	}
	return in, nil
}

func (s *Server) used(user string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		return a.used.Load()
	}
	return 0
}

// TestGuestWhoOpensAllFids: the limit holds for all connections of one guest
// together; others go on; and what ends is taken off.
func TestGuestWhoOpensAllFids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		s := &Server{Root: m.root, Limits: Limits{Guest: 4 << 20}}
		in, _ := guests(t, s, "guest:eve", 10)
		fids := 0
		for _, c := range in {
			for fid := uint32(10); ; fid++ {
				r := c.rpc(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: fid, Wname: []string{"file"}})
				if r.Type == wire.Rerror {
					if !strings.Contains(r.Ename, "too much is held for this user") {
						t.Errorf("%v", &r)
					}
					break
				}
				fids++
			}
		}
		const room = (4<<20 - 10*connCost) / fidCost
		if fids < room-20 || fids > room {
			t.Errorf("%d fids, want about %d", fids, room)
		}
		if _, err := guests(t, s, "guest:eve", 1); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("one connection more: %v", err)
		}
		other, err := guests(t, s, "guest:ann", 1)
		if err != nil {
			t.Fatal(err)
		}
		other[0].open(1, "file", tree.OpenRead)
		other[0].must(tread(1, 1, 100))
		in[0].must(wire.Msg{Type: wire.Tclunk, Tag: 1, Fid: 10})
		in[0].must(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: 10})
		for _, c := range append(in, other...) {
			c.hangUp()
		}
		if len(s.accounts) != 0 {
			t.Errorf("%v are left", s.accounts)
		}
		m.checkFreed(t)
	})
}

// TestGuestWhoReadsNothing asks over hundreds of connections for megabytes, and
// takes no reply. What is queued for all of them stays within the limit, and
// something for each; another guest goes on; who reads at last gets all of it.
func TestGuestWhoReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, conns, reads, size = 16 << 20, 100, 10, 1 << 20
		m := newMem()
		m.root.kids["stream"].(*memStream).append([]byte(strings.Repeat("0123456789abcdef", reads*size/16)))
		s := &Server{Root: m.root, Limits: Limits{Guest: limit}}
		before := heap()
		var crowd []*quiet
		var asking sync.WaitGroup
		for range conns {
			q := connect(s, Peer{User: "guest:eve", Addr: "192.0.2.1:1", Rights: all{}})
			call := func(m wire.Msg) {
				q.conn.Write(encode(t, m))
				if r, err := readMsg(q.conn); err != nil || r.Type != m.Type+1 {
					t.Fatalf("%v: %v", &r, err)
				}
			}
			call(version(wire.MaxMsize))
			call(wire.Msg{Type: wire.Tattach, Afid: wire.NoFid})
			call(wire.Msg{Type: wire.Twalk, Newfid: 1, Wname: []string{"stream"}})
			call(wire.Msg{Type: wire.Topen, Fid: 1})
			crowd = append(crowd, q)
		}
		for _, q := range crowd {
			asking.Go(func() { // until all is read, or the hang-up
				for tag := range 2 * reads {
					if _, err := q.conn.Write(encode(t, tread(uint16(tag), 1, size))); err != nil {
						return
					}
				}
			})
			synctest.Wait()
		}
		most := int64(limit + 2*size + conns*2*overdrawn)
		if used := s.used("guest:eve"); used < limit || used > most {
			t.Errorf("%d bytes are held, want at most %d", used, most)
		}
		if grown := heap() - before; grown > most+int64(conns*(32<<10)) {
			t.Errorf("the heap has grown by %d bytes, want at most %d", grown, most)
		}
		other, err := guests(t, s, "guest:ann", 1)
		if err != nil {
			t.Fatal(err)
		}
		other[0].open(1, "stream", tree.OpenRead)
		if r := other[0].must(tread(1, 1, size)); len(r.Data) != size {
			t.Errorf("another guest got %d bytes", len(r.Data))
		}
		got := 0
		for n := 0; got < reads*size && n < 2*reads; n++ {
			r, err := readMsg(crowd[conns-1].conn)
			if err != nil || r.Type != wire.Rread {
				t.Fatalf("reply %d after %d bytes: %v, %v", n, got, &r, err)
			}
			for i, b := range r.Data {
				if b != "0123456789abcdef"[(got+i)%16] {
					t.Fatal("bytes are missing or out of order")
				}
			}
			got += len(r.Data)
		}
		if got == 0 {
			t.Error("who reads at last gets nothing")
		}
		for _, q := range crowd {
			q.conn.Close()
			<-q.done
		}
		asking.Wait()
		other[0].hangUp()
		if len(s.accounts) != 0 {
			t.Error("an account is left")
		}
		m.checkFreed(t)
	})
}

// TestGuestWhoseWritesWait: they are charged, and taken off again.
func TestGuestWhoseWritesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		m.root.kids["stream"].(*memStream).set(func() { m.root.kids["stream"].(*memStream).shut = true })
		s := &Server{Root: m.root, Limits: Limits{Guest: 1 << 20}}
		in, _ := guests(t, s, "guest:eve", 1)
		c := in[0]
		c.open(1, "stream", tree.OpenWrite)
		idle := s.used("guest:eve")
		for tag := range 20 {
			c.send(twrite(uint16(tag), 1, strings.Repeat("x", 100_000)))
		}
		refused := 0
		for {
			r, ok := c.take()
			if !ok {
				break
			}
			if r.Type != wire.Rerror || !strings.Contains(r.Ename, "too much is held") {
				t.Errorf("%v", &r)
			}
			refused++
		}
		if refused != 11 {
			t.Errorf("%d writes of 20 were refused", refused)
		}
		m.root.kids["stream"].(*memStream).set(func() { m.root.kids["stream"].(*memStream).shut = false })
		for range 20 - refused {
			if r, ok := c.take(); !ok || r.Type != wire.Rwrite {
				t.Errorf("%v", &r)
			}
		}
		if used := s.used("guest:eve"); used != idle {
			t.Errorf("%d bytes are charged where nothing waits, %d before", used, idle)
		}
		c.hangUp()
	})
}

// TestOwnUserHasNoAccount: who has no bounds is charged nothing.
func TestOwnUserHasNoAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Root: newMem().root, Limits: Limits{Guest: 1}}
		c := dial(t, s, Peer{User: "glenda"}).login("")
		c.open(1, "file", tree.OpenRead)
		if len(s.accounts) != 0 {
			t.Error("there is an account")
		}
		c.hangUp()
	})
}

// A gatedDir is a tree with one plain file, whose reads wait until gate is closed.
type gatedDir struct {
	*memDir
	f *gatedFile
}

func (d gatedDir) Lookup(c *tree.Caller, name string) (tree.Node, error) { return d.f, nil }

type gatedFile struct {
	memNode
	gate  chan struct{}
	begun atomic.Int64
}

func (f *gatedFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) { return gatedHandle{f}, nil }

type gatedHandle struct{ f *gatedFile }

func (h gatedHandle) ReadAt(p []byte, off int64) (int, error) {
	h.f.begun.Add(1)
	<-h.f.gate
	return 0, nil
}

func (h gatedHandle) Close() error { return nil }

// TestGuestReadsFewPlainFilesAtOnce: what is being made for a guest is in no
// books yet, so there is little of it, over all of its connections. Others do not
// wait for that.
func TestGuestReadsFewPlainFilesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		f := &gatedFile{memNode: m.node("gated", 0o666), gate: make(chan struct{})}
		s := &Server{Root: gatedDir{m.root, f}}
		read := func(c *client) {
			t.Helper()
			for i := range 5 {
				fid := uint32(10 + i)
				c.must(wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: fid, Wname: []string{"gated"}})
				c.must(wire.Msg{Type: wire.Topen, Tag: 1, Fid: fid})
				c.send(wire.Msg{Type: wire.Tread, Tag: uint16(fid), Fid: fid, Count: 100})
			}
			synctest.Wait()
		}
		in, err := guests(t, s, "guest:eve", 2)
		if err != nil {
			t.Fatal(err)
		}
		read(in[0])
		read(in[1])
		if n := f.begun.Load(); n != plainAtOnce {
			t.Errorf("%d reads of one guest at once", n)
		}
		others, err := guests(t, s, "guest:ann", 1)
		if err != nil {
			t.Fatal(err)
		}
		read(others[0])
		if n := f.begun.Load(); n != 2*plainAtOnce {
			t.Errorf("%d reads of two guests at once", n)
		}
		close(f.gate)
		synctest.Wait()
		if n := f.begun.Load(); n != 15 {
			t.Errorf("%d reads done of 15", n)
		}
	})
}
