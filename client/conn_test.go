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

func TestWalkAndOpenGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		opened := async(func() error {
			f, err := c.Open(t.Context(), "/shell//work/ctl", client.ORDWR)
			if err == nil && f.Path() != "/shell//work/ctl" {
				t.Errorf("path %q", f.Path())
			}
			return err
		})
		w, o := s.want(wire.Twalk), s.want(wire.Topen) // before any answer
		if got := fmt.Sprint(w.Wname); got != "[shell work ctl]" || w.Fid != 0 || w.Newfid != o.Fid {
			t.Errorf("%v, %v", &w, &o)
		}
		if o.Mode != client.ORDWR {
			t.Errorf("%v", &o)
		}
		s.walked(w)
		s.reply(o, wire.Msg{})
		if err := <-opened; err != nil {
			t.Error(err)
		}
	})
}

func TestErrorsAreToldApartByTheirText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		for _, x := range []struct {
			text string
			is   error
		}{
			{"file does not exist", client.ErrNotExist},
			{"shell work: file already exists", client.ErrExist},
			{"permission denied", fs.ErrPermission},
			{"no hub \"x\": not found", fs.ErrNotExist},
			{"directory not empty", nil},
		} {
			opened := async(func() error { _, err := c.Open(t.Context(), "x", 0); return err })
			w, o := s.want(wire.Twalk), s.want(wire.Topen)
			s.error(w, x.text)
			s.error(o, "unknown fid")
			err := <-opened
			var e *client.Error
			if !errors.As(err, &e) || e.Text != x.text || !strings.HasPrefix(err.Error(), "open x: ") {
				t.Errorf("%q came as %v", x.text, err)
			}
			for _, kind := range []error{client.ErrNotExist, client.ErrExist, client.ErrPermission, client.ErrLost} {
				if errors.Is(err, kind) != (kind == x.is) {
					t.Errorf("%q is %v: %v", x.text, kind, errors.Is(err, kind))
				}
			}
		}
	})
}

// walk(5): a walk that comes less than the whole way leaves newfid unset.
func TestPartialWalkIsNotExistAndItsFidIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		var fid uint32
		for range 2 {
			opened := async(func() error { _, err := c.Open(t.Context(), "a/b", 0); return err })
			w, o := s.want(wire.Twalk), s.want(wire.Topen)
			if fid == 0 {
				fid = w.Newfid
			} else if w.Newfid != fid {
				t.Errorf("newfid %d, though %d was never known to the server", w.Newfid, fid)
			}
			s.reply(w, wire.Msg{Wqid: make([]wire.Qid, 1)})
			s.error(o, "unknown fid")
			if err := <-opened; !errors.Is(err, client.ErrNotExist) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestFailedOpenClunksTheWalkedFid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		opened := async(func() error { _, err := c.Open(t.Context(), "x", 0); return err })
		w, o := s.want(wire.Twalk), s.want(wire.Topen)
		s.walked(w)
		s.error(o, "permission denied")
		k := s.want(wire.Tclunk)
		if err := <-opened; !errors.Is(err, client.ErrPermission) { // it has not waited for the clunk
			t.Error(err)
		}
		if k.Fid != w.Newfid {
			t.Errorf("%v, but the file was fid %d", &k, w.Newfid)
		}
		// Until Rclunk the fid may not be used again (clunk(5)).
		go c.Stat(t.Context(), "y")
		w2 := s.want(wire.Twalk)
		if w2.Newfid == w.Newfid {
			t.Error("the fid was used again before its Rclunk")
		}
	})
}

func TestServerThatReordersIsAskedAgainInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		opened := async(func() error { _, err := c.Open(t.Context(), "x", client.OWRITE); return err })
		w, o := s.want(wire.Twalk), s.want(wire.Topen)
		s.error(o, "unknown fid")
		s.walked(w)
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		s.walked(s.want(wire.Twalk))
		if o = s.want(wire.Topen); o.Mode != client.OWRITE {
			t.Errorf("asked again with %v", &o)
		}
		s.reply(o, wire.Msg{})
		if err := <-opened; err != nil {
			t.Error(err)
		}
	})
}

func TestLongPathsAreWalkedInStepsOfSixteen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		path := strings.Repeat("d/", 39) + "f"
		opened := async(func() error { _, err := c.Open(t.Context(), path, 0); return err })
		first := s.want(wire.Twalk)
		s.walked(first)
		second := s.want(wire.Twalk)
		s.walked(second)
		third := s.want(wire.Twalk) // and no Topen behind it, which could meet the wrong file
		if len(first.Wname) != 16 || len(second.Wname) != 16 || len(third.Wname) != 8 ||
			second.Fid != first.Newfid || third.Newfid != first.Newfid {
			t.Errorf("%v\n%v\n%v", &first, &second, &third)
		}
		s.reply(third, wire.Msg{Wqid: make([]wire.Qid, 7)})
		if k := s.want(wire.Tclunk); k.Fid != first.Newfid {
			t.Errorf("%v", &k)
		}
		if err := <-opened; !errors.Is(err, client.ErrNotExist) {
			t.Error(err)
		}
	})
}

// The Tremove of a walk that failed halfway would remove a directory.
func TestRemoveWaitsForItsWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		removed := async(func() error { return c.Remove(t.Context(), "x") })
		w := s.want(wire.Twalk)
		s.walked(w)
		r := s.want(wire.Tremove)
		s.error(r, "permission denied")
		if err := <-removed; !errors.Is(err, client.ErrPermission) {
			t.Error(err)
		}
		// remove(5): the fid is gone even after an error.
		go c.Stat(t.Context(), "y")
		if w2 := s.want(wire.Twalk); w2.Newfid != r.Fid {
			t.Errorf("fid %d was free, but %d was used", r.Fid, w2.Newfid)
		}
	})
}

func TestStatWstatCreateMkdirReadDir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		ctx := t.Context()

		stat := async(func() client.Info { i, _ := c.Stat(ctx, "/"); return i })
		w, r := s.want(wire.Twalk), s.want(wire.Tstat)
		s.walked(w)
		s.reply(r, wire.Msg{Stat: wire.Stat{Name: "/", Mode: client.DMDIR | 0o755, Qid: wire.Qid{Path: 1}, Length: 7, UID: "rob"}})
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		if i := <-stat; len(w.Wname) != 0 || !i.IsDir() || i.Name != "/" || i.Path != 1 || i.Length != 7 || i.UID != "rob" {
			t.Errorf("%v gave %+v", &w, i)
		}

		name, mode := "new", uint32(0o600)
		changed := async(func() error { return c.Wstat(ctx, "x", client.Change{Name: &name, Mode: &mode}) })
		w, r = s.want(wire.Twalk), s.want(wire.Twstat)
		s.walked(w)
		s.reply(r, wire.Msg{})
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		want := wire.NoChange()
		want.Name, want.Mode = name, mode
		if err := <-changed; err != nil || r.Stat != want {
			t.Errorf("%v, %v", err, &r)
		}

		created := async(func() error { _, err := c.Create(ctx, "d/x", 0o666, client.ORDWR); return err })
		w, r = s.want(wire.Twalk), s.want(wire.Tcreate)
		s.walked(w)
		s.error(r, "file already exists")
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		if err := <-created; !errors.Is(err, client.ErrExist) || fmt.Sprint(w.Wname) != "[d]" || r.Name != "x" || r.Perm != 0o666 {
			t.Errorf("%v, %v, %v", err, &w, &r)
		}

		made := async(func() error { return c.Mkdir(ctx, "d", 0o755) })
		w, r = s.want(wire.Twalk), s.want(wire.Tcreate)
		s.walked(w)
		s.reply(r, wire.Msg{})
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		if err := <-made; err != nil || r.Perm != client.DMDIR|0o755 {
			t.Errorf("%v, %v", err, &r)
		}

		var dir []byte
		for _, n := range []string{"ctl", "status"} {
			dir, _ = wire.AppendStat(dir, &wire.Stat{Name: n})
		}
		listed := async(func() []client.Info { l, _ := c.ReadDir(ctx, "d"); return l })
		w, r = s.want(wire.Twalk), s.want(wire.Topen)
		s.walked(w)
		s.reply(r, wire.Msg{})
		r = s.want(wire.Tread)
		s.data(r, string(dir))
		r = s.want(wire.Tread)
		if r.Offset != uint64(len(dir)) || r.Count < 4096 {
			t.Errorf("%v after %d bytes", &r, len(dir))
		}
		s.data(r, "")
		s.reply(s.want(wire.Tclunk), wire.Msg{})
		if l := <-listed; len(l) != 2 || l[0].Name != "ctl" || l[1].Name != "status" {
			t.Errorf("%+v", l)
		}
	})
}

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

func TestGivenUpOpenLeavesNoFidBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		ctx, cancel := context.WithCancel(t.Context())
		opened := async(func() error { _, err := c.Open(ctx, "x", 0); return err })
		w, o := s.want(wire.Twalk), s.want(wire.Topen)
		cancel()
		if err := <-opened; !errors.Is(err, context.Canceled) { // at once
			t.Error(err)
		}
		// The walk took place before the server saw the flush.
		f1, f2 := s.want(wire.Tflush), s.want(wire.Tflush)
		if f1.Oldtag != o.Tag || f2.Oldtag != w.Tag {
			t.Errorf("%v, %v", &f1, &f2)
		}
		s.walked(w)
		s.reply(f1, wire.Msg{})
		s.reply(f2, wire.Msg{})
		if k := s.want(wire.Tclunk); k.Fid != w.Newfid {
			t.Errorf("%v", &k)
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
