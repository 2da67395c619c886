package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/servertest"
)

// A said is a standard error that several goroutines write.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A carrying is a pipe from hub a of one server to hub b of another.
type carrying struct {
	t        *testing.T
	from, to *servertest.Server
	here     *server.Server // of from
	there    *server.Server // of to
	stderr   said
	cancel   context.CancelFunc
	done     chan error
}

// carry runs a pipe between two servers in a bubble, and the test.
func carry(t *testing.T, p server.PipeSpec, retry time.Duration, cuts []servertest.Cut, test func(c *carrying)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &carrying{t: t, from: servertest.New(t), to: servertest.New(t), done: make(chan error, 1)}
		c.here, c.there = c.from.Server(), c.to.Server()
		c.write("")
		c.from.Cut(cuts...)
		c.to.Cut(cuts...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.cancel = cancel
		p.From, p.To = "a", "b"
		carrier := &carrier{
			app: &app{stderr: &c.stderr}, pipe: p, retry: retry, from: c.from.Connect,
			to: func(ctx context.Context, start bool) (*server.Server, error) { return c.to.Connect(ctx) },
		}
		go func() { c.done <- carrier.run(ctx) }()
		synctest.Wait()
		test(c)
	})
}

// write appends to hub a.
func (c *carrying) write(s string) {
	c.t.Helper()
	f, err := openOrCreate(c.t.Context(), c.here, "/a")
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	for p := range bytes.Lines([]byte(s)) {
		if _, err := f.WriteContext(c.t.Context(), p); err != nil {
			c.t.Fatal(err)
		}
	}
}

// has waits until hub b has what it is to have, and wants no other bytes.
func (c *carrying) has(want string) {
	c.t.Helper()
	f, err := c.there.Open(c.t.Context(), "/b", client.OREAD)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	got, buf := "", make([]byte, 1<<16)
	for len(got) < len(want) {
		n, err := f.ReadContext(c.t.Context(), buf)
		if err != nil {
			c.t.Fatalf("%d bytes, then %v", len(got), err)
		}
		got += string(buf[:n])
	}
	if got != want {
		c.t.Errorf("%.200q, want %.200q", got, want)
	}
}

// end ends hub a, and wants the pipe to end with this error.
func (c *carrying) end(want string) {
	c.t.Helper()
	if err := c.here.Ctl(c.t.Context(), "end", "a", "exit 3"); err != nil {
		c.t.Fatal(err)
	}
	c.ended(want)
}

func (c *carrying) ended(want string) {
	c.t.Helper()
	if err := <-c.done; want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		c.t.Errorf("ended: %v, want %q", err, want)
	}
}

// hubB is the status of hub b.
func (c *carrying) hubB() server.Hub {
	c.t.Helper()
	h, _, err := c.there.Hub(c.t.Context(), "b")
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

func TestCarry(t *testing.T) {
	for _, ends := range []bool{false, true} {
		carry(t, server.PipeSpec{Ends: ends}, -1, nil, func(c *carrying) {
			c.write("one\ntwo\n")
			c.has("one\ntwo\n")
			if err := c.here.Ctl(c.t.Context(), "eof", "a"); err != nil { // ends nothing
				c.t.Error(err)
			}
			synctest.Wait()
			c.write("three\n")
			c.end("")
			c.has("one\ntwo\nthree\n")
			synctest.Wait() // the writer goes after its last byte
			if h := c.hubB(); h.Ended() != ends || ends && h.End != "exit 3" || h.Writers > 0 {
				c.t.Errorf("-e %v: %+v", ends, h)
			}
			if got := c.stderr.String(); got != "" {
				c.t.Errorf("said %q", got)
			}
		})
	}
}

func TestCarryBeginsWhereItIsSaid(t *testing.T) {
	carry(t, server.PipeSpec{At: "@end"}, -1, nil, func(c *carrying) {
		c.write("one\n")
		c.end("")
		c.has("one\n")
	})
}

// TestCarryGoesOnAtTheVeryByte, wherever the connections are cut, on both
// sides: no byte is twice in b, and none is missing.
func TestCarryGoesOnAtTheVeryByte(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		var cuts []servertest.Cut
		for range 5 {
			cuts = append(cuts, servertest.Cut{Up: 2000 + rnd.IntN(20_000), Down: 2000 + rnd.IntN(20_000)})
		}
		carry(t, server.PipeSpec{Ends: true}, -1, cuts, func(c *carrying) {
			c.write(text.String())
			c.end("")
			c.has(text.String())
			if h := c.hubB(); h.Next != int64(text.Len()) || h.End != "exit 3" {
				c.t.Errorf("%+v, want %d bytes", h, text.Len())
			}
			if got := c.stderr.String(); !strings.Contains(got, "hub: server test lost, trying again\n") || !strings.Contains(got, "hub: server test is back, hub ") {
				c.t.Errorf("said %q", got)
			}
		})
	}
}

// TestCarryGivesUp: what came back under the name is another hub.
func TestCarryGivesUp(t *testing.T) {
	carry(t, server.PipeSpec{Ends: true}, -1, nil, func(c *carrying) {
		c.from.Restart()
		c.ended("server test is back without hub a")
		if c.hubB().Ended() {
			c.t.Error("b has ended")
		}
	})
	carry(t, server.PipeSpec{}, -1, nil, func(c *carrying) {
		c.from.Down(true)
		c.from.Restart()
		synctest.Wait() // until it waits to try again
		c.from.Down(false)
		c.here = c.from.Server()
		c.write("another\n")
		c.ended("server test is back without hub a")
	})
	carry(t, server.PipeSpec{}, -1, nil, func(c *carrying) {
		c.to.Restart()
		c.ended("server is back without hub b")
	})
	carry(t, server.PipeSpec{}, time.Minute, nil, func(c *carrying) {
		start := time.Now()
		c.from.Down(true)
		c.from.HangUp()
		c.ended("unreachable")
		if d := time.Since(start); d < 50*time.Second || d > time.Minute {
			c.t.Errorf("gave up after %v", d)
		}
	})
	carry(t, server.PipeSpec{}, 0, nil, func(c *carrying) {
		c.from.HangUp()
		c.ended("lost")
	})
}

// TestCarryCanBeInterrupted, also when TO takes nothing.
func TestCarryCanBeInterrupted(t *testing.T) {
	carry(t, server.PipeSpec{Ends: true}, -1, nil, func(c *carrying) {
		if err := c.there.Ctl(c.t.Context(), "freeze", "b"); err != nil {
			c.t.Fatal(err)
		}
		c.write(strings.Repeat(strings.Repeat("x", 1000)+"\n", 4000))
		synctest.Wait()
		c.cancel()
		<-c.done
		if c.hubB().Ended() {
			c.t.Error("b has ended")
		}
	})
}

// TestCarrySaysWhatItSkipped while its server was away.
func TestCarrySaysWhatItSkipped(t *testing.T) {
	carry(t, server.PipeSpec{}, -1, nil, func(c *carrying) {
		c.write("one\n")
		c.has("one\n")
		c.from.Down(true)
		c.from.HangUp()
		synctest.Wait() // until it waits to try again
		c.from.Down(false)
		c.here = c.from.Server()
		if err := c.here.Ctl(c.t.Context(), "size", "a", "10"); err != nil {
			c.t.Fatal(err)
		}
		c.write("012345678\nabcdefghi\n")
		c.end("")
		c.has("one\nabcdefghi\n")
		want := "hub: server test lost, trying again\nhub: server test is back, hub a goes on at byte 4\nhub: skipped 10 bytes of a\n"
		if got := c.stderr.String(); got != want {
			c.t.Errorf("said %q, want %q", got, want)
		}
	})
}
