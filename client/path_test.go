package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// A server may begin requests in any order. If it is not known to keep to
// theirs, nothing is sent that depends on what is not answered.
func TestNothingIsSentAheadToAServerWithoutOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dialWith(t, client.Options{})
		silent := func() { // nothing more is sent
			t.Helper()
			more := async(s.next)
			synctest.Wait()
			select {
			case m := <-more:
				t.Errorf("sent ahead: %v", &m)
			default:
				s.conn.SetReadDeadline(time.Now()) // ends the look
				<-more
				s.conn.SetReadDeadline(time.Time{})
			}
		}
		alone := func(typ wire.Type) wire.Msg {
			t.Helper()
			m := s.want(typ)
			silent()
			return m
		}
		opened := async(func() *client.File { f, _ := c.Open(t.Context(), "x", client.ORDWR); return f })
		s.walked(alone(wire.Twalk))
		s.reply(alone(wire.Topen), wire.Msg{})
		f := <-opened

		wrote := async(func() result { return write(t.Context(), f, strings.Repeat("x", 3*8192)) })
		for range 3 {
			s.reply(alone(wire.Twrite), wire.Msg{Count: 8192})
		}
		if r := <-wrote; r.n != 3*8192 {
			t.Errorf("%+v", r)
		}
		got := async(func() result { return read(t.Context(), f.Reader(4), 10) })
		s.data(alone(wire.Tread), "x")
		<-got
		w := f.Writer(4)
		first := async(func() result { return write(t.Context(), w, "x") })
		m := s.want(wire.Twrite)
		<-first
		second := async(func() result { return write(t.Context(), w, "y") })
		silent()
		s.reply(m, wire.Msg{Count: 1})
		s.reply(s.want(wire.Twrite), wire.Msg{Count: 1})
		<-second
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

// remove(5): the fid is gone even after an error.
func TestFidIsFreeAfterRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		for range 3 {
			removed := async(func() error { return c.Remove(t.Context(), "x") })
			w, r := s.want(wire.Twalk), s.want(wire.Tremove)
			if w.Newfid != 1 || r.Fid != 1 {
				t.Errorf("%v, %v, but fid 1 was free", &w, &r)
			}
			s.walked(w)
			s.error(r, "permission denied")
			if err := <-removed; !errors.Is(err, client.ErrPermission) {
				t.Error(err)
			}
			removed = async(func() error { return c.Remove(t.Context(), "x") })
			s.walked(s.want(wire.Twalk))
			s.reply(s.want(wire.Tremove), wire.Msg{})
			if err := <-removed; err != nil {
				t.Error(err)
			}
			removed = async(func() error { return c.Remove(t.Context(), "x") })
			s.error(s.want(wire.Twalk), "file does not exist")
			s.error(s.want(wire.Tremove), "unknown fid")
			if err := <-removed; !errors.Is(err, client.ErrNotExist) {
				t.Error(err)
			}
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

// With an open goes the first request of the file, in one round trip.
func TestOpenAndFirstRequestGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		ctx := t.Context()
		type opened struct {
			f   *client.File
			n   int
			err error
		}
		buf := make([]byte, 100)
		read := async(func() opened { f, n, err := c.OpenRead(ctx, "status", client.OREAD, buf); return opened{f, n, err} })
		w, o, r := s.want(wire.Twalk), s.want(wire.Topen), s.want(wire.Tread)
		if o.Fid != w.Newfid || r.Fid != w.Newfid || r.Count != 100 || r.Offset != 0 {
			t.Errorf("%v, %v, %v", &w, &o, &r)
		}
		s.walked(w)
		s.reply(o, wire.Msg{})
		s.data(r, "hello")
		if got := <-read; got.err != nil || string(buf[:got.n]) != "hello" || got.f.Offset() != 5 {
			t.Errorf("%+v %q", got, buf[:got.n])
		}

		write := async(func() opened {
			f, err := c.OpenWrite(ctx, "ctl", client.ORDWR, []byte("attach"))
			return opened{f, 0, err}
		})
		w, o, wr := s.want(wire.Twalk), s.want(wire.Topen), s.want(wire.Twrite)
		if wr.Fid != w.Newfid || string(wr.Data) != "attach" {
			t.Errorf("%v", &wr)
		}
		s.walked(w)
		s.reply(o, wire.Msg{})
		s.reply(wr, wire.Msg{Count: 6})
		if got := <-write; got.err != nil || got.f.Offset() != 6 {
			t.Errorf("%+v", got)
		}
	})
}

// What goes with an open that fails has no effect, and one that fails itself
// leaves no open file.
func TestOpenAndFirstRequestFailTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := dial(t)
		ctx := t.Context()
		write := func() <-chan error {
			return async(func() error { _, err := c.OpenWrite(ctx, "ctl", client.ORDWR, []byte("attach")); return err })
		}
		failed := write()
		w, o, wr := s.want(wire.Twalk), s.want(wire.Topen), s.want(wire.Twrite)
		s.reply(w, wire.Msg{Type: wire.Rerror, Ename: "file does not exist"})
		s.reply(o, wire.Msg{Type: wire.Rerror, Ename: "unknown fid"})
		s.reply(wr, wire.Msg{Type: wire.Rerror, Ename: "unknown fid"})
		if err := <-failed; !errors.Is(err, client.ErrNotExist) {
			t.Error(err)
		}

		failed = write()
		w, o, wr = s.want(wire.Twalk), s.want(wire.Topen), s.want(wire.Twrite)
		s.walked(w)
		s.reply(o, wire.Msg{})
		s.reply(wr, wire.Msg{Type: wire.Rerror, Ename: "limit reached"})
		if k := s.want(wire.Tclunk); k.Fid != w.Newfid {
			t.Errorf("%v", &k)
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "limit reached") {
			t.Error(err)
		}
	})
}
