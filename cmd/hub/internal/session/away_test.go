package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/servertest"
	"hubfs/transport"
)

// A lent is a shell that the test itself runs: what is typed comes to it, and
// what it writes is shown.
type lent struct {
	t   *testing.T
	out *client.File
	ctl *client.File
	got *shown // what was typed
	ask *shown // words for the host: sizes
}

// lend makes a shell called s.
func lend(t *testing.T, s *servertest.Server) *lent {
	t.Helper()
	ctx := t.Context()
	srv := s.Server()
	ctl, err := srv.OpenWrite(ctx, "/ctl", client.ORDWR, []byte("host s\n"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := srv.Open(ctx, "/s0", client.OREAD)
	if err != nil {
		t.Fatal(err)
	}
	out, err := srv.Open(ctx, "/s1", client.OWRITE)
	if err != nil {
		t.Fatal(err)
	}
	l := &lent{t: t, out: out, ctl: ctl, got: newShown(), ask: newShown()}
	take := func(f *client.File, to *shown) { // ends with the connection
		buf := make([]byte, 8<<10)
		for {
			n, err := f.ReadContext(ctx, buf)
			if n > 0 {
				to.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}
	go take(in, l.got)
	go take(ctl, l.ask)
	return l
}

func (l *lent) writes(text string) {
	l.t.Helper()
	if _, err := l.out.WriteContext(l.t.Context(), []byte(text)); err != nil {
		l.t.Error(err)
	}
}

// exits ends the shell.
func (l *lent) exits(code int) {
	l.t.Helper()
	if _, err := l.ctl.WriteContext(l.t.Context(), fmt.Appendf(nil, "exit %d\n", code)); err != nil {
		l.t.Error(err)
	}
}

// attached is somebody at a terminal in front of shell s, or at none, whose
// connection is the one that was made last.
func attached(t *testing.T, s *servertest.Server, tty bool, set func(*Config)) *person {
	t.Helper()
	p := sit(t, t.Context(), "s", tty, func(cfg *Config) {
		cfg.Server, cfg.Again = s.Server(), s.Connect
		if set != nil {
			set(cfg)
		}
	})
	synctest.Wait()
	return p
}

// cutOff ends the person's connection, and has the server be out of reach.
func cutOff(s *servertest.Server) {
	s.Down(true)
	s.HangUpLast()
	synctest.Wait()
}

// pass lets so much time pass.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

// Whatever byte a connection is cut after, in either direction, a thousand
// times: what was typed is typed once and in order, and what is written is shown
// so.
func TestEveryByteOnceOverAThousandCuts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const rounds = 1000
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		var cuts []servertest.Cut
		for range rounds {
			cut := servertest.Cut{Up: 1 + rnd.IntN(6000), Down: 1 + rnd.IntN(20000)}
			if rnd.IntN(2) == 0 {
				cut.Up = 0
			}
			cuts = append(cuts, cut)
		}
		var tries atomic.Int64
		p := attached(t, s, false, func(cfg *Config) {
			cfg.History = -1
			again := cfg.Again
			cfg.Again = func(ctx context.Context) (*server.Server, error) {
				tries.Add(1)
				return again(ctx)
			}
		})
		s.Cut(cuts...)
		s.HangUpLast()
		// Both ways flow for all of the time, and not far ahead of who takes it.
		var work sync.WaitGroup
		flow := func(all *bytes.Buffer, most int, put func(string), taken *shown) {
			rnd := rand.New(rand.NewPCG(seed, uint64(most)))
			work.Go(func() { // ends when the cuts are over
				for tries.Load() < rounds+1 {
					piece := make([]byte, 1+rnd.IntN(1+rnd.IntN(most)))
					for i := range piece {
						piece[i] = 'a' + byte(rnd.IntN(26))
					}
					piece[len(piece)-1] = '\n'
					all.Write(piece)
					put(string(piece))
					taken.reaches(all.Len() - most)
				}
			})
		}
		var typed, written bytes.Buffer
		flow(&typed, 3000, p.types, l.got)
		flow(&written, 9000, l.writes, p.out)
		work.Wait()
		l.got.reaches(typed.Len())
		p.out.reaches(written.Len())
		synctest.Wait()
		same(t, "typed", []byte(l.got.String()), typed.Bytes())
		same(t, "shown", []byte(p.out.String()), written.Bytes())
		l.exits(3)
		if end := p.leaves(); end.ExitCode() != 3 {
			t.Errorf("%+v", end)
		}
	})
}

// reaches waits until so many bytes have been seen.
func (s *shown) reaches(n int) {
	for {
		s.mu.Lock()
		size, changed := s.all.Len(), s.changed
		s.mu.Unlock()
		if size >= n {
			return
		}
		<-changed
	}
}

func (s *shown) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Len()
}

// same tells where two streams differ.
func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("%s: %d bytes, want %d; they differ at %d: %.40q, want %.40q", what, len(got), len(want), i, got[i:], want[i:])
}

func TestLostConnectionIsSaidOnTheLastRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		l.writes("one\r\ntwo $ ")
		p.out.expect(t, "two $ ")
		cutOff(s)
		before := p.out.size()
		pass(900 * time.Millisecond)
		if n := p.out.size(); n != before {
			t.Errorf("said too soon: %q", p.out.String())
		}
		pass(3300 * time.Millisecond)
		p.out.expect(t, `hub: connection lost, 1 s; Ctrl-\ d leaves`)
		p.out.expect(t, "\x1b7\x1b[24;1H\x1b[;7mhub: connection lost, 4 s; Ctrl-\\ d leaves\x1b[m\x1b[K\x1b8")

		// What is typed and written meanwhile is not lost, and a terminal that
		// has another size by now votes for it.
		p.types("typed")
		p.resizes(30, 100)
		l.writes("three")
		pass(time.Second)
		s.Down(false)
		pass(10 * time.Second)
		p.out.expect(t, "\x1b7\x1b[30;1H\x1b[m\x1b[2K\x1b8") // the line is gone,
		p.out.expect(t, "\x1b[2J")                           // the screen is shown again,
		p.out.expect(t, "one\r\ntwo $ ")
		p.out.expect(t, "three") // and the output goes on at the very byte
		if got := p.out.String(); strings.Count(got, "three") != 1 {
			t.Errorf("shown: %q", got)
		}
		l.got.expect(t, "typed")
		l.ask.expect(t, "size 29 100\nsize 30 100\n") // programs draw their screen again
		if sh, err := s.Server().Shell(t.Context(), "s"); err != nil || sh.Rows != 30 || sh.Cols != 100 || sh.Clients != 1 {
			t.Errorf("%+v, %v", sh, err)
		}
		p.types(" more\x1cd")
		if end := p.leaves(); end.String() != "detached from s" {
			t.Errorf("%v", end)
		}
		synctest.Wait()
		if got := l.got.String(); got != "typed more" {
			t.Errorf("typed: %q", got)
		}
	})
}

// Nobody has to wait for the end of a pause.
func TestRedrawTriesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		cutOff(s)
		pass(5 * time.Minute)
		s.Down(false)
		since := time.Now()
		p.types("typed\x1cr")
		l.got.expect(t, "typed")
		if took := time.Since(since); took > 0 {
			t.Errorf("it took %v", took)
		}
		p.types("\x1cd")
		p.leaves()
	})
}

// A line over the last row may come between the bytes of one sequence.
func TestLineOfOursBreaksNoSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		for _, part := range [][2]string{{"\x1b[3", "1mred"}, {"\xe2\x82", "\xacuro"}, {"\x1b[?1049h\x1b[4", "4mblue"}} {
			l.writes("$" + part[0])
			p.out.expect(t, "$"+part[0])
			cutOff(s)
			pass(2 * time.Second)
			p.out.expect(t, "connection lost, 2 s")
			s.Down(false)
			l.writes(part[1])
			p.out.expect(t, part[0][strings.LastIndexByte(part[0], '$')+1:][max(0, strings.LastIndex(part[0], "\x1b")):]+part[1])
		}
		p.types("\x1cd")
		p.leaves()
	})
}

func TestShortLossIsNotSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		l.writes("one ")
		p.out.expect(t, "one ")
		s.HangUpLast()
		synctest.Wait()
		l.writes("two")
		p.out.expect(t, "two")
		if got := p.out.String(); got != "one two" {
			t.Errorf("shown: %q", got)
		}
		p.types("\x1cd")
		p.leaves()
	})
}

func TestPrefixLeavesWhileTheConnectionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		lend(t, s)
		p := attached(t, s, true, nil)
		p.types("taken ")
		pass(time.Second)
		cutOff(s)
		p.types("not taken")
		pass(3 * time.Second)
		since := time.Now()
		p.types("\x1cd")
		if end := p.leaves(); end.String() != "detached from s; 9 typed bytes were not taken" || end.ExitCode() != 0 {
			t.Errorf("%v", end)
		}
		if took := time.Since(since); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Of bytes that were under way it is not known whether they were taken.
func TestPerhapsTakenIsSaid(t *testing.T) {
	if got := (End{Shell: "s", Untaken: 9, Perhaps: 4}).String(); got != "detached from s; 9 typed bytes were not taken, of which 4 may have been" {
		t.Error(got)
	}
	o := &outbox{ctx: t.Context(), open: true, kept: []byte("sent, not"), tried: 4}
	if n, perhaps := o.untaken(); n != 9 || perhaps != 4 {
		t.Error(n, perhaps)
	}
}

func TestCommandsWhileTheConnectionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		cutOff(s)
		p.types("kept")
		for keys, want := range map[string]string{
			"\x1cn":            "hub: the connection is lost",
			"\x1cl":            "what is typed is kept",
			"\x1c%list\r":      "hub: the connection is lost",
			"\x1c%title x\r":   "hub: the connection is lost",
			"\x1c%attach b\r":  "hub: the connection is lost",
			"\x1cs":            "4 typed bytes wait",
			"\x1c%status\r":    "last try: server unreachable",
			"\x1c?":            "detach; the shell goes on",
			"\x1c%in 5\r\x1cs": "connection lost",
			"\x1c%nosuch\r":    "no command %nosuch",
		} {
			p.types(keys)
			p.out.expect(t, want)
			p.types(" ")
		}
		s.Down(false)
		pass(10 * time.Second)
		l.got.expect(t, "kept")
		p.types("\x1c%detach\r")
		p.leaves()
	})
}

// A server that came back without the shell, or with another of its name, is
// not gone on with.
func TestAnotherShellOfTheNameIsNotOurs(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *servertest.Server){
		"no shell": func(t *testing.T, s *servertest.Server) {
			if err := s.Server().Ctl(t.Context(), "rm", "s"); err != nil {
				t.Fatal(err)
			}
		},
		"another shell": func(t *testing.T, s *servertest.Server) {
			if err := s.Server().Ctl(t.Context(), "rm", "s"); err != nil {
				t.Fatal(err)
			}
			lend(t, s)
		},
		"another run": func(t *testing.T, s *servertest.Server) {
			s.Restart()
			lend(t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := servertest.New(t)
				l := lend(t, s)
				p := attached(t, s, true, nil)
				cutOff(s)
				p.types("lost")
				l.exits(0)
				s.Down(false)
				change(t, s)
				<-p.done
				var e *server.Error
				if !errors.As(p.fail, &e) || !errors.Is(p.fail, ErrLost) || !errors.Is(p.fail, client.ErrLost) ||
					e.Text != "server test is back without the shell s that was here; 4 typed bytes were not taken" {
					t.Errorf("%v", p.fail)
				}
				if p.raw.Load() {
					t.Error("the terminal was left in raw mode")
				}
			})
		})
	}
}

// The shells of a server of this machine that does not run are gone.
func TestLocalServerThatIsGoneEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		lend(t, s)
		p := attached(t, s, true, func(cfg *Config) {
			cfg.Again = func(context.Context) (*server.Server, error) {
				return nil, fmt.Errorf("%w: %w: %w", server.ErrUnreachable, transport.ErrNotRunning, syscall.ECONNREFUSED)
			}
		})
		since := time.Now()
		cutOff(s)
		<-p.done
		if !errors.Is(p.fail, ErrLost) || p.fail.Error() != "connection to server lost" || time.Since(since) > 0 {
			t.Errorf("after %v: %v", time.Since(since), p.fail)
		}
	})
}

// Whoever is refused is not let in by asking again.
func TestRefusalEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		lend(t, s)
		p := attached(t, s, true, func(cfg *Config) {
			cfg.Again = func(context.Context) (*server.Server, error) {
				return nil, fmt.Errorf("%w: %w", server.ErrUnreachable, &client.Error{Text: "permission denied: this server wants a token"})
			}
		})
		cutOff(s)
		<-p.done
		if !errors.Is(p.fail, ErrLost) {
			t.Errorf("%v", p.fail)
		}
	})
}

func TestShellThatEndedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		l.writes("first ")
		p.out.expect(t, "first ")
		cutOff(s)
		l.writes("last")
		l.exits(7)
		s.Down(false)
		if end := p.leaves(); end.ExitCode() != 7 {
			t.Errorf("%v", end)
		}
		if got := p.out.String(); !strings.HasPrefix(got, "first last") {
			t.Errorf("shown: %q", got)
		}
	})
}

// Without a terminal nobody can leave: the end of the input does, when what was
// typed before it is sent; and a server that does not come back is given up.
func TestScriptsInputIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, false, nil)
		cutOff(s)
		p.types("make all\n")
		p.keys.Close()
		pass(20 * time.Second)
		p.err.expect(t, "hub: connection lost, trying again")
		s.Down(false)
		if end := p.leaves(); end.Untaken != 0 {
			t.Errorf("%v", end)
		}
		l.got.expect(t, "make all\n")

		q := attached(t, s, false, nil)
		pass(time.Second)
		cutOff(s)
		q.types("never")
		<-q.done
		if q.fail == nil || q.fail.Error() != "connection to server lost; 5 typed bytes were not taken" {
			t.Errorf("%v", q.fail)
		}
	})
}

// What is typed while there is no connection is kept as far as there is room,
// and it is said what is not.
func TestTypedBeyondRoomIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		l := lend(t, s)
		p := attached(t, s, true, nil)
		cutOff(s)
		piece := strings.Repeat("x", 1<<20)
		for range 18 {
			p.types(piece)
		}
		p.types("yyy")
		pass(2 * time.Second)
		const fits = outQueue + 32<<10 // the last read of keys fits, too
		p.out.expect(t, fmt.Sprintf("leaves; no room for %d bytes typed", 18<<20+3-fits))
		s.Down(false)
		pass(20 * time.Second)
		if n := l.got.size(); n != fits || strings.Contains(l.got.String(), "y") {
			t.Errorf("%d bytes have come", n)
		}
		p.types("\x1cd")
		if end := p.leaves(); end.Untaken != 18<<20+3-fits {
			t.Errorf("%v", end)
		}
	})
}
