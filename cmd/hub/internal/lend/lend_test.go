package lend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/cmd/hub/internal/servertest"
	"hubfs/shellctl"
)

// A program is a process of a test: it does as the test says.
type program struct {
	streams shellctl.Streams
	done    chan struct{}

	mu      sync.Mutex
	ended   bool            // guarded by mu
	status  shellctl.Status // guarded by mu
	sizes   []string        // guarded by mu
	signals []string        // guarded by mu
}

func (p *program) PID() int              { return 4711 }
func (p *program) Done() <-chan struct{} { return p.done }
func (p *program) Kill(time.Duration)    { p.exit(shellctl.Status{Signal: "HUP"}) }

func (p *program) Resize(rows, cols int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes = append(p.sizes, fmt.Sprintf("%dx%d", rows, cols))
	return nil
}

func (p *program) Signal(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signals = append(p.signals, name)
	return nil
}

func (p *program) Wait(ctx context.Context) (shellctl.Status, error) {
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, nil
}

func (p *program) exit(st shellctl.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended, p.status = true, st
		close(p.done)
	}
}

// print is output of the program.
func (p *program) print(text []byte) {
	p.streams.Stdout.WriteContext(context.Background(), text)
}

// A lent is a shell that is lent, and the server to which.
type lent struct {
	t    *testing.T
	srv  *servertest.Server
	h    *Host
	p    *program
	stop context.CancelFunc
	over chan struct{} // closed when Run has returned
	err  error

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

func (l *lent) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(p)
}

func (l *lent) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.String()
}

// begin lends shell lap.
func begin(t *testing.T, srv *servertest.Server) *lent {
	t.Helper()
	l := &lent{t: t, srv: srv, p: &program{done: make(chan struct{})}, over: make(chan struct{})}
	l.h = New(Config{
		Name:    "lap",
		Spec:    shellctl.Spec{Argv: []string{"sh"}, Rows: 24, Cols: 80},
		Connect: srv.Connect,
		Log:     slog.New(slog.NewTextHandler(l, nil)),
		Start: func(_ shellctl.Spec, s shellctl.Streams, _ *slog.Logger) (Process, error) {
			l.p.streams = s
			return l.p, nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	there := make(chan error, 1)
	go func() { // until the end of the process
		defer close(l.over)
		l.err = l.h.Run(ctx, func(err error) { there <- err })
	}()
	if err := <-there; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		<-l.over
		if t.Failed() {
			t.Logf("the host said:\n%s", l.said())
		}
	})
	return l
}

// end waits for the end of Run.
func (l *lent) end() error {
	<-l.over
	return l.err
}

// exit ends the program, and waits until the host has done its part.
func (l *lent) exit(code int) {
	l.t.Helper()
	l.p.exit(shellctl.Status{Code: code})
	if err := l.end(); err != nil {
		l.t.Error(err)
	}
}

// output returns what the server has of the shell's output, and its end.
func (l *lent) output() (text []byte, end string) {
	l.t.Helper()
	srv := l.srv.Server()
	h, ok, err := srv.Hub(l.t.Context(), "lap1")
	if err != nil || !ok {
		l.t.Fatalf("no hub lap1: %v", err)
	}
	f, err := srv.Open(l.t.Context(), "/lap1@", client.OREAD)
	if err != nil {
		l.t.Fatal(err)
	}
	text = make([]byte, h.Next)
	for n := int64(0); n < h.Next; {
		m, err := f.ReadAtContext(l.t.Context(), text[n:], n)
		if err != nil {
			l.t.Fatal(err)
		}
		n += int64(m)
	}
	return text, h.End
}

// sequence is n bytes of which each says where it is, nearly.
func sequence(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%07d ", i)
	}
	return b.Bytes()[:n]
}

// cuts are places where connections to come are cut.
func cuts(r *rand.Rand, n, most int) []servertest.Cut {
	cs := make([]servertest.Cut, n)
	for i := range cs {
		if r.IntN(2) == 0 {
			cs[i].Up = 1 + r.IntN(most)
		} else {
			cs[i].Down = 1 + r.IntN(most)
		}
	}
	return cs
}

// TestEveryByteOnceWhereverTheNetworkIsCut is the law of this package: at
// whatever byte a connection ends, and however often, what is typed comes to
// the program and what it writes comes to the server, whole, once, in order.
func TestEveryByteOnceWhereverTheNetworkIsCut(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 4))
				srv := servertest.New(t)
				typist := srv.Server()
				l := begin(t, srv)
				srv.Cut(cuts(r, 40, 4000)...)
				srv.HangUpLast()

				typed, printed := sequence(20_000), sequence(100_000)
				var work sync.WaitGroup
				work.Go(func() {
					in, err := typist.Open(t.Context(), "/lap0", client.OWRITE)
					if err != nil {
						t.Error(err)
						return
					}
					for rest := typed; len(rest) > 0; {
						n := min(len(rest), 1+rand.IntN(200))
						if _, err := in.WriteContext(t.Context(), rest[:n]); err != nil {
							t.Error(err)
							return
						}
						rest = rest[n:]
						time.Sleep(20 * time.Millisecond) // of the bubble's clock: a person
					}
				})
				var got []byte
				work.Go(func() {
					buf := make([]byte, 300)
					for len(got) < len(typed) {
						n, err := l.p.streams.Stdin.ReadContext(t.Context(), buf)
						if err != nil {
							t.Error(err)
							return
						}
						got = append(got, buf[:n]...)
					}
				})
				for rest := printed; len(rest) > 0; {
					n := min(len(rest), 1+rand.IntN(2000))
					l.p.print(rest[:n])
					rest = rest[n:]
					time.Sleep(10 * time.Millisecond)
				}
				work.Wait()
				l.exit(5)
				srv.Cut()
				if !bytes.Equal(got, typed) {
					t.Errorf("typed %d bytes, %d came; they differ at %d", len(typed), len(got), differ(got, typed))
				}
				text, end := l.output()
				if !bytes.Equal(text, printed) || end != "exit 5" {
					t.Errorf("printed %d bytes, the server has %d, end %q; they differ at %d", len(printed), len(text), end, differ(text, printed))
				}
			})
		})
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestTypedWhileLostIsNotLost: others type on while the network is away, and
// so does the program.
func TestTypedWhileLostIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		typist := srv.Server()
		l := begin(t, srv)
		srv.Down(true)
		srv.HangUpLast()
		synctest.Wait()
		if sh, err := typist.Shell(t.Context(), "lap"); err != nil || sh.State != "lost" {
			t.Errorf("%+v, %v", sh, err)
		}
		if err := typist.Send(t.Context(), "lap", []byte("meanwhile")); err != nil {
			t.Fatal(err)
		}
		l.p.print([]byte("working on"))
		time.Sleep(10 * time.Minute)
		srv.Down(false)
		buf := make([]byte, 100)
		if n, err := l.p.streams.Stdin.ReadContext(t.Context(), buf); string(buf[:n]) != "meanwhile" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		l.exit(0)
		if text, _ := l.output(); string(text) != "working on" {
			t.Errorf("%q", text)
		}
	})
}

// TestStatusWaitsForALostServer: a program that ends while the network is away
// is seen to end when it is back, with its last byte before.
func TestStatusWaitsForALostServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		watcher := srv.Server()
		l := begin(t, srv)
		srv.Down(true)
		srv.HangUpLast()
		synctest.Wait()
		l.p.print([]byte("last words"))
		l.p.exit(shellctl.Status{Code: 3})
		time.Sleep(20 * time.Minute)
		srv.Down(false)
		wait, err := watcher.ReadFile(t.Context(), "/shell/lap/wait")
		if string(wait) != "exit 3\n" {
			t.Errorf("%q, %v", wait, err)
		}
		if text, end := l.output(); string(text) != "last words" || end != "exit 3" {
			t.Errorf("%q, %q", text, end)
		}
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestEndedProgramDoesNotWaitForEver: nobody takes the status of one whose
// server never comes back.
func TestEndedProgramDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		l := begin(t, srv)
		srv.Down(true)
		srv.HangUpLast()
		l.p.print([]byte("last words"))
		l.p.exit(shellctl.Status{})
		start := time.Now()
		if err := l.end(); !errors.Is(err, client.ErrLost) {
			t.Error(err)
		}
		if d := time.Since(start); d < Linger || d > Linger+time.Minute {
			t.Errorf("after %v", d)
		}
		srv.Down(false)
	})
}

// TestShellIsMadeAnewOnAServerThatDoesNotKnowIt: it was restarted. What it had
// not acknowledged begins the new output.
func TestShellIsMadeAnewOnAServerThatDoesNotKnowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		l := begin(t, srv)
		l.p.print([]byte("old"))
		if err := srv.Server().Send(t.Context(), "lap", []byte("to the old")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, err := l.p.streams.Stdin.ReadContext(t.Context(), buf); string(buf[:n]) != "to the old" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		synctest.Wait()
		srv.Down(true)
		srv.HangUp()
		synctest.Wait()
		l.p.print([]byte("between"))
		srv.Restart()
		srv.Down(false)
		time.Sleep(time.Minute)
		if err := srv.Server().Send(t.Context(), "lap", []byte("to the new")); err != nil {
			t.Fatal(err)
		}
		if n, err := l.p.streams.Stdin.ReadContext(t.Context(), buf); string(buf[:n]) != "to the new" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		sh, err := srv.Server().Shell(t.Context(), "lap")
		if err != nil || sh.State != "running" || sh.PID != 4711 || sh.Command != "sh" {
			t.Errorf("%+v, %v", sh, err)
		}
		l.exit(0)
		if text, end := l.output(); string(text) != "between" || end != "exit 0" {
			t.Errorf("%q, %q", text, end)
		}
		if !strings.Contains(l.said(), "made anew") {
			t.Error("nobody was told")
		}
	})
}

// TestShellThatWasKilledMeanwhileIsHungUp: the owner gave it up, on a server
// that still runs. It is not made again.
func TestShellThatWasKilledMeanwhileIsHungUp(t *testing.T) {
	for _, end := range []string{"kill", "rm"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := servertest.New(t)
				owner := srv.Server()
				l := begin(t, srv)
				srv.Down(true)
				srv.HangUpLast()
				synctest.Wait()
				if err := owner.Ctl(t.Context(), end, "lap"); err != nil {
					t.Fatal(err)
				}
				srv.Down(false)
				if err := l.end(); !errors.Is(err, errEnded) {
					t.Error(err)
				}
				if st, _ := l.p.Wait(t.Context()); st.Signal != "HUP" {
					t.Errorf("%v", st)
				}
			})
		})
	}
}

// TestNameOfAnotherIsWaitedFor: on a server that was restarted somebody else has
// the name by now. The program lives, and is there when the name is free.
func TestNameOfAnotherIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		l := begin(t, srv)
		srv.Down(true)
		srv.HangUp()
		synctest.Wait()
		l.p.print([]byte("mine"))
		srv.Restart()
		srv.Down(false)
		other := srv.Server()
		ctl, err := other.Open(t.Context(), "/ctl", client.ORDWR)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ctl.WriteContext(t.Context(), []byte("host lap key=somebody-elses-key-0\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := strings.Count(l.said(), "is there already"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if _, err := ctl.WriteContext(t.Context(), []byte("exit 0\nrm lap\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		l.exit(0)
		if text, _ := l.output(); string(text) != "mine" {
			t.Errorf("%q", text)
		}
	})
}

// TestProgramWaitsWhenTheBacklogIsFull, and nothing of what it wrote is
// missing afterwards.
func TestProgramWaitsWhenTheBacklogIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		owner := srv.Server()
		if err := owner.Ctl(t.Context(), "size", fmt.Sprint(Backlog*2)); err != nil {
			t.Logf("size: %v", err) // then the hub retains less, and the end says so
		}
		l := begin(t, srv)
		if err := owner.Ctl(t.Context(), "size", "lap1", fmt.Sprint(Backlog*2)); err != nil {
			t.Fatal(err)
		}
		srv.Down(true)
		srv.HangUpLast()
		all := bytes.Repeat([]byte("0123456789abcdef"), (Backlog+4<<20)/16)
		var wrote int
		var mu sync.Mutex
		done := make(chan struct{})
		go func() { // ends when all is taken
			defer close(done)
			for rest := all; len(rest) > 0; rest = rest[64<<10:] {
				l.p.print(rest[:64<<10])
				mu.Lock()
				wrote += 64 << 10
				mu.Unlock()
			}
		}()
		time.Sleep(time.Hour)
		mu.Lock()
		if wrote < Backlog*9/10 || wrote > Backlog {
			t.Errorf("the program has written %d bytes, %d may wait", wrote, Backlog)
		}
		mu.Unlock()
		srv.Down(false)
		<-done
		l.exit(0)
		if text, _ := l.output(); !bytes.Equal(text, all) {
			t.Errorf("%d bytes of %d, they differ at %d", len(text), len(all), differ(text, all))
		}
	})
}

// TestWordsComeOnEveryConnection: size and signals, before a loss and after.
func TestWordsComeOnEveryConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		owner := srv.Server()
		l := begin(t, srv)
		word := func(words ...string) {
			t.Helper()
			if err := owner.ShellCtl(t.Context(), "lap", words...); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		word("size", "10", "20")
		srv.HangUpLast()
		time.Sleep(time.Minute)
		word("size", "11", "22")
		word("signal", "USR1")
		l.p.mu.Lock()
		sizes, signals := slices.Compact(slices.Clone(l.p.sizes)), slices.Clone(l.p.signals)
		l.p.mu.Unlock()
		if want := []string{"24x80", "10x20", "11x22"}; !slices.Equal(sizes, want) {
			t.Errorf("sizes %q, want %q", sizes, want)
		}
		if !slices.Equal(signals, []string{"USR1"}) {
			t.Errorf("signals %q", signals)
		}
		word("kill")
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
}

// TestOthersMayWriteTheOutput: somebody writes NAME1, as he may, while the
// network is cut. The host's bytes are all there.
func TestOthersMayWriteTheOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		other := srv.Server()
		l := begin(t, srv)
		l.p.print([]byte("one "))
		synctest.Wait()
		for i := range 3 {
			if err := other.WriteFile(t.Context(), "/lap1", []byte("X")); err != nil {
				t.Fatal(err)
			}
			l.p.print(fmt.Appendf(nil, "two-%d ", i))
			synctest.Wait()
			srv.HangUp()
			other = srv.Server()
			time.Sleep(time.Minute)
		}
		l.p.print([]byte("three"))
		l.exit(0)
		text, _ := l.output()
		if got := strings.ReplaceAll(string(text), "X", ""); got != "one two-0 two-1 two-2 three" {
			t.Errorf("%q", text)
		}
	})
}

// TestInputOfAFrozenHubIsNoEnd: a hub that stands still has an end as a file
// has. To the program it is nothing.
func TestInputOfAFrozenHubIsNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		owner := srv.Server()
		l := begin(t, srv)
		if err := owner.Ctl(t.Context(), "freeze", "lap0"); err != nil {
			t.Fatal(err)
		}
		read := make(chan string, 1)
		go func() { // ends with the read
			buf := make([]byte, 10)
			n, err := l.p.streams.Stdin.ReadContext(t.Context(), buf)
			read <- fmt.Sprintf("%s %v", buf[:n], err)
		}()
		synctest.Wait()
		if err := owner.Ctl(t.Context(), "melt", "lap0"); err != nil {
			t.Fatal(err)
		}
		if err := owner.Send(t.Context(), "lap", []byte("warm")); err != nil {
			t.Fatal(err)
		}
		if got := <-read; got != "warm <nil>" {
			t.Error(got)
		}
		if err := owner.Ctl(t.Context(), "eof", "lap0"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.p.streams.Stdin.ReadContext(t.Context(), make([]byte, 10)); err != io.EOF {
			t.Errorf("at a mark: %v", err)
		}
		l.exit(0)
	})
}

// TestMove: the shell goes to another server with what it is doing, and ends
// on the one where it was.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, home := servertest.New(t), servertest.New(t)
		watcher := srv.Server()
		l := begin(t, srv)
		l.p.print([]byte("away"))
		synctest.Wait()
		if err := l.h.Move(t.Context(), home.Connect); err != nil {
			t.Fatal(err)
		}
		l.p.print([]byte("home"))
		time.Sleep(time.Minute)
		if _, err := watcher.Shell(t.Context(), "lap"); !errors.Is(err, client.ErrNotExist) {
			t.Errorf("where it was: %v", err)
		}
		if err := home.Server().Send(t.Context(), "lap", []byte("hello")); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 10)
		if n, err := l.p.streams.Stdin.ReadContext(t.Context(), buf); string(buf[:n]) != "hello" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		l.srv = home
		l.exit(0)
		if text, _ := l.output(); string(text) != "home" {
			t.Errorf("%q", text)
		}
	})
}

// TestNameThatIsTakenIsAnError, and nothing is started.
func TestNameThatIsTakenIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := servertest.New(t)
		begin(t, srv)
		h := New(Config{Name: "lap", Spec: shellctl.Spec{Argv: []string{"sh"}, Rows: 1, Cols: 1}, Connect: srv.Connect,
			Start: func(shellctl.Spec, shellctl.Streams, *slog.Logger) (Process, error) {
				t.Error("a process was started")
				return nil, errors.New("no")
			}})
		var e *server.Error
		err := h.Run(t.Context(), func(error) {})
		if !errors.As(err, &e) || !strings.Contains(e.Text, "is there already") {
			t.Error(err)
		}
	})
}
