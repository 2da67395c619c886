package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/client"
	"hubfs/internal/wire"
)

func TestVersionAndAttachThatFailCloseTheConnection(t *testing.T) {
	for name, answer := range map[string]struct {
		version wire.Msg
		attach  wire.Msg
		want    string
	}{
		"unknown":     {version: wire.Msg{Type: wire.Rversion, Msize: 8192, Version: "unknown"}, want: `speaks "unknown"`},
		"error":       {version: wire.Msg{Type: wire.Rerror, Ename: "go away"}, want: "go away"},
		"other reply": {version: wire.Msg{Type: wire.Rattach}, want: "broke the protocol"},
		"msize up":    {version: wire.Msg{Type: wire.Rversion, Msize: 1 << 30, Version: "9P2000"}, want: "message size"},
		"msize 0":     {version: wire.Msg{Type: wire.Rversion, Version: "9P2000"}, want: "message size"},
		"no attach": {version: wire.Msg{Type: wire.Rversion, Msize: 8192, Version: "9P2000"},
			attach: wire.Msg{Type: wire.Rerror, Ename: "permission denied"}, want: "attach: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				s := &script{t: t, conn: theirs}
				gone := async(func() bool {
					v := answer.version
					v.Tag = s.want(wire.Tversion).Tag
					s.say(v)
					if answer.attach.Type != 0 {
						s.reply(s.want(wire.Tattach), answer.attach)
					}
					return s.next().Type == 0
				})
				_, err := client.New(t.Context(), ours, client.Options{})
				if err == nil || !strings.Contains(err.Error(), answer.want) {
					t.Errorf("got %v, want %q in it", err, answer.want)
				}
				if !<-gone {
					t.Error("the connection was not closed")
				}
			})
		})
	}
}

func TestNewEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, answers := range []int{0, 1} { // at the version, at the attach
			ours, theirs := net.Pipe()
			s := &script{t: t, conn: theirs}
			ctx, cancel := context.WithCancel(t.Context())
			made := async(func() error { _, err := client.New(ctx, ours, client.Options{}); return err })
			m := s.want(wire.Tversion)
			if answers > 0 {
				s.reply(m, wire.Msg{Msize: 8192, Version: "9P2000"})
				s.want(wire.Tattach)
			}
			synctest.Wait()
			cancel()
			if err := <-made; !errors.Is(err, context.Canceled) {
				t.Errorf("after %d answers: %v", answers, err)
			}
			if s.next().Type != 0 {
				t.Error("the connection was not closed")
			}
		}
	})
}

func TestDeathOfTheConnectionWakesEveryCaller(t *testing.T) {
	const n = 300
	for name, kill := range map[string]func(c *client.Conn, s *script) error{
		"server hangs up":  func(_ *client.Conn, s *script) error { return s.conn.Close() },
		"half a message":   func(_ *client.Conn, s *script) error { s.raw([]byte{99, 0}); return s.conn.Close() },
		"client closes":    func(c *client.Conn, _ *script) error { return c.Close() },
		"server is broken": func(_ *client.Conn, s *script) error { s.raw(make([]byte, 7)); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := dial(t)
				f := s.open(c, client.ORDWR)
				p := f.Reader(4)
				w := f.Writer(4)
				got := make(chan error, n)
				for i := range n {
					go func() { // until the connection is dead
						var err error
						switch i % 5 {
						case 0:
							_, err = f.ReadAtContext(context.Background(), make([]byte, 10), 0)
						case 1:
							_, err = f.WriteAtContext(context.Background(), []byte("x"), 0)
						case 2:
							_, err = c.Stat(context.Background(), "x")
						case 3:
							_, err = p.ReadContext(context.Background(), make([]byte, 10))
						case 4:
							if _, err = w.WriteContext(context.Background(), []byte("x")); err == nil {
								err = w.Flush(context.Background())
							}
						}
						got <- err
					}()
				}
				drained := async(func() bool {
					for s.next().Type != 0 {
					}
					return true
				})
				synctest.Wait() // all wait
				kill(c, s)
				for range n {
					if err := <-got; !errors.Is(err, client.ErrLost) {
						t.Errorf("got %v", err)
					}
				}
				<-c.Done()
				if err := c.Err(); !errors.Is(err, client.ErrLost) {
					t.Errorf("Err: %v", err)
				}
				c.Close()
				<-drained
				if err := f.Close(); !errors.Is(err, client.ErrLost) {
					t.Errorf("a call after the end: %v", err)
				}
			})
		})
	}
}

func TestBrokenServerGetsTheConnectionClosed(t *testing.T) {
	rread := func(tag uint16, n uint32, data string) []byte {
		b := wire.AppendRreadHeader(nil, tag, len(data))
		b[7], b[8], b[9], b[10] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		return append(b, data...)
	}
	enc := func(m wire.Msg) []byte {
		b, err := wire.Append(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// What is sent while a Tread of 4 bytes waits.
	for name, send := range map[string]func(tag uint16) []byte{
		"unknown tag":       func(tag uint16) []byte { return rread(tag+1, 1, "x") },
		"tag far out":       func(uint16) []byte { return rread(60000, 1, "x") },
		"NOTAG":             func(uint16) []byte { return rread(wire.NoTag, 1, "x") },
		"wrong type":        func(tag uint16) []byte { return enc(wire.Msg{Type: wire.Rwrite, Tag: tag}) },
		"a request":         func(tag uint16) []byte { return enc(wire.Msg{Type: wire.Tread, Tag: tag}) },
		"Terror":            func(tag uint16) []byte { return []byte{7, 0, 0, 0, 106, byte(tag), 0} },
		"more than asked":   func(tag uint16) []byte { return rread(tag, 5, "12345") },
		"lying count":       func(tag uint16) []byte { return rread(tag, 4, "123") },
		"count of 4 GiB":    func(tag uint16) []byte { return rread(tag, 1<<32-1, "123") },
		"size 0":            func(uint16) []byte { return make([]byte, 7) },
		"size above msize":  func(uint16) []byte { return []byte{0, 0, 1, 0, 117, 0, 0} },
		"size of 4 GiB":     func(uint16) []byte { return []byte{255, 255, 255, 255, 117, 0, 0} },
		"error without end": func(tag uint16) []byte { return []byte{9, 0, 0, 0, 107, byte(tag), 0, 5, 0} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := dial(t)
				f := s.open(c, client.OREAD)
				got := async(func() result { return read(t.Context(), f, 4) })
				m := s.want(wire.Tread)
				s.raw(send(m.Tag))
				r := <-got
				if r.n != 0 || !errors.Is(r.err, client.ErrLost) || !strings.Contains(r.err.Error(), "broke the protocol") {
					t.Errorf("read gave %+v", r)
				}
				if s.next().Type != 0 {
					t.Error("the connection is open still")
				}
			})
		})
	}
}

func TestManyTagsAreOutAtOnceAndComeBackInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		const n = 100
		got := make([]<-chan result, n)
		for i := range got {
			got[i] = async(func() result {
				p := make([]byte, 8)
				n, err := f.ReadAtContext(t.Context(), p, int64(i))
				return result{n, string(p[:n]), err}
			})
		}
		asked := make([]wire.Msg, n)
		seen := map[uint16]bool{}
		for range asked {
			m := s.want(wire.Tread)
			asked[m.Offset] = m
			if seen[m.Tag] {
				t.Errorf("tag %d is out twice", m.Tag)
			}
			seen[m.Tag] = true
		}
		for i := n - 1; i >= 0; i-- {
			s.data(asked[i], fmt.Sprint(i))
		}
		for i := range got {
			if r := <-got[i]; r.data != fmt.Sprint(i) || r.err != nil {
				t.Errorf("read %d: %+v", i, r)
			}
		}
	})
}

func TestClosedFileIsNotNamedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.ORDWR)
		closed := async(f.Close)
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		if err := <-closed; err != nil {
			t.Error(err)
		}
		ctx := t.Context()
		_, statErr := f.Stat(ctx)
		for name, err := range map[string]error{
			"read": read(ctx, f, 1).err, "write": write(ctx, f, "x").err, "stat": statErr, "close": f.Close(),
		} {
			if !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if m := s.next(); m.Type != 0 {
			t.Errorf("the client sent %v", &m)
		}
	})
}

// flush(5): the old tag is not free before the Rflush, even if it was answered.
func TestTagIsNotUsedAgainBeforeItsRflush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		ctx, cancel := context.WithCancel(t.Context())
		got := async(func() result { return read(ctx, f, 4) })
		old := s.want(wire.Tread)
		synctest.Wait()
		cancel()
		<-got
		fl := s.want(wire.Tflush)
		s.data(old, "late")
		for range 5 {
			go c.Stat(context.Background(), "x")
		}
		for range 10 {
			if m := s.next(); m.Tag == old.Tag || m.Tag == fl.Tag {
				t.Errorf("%v while the flush of tag %d is out", &m, old.Tag)
			}
		}
		s.reply(fl, wire.Msg{})
	})
}

func TestTflushIsNotAnsweredByAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		f := s.open(c, client.OREAD)
		ctx, cancel := context.WithCancel(t.Context())
		got := async(func() result { return read(ctx, f, 4) })
		s.want(wire.Tread)
		synctest.Wait()
		cancel()
		<-got
		s.error(s.want(wire.Tflush), "what?")
		<-c.Done()
		if err := c.Err(); !strings.Contains(err.Error(), "Rerror in answer to Tflush") {
			t.Error(err)
		}
		if s.next().Type != 0 {
			t.Error("the connection is open still")
		}
	})
}

// New does not wait for the attach where the server keeps to the order; a
// refusal ends the connection, and is what every call says.
func TestRefusedAttachEndsAnOrderedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := &script{t: t, conn: theirs}
		defer theirs.Close()
		type made struct {
			c   *client.Conn
			err error
		}
		making := async(func() made {
			c, err := client.New(t.Context(), ours, client.Options{Ordered: true})
			return made{c, err}
		})
		s.reply(s.want(wire.Tversion), wire.Msg{Type: wire.Rversion, Msize: 8192, Version: wire.Version})
		attach := s.want(wire.Tattach)
		m := <-making
		if m.err != nil {
			t.Fatal(m.err)
		}
		stat := async(func() error { _, err := m.c.Stat(t.Context(), "x"); return err })
		s.want(wire.Twalk)
		s.want(wire.Tstat)
		s.reply(attach, wire.Msg{Type: wire.Rerror, Ename: "permission denied"})
		if err := <-stat; !errors.Is(err, client.ErrPermission) || !strings.Contains(err.Error(), "attach: permission denied") {
			t.Error(err)
		}
		<-m.c.Done()
	})
}
