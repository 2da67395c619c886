package client_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/internal/wire"
)

func TestSequentialReadsMoveTheOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		f.SetOffset(1 << 40)
		got := async(func() result { return read(t.Context(), f, 100000) })
		m := s.want(wire.Tread)
		if m.Offset != 1<<40 || m.Count != 8192 { // msize - 24
			t.Errorf("%v", &m)
		}
		s.data(m, "hello")
		if r := <-got; r.data != "hello" || r.err != nil || f.Offset() != 1<<40+5 {
			t.Errorf("%+v, offset %d", r, f.Offset())
		}
		got = async(func() result { return read(t.Context(), f, 1) })
		m = s.want(wire.Tread)
		if m.Offset != 1<<40+5 || m.Count != 1 {
			t.Errorf("%v", &m)
		}
		s.data(m, "")
		if r := <-got; r.n != 0 || r.err != io.EOF {
			t.Errorf("%+v", r)
		}
		// The stream may go on after an end of file.
		got = async(func() result { return read(t.Context(), f, 1) })
		s.data(s.want(wire.Tread), "!")
		if r := <-got; r.data != "!" {
			t.Errorf("%+v", r)
		}
	})
}

func TestIounitIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		opened := async(func() *client.File { f, _ := c.Open(t.Context(), "x", client.ORDWR); return f })
		w, o := s.want(wire.Twalk), s.want(wire.Topen)
		s.walked(w)
		s.reply(o, wire.Msg{Iounit: 10})
		f := <-opened
		got := async(func() result { return read(t.Context(), f, 100) })
		m := s.want(wire.Tread)
		if m.Count != 10 {
			t.Errorf("%v", &m)
		}
		s.data(m, "0123456789")
		<-got
		wrote := async(func() result { return write(t.Context(), f, strings.Repeat("x", 25)) })
		m = s.want(wire.Twrite)
		s.reply(m, wire.Msg{Count: 10})
		m2, m3 := s.want(wire.Twrite), s.want(wire.Twrite) // both at once, now that ten are known to pass
		if m.Count != 10 || m2.Count != 10 || m3.Count != 5 || m3.Offset != m.Offset+20 {
			t.Errorf("%v\n%v\n%v", &m, &m2, &m3)
		}
		s.reply(m2, wire.Msg{Count: 10})
		s.reply(m3, wire.Msg{Count: 5})
		if r := <-wrote; r.n != 25 || r.err != nil {
			t.Errorf("%+v", r)
		}
	})
}

// A server may take a part of a write; the rest must come next, and nothing
// may have slipped in between.
func TestShortWritesAreContinuedWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OWRITE)
		text := strings.Repeat("abcdefghij", 3000)
		wrote := async(func() result { return write(t.Context(), f, text) })
		var got strings.Builder
		for got.Len() < len(text) {
			m := s.want(wire.Twrite)
			if m.Offset != uint64(got.Len()) {
				t.Fatalf("at offset %d, %d bytes were taken", m.Offset, got.Len())
			}
			n := min(len(m.Data), 5000)
			got.Write(m.Data[:n])
			s.reply(m, wire.Msg{Count: uint32(n)})
		}
		if r := <-wrote; r.n != len(text) || r.err != nil {
			t.Errorf("%+v", r)
		}
		if got.String() != text {
			t.Error("the bytes came changed")
		}
		// Nothing taken of something: that would go on for ever.
		wrote = async(func() result { return write(t.Context(), f, "x") })
		s.reply(s.want(wire.Twrite), wire.Msg{Count: 0})
		if r := <-wrote; r.n != 0 || !errors.Is(r.err, io.ErrShortWrite) {
			t.Errorf("%+v", r)
		}
	})
}

func TestWriteSaysHowMuchWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OWRITE)
		wrote := async(func() result { return write(t.Context(), f, strings.Repeat("x", 3*8192)) })
		m := s.want(wire.Twrite)
		s.reply(m, wire.Msg{Count: m.Count})
		m2, m3 := s.want(wire.Twrite), s.want(wire.Twrite)
		s.error(m2, "hub ended")
		fl := s.want(wire.Tflush)
		if fl.Oldtag != m3.Tag {
			t.Errorf("%v", &fl)
		}
		s.error(m3, "hub ended")
		s.reply(fl, wire.Msg{})
		r := <-wrote
		var e *client.Error
		if r.n != 8192 || !errors.As(r.err, &e) || e.Text != "hub ended" || f.Offset() != 8192 {
			t.Errorf("%+v, offset %d", r, f.Offset())
		}
	})
}

// flush(5): "the server must answer the flush"; until then nobody knows what
// became of the write. The last is flushed first, or a stream that gets room
// in between would take the third write without the second.
func TestGivenUpWriteCountsWhatTheServerTook(t *testing.T) {
	for name, taken := range map[string]int{"none": 0, "first": 1, "all": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := dial(t)
				f := s.open(c, client.OWRITE)
				pre := async(func() result { return write(t.Context(), f, strings.Repeat("x", 8192)) })
				s.reply(s.want(wire.Twrite), wire.Msg{Count: 8192})
				<-pre

				ctx, cancel := context.WithCancel(t.Context())
				wrote := async(func() result { return write(ctx, f, strings.Repeat("x", 3*8192)) })
				var ms [3]wire.Msg
				for i := range ms {
					ms[i] = s.want(wire.Twrite)
				}
				synctest.Wait()
				cancel()
				var fl [3]wire.Msg
				for i := range fl {
					fl[i] = s.want(wire.Tflush)
					if m := ms[2-i]; fl[i].Oldtag != m.Tag {
						t.Errorf("%v, but write %d has tag %d", &fl[i], 2-i, m.Tag)
					}
				}
				synctest.Wait()
				select {
				case r := <-wrote:
					t.Errorf("returned %+v before the server has said a thing", r)
				default:
				}
				for i := range taken {
					s.reply(ms[i], wire.Msg{Count: 8192})
				}
				for i := range fl {
					s.reply(fl[i], wire.Msg{})
				}
				want := result{n: taken * 8192, err: context.Canceled}
				if taken == 3 {
					want.err = nil // all was taken after all
				}
				if r := <-wrote; r != want {
					t.Errorf("got %+v, want %+v", r, want)
				}
			})
		})
	}
}

// TestGivenUpWriteSaysThatNobodyKnows: a connection that is lost before the
// server has said what became of a write leaves that open, whoever gave up first.
func TestGivenUpWriteSaysThatNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OWRITE)
		ctx, cancel := context.WithCancel(t.Context())
		wrote := async(func() result { return write(ctx, f, "taken, perhaps") })
		s.want(wire.Twrite)
		synctest.Wait()
		cancel()
		s.want(wire.Tflush)
		s.conn.Close()
		if r := <-wrote; r.n != 0 || !errors.Is(r.err, client.ErrLost) {
			t.Errorf("%+v", r)
		}
	})
}

// flush(5): a reply may come before the Rflush. What it brings was taken from
// the stream, and nobody else will see it.
func TestReadGivenUpLosesNothing(t *testing.T) {
	for _, x := range []struct {
		name   string
		answer string // before the Rflush; "-": none
		then   []result
	}{
		{"no reply", "-", []result{{4, "next", nil}}},
		{"late bytes", "late", []result{{4, "late", nil}, {4, "next", nil}}},
		{"more late bytes than asked for next", "much more", []result{{5, "much ", nil}, {4, "more", nil}, {4, "next", nil}}},
		{"a late end of file", "", []result{{0, "", io.EOF}, {4, "next", nil}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := dial(t)
				f := s.open(c, client.OREAD)
				ctx, cancel := context.WithCancel(t.Context())
				p := []byte("untouched")
				got := async(func() error { _, err := f.ReadContext(ctx, p); return err })
				m := s.want(wire.Tread)
				synctest.Wait()
				cancel()
				if err := <-got; err != context.Canceled { // at once: the server has said nothing
					t.Errorf("got %v", err)
				}
				next := async(func() result { return read(t.Context(), f, 5) })
				fl := s.want(wire.Tflush)
				if fl.Oldtag != m.Tag {
					t.Errorf("%v, but the read has tag %d", &fl, m.Tag)
				}
				if x.answer != "-" {
					s.data(m, x.answer)
				}
				s.reply(fl, wire.Msg{})
				for _, want := range x.then {
					if want.data == "next" {
						s.data(s.want(wire.Tread), "next")
					}
					if r := <-next; r != want {
						t.Errorf("got %+v, want %+v", r, want)
					}
					if want.data != "next" {
						next = async(func() result { return read(t.Context(), f, 5) })
					}
				}
				if string(p) != "untouched" {
					t.Errorf("the buffer of the read that was given up now holds %q", p)
				}
			})
		})
	}
}

// A long reply goes past the buffer to where its bytes shall be. However it
// arrives, and whether or not somebody waits for it, it comes out whole.
func TestLongRepliesComeInPieces(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 400) // 6400 bytes
	frame := func(m wire.Msg) []byte {
		return append(wire.AppendRreadHeader(nil, m.Tag, len(text)), text...)
	}
	pieces := func(s *script, b []byte, size int) {
		for len(b) > 0 {
			n := min(size, len(b))
			s.raw(b[:n])
			b = b[n:]
		}
	}
	for _, size := range []int{1, 5, 7, 13, 4096, 4097, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			c, s := dial(t)
			f := s.open(c, client.OREAD)
			got := async(func() result { return read(t.Context(), f, 8192) })
			short := async(func() result {
				p := make([]byte, 5)
				n, err := f.ReadAtContext(t.Context(), p, 0)
				return result{n, string(p[:n]), err}
			})
			m, m2 := s.want(wire.Tread), s.want(wire.Tread)
			if m.Count == 5 {
				m, m2 = m2, m
			}
			// A short reply behind the long one, in the same pieces.
			b := append(frame(m), wire.AppendRreadHeader(nil, m2.Tag, 5)...)
			pieces(s, append(b, "short"...), size)
			if r := <-got; r.data != text || r.err != nil {
				t.Errorf("in pieces of %d: %d bytes, %v", size, r.n, r.err)
			}
			if r := <-short; r.data != "short" || r.err != nil {
				t.Errorf("in pieces of %d: %+v", size, r)
			}

			// Given up, and kept.
			ctx, cancel := context.WithCancel(t.Context())
			got = async(func() result { return read(ctx, f, 8192) })
			m = s.want(wire.Tread)
			synctest.Wait()
			cancel()
			<-got
			fl := s.want(wire.Tflush)
			pieces(s, frame(m), size)
			s.reply(fl, wire.Msg{})
			if r := read(t.Context(), f, 8192); r.data != text || r.err != nil {
				t.Errorf("kept, in pieces of %d: %d bytes, %v", size, r.n, r.err)
			}

			// Given up while it comes: returned, for the buffer is in use.
			ctx, cancel = context.WithCancel(t.Context())
			got = async(func() result { return read(ctx, f, 8192) })
			m = s.want(wire.Tread)
			b = frame(m)
			s.raw(b[:5000])
			synctest.Wait()
			cancel()
			synctest.Wait()
			pieces(s, b[5000:], size)
			if r := <-got; r.data != text || r.err != nil {
				t.Errorf("while it came, in pieces of %d: %d bytes, %v", size, r.n, r.err)
			}

			// And cut off.
			got = async(func() result { return read(t.Context(), f, 8192) })
			s.raw(frame(s.want(wire.Tread))[:5000])
			s.conn.Close()
			if r := <-got; r.n != 0 || !errors.Is(r.err, client.ErrLost) {
				t.Errorf("cut off: %+v", r)
			}
		})
	}
}

func TestOffsetCountsBytesReturnedAndNotBytesKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		ctx, cancel := context.WithCancel(t.Context())
		got := async(func() result { return read(ctx, f, 10) })
		m := s.want(wire.Tread)
		synctest.Wait()
		cancel()
		<-got
		fl := s.want(wire.Tflush)
		s.data(m, "0123456789")
		s.reply(fl, wire.Msg{})
		synctest.Wait()
		if f.Offset() != 0 {
			t.Errorf("offset %d", f.Offset())
		}
		// Kept bytes are returned even to a caller that has no time.
		if r := read(ctx, f, 4); r.data != "0123" || f.Offset() != 4 {
			t.Errorf("%+v, offset %d", r, f.Offset())
		}
		// And forgotten by who goes elsewhere.
		f.SetOffset(20)
		got = async(func() result { return read(t.Context(), f, 4) })
		if m = s.want(wire.Tread); m.Offset != 20 {
			t.Errorf("%v", &m)
		}
		s.data(m, "x")
		<-got
	})
}

// Whichever of reply and cancel comes first, the bytes come exactly once.
func TestCancelRacesWithReply(t *testing.T) {
	for range 200 {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		ctx, cancel := context.WithCancel(t.Context())
		go (&liar{conn: s.conn, data: "bytes"}).serve() // until the connection ends
		got := async(func() result { return read(ctx, f, 5) })
		cancel()
		r := <-got
		switch {
		case r.n == 5 && r.err == nil:
		case r.n == 0 && r.err == context.Canceled:
			// Sent or not, the next read has them.
			if r = read(t.Context(), f, 5); r.data != "bytes" {
				t.Fatalf("%+v", r)
			}
		default:
			t.Fatalf("%+v", r)
		}
		c.Close()
	}
}

func TestReadsOfOneFileWaitTheirTurnAndNotForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.ORDWR)
		first := async(func() result { return read(t.Context(), f, 5) })
		m := s.want(wire.Tread)
		ctx, cancel := context.WithCancel(t.Context())
		second := async(func() result { return read(ctx, f, 5) })
		synctest.Wait()
		wrote := async(func() result { return write(t.Context(), f, "x") })
		w := s.want(wire.Twrite) // and no second Tread before it
		s.reply(w, wire.Msg{Count: 1})
		if r := <-wrote; r.n != 1 || r.err != nil {
			t.Errorf("%+v", r)
		}
		cancel() // ends the wait for the turn, too
		if r := <-second; r.err != context.Canceled {
			t.Errorf("%+v", r)
		}
		s.data(m, "abc")
		if r := <-first; r.data != "abc" {
			t.Errorf("%+v", r)
		}
	})
}

func TestSteadyReadsAndWritesDoNotAllocate(t *testing.T) {
	c, s := dial(t)
	f := s.open(c, client.ORDWR)
	data := make([]byte, 4096)
	rread := append(wire.AppendRreadHeader(nil, 0, len(data)), data...)
	rwrite, _ := wire.Append(nil, &wire.Msg{Type: wire.Rwrite, Count: uint32(len(data))})
	go func() { // until the connection ends; allocates nothing itself
		b := make([]byte, 8192)
		for {
			if _, err := io.ReadFull(s.conn, b[:wire.HeaderSize]); err != nil {
				return
			}
			size := int(b[0]) | int(b[1])<<8
			if _, err := io.ReadFull(s.conn, b[wire.HeaderSize:size]); err != nil {
				return
			}
			out := rread
			if wire.Type(b[4]) == wire.Twrite {
				out = rwrite
			}
			out[5], out[6] = b[5], b[6]
			if _, err := s.conn.Write(out); err != nil {
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	once := func() {
		if n, err := f.ReadContext(ctx, data); n != len(data) || err != nil {
			t.Fatal(n, err)
		}
		if n, err := f.WriteContext(ctx, data); n != len(data) || err != nil {
			t.Fatal(n, err)
		}
	}
	once()
	// Under the race detector a pool forgets at random.
	if n := testing.AllocsPerRun(200, once); n > 0 && !raceEnabled {
		t.Errorf("%v allocations for one read and one write", n)
	}
}
