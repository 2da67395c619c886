package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/servertest"
)

// A job is what is fed to a hub of a server in a test.
type job struct {
	t     *testing.T
	srv   *servertest.Server
	f     *Feed
	in    *Intake
	wrote bytes.Buffer

	mu    sync.Mutex
	notes []string // guarded by mu; synctest.Wait and Finish come before a look
}

func (j *job) say(n Note) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.notes = append(j.notes, noted(n))
}

// begin starts to feed a hub called build.
func begin(t *testing.T, srv *servertest.Server, change func(*Config)) *job {
	t.Helper()
	first, err := srv.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Claim(t.Context(), "build"); err != nil {
		t.Fatal(err)
	}
	return beginOn(t, srv, first, change)
}

func beginOn(t *testing.T, srv *servertest.Server, first *server.Server, change func(*Config)) *job {
	t.Helper()
	j := &job{t: t, srv: srv}
	cfg := Config{
		Backlog: 100 << 10, Patience: time.Minute, Retry: -1,
		Say: j.say,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if j.f, err = Begin(t.Context(), first, "build", srv.Connect, cfg); err != nil {
		t.Fatal(err)
	}
	j.in = j.f.Intake()
	return j
}

func noted(n Note) string {
	switch n.Kind {
	case Lost:
		return "lost"
	case Back:
		return fmt.Sprintf("back at %d", n.At)
	case Alone:
		return fmt.Sprintf("alone over=%v: %v", n.Over, n.Err)
	}
	return fmt.Sprintf("not ended: %v", n.Err)
}

// write is what the job writes.
func (j *job) write(p string) {
	for len(p) > 0 {
		n := copy(j.in.Room(), p)
		j.in.Add(n)
		j.wrote.WriteString(p[:n])
		p = p[n:]
	}
}

// hub returns what the hub holds, and how it ended.
func (j *job) hub() (content, end string) {
	j.t.Helper()
	return hubOf(j.t, j.srv)
}

func hubOf(t *testing.T, s *servertest.Server) (content, end string) {
	t.Helper()
	s.Cut() // no more
	srv := s.Server()
	h, ok, err := srv.Hub(t.Context(), "build")
	if err != nil || !ok {
		t.Fatalf("no hub build: %v", err)
	}
	f, err := srv.Open(t.Context(), "/build@", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, h.Next)
	for n := int64(0); n < h.Next; {
		m, err := f.ReadAtContext(t.Context(), b[n:], n)
		if err != nil {
			t.Fatal(err)
		}
		n += int64(m)
	}
	return string(b), h.End
}

// has fails unless the hub has all that the job wrote, and its status.
func (j *job) has(err error) {
	j.t.Helper()
	got, end := j.hub()
	if err != nil || got != j.wrote.String() || end != "exit 3" {
		j.t.Errorf("%v; the hub has %d bytes of %d, equal: %v, and ended %q; %q", err, len(got), j.wrote.Len(), got == j.wrote.String(), end, j.notes)
	}
}

func bubble(t *testing.T, test func(t *testing.T, srv *servertest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, servertest.New(t)) })
}

func TestFeedBringsAllInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		j.write("one ")
		j.write("two ")
		synctest.Wait()
		j.write(strings.Repeat("more than a chunk ", 10000))
		synctest.Wait()
		j.write("three")
		j.has(j.f.Finish("exit 3"))
		if len(j.notes) > 0 {
			t.Error(j.notes)
		}
	})
}

// TestEachByteArrivesOnceWhereverTheConnectionIsCut cuts the connection after
// each byte that goes up, and after each that comes down, also within what
// proves on the second connection that it is the same hub.
func TestEachByteArrivesOnceWhereverTheConnectionIsCut(t *testing.T) {
	run := func(t *testing.T, cut servertest.Cut, again bool) (broken int) {
		bubble(t, func(t *testing.T, srv *servertest.Server) {
			setup := srv.Server()
			if f, err := setup.Claim(t.Context(), "build"); err != nil {
				t.Fatal(err)
			} else {
				f.Close()
			}
			if again {
				srv.Cut(servertest.Cut{}, cut)
			} else {
				srv.Cut(cut)
			}
			conn, err := srv.Connect(t.Context())
			if err != nil { // cut before the feed began
				broken = -1
				return
			}
			j := beginAfter(t, srv, conn)
			if j == nil {
				broken = -1
				return
			}
			j.write("the first write, ")
			if again {
				srv.HangUp()
			}
			synctest.Wait()
			j.write("the second, ")
			j.write("the third, ")
			j.write(strings.Repeat("and a long one ", 20))
			j.has(j.f.Finish("exit 3"))
			broken = len(j.notes) / 2
		})
		return broken
	}
	for _, up := range []bool{true, false} {
		for _, again := range []bool{false, true} {
			least := 0 // connections that are lost even without a cut
			if again {
				least = 1
			}
			cuts, begun := 0, false
			for n := 1; !t.Failed(); n += servertest.Stride {
				cut := servertest.Cut{Down: n}
				if up {
					cut = servertest.Cut{Up: n}
				}
				lost := run(t, cut, again)
				if t.Failed() {
					t.Logf("up %v, again %v, after %d bytes", up, again, n)
				}
				begun = begun || lost > least
				if lost > least {
					cuts++
				} else if begun {
					break // everything passes before the cut
				}
			}
			if cuts < 80/servertest.Stride {
				t.Errorf("up %v, again %v: the connection was cut in only %d places", up, again, cuts)
			}
		}
	}
}

// beginAfter is beginOn where the connection may be cut meanwhile: then it
// returns nil.
func beginAfter(t *testing.T, srv *servertest.Server, conn *server.Server) *job {
	j := &job{t: t, srv: srv}
	cfg := Config{Backlog: 100 << 10, Patience: time.Minute, Retry: -1, Say: j.say}
	var err error
	if j.f, err = Begin(t.Context(), conn, "build", srv.Connect, cfg); err != nil {
		conn.Close()
		return nil
	}
	j.in = j.f.Intake()
	return j
}

func TestFeedGoesOnAtTheVeryByte(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		j.write("before ")
		synctest.Wait()
		srv.Down(true)
		srv.HangUp()
		synctest.Wait()
		j.write("meanwhile ")
		time.Sleep(time.Hour)
		srv.Down(false)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		j.write("after")
		j.has(j.f.Finish("exit 3"))
		if !slices.Equal(j.notes, []string{"lost", "back at 7"}) {
			t.Errorf("%q", j.notes)
		}
	})
}

// TestHubOfAnotherRunIsNotTaken: the server came back, but without the hub, and
// somebody else has made one of that name.
func TestHubOfAnotherRunIsNotTaken(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		j.write("before ")
		synctest.Wait()
		srv.Restart()
		other, err := srv.Server().Claim(t.Context(), "build")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.WriteContext(t.Context(), []byte("others'")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		j.write("after")
		err = j.f.Finish("exit 3")
		if got, end := j.hub(); err == nil || got != "others'" || end != "" {
			t.Errorf("%v; the others' hub has %q and ended %q", err, got, end)
		}
		if len(j.notes) != 2 || j.notes[1] != "alone over=false: server is back without hub build" {
			t.Errorf("%q", j.notes)
		}
	})
}

// TestFeedHardlyWaitsForTheServer, and the hub gets a beginning without a gap.
func TestFeedHardlyWaitsForTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		ctl := srv.Server()
		j := begin(t, srv, nil)
		if err := ctl.Ctl(t.Context(), "freeze", "build"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		start := time.Now()
		for range 20 {
			j.write(strings.Repeat("x", 10<<10))
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("the output has waited for %v", waited)
		}
		if !slices.Equal(j.notes, []string{"alone over=false: the server does not keep up"}) {
			t.Errorf("%q", j.notes)
		}
		if err := ctl.Ctl(t.Context(), "melt", "build"); err != nil {
			t.Fatal(err)
		}
		err := j.f.Finish("exit 3")
		got, end := j.hub()
		if err != ErrBehind || !strings.HasPrefix(j.wrote.String(), got) || len(got) < 80<<10 || end != "exit 3 incomplete" || len(j.notes) != 1 {
			t.Errorf("%v; %d bytes, ended %q, %q", err, len(got), end, j.notes)
		}
	})
}

// TestSlowServerCostsAFifthOfTheTime, and a second.
func TestSlowServerCostsAFifthOfTheTime(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		if err := srv.Server().Ctl(t.Context(), "limit", "build", "100000"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		start := time.Now()
		for len(j.notes) == 0 {
			j.write(strings.Repeat("x", 10<<10))
		}
		if waited := time.Since(start); waited < 10*time.Second || waited > 13*time.Second {
			t.Errorf("the output has waited for %v", waited)
		}
		if err := j.f.Finish("exit 3"); err != ErrBehind {
			t.Error(err)
		}
	})
}

// TestLostServerIsNotWaitedForWithoutWait: the backlog is all that it costs.
func TestLostServerIsNotWaitedForWithoutWait(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, func(c *Config) { c.Fear = true })
		srv.Down(true)
		srv.HangUp()
		start := time.Now()
		synctest.Wait()
		for range 20 {
			j.write(strings.Repeat("x", 10<<10))
		}
		if time.Since(start) > 0 {
			t.Error("it has waited")
		}
		synctest.Wait()
		if !slices.Equal(j.notes, []string{"lost", "alone over=false: connection lost for too long"}) {
			t.Errorf("%q", j.notes)
		}
		j.f.Finish("exit 3")
	})
}

func TestWaitWaitsForALostServer(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, func(c *Config) { c.Wait = true })
		srv.Down(true)
		srv.HangUp()
		synctest.Wait()
		go func() { // ends before Finish returns
			time.Sleep(time.Hour)
			srv.Down(false)
		}()
		start := time.Now()
		for range 20 {
			j.write(strings.Repeat("x", 10<<10))
		}
		if waited := time.Since(start); waited < time.Hour || waited > time.Hour+10*time.Second {
			t.Errorf("it has waited for %v", waited)
		}
		j.has(j.f.Finish("exit 3"))
	})
}

// slowReader opens the hub in fear, so that writers wait for it.
func slowReader(t *testing.T, srv *servertest.Server) (read func()) {
	t.Helper()
	s := srv.Server()
	for _, words := range [][]string{{"fear", "build"}, {"size", "build", "4096"}} {
		if err := s.Ctl(t.Context(), words...); err != nil {
			t.Fatal(err)
		}
	}
	f, err := s.Open(t.Context(), "/build", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		b := make([]byte, 1<<20)
		for {
			if _, err := f.ReadContext(t.Context(), b); err != nil {
				return
			}
		}
	}
}

func TestFearWaitsForReadersAndSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		var mu sync.Mutex
		var slow []time.Duration // guarded by mu
		start := time.Now()
		j := begin(t, srv, func(c *Config) {
			c.Fear = true
			c.Slow = func(context.Context) {
				mu.Lock()
				defer mu.Unlock()
				slow = append(slow, time.Since(start))
			}
		})
		read := slowReader(t, srv)
		written := make(chan struct{})
		go func() { // ends when the reader reads
			defer close(written)
			for range 20 {
				j.write(strings.Repeat("x", 10<<10))
			}
		}()
		time.Sleep(time.Minute)
		select {
		case <-written:
			t.Error("it has not waited")
		default:
		}
		synctest.Wait()
		mu.Lock()
		if want := []time.Duration{5 * time.Second, 15 * time.Second, 35 * time.Second}; !slices.Equal(slow, want) {
			t.Errorf("said after %v, want %v", slow, want)
		}
		mu.Unlock()
		go read() // ends with the hub
		<-written
		if err := j.f.Finish("exit 3"); err != nil || len(j.notes) > 0 {
			t.Errorf("%v, %q", err, j.notes)
		}
	})
}

// TestHurryEndsTheWait for readers and for the server: of who adds, and of who
// finishes.
func TestHurryEndsTheWait(t *testing.T) {
	for name, lost := range map[string]bool{"readers": false, "server": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, srv *servertest.Server) {
				j := begin(t, srv, func(c *Config) { c.Fear, c.Wait = true, true })
				slowReader(t, srv)
				if lost {
					srv.Down(true)
					srv.HangUp()
				}
				finished := make(chan error, 1)
				go func() { // ends after Hurry
					for range 20 {
						j.write(strings.Repeat("x", 10<<10))
					}
					finished <- j.f.Finish("exit 3")
				}()
				time.Sleep(time.Hour)
				select {
				case <-finished:
					t.Fatal("it has not waited")
				default:
				}
				start := time.Now()
				j.f.Hurry()
				if err := <-finished; err == nil || time.Since(start) > 5*time.Minute {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// TestEndWaitsOnlyForAServerThatTakesSomething
func TestEndWaitsOnlyForAServerThatTakesSomething(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		if err := srv.Server().Ctl(t.Context(), "freeze", "build"); err != nil {
			t.Fatal(err)
		}
		j.write("never taken")
		synctest.Wait()
		start := time.Now()
		err := j.f.Finish("exit 3")
		if err != ErrBehind || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if !slices.Equal(j.notes, []string{"alone over=true: the server does not keep up"}) {
			t.Errorf("%q", j.notes)
		}
	})
}

// TestEndWaitsForALostServerForAWhile, but not again if that has passed before.
func TestEndWaitsForALostServerForAWhile(t *testing.T) {
	for before, most := range map[time.Duration]time.Duration{0: 66 * time.Second, time.Hour: 0} {
		bubble(t, func(t *testing.T, srv *servertest.Server) {
			j := begin(t, srv, nil)
			j.write("something")
			synctest.Wait()
			srv.Down(true)
			srv.HangUp()
			synctest.Wait()
			time.Sleep(before)
			start := time.Now()
			err := j.f.Finish("exit 3")
			if !errors.Is(err, client.ErrLost) || time.Since(start) > most {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			if len(j.notes) != 2 || !strings.HasPrefix(j.notes[1], "alone over=true: connection lost") {
				t.Errorf("%q", j.notes)
			}
		})
	}
}

func TestEndComesThoughTheConnectionWasLostMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		j.write("something")
		synctest.Wait()
		srv.Down(true)
		srv.HangUp()
		go func() { // ends before Finish returns
			time.Sleep(20 * time.Second)
			srv.Down(false)
		}()
		j.has(j.f.Finish("exit 3"))
	})
}

func TestLostServerIsNotTriedWithoutRetry(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, func(c *Config) { c.Retry = 0 })
		srv.HangUp()
		synctest.Wait()
		if len(j.notes) != 1 || !strings.HasPrefix(j.notes[0], "alone over=false: connection lost") {
			t.Errorf("%q", j.notes)
		}
		j.f.Finish("exit 3")
	})
}

// TestAnotherHubOfTheNameIsNotEnded: ours was removed, and somebody has made one
// of the same name.
func TestAnotherHubOfTheNameIsNotEnded(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, nil)
		j.write("ours")
		synctest.Wait()
		other := srv.Server()
		if err := other.Remove(t.Context(), "/build"); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Claim(t.Context(), "build"); err != nil {
			t.Fatal(err)
		}
		j.f.Finish("exit 3")
		if h, ok, err := other.Hub(t.Context(), "build"); err != nil || !ok || h.Ended() {
			t.Errorf("the other hub: %+v, %v", h, err)
		}
		if len(j.notes) != 1 || j.notes[0] != "not ended: it was removed" {
			t.Errorf("%q", j.notes)
		}
	})
}

// TestOthersWritesAreMixedAndNothingIsLost: where somebody else writes the hub,
// our bytes have no offsets to go by any more.
func TestOthersWritesAreMixedAndNothingIsLost(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		other, err := srv.Server().Claim(t.Context(), "build")
		if err != nil {
			t.Fatal(err)
		}
		first, err := srv.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		j := beginOn(t, srv, first, nil)
		j.write("ours ")
		synctest.Wait()
		if _, err := other.WriteContext(t.Context(), []byte("others' ")); err != nil {
			t.Fatal(err)
		}
		j.write("more ")
		synctest.Wait()
		j.write("and more")
		err = j.f.Finish("exit 3")
		got, end := j.hub()
		if err != nil || got != "ours others' more and more" || end != "exit 3" {
			t.Errorf("%v, %q, %q; %q", err, got, end, j.notes)
		}
	})
}

func TestRefusedWriteEndsTheFeed(t *testing.T) {
	bubble(t, func(t *testing.T, srv *servertest.Server) {
		j := begin(t, srv, func(c *Config) { c.Wait = true })
		if err := srv.Server().Ctl(t.Context(), "end", "build"); err != nil {
			t.Fatal(err)
		}
		j.write("one")
		synctest.Wait()
		j.write(strings.Repeat("two", 100<<10))
		if err := j.f.Finish("exit 3"); err == nil || !strings.Contains(err.Error(), "hub build has ended") || len(j.notes) != 1 {
			t.Errorf("%v, %q", err, j.notes)
		}
	})
}
