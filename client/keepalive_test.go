package client_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/internal/wire"
)

func TestServerThatIsGoneWithoutAWordIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{Ordered: true, Keepalive: 5 * time.Second})
		started := time.Now()
		requests := async(func() (n int) {
			for s.next().Type == wire.Tstat {
				n++
			}
			return n
		})
		<-c.Done()
		if took := time.Since(started); took > 15*time.Second || took < 10*time.Second {
			t.Errorf("found after %v", took)
		}
		if err := c.Err(); !errors.Is(err, client.ErrLost) || !strings.Contains(err.Error(), "nothing for 15s") {
			t.Errorf("%v", err)
		}
		if n := <-requests; n < 1 || n > 2 {
			t.Errorf("it was asked %d times", n)
		}
	})
}

// Also one that does not even take what is written to it, while somebody waits
// in a write.
func TestServerThatTakesNothingIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{Ordered: true, Keepalive: 5 * time.Second})
		f := s.open(c, client.OWRITE)
		r := write(t.Context(), f, "nobody takes this")
		if !errors.Is(r.err, client.ErrLost) {
			t.Errorf("%v", r)
		}
	})
}

func TestConnectionThatIsQuietLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{Ordered: true, Keepalive: 5 * time.Second})
		asked := 0
		served := async(func() bool {
			for m := s.next(); m.Type != 0; m = s.next() {
				asked++
				time.Sleep(4 * time.Second) // slow, but there
				if c.Err() == nil {
					s.reply(m, wire.Msg{Type: wire.Rerror, Ename: "what?"})
				}
			}
			return true
		})
		time.Sleep(10 * time.Minute)
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-served
		if asked < 60 || asked > 130 {
			t.Errorf("asked %d times in ten minutes", asked)
		}
	})
}

// A server that only tells is asked too: it may end who says nothing.
func TestWeAreHeardWhileWeListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{Ordered: true, Keepalive: 5 * time.Second})
		last := time.Now()
		heard := async(func() (longest time.Duration) {
			for m := s.next(); m.Type != 0; m = s.next() {
				longest, last = max(longest, time.Since(last)), time.Now()
				if m.Type == wire.Tstat {
					s.reply(m, wire.Msg{Type: wire.Rerror, Ename: "what?"})
				}
			}
			return longest
		})
		time.Sleep(time.Minute)
		c.Close()
		if d := <-heard; d > 10*time.Second {
			t.Errorf("nothing was said for %v", d)
		}
	})
}

// A long answer that comes slowly is a sign of life all the time.
func TestSlowAnswerIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{Ordered: true, Keepalive: 5 * time.Second})
		f := s.open(c, client.OREAD)
		got := async(func() result { return read(t.Context(), f, 8192) })
		m := s.want(wire.Tread)
		rest := async(func() bool { // what else the client says is not answered
			for s.next().Type != 0 {
			}
			return true
		})
		b, err := wire.Append(nil, &wire.Msg{Type: wire.Rread, Tag: m.Tag, Data: make([]byte, 8192)})
		if err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			n := min(100, len(b))
			time.Sleep(4 * time.Second)
			s.raw(b[:n])
			b = b[n:]
		}
		if r := <-got; r.n != 8192 || r.err != nil {
			t.Errorf("%d, %v", r.n, r.err)
		}
		c.Close()
		<-rest
	})
}
