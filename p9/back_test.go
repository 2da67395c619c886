package p9

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	peer "hubfs/client"
	"hubfs/internal/wire"
	"hubfs/tree"
)

// A couple is two trees, each served to the other end of one connection.
type couple struct {
	t          *testing.T
	near, far  *mem       // what the one who dialed has, and what the server has
	to         *peer.Conn // from the one who dialed to the server's tree
	back       *peer.Conn // from the server to the dialer's tree
	served     chan error // what the server's ServeConn returned
	nearServed chan error // what the dialer's did
}

// marry makes a couple over a connection. The inner server has no Hello timer:
// who is served may have nothing to ask for long.
func marry(t *testing.T, a, b net.Conn, msize uint32) *couple {
	t.Helper()
	p := &couple{t: t, near: newMem(), far: newMem(), served: make(chan error, 1), nearServed: make(chan error, 1)}
	backs := make(chan *peer.Conn)
	s := &Server{Root: p.far.root, Back: func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
		c, err := peer.New(ctx, rwc, peer.Options{Uname: "glenda", Ordered: true})
		if err != nil {
			t.Error(err)
			close(backs)
			return
		}
		backs <- c
		<-c.Done()
		c.Close()
	}}
	go func() { p.served <- s.ServeConn(context.Background(), b, Peer{Addr: "far"}) }() // until the hang-up
	var err error
	p.to, err = peer.New(t.Context(), a, peer.Options{Uname: "glenda", Ordered: true, Msize: msize,
		Serve: func(ctx context.Context, rwc io.ReadWriteCloser) {
			s := &Server{Root: p.near.root, Limits: Limits{Hello: -1}}
			p.nearServed <- s.ServeConn(ctx, rwc, Peer{Addr: "near"})
		}})
	if err != nil {
		t.Fatal(err)
	}
	p.back = <-backs
	if !p.to.Both() || p.back == nil {
		t.Fatal("the connection goes one way")
	}
	return p
}

// part hangs up, and checks that nothing is left of either side.
func (p *couple) part() {
	p.t.Helper()
	p.to.Close()
	for _, served := range []chan error{p.served, p.nearServed} {
		if err := <-served; err != nil {
			p.t.Error(err)
		}
	}
	if err := p.back.Err(); !errors.Is(err, peer.ErrLost) {
		p.t.Errorf("the direction back ended with %v", err)
	}
	p.near.checkFreed(p.t)
	p.far.checkFreed(p.t)
}

// overBoth runs a test over a pipe in memory and over a socket.
func overBoth(t *testing.T, f func(t *testing.T, a, b net.Conn)) {
	t.Run("pipe", func(t *testing.T) {
		a, b := net.Pipe()
		f(t, a, b)
	})
	t.Run("socket", func(t *testing.T) {
		a, b := socketPair(t)
		f(t, a, b)
	})
}

// TestBothWaysFlood: each direction is written and read as fast as it goes, in
// messages of all sizes, all four at once, and every byte is where it must be.
func TestBothWaysFlood(t *testing.T) {
	overBoth(t, func(t *testing.T, a, b net.Conn) {
		p := marry(t, a, b, 0)
		var all sync.WaitGroup
		flood := func(seed uint64, m *mem, c *peer.Conn) {
			all.Go(func() { p.write(seed, m, c) })
			all.Go(func() { p.read(seed+1, m, c) })
		}
		flood(1, p.near, p.back)
		flood(3, p.far, p.to)
		all.Wait()
		p.part()
	})
}

const floodBytes = 8 << 20

func floodText(seed uint64) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, floodBytes)
	r.Read(b)
	return b
}

// write writes many pieces to a stream of a tree, and compares what is there.
func (p *couple) write(seed uint64, m *mem, c *peer.Conn) {
	f, err := c.Open(p.t.Context(), "stream", peer.OWRITE)
	if err != nil {
		p.t.Error(err)
		return
	}
	r := rand.New(rand.NewPCG(seed, 0))
	want := floodText(seed)
	w := f.Writer(16)
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(1<<r.IntN(20)))
		if _, err := w.WriteContext(p.t.Context(), rest[:n]); err != nil {
			p.t.Error(err)
			return
		}
		rest = rest[n:]
	}
	if err := w.Flush(p.t.Context()); err != nil {
		p.t.Error(err)
	}
	if m.root.kids["stream"].(*memStream).text() != string(want) {
		p.t.Error("what was written is not there")
	}
	f.Close()
}

// read reads what grows meanwhile.
func (p *couple) read(seed uint64, m *mem, c *peer.Conn) {
	f, err := c.Open(p.t.Context(), "other", peer.OREAD)
	if err != nil {
		p.t.Error(err)
		return
	}
	want := floodText(seed)
	var grow sync.WaitGroup
	grow.Go(func() {
		r := rand.New(rand.NewPCG(seed, 0))
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(1<<r.IntN(20)))
			m.root.kids["other"].(*memStream).append(rest[:n])
			rest = rest[n:]
		}
	})
	defer grow.Wait()
	in := f.Reader(8)
	got := make([]byte, 0, len(want))
	for len(got) < len(want) {
		n, err := in.ReadContext(p.t.Context(), got[len(got):cap(got)])
		if err != nil {
			p.t.Error(err)
			return
		}
		got = got[:len(got)+n]
	}
	if !bytes.Equal(got, want) {
		p.t.Error("other bytes were read than were written")
	}
	in.Close(p.t.Context())
	f.Close()
}

// TestSmallMessagesBothWays: the direction back heeds the size that the
// connection has agreed on, though its client asks for more.
func TestSmallMessagesBothWays(t *testing.T) {
	overBoth(t, func(t *testing.T, a, b net.Conn) {
		p := marry(t, a, b, 300)
		want := strings.Repeat("0123456789", 1000)
		for m, c := range map[*mem]*peer.Conn{p.near: p.back, p.far: p.to} {
			if err := c.WriteFile(t.Context(), "stream", []byte(want)); err != nil {
				t.Fatal(err)
			}
			if got := m.root.kids["stream"].(*memStream).text(); got != want {
				t.Errorf("%d bytes were written", len(got))
			}
		}
		p.part()
	})
}

// TestHangUpInTheMiddle: both directions are at work and wait when the
// connection ends, and everything ends with it.
func TestHangUpInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		p := marry(t, a, b, 0)
		var all sync.WaitGroup
		for _, c := range []*peer.Conn{p.to, p.back} {
			all.Go(func() {
				f, err := c.Open(t.Context(), "stream", peer.OREAD)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.ReadContext(t.Context(), make([]byte, 10)); !errors.Is(err, peer.ErrLost) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		a.Close()
		all.Wait()
		p.part()
	})
}

// A stall is one direction that goes on and one of which nobody reads what
// comes.
type stall struct {
	far *mem
	to  *peer.Conn         // goes on
	rwc io.ReadWriteCloser // of the server, who asks
	end chan struct{}      // closed for Back and Serve to return
}

// oneSided makes a connection whose directions back has nobody at its ends but
// the test: Serve reads nothing, unless answer is set, which is then run.
func oneSided(t *testing.T, answer func(rwc io.ReadWriteCloser)) *stall {
	s := &stall{far: newMem(), end: make(chan struct{})}
	asked := make(chan io.ReadWriteCloser)
	srv := &Server{Root: s.far.root, Back: func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
		asked <- rwc
		<-ctx.Done()
	}}
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- srv.ServeConn(context.Background(), b, Peer{}) }() // until the end
	t.Cleanup(func() {
		if s.to != nil {
			s.to.Close()
		}
		<-done
		s.far.checkFreed(t)
	})
	var err error
	s.to, err = peer.New(t.Context(), a, peer.Options{Uname: "glenda", Ordered: true,
		Serve: func(ctx context.Context, rwc io.ReadWriteCloser) {
			if answer != nil {
				answer(rwc)
			}
			<-ctx.Done()
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.rwc = <-asked
	return s
}

// goesOn fails unless the forward direction answers at once: in a bubble, without
// any time going by.
func (s *stall) goesOn(t *testing.T) {
	t.Helper()
	start := time.Now()
	if b, err := s.to.ReadFile(t.Context(), "file"); string(b) != "hello, world\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if took := time.Since(start); took > 0 {
		t.Errorf("the other direction was held up for %v", took)
	}
}

// TestRequestsThatNobodyReads: they are kept, and hold up nobody; too many end
// the connection, and it says why.
func TestRequestsThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := oneSided(t, nil)
		one := encode(t, twrite(1, 1, strings.Repeat("x", 1<<20-100)))
		for range 15 {
			if _, err := s.rwc.Write(one); err != nil {
				t.Fatal(err)
			}
			s.goesOn(t)
		}
		if s.to.Err() != nil {
			t.Fatal(s.to.Err())
		}
		for range 2 {
			s.rwc.Write(one)
		}
		<-s.to.Done()
		if err := s.to.Err(); !strings.Contains(err.Error(), "unread") {
			t.Errorf("the connection ended with %v", err)
		}
	})
}

// TestRepliesThatNobodyReads: the same for the one who asks and does not read
// the answers.
func TestRepliesThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := make(chan int)
		s := oneSided(t, func(rwc io.ReadWriteCloser) {
			one := encode(t, wire.Msg{Type: wire.Rread, Data: make([]byte, 1<<20-100)})
			for n := range more {
				for range n {
					rwc.Write(one)
				}
			}
		})
		more <- 60
		s.goesOn(t)
		synctest.Wait()
		s.goesOn(t)
		more <- 10
		close(more)
		<-s.to.Done()
	})
}

// TestRequestsWaitForTheLine: who asks faster than the line takes it waits, with
// little queued, and the replies of the other direction are not refused
// meanwhile.
func TestRequestsWaitForTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		rwcs := make(chan io.ReadWriteCloser, 1)
		s := &Server{Root: m.root, Back: func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
			rwcs <- rwc
			<-ctx.Done()
		}}
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), far, Peer{}) }() // until the hang-up
		call := func(m wire.Msg) {
			near.Write(encode(t, m))
			if r, err := readMsg(near); err != nil || r.Type != m.Type+1 {
				t.Fatalf("%v: %v", &r, err)
			}
		}
		call(wire.Msg{Type: wire.Tversion, Msize: wire.MaxMsize, Version: wire.VersionBoth})
		call(wire.Msg{Type: wire.Tattach, Afid: wire.NoFid, Uname: "glenda"})
		rwc := <-rwcs
		one := encode(t, twrite(1, 1, strings.Repeat("x", 100_000)))
		wrote := make(chan error, 1)
		go func() { // until the hang-up
			for {
				if _, err := rwc.Write(one); err != nil {
					wrote <- err
					return
				}
			}
		}()
		synctest.Wait()
		c := onlyConn(s)
		c.mu.Lock()
		queued, replies := c.out.back, c.out.bytes
		c.mu.Unlock()
		if queued < backQueue || queued > backQueue+2*len(one) || replies != 0 {
			t.Errorf("%d bytes of requests are queued, %d of replies", queued, replies)
		}
		// The server reads on, and answers behind what is queued.
		near.Write(encode(t, wire.Msg{Type: wire.Tstat, Tag: 7}))
		for n := 0; ; n++ {
			r, err := readMsg(near)
			if err != nil {
				t.Fatal(err)
			}
			if r.Type == wire.Rstat {
				break
			}
			if n > 2*backQueue/len(one) {
				t.Fatal("the reply waits for ever")
			}
		}
		near.Close()
		if err := <-wrote; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after the end: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestOldRequestsDoNotFollowTversion: of two requests that wait for the line when
// a Tversion comes none goes out behind its answer, where it would be taken for one
// of the new session.
func TestOldRequestsDoNotFollowTversion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMem()
		rwcs := make(chan io.ReadWriteCloser, 1)
		s := &Server{Root: m.root, Back: func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
			rwcs <- rwc
			<-ctx.Done()
		}}
		near, far := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), far, Peer{}) }() // until the hang-up
		v := wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.VersionBoth}
		for _, m := range []wire.Msg{v, {Type: wire.Tattach, Afid: wire.NoFid, Uname: "glenda"}} {
			near.Write(encode(t, m))
			if r, err := readMsg(near); err != nil || r.Type != m.Type+1 {
				t.Fatalf("%v: %v", &r, err)
			}
		}
		rwc := <-rwcs
		wrote := make(chan error, 1)
		go func() { // until the Tversion
			one := encode(t, twrite(1, 1, strings.Repeat("x", 100_000)))
			for {
				if _, err := rwc.Write(one); err != nil {
					wrote <- err
					return
				}
			}
		}()
		synctest.Wait() // it waits for room
		near.Write(encode(t, v))
		synctest.Wait()
		for {
			r, err := readMsg(near)
			if err != nil {
				t.Fatal(err)
			}
			if r.Type == wire.Rversion {
				break
			}
		}
		if err := <-wrote; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write of the old session: %v", err)
		}
		go near.Write(encode(t, wire.Msg{Type: wire.Tstat, Tag: 7})) // until it is read
		if r, err := readMsg(near); err != nil || r.Type != wire.Rerror || r.Tag != 7 {
			t.Errorf("behind the Rversion came %v, %v", &r, err)
		}
		near.Close()
		<-done
	})
}

// TestServeReturns: nobody answers any more. That ends the connection if
// somebody waits for an answer, and else disturbs nobody.
func TestServeReturns(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			rwcs := make(chan io.ReadWriteCloser, 1)
			s := &Server{Root: newMem().root, Back: func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
				rwcs <- rwc
				<-ctx.Done()
			}}
			a, b := net.Pipe()
			done := make(chan error, 1)
			go func() { done <- s.ServeConn(t.Context(), b, Peer{}) }() // until the hang-up
			leave := make(chan struct{})
			c, err := peer.New(t.Context(), a, peer.Options{Serve: func(context.Context, io.ReadWriteCloser) { <-leave }})
			if err != nil {
				t.Fatal(err)
			}
			if asked {
				(<-rwcs).Write(encode(t, tread(1, 1, 1)))
				synctest.Wait()
			}
			close(leave)
			synctest.Wait()
			if ended := c.Err() != nil; ended != asked {
				t.Errorf("asked: %v, the connection ended: %v", asked, c.Err())
			}
			c.Close()
			<-done
		})
	}
}

// TestBackReturns: who has nothing to ask, or panics.
func TestBackReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, panics := range []bool{false, true} {
			s := &Server{Root: newMem().root, Log: slog.New(slog.DiscardHandler), Back: func(context.Context, *tree.Caller, io.ReadWriteCloser) {
				if panics {
					panic("a bug")
				}
			}}
			a, b := net.Pipe()
			done := make(chan error, 1)
			go func() { done <- s.ServeConn(t.Context(), b, Peer{}) }() // until the hang-up
			c, err := peer.New(t.Context(), a, peer.Options{Serve: func(ctx context.Context, _ io.ReadWriteCloser) { <-ctx.Done() }})
			synctest.Wait()
			if err == nil {
				_, err = c.Stat(t.Context(), "file")
				c.Close()
			}
			if (err != nil) != panics {
				t.Errorf("panics: %v, then %v", panics, err)
			}
			if err := <-done; errors.Is(err, errPanic) != panics {
				t.Error(err)
			}
		}
	})
}

// TestServerWithNothingToAsk answers what everybody knows.
func TestServerWithNothingToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Root: newMem().root}
		a, b := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), b, Peer{}) }() // until the hang-up
		c, err := peer.New(t.Context(), a, peer.Options{Serve: func(context.Context, io.ReadWriteCloser) {
			t.Error("there is nobody to serve")
		}})
		if err != nil || c.Both() {
			t.Fatalf("both ways: %v", err)
		}
		c.Close()
		<-done
	})
}

// TestBackKnowsWhoAttached, and is told when the server ends.
func TestBackKnowsWhoAttached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s := &Server{Root: newMem().root}
		s.Back = func(ctx context.Context, c *tree.Caller, rwc io.ReadWriteCloser) {
			if c.User != "rob" || c.Conn == 0 || c.Level("x") != tree.LevelOwn {
				t.Errorf("asks %+v", c)
			}
			<-ctx.Done()
		}
		c := dialContext(ctx, t, s, Peer{})
		c.must(wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: wire.VersionBoth})
		c.must(wire.Msg{Type: wire.Tattach, Tag: 1, Afid: wire.NoFid, Uname: "rob"})
		stop()
		if err := <-c.done; err != nil {
			t.Error(err)
		}
	})
}

// FuzzBoth feeds a server that asks what a peer might send, in either direction.
// No handler panics, what comes back is whole messages, and after the hang-up
// nothing is held.
func FuzzBoth(f *testing.F) {
	login := append(encode(f, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 1 << 16, Version: wire.VersionBoth}),
		encode(f, wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid, Uname: "glenda"})...)
	say := func(ms ...wire.Msg) []byte {
		b := bytes.Clone(login)
		for _, m := range ms {
			b = append(b, encode(f, m)...)
		}
		return b
	}
	answers := []wire.Msg{
		{Type: wire.Rversion, Tag: wire.NoTag, Msize: 4096, Version: wire.Version},
		{Type: wire.Rattach, Tag: 0, Qid: wire.Qid{Type: wire.QTDIR}},
		{Type: wire.Rwalk, Tag: 1, Wqid: make([]wire.Qid, 1)},
		{Type: wire.Ropen, Tag: 2},
		{Type: wire.Rread, Tag: 1, Data: make([]byte, 30_000)},
	}
	f.Add(say(answers...))
	f.Add(say(answers[:1]...))
	f.Add(say(append(answers, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: 8192, Version: wire.VersionBoth})...))
	f.Add(say(answers[0], tread(1, 0, 10), answers[4], wire.Msg{Type: wire.Tstat, Tag: 3}))
	f.Fuzz(func(t *testing.T, sent []byte) {
		m := newMem()
		var log bytes.Buffer
		s := &Server{Root: m.root, Log: slog.New(slog.NewTextHandler(&log, nil)), Limits: Limits{Fids: 20, Requests: 20, Replies: 50_000}}
		s.Back = func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
			c, err := peer.New(ctx, rwc, peer.Options{Ordered: true})
			if err == nil {
				c.ReadFile(ctx, "a")
				c.Close()
			}
		}
		near, far := net.Pipe()
		var back []byte
		var wg sync.WaitGroup
		wg.Go(func() { s.ServeConn(t.Context(), far, Peer{}) })
		wg.Go(func() { back, _ = io.ReadAll(near) })
		near.Write(sent) // an error is the server hanging up
		near.Close()
		wg.Wait()
		m.checkFreed(t)
		if bytes.Contains(log.Bytes(), []byte("panic")) {
			t.Errorf("%s", log.Bytes())
		}
		var d wire.Decoder
		for len(back) >= 4 && int(le32(back)) <= len(back) {
			var m wire.Msg
			if err := d.Decode(back[:le32(back)], &m); err != nil {
				t.Fatalf("%x was sent: %v", back[:le32(back)], err)
			}
			back = back[le32(back):]
		}
	})
}
