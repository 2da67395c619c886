package client_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/internal/wire"
)

// The first read says where, and those behind it that they go on there.
func TestOnwardReadsSayTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		r := f.Onward(1000, client.Window{Reads: 3, Bytes: 10})
		next := func() <-chan result {
			return async(func() result {
				p, err := r.Next(t.Context())
				return result{len(p), string(p), err}
			})
		}
		got := next()
		reads := []wire.Msg{s.want(wire.Tread), s.want(wire.Tread), s.want(wire.Tread)}
		for i, off := range []uint64{1000, math.MaxUint64, math.MaxUint64} {
			if reads[i].Offset != off || reads[i].Count != 10 {
				t.Errorf("read %d: %v", i, &reads[i])
			}
		}
		s.data(reads[0], "abc")
		if g := <-got; g.data != "abc" || r.Offset() != 1003 {
			t.Errorf("%v, next is %d", g, r.Offset())
		}
		// A mark is told, and what comes behind it is not lost.
		got = next()
		reads = append(reads, s.want(wire.Tread))
		s.data(reads[1], "")
		if g := <-got; g.err != io.EOF || r.Offset() != 1003 {
			t.Errorf("%v, next is %d", g, r.Offset())
		}
		got = next()
		reads = append(reads, s.want(wire.Tread))
		s.data(reads[2], "defg")
		if g := <-got; g.data != "defg" || r.Offset() != 1007 {
			t.Errorf("%v, next is %d", g, r.Offset())
		}
		// An error stays until somebody says where to go on; if it has said so
		// itself, what is under way comes from there.
		got = next()
		reads = append(reads, s.want(wire.Tread))
		s.error(reads[3], "discarded: io starts at 5000")
		for range 2 {
			if g := <-got; g.err == nil || !strings.Contains(g.err.Error(), "starts at 5000") {
				t.Errorf("%v", g)
			}
			got = next()
		}
		<-got
		r.Resume(5000)
		got = next()
		reads = append(reads, s.want(wire.Tread))
		s.data(reads[4], "x")
		if g := <-got; g.data != "x" || r.Offset() != 5001 {
			t.Errorf("%v, next is %d", g, r.Offset())
		}
		flushed := async(func() bool {
			for range 2 {
				s.reply(s.want(wire.Tflush), wire.Msg{})
			}
			return true
		})
		r.SeekTo(7000)
		<-flushed
		got = next()
		for range 3 {
			reads = append(reads, s.want(wire.Tread))
		}
		if off := reads[len(reads)-3].Offset; off != 7000 {
			t.Errorf("it goes on at %d", off)
		}
		s.data(reads[len(reads)-3], "x")
		if g := <-got; g.data != "x" {
			t.Errorf("%v", g)
		}
		// Given up, the reads are flushed.
		r.Close()
		for range 2 {
			fl := s.want(wire.Tflush)
			s.reply(fl, wire.Msg{})
		}
	})
}

// A server at the end of a long way is asked for more and more; who is slow to
// take it does not get it piled up.
func TestOnwardWindowFollowsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		w := client.Window{Reads: 2, Bytes: 10, MostReads: 8, MostOne: 40}
		r := f.Onward(0, w)
		full := strings.Repeat("x", 100)
		var asked []wire.Msg
		requests := make(chan wire.Msg, 100)
		go func() { // until the connection ends
			for {
				m := s.next()
				if m.Type == wire.Tread {
					requests <- m
				} else if m.Type == 0 {
					return
				}
			}
		}()
		collect := func() {
			synctest.Wait()
			for len(requests) > 0 {
				asked = append(asked, <-requests)
			}
		}
		one := func(wait bool, answer func(wire.Msg) string) {
			t.Helper()
			if !wait {
				for _, m := range asked {
					s.data(m, answer(m))
				}
				asked = nil
				synctest.Wait()
			}
			got := async(func() error { _, err := r.Next(context.Background()); return err })
			collect()
			if wait {
				s.data(asked[0], answer(asked[0]))
				asked = asked[1:]
			}
			if err := <-got; err != nil {
				t.Fatal(err)
			}
			collect()
		}
		all := func(m wire.Msg) string { return full[:m.Count] }
		for range 12 {
			one(true, all)
		}
		if n := len(asked); n != 7 || asked[n-1].Count != 40 {
			t.Errorf("of a long way: %d reads, the last of %d bytes", n+1, asked[n-1].Count)
		}
		for range 30 {
			one(false, all)
		}
		if n := len(asked); n > 1 || n == 1 && asked[0].Count != 10 {
			t.Errorf("for one who is slow: %d reads more, %v", n, asked)
		}
		for range 12 {
			one(true, all)
		}
		for range 12 {
			one(true, func(wire.Msg) string { return "." })
		}
		if n := len(asked); n != 1 {
			t.Errorf("at the end of the stream: %d reads", n+1)
		}
	})
}

// Without order on the server's side no read is sent whose place is not known.
func TestOnwardOfAServerWithoutOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{})
		opened := async(func() *client.File { f, _ := c.Open(t.Context(), "io", client.OREAD); return f })
		s.walked(s.want(wire.Twalk))
		s.reply(s.want(wire.Topen), wire.Msg{})
		r := (<-opened).Onward(7, client.Window{Reads: 4, Bytes: 10, MostReads: 8})
		for off := uint64(7); off < 10; off++ {
			got := async(func() error { _, err := r.Next(t.Context()); return err })
			m := s.want(wire.Tread)
			if m.Offset != off {
				t.Errorf("read at %d, want %d", m.Offset, off)
			}
			s.data(m, "x")
			if err := <-got; err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := async(func() error { _, err := r.Next(ctx); return err })
		m := s.want(wire.Tread)
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		s.data(m, "y") // it stays under way, and is next
		if p, err := r.Next(t.Context()); string(p) != "y" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}
