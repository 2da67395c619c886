package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/servertest"
)

// A reading is a stream that is followed in a test.
type reading struct {
	t    *testing.T
	srv  *servertest.Server
	line *Line
	s    *Stream
	got  bytes.Buffer
	done chan error

	mu   sync.Mutex
	said []string // guarded by mu
}

// say notes what a stream says.
func (r *reading) say(format string, arg ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, arg...))
}

// says is what was said.
func (r *reading) says() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

// watch follows hub build; nil if the connection was cut before it began.
func watch(t *testing.T, srv *servertest.Server, retry time.Duration) *reading {
	t.Helper()
	r := &reading{t: t, srv: srv, done: make(chan error, 1)}
	conn, err := srv.Connect(t.Context())
	if err != nil {
		return nil
	}
	r.line = NewLine(conn, srv.Connect, retry, func() { r.say("lost") })
	if r.s, err = r.line.Open(t.Context(), "build", false); err != nil {
		r.line.Close()
		return nil
	}
	r.s.Back = func(off int64) { r.say("back at %d", off) }
	r.s.Skipped = func(n int64) { r.say("skipped %d", n) }
	go func() { // ends with the stream
		r.done <- r.s.Copy(t.Context(), r.s.Hub.First, func(b Block) error {
			if b.Off != int64(r.got.Len()) && !slices.ContainsFunc(r.says(), func(s string) bool { return strings.HasPrefix(s, "skipped") }) {
				t.Errorf("a block at %d behind %d bytes", b.Off, r.got.Len())
			}
			r.got.Write(b.Data)
			return nil
		})
	}()
	t.Cleanup(r.line.Close)
	return r
}

// A job writes hub build.
type job struct {
	t   *testing.T
	srv *server.Server
	f   *client.File
}

func begin(t *testing.T, srv *servertest.Server) *job {
	t.Helper()
	s := srv.Server()
	f, err := s.Claim(t.Context(), "build")
	if err != nil {
		t.Fatal(err)
	}
	return &job{t, s, f}
}

func (j *job) write(p string) {
	j.t.Helper()
	if _, err := j.f.WriteContext(j.t.Context(), []byte(p)); err != nil {
		j.t.Fatal(err)
	}
}

func (j *job) ctl(words ...string) {
	j.t.Helper()
	if err := j.srv.Ctl(j.t.Context(), words...); err != nil {
		j.t.Fatal(err)
	}
}

func bubble(t *testing.T, test func(t *testing.T, srv *servertest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, servertest.New(t)) })
}

// TestNoByteIsSeenTwiceWhereverTheConnectionIsCut cuts the connection after each
// byte in each direction, also within what proves on the second connection that
// it is the same hub.
func TestNoByteIsSeenTwiceWhereverTheConnectionIsCut(t *testing.T) {
	const before, behind = "what lay there, ", "what came, and what came then"
	run := func(t *testing.T, cut servertest.Cut, again bool) (lost int) {
		bubble(t, func(t *testing.T, srv *servertest.Server) {
			j := begin(t, srv)
			j.write(before)
			if again {
				srv.Cut(servertest.Cut{}, cut)
			} else {
				srv.Cut(cut)
			}
			r := watch(t, srv, time.Minute)
			if r == nil {
				lost = -1
				return
			}
			synctest.Wait()
			if again {
				srv.HangUpLast()
			}
			j.write(behind[:10])
			synctest.Wait()
			j.write(behind[10:])
			j.ctl("end", "build", "exit", "3")
			if err := <-r.done; err != nil || r.got.String() != before+behind || r.s.Hub.End != "exit 3" {
				t.Errorf("%v, %q, %q, %q", err, &r.got, r.s.Hub.End, r.says())
			}
			for _, said := range r.says() {
				if said == "lost" {
					lost++
				}
			}
		})
		return lost
	}
	for _, up := range []bool{true, false} {
		for _, again := range []bool{false, true} {
			cuts, last := 0, 0
			for n := 1; n < 3000 && n < last+300 && !t.Failed(); n += servertest.Stride {
				cut := servertest.Cut{Down: n}
				if up {
					cut = servertest.Cut{Up: n}
				}
				lost := run(t, cut, again)
				if t.Failed() {
					t.Logf("up %v, again %v, after %d bytes", up, again, n)
				}
				if lost < 0 || lost > 1 || lost == 1 && !again {
					last = n
				}
				if lost > 0 {
					cuts++
				}
			}
			if cuts < 50/servertest.Stride {
				t.Errorf("up %v, again %v: the connection was cut in only %d places", up, again, cuts)
			}
		}
	}
}

func TestLostServerIsTriedForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv)
		j.write("something")
		for _, retry := range []time.Duration{0, time.Minute} {
			r := watch(t, srv, retry)
			synctest.Wait()
			start := time.Now()
			srv.Down(true)
			srv.HangUp()
			err := <-r.done
			if !server.Lost(err) || time.Since(start) != retry {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			if want := int(min(retry, 1)); len(r.says()) != want {
				t.Errorf("%q", r.says())
			}
			srv.Down(false)
		}
	})
}

// TestStreamsOfALostServerComeBackTogether: one connection, said once.
func TestStreamsOfALostServerComeBackTogether(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		begin(t, srv)
		r := watch(t, srv, time.Minute)
		second, err := r.line.Open(t.Context(), "build", false)
		if err != nil {
			t.Fatal(err)
		}
		second.Back = func(off int64) { r.say("second") }
		done := make(chan error, 1)
		go func() { // ends with the hub
			done <- second.Copy(t.Context(), 0, func(Block) error { return nil })
		}()
		synctest.Wait()
		srv.HangUp()
		synctest.Wait()
		time.Sleep(time.Second)
		j := &job{t, srv.Server(), nil}
		j.ctl("end", "build", "exit", "0")
		if err := errors.Join(<-r.done, <-done); err != nil {
			t.Error(err)
		}
		said := r.says()
		slices.Sort(said)
		if !slices.Equal(said, []string{"back at 0", "lost", "second"}) {
			t.Errorf("%q", said)
		}
	})
}

func TestHubOfAnotherRunIsNotFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv)
		j.write("ours")
		r := watch(t, srv, time.Minute)
		synctest.Wait()
		srv.Down(true)
		srv.Restart()
		srv.Down(false)
		j = begin(t, srv)
		j.write("others'")
		err := <-r.done
		if err == nil || err.Error() != "server is back without hub build: how its producer ended is not known" || r.got.String() != "ours" {
			t.Errorf("%v, %q", err, &r.got)
		}
	})
}

func TestMissedBytesAreSaid(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv)
		j.ctl("size", "build", "4096")
		j.write("something")
		r := watch(t, srv, time.Minute)
		synctest.Wait()
		srv.Down(true)
		srv.HangUp()
		synctest.Wait()
		srv.Down(false)
		j = &job{t, srv.Server(), nil}
		var err error
		if j.f, err = j.srv.Open(t.Context(), "/build", client.OWRITE); err != nil {
			t.Fatal(err)
		}
		j.write(strings.Repeat("x", 10000))
		j.ctl("end", "build")
		if err := <-r.done; err != nil {
			t.Error(err)
		}
		if want := []string{"lost", "back at 9", "skipped 5904"}; !slices.Equal(r.says(), want) || r.got.Len() != 9+4096 {
			t.Errorf("%q, %d bytes", r.said, r.got.Len())
		}
	})
}

func TestMarksAreNoEndAndRemovalIs(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv)
		r := watch(t, srv, time.Minute)
		synctest.Wait()
		j.write("one")
		j.ctl("eof", "build")
		j.write("two")
		j.ctl("freeze", "build")
		synctest.Wait()
		j.ctl("melt", "build")
		j.write("three")
		synctest.Wait()
		if r.got.String() != "onetwothree" {
			t.Errorf("%q", &r.got)
		}
		if err := j.srv.Remove(t.Context(), "/build"); err != nil {
			t.Fatal(err)
		}
		j.f.Close()
		r.srv.HangUp()
		// Whichever it sees first: that the removed hub has ended with its last
		// writer, or that the server is back without it.
		if err := <-r.done; err == nil || !strings.Contains(err.Error(), "hub build") || !strings.HasSuffix(err.Error(), "how its producer ended is not known") {
			t.Error(err)
		}
	})
}

func TestStart(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv)
		began := time.Now()
		for i := range 10 {
			j.write(fmt.Sprintf("line %d\n", i))
			time.Sleep(10 * time.Second)
		}
		j.write("unfini")
		time.Sleep(10 * time.Second)
		j.write("shed")
		line := NewLine(srv.Server(), nil, 0, nil)
		s, err := line.Open(t.Context(), "build", true)
		if err != nil {
			t.Fatal(err)
		}
		at := func(sec int) time.Time { return began.Add(time.Duration(sec)*time.Second + time.Millisecond) }
		for _, tt := range []struct {
			place Place
			want  int64
		}{
			{Place{Lines: -1}, 0},
			{Place{Lines: 0}, 80},
			{Place{Lines: 2}, 63},
			{Place{Lines: -1, Since: began.Add(-time.Hour)}, 0},
			{Place{Lines: -1, Since: at(45)}, 35},
			{Place{Lines: 2, Since: at(45)}, 63},
			{Place{Lines: 9, Since: at(45)}, 35},
			{Place{Lines: -1, Since: at(105)}, 70}, // the whole of a line that goes on
			{Place{Lines: -1, Since: at(1000)}, 70},
		} {
			if got, err := s.Start(t.Context(), tt.place); err != nil || got != tt.want {
				t.Errorf("%+v: %d, %v; want %d", tt.place, got, err, tt.want)
			}
		}
		for off, want := range map[int64]int{0: 0, 6: 0, 7: 10, 69: 90, 70: 100} {
			if got := s.Times.Of(off, time.Now()).Sub(began); got < time.Duration(want)*time.Second || got > time.Duration(want+1)*time.Second {
				t.Errorf("byte %d came after %v, want %d s", off, got, want)
			}
		}
		if now := time.Now(); s.Times.Of(80, now) != now {
			t.Error("what comes has the time at which it is read")
		}
	})
}

func TestCopyEndsWithItsContextAndItsTaker(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv)
		j.write("something")
		line := NewLine(srv.Server(), srv.Connect, time.Minute, func() {})
		s, err := line.Open(t.Context(), "build", false)
		if err != nil {
			t.Fatal(err)
		}
		full := errors.New("the disk is full")
		if err := s.Copy(t.Context(), 0, func(Block) error { return full }); err != full {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := s.Copy(ctx, 0, func(Block) error { return nil }); err != context.Canceled {
			t.Error(err)
		}
	})
}

// TestHistoryComesWholeAndInOrder, though several blocks of it are under way at
// a time: also if the connection is cut in the middle of it, if some of it is
// discarded meanwhile, and if nobody wants the rest.
func TestHistoryComesWholeAndInOrder(t *testing.T) {
	const size = 7*blockSize + 1000
	history := make([]byte, size)
	for i := range history {
		history[i] = byte(i ^ i>>8 ^ i>>16)
	}
	write := func(t *testing.T, srv *servertest.Server) *job {
		j := begin(t, srv)
		j.ctl("size", "build", fmt.Sprint(size))
		for p := range slices.Chunk(history, 100_000) {
			j.write(string(p))
		}
		return j
	}
	for _, cut := range []int{0, blockSize / 2, 3 * blockSize, 6*blockSize + 5000, size} {
		bubble(t, func(t *testing.T, srv *servertest.Server) {
			j := write(t, srv)
			srv.Cut(servertest.Cut{Down: cut})
			r := watch(t, srv, time.Minute)
			j.ctl("end", "build")
			if err := <-r.done; err != nil || !bytes.Equal(r.got.Bytes(), history) {
				t.Errorf("cut after %d bytes: %v, %d bytes of %d, %q", cut, err, r.got.Len(), size, r.says())
			}
		})
	}
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := write(t, srv)
		line := NewLine(srv.Server(), srv.Connect, time.Minute, func() {})
		s, err := line.Open(t.Context(), "build", false)
		if err != nil {
			t.Fatal(err)
		}
		var skipped atomic.Int64
		s.Skipped = func(n int64) { skipped.Add(n) }
		var got, next int64
		s.Copy(t.Context(), 0, func(b Block) error {
			if b.Off == 0 {
				synctest.Wait()
				j.ctl("size", "build", fmt.Sprint(blockSize))
			}
			if b.Off+int64(len(b.Data)) == size {
				j.ctl("end", "build")
			}
			if b.Off < next || !bytes.Equal(b.Data, history[b.Off:][:len(b.Data)]) {
				t.Errorf("at %d, behind %d: not what is there", b.Off, next)
			}
			got, next = got+int64(len(b.Data)), b.Off+int64(len(b.Data))
			return nil
		})
		if n := skipped.Load(); got+n != size || n == 0 {
			t.Errorf("%d bytes and %d skipped", got, n)
		}
		full := errors.New("the disk is full")
		if err := s.Copy(t.Context(), s.Hub.First, func(Block) error { return full }); err != full {
			t.Error(err)
		}
	})
}
