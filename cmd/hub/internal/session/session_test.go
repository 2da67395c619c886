package session

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
)

// echo answers each line, so that a test knows when something has arrived.
const echo = `stty -echo; echo ready; while read l; do echo "got <$l>"; test "$l" = bye && exit 3; done`

func TestDetachAndComeBack(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	if !p.raw.Load() {
		t.Error("no raw mode")
	}
	p.types("one\r")
	p.out.expect(t, "got <one>")
	p.types("\x1cd")
	if end := p.leaves(); end.Exited || end.String() != "detached from s" || end.ExitCode() != 0 {
		t.Errorf("%+v", end)
	}

	again := w.attach("s", true, nil)
	again.out.expect(t, "ready")
	again.out.expect(t, "got <one>")
	again.types("two\r")
	again.out.expect(t, "got <two>")
	again.types("\x1cd")
	again.leaves()
}

func TestHistoryIsAsLongAsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.shell("s", "stty -echo; i=0; while test $i -lt 30000; do echo line $i; i=$((i+1)); done; echo ready; cat", false)
	all := w.attach("s", true, func(c *Config) { c.History = -1 })
	all.out.expect(t, "ready\r\n")
	all.types("\x1cd")
	all.leaves()

	for _, tt := range []struct {
		lines int
		first string
	}{{20000, "line 10001\r\n"}, {3, "line 29998\r\n"}, {1, "ready\r\n"}} {
		p := w.attach("s", true, func(c *Config) { c.History = tt.lines })
		p.out.expect(t, "ready\r\n")
		p.types("\x1cd")
		p.leaves()
		if got := p.out.String(); !strings.HasPrefix(got, tt.first) {
			t.Errorf("%d lines: %.100q", tt.lines, got)
		}
	}
	none := w.attach("s", true, func(c *Config) { c.History = 0 })
	none.types("x\r")
	none.out.expect(t, "x\r\n")
	if got := none.out.String(); strings.Contains(got, "ready") {
		t.Errorf("no lines: %.100q", got)
	}
	none.types("\x1cd")
	none.leaves()
}

func TestLastOutputIsShownBeforeTheEnd(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	p.types("bye\r")
	end := p.leaves()
	if !end.Exited || end.ExitCode() != 3 || end.String() != "shell s exited with 3" {
		t.Errorf("%+v", end)
	}
	if !strings.HasSuffix(p.out.String(), "got <bye>\r\n") {
		t.Errorf("shown: %q", p.out.String())
	}

	// Whoever comes late learns the same.
	late := w.attach("s", true, nil)
	if end := late.leaves(); end.ExitCode() != 3 || !strings.Contains(late.out.String(), "got <bye>") {
		t.Errorf("%+v, shown %q", end, late.out.String())
	}
}

// However slow the terminal is.
func TestEndWaitsForASlowTerminal(t *testing.T) {
	w := newWorld(t)
	w.shell("s", "stty -echo; read l; head -c 300000 /dev/zero | tr '\\0' x; echo last; exit 5", false)
	srv, _ := w.connect()
	slow := newShown()
	slow.gate = make(chan struct{})
	p := w.attach("s", true, func(c *Config) { c.Terminal.Out = slow })
	p.types("go\r")
	if line, err := srv.ReadFile(w.ctx, "/shell/s/wait"); err != nil || string(line) != "exit 5\n" {
		t.Fatalf("%q, %v", line, err)
	}
	// Whatever the session knows of the end by now.
	if _, err := srv.Status(w.ctx); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { close(slow.gate) })
	end := p.leaves()
	if end.ExitCode() != 5 || !strings.HasSuffix(slow.String(), "last\r\n") || slow.all.Len() < 300000 {
		t.Errorf("%+v, %d bytes shown", end, slow.all.Len())
	}
}

func TestStartedIfItDoesNotRun(t *testing.T) {
	w := newWorld(t)
	spec := &server.Spec{Argv: []string{"sh", "-c", echo}}
	for range 2 { // the second finds a dead one
		p := w.attach("new", true, func(c *Config) { c.Start = spec })
		p.out.expect(t, "ready")
		p.types("bye\r")
		if end := p.leaves(); end.ExitCode() != 3 {
			t.Errorf("%+v", end)
		}
		if strings.Count(p.out.String(), "ready") != 1 {
			t.Errorf("output of the dead shell: %q", p.out.String())
		}
	}
}

func TestNoSuchShell(t *testing.T) {
	w := newWorld(t)
	w.shell("work", echo, false)
	p := w.attach("wrok", true, nil)
	<-p.done
	var e *server.Error
	if !errors.As(p.fail, &e) || e.Text != `no shell "wrok" on server test` || e.Hint != `did you mean "work"? hub ls shows all` {
		t.Errorf("%v", p.fail)
	}
}

func TestLostServer(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	p.hangup()
	<-p.done
	if !errors.Is(p.fail, ErrLost) || !errors.Is(p.fail, client.ErrLost) || p.fail.Error() != "connection to server lost" {
		t.Errorf("%v", p.fail)
	}
	if p.raw.Load() {
		t.Error("the terminal was left in raw mode")
	}
}

func TestSignalsEndTheSession(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		p := w.attach("s", true, nil)
		p.out.expect(t, "ready")
		p.signals <- sig
		<-p.done
		if got := (SignalError{}); !errors.As(p.fail, &got) || got.Signal != sig {
			t.Errorf("%v: %v", sig, p.fail)
		}
		if p.raw.Load() {
			t.Errorf("%v: the terminal was left in raw mode", sig)
		}
	}
}

func TestResizeIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.shell("s", "trap 'stty size' WINCH; stty -echo; echo ready; while :; do read l; done", false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	p.mu.Lock()
	p.rows, p.cols = 33, 101
	p.mu.Unlock()
	p.signals <- syscall.SIGWINCH
	p.out.expect(t, "33 101")
	p.types("\x1cd")
	p.leaves()
}

// The signal of a change that comes while we attach is nobody's: the size is
// looked at again.
func TestResizeWhileAttachingIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.shell("s", "trap 'stty size' WINCH; stty -echo; echo ready; while :; do read l; done", false)
	first := w.attach("s", true, nil)
	first.out.expect(t, "ready") // the trap is set
	first.types("\x1cd")
	first.leaves()
	var p *person
	hold := make(chan struct{})
	p = w.attach("s", true, func(c *Config) {
		raw := c.Terminal.Raw
		c.Terminal.Raw = func() (func(), error) {
			<-hold
			p.mu.Lock()
			p.rows, p.cols = 33, 101
			p.mu.Unlock()
			return raw()
		}
	})
	close(hold)
	p.out.expect(t, "33 101")
	p.types("\x1cd")
	p.leaves()
}

// A shell that takes no input must not keep anybody from leaving.
func TestStuckShellCanBeLeft(t *testing.T) {
	w := newWorld(t)
	w.shell("s", "stty raw -echo; echo ready; sleep 1000", false)
	srv, _ := w.connect()
	if err := srv.Ctl(w.ctx, "size", "s0", "4096"); err != nil {
		t.Fatal(err)
	}
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	p.types(strings.Repeat("x", 1<<20))
	p.types("\x1cd")
	if end := p.leaves(); end.Exited {
		t.Errorf("%+v", end)
	}
}

func TestKeysKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	w.shell("s", "stty raw -echo; echo ready; head -c 300000 | cksum", false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	var all strings.Builder
	for i := 0; all.Len() < 300000; i++ {
		all.WriteString(strings.Repeat(string(rune('a'+i%26)), 1+i*i%700))
	}
	text := all.String()[:300000]
	for i := 0; i < len(text); {
		n := min(len(text)-i, 1+i%5000) // keys and pastes
		p.types(text[i : i+n])
		i += n
	}
	p.out.expect(t, " 300000")
	want := cksum([]byte(text))
	if !strings.Contains(p.out.String(), want+" 300000") {
		t.Errorf("want checksum %s, shown %q", want, p.out.String())
	}
	p.leaves()
}

func TestOverlayHidesNothingForGood(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	p.types("\x1c%")
	p.out.expect(t, "\x1b[?1049h")
	srv, _ := w.connect()
	if err := srv.Send(w.ctx, "s", []byte("meanwhile\n")); err != nil {
		t.Fatal(err)
	}
	p.types("nosuch\r")
	p.out.expect(t, "no command %nosuch")
	p.types(" ")
	p.out.expect(t, "\x1b[?1049l")
	// It may have come already, between the prompt and the answer to it.
	if !strings.Contains(p.out.String(), "got <meanwhile>") {
		p.out.expect(t, "got <meanwhile>")
	}
	p.types("after\r")
	p.out.expect(t, "got <after>")
	p.types("\x1c%detach\r")
	p.leaves()
}

func TestMoveBetweenShells(t *testing.T) {
	w := newWorld(t)
	w.shell("a", "echo this is a; "+echo, false)
	w.shell("b", "echo this is b; "+echo, false)
	w.shell("c", "echo these are pipes; cat", true)
	p := w.attach("a", true, nil)
	p.out.expect(t, "this is a")
	p.types("\x1cn")
	p.out.expect(t, "this is b")
	p.types("\x1cp")
	p.out.expect(t, "this is a")
	p.types("\x1cl")
	p.out.expect(t, "shell (number or name)")
	p.types("2\r")
	p.out.expect(t, "this is b")
	p.types("\x1c%attach nosuch\r")
	p.out.expect(t, `no shell "nosuch"`)
	p.types(" typed\r")
	p.out.expect(t, "got <typed>")
	p.types("\x1c%attach c\r")
	p.out.expect(t, "these are pipes")
	if p.raw.Load() {
		t.Error("raw mode in front of pipes")
	}
	p.types("line\n")
	p.out.expect(t, "line")
	p.types("%attach a\n")
	p.out.expect(t, "this is a")
	p.types("bye\r")
	if end := p.leaves(); end.Shell != "a" || end.ExitCode() != 3 {
		t.Errorf("%+v", end)
	}
}

func TestLineMode(t *testing.T) {
	w := newWorld(t)
	w.shell("s", `while read l; do echo "out <$l>"; echo "err <$l>" >&2; done; echo ended; exit 4`, true)
	p := w.attach("s", true, nil)
	p.types("one\n")
	p.out.expect(t, "out <one>\n")
	p.err.expect(t, "err <one>\n")
	p.types("50%\n%nosuch x\n")
	p.out.expect(t, "out <50%>\n")
	p.err.expect(t, "hub: passed on to the shell")
	p.out.expect(t, "out <%nosuch x>\n")
	p.types("%err 1\n%status\n")
	p.err.expect(t, "attached to shell s of server test")
	p.err.expect(t, "err 1 ms")
	p.types("%attach\n")
	p.err.expect(t, "%attach NAME")
	p.types("%eof\n")
	if end := p.leaves(); end.ExitCode() != 4 || !strings.HasSuffix(p.out.String(), "ended\n") {
		t.Errorf("%+v, shown %q", end, p.out.String())
	}
}

// Without a terminal the end of the input is the end of the session: Ctrl-D
// would end a shell that others use.
func TestEndOfInputDetaches(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	p := w.attach("s", false, nil)
	p.types("one\n%nosuch")
	p.keys.Close()
	if end := p.leaves(); end.Exited {
		t.Errorf("%+v", end)
	}
	other := w.attach("s", true, nil)
	other.out.expect(t, "got <one>")
	other.types("\r")
	other.out.expect(t, "got <%nosuch>")
	other.types("\x1cd")
	other.leaves()
}

func TestWatcherTypesToNobody(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	watcher := w.attach("s", true, func(c *Config) { c.ReadOnly = true })
	typist := w.attach("s", true, nil)
	watcher.types("never\r")
	typist.types("one\r")
	watcher.out.expect(t, "got <one>")
	watcher.types("\x1cd")
	watcher.leaves()
	typist.types("bye\r")
	if typist.leaves(); strings.Contains(typist.out.String(), "never") {
		t.Error("a watcher's keys have reached the shell")
	}
}

func TestAloneDetachesTheOthers(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	first := w.attach("s", true, nil)
	first.out.expect(t, "ready")
	second := w.attach("s", true, func(c *Config) { c.Alone = true })
	if end := first.leaves(); end.Exited || end.Reason == "" {
		t.Errorf("%+v", end)
	}
	second.types("bye\r")
	second.leaves()
}

func TestFrozenOutputGoesOnAfterMelt(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	srv, _ := w.connect()
	first := w.attach("s", true, nil)
	first.out.expect(t, "ready")
	if err := srv.Ctl(w.ctx, "freeze", "s1"); err != nil {
		t.Fatal(err)
	}
	// One comes while it is frozen.
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	p.types("cold\r")
	if err := srv.Ctl(w.ctx, "melt", "s1"); err != nil {
		t.Fatal(err)
	}
	p.out.expect(t, "got <cold>")
	first.out.expect(t, "got <cold>")
	// An eof mark is not the end.
	if err := srv.Ctl(w.ctx, "eof", "s1"); err != nil {
		t.Fatal(err)
	}
	p.types("bye\r")
	p.out.expect(t, "got <bye>")
	p.leaves()
	first.leaves()
}

func TestLostShellSaysSo(t *testing.T) {
	w := newWorld(t)
	hosted := func() (hangup func()) {
		host, hangup := w.connect()
		if _, err := host.OpenWrite(w.ctx, "/ctl", client.ORDWR, []byte("host s\n")); err != nil {
			t.Fatal(err)
		}
		return hangup
	}
	hangup := hosted()
	there := w.attach("s", true, nil)
	srv, _ := w.connect()
	if err := srv.WriteFile(w.ctx, "/s1", []byte("ready")); err != nil {
		t.Fatal(err)
	}
	there.out.expect(t, "ready")
	hangup()
	there.err.expect(t, "shell s is lost")

	late := w.attach("s", true, nil)
	late.err.expect(t, "shell s is lost")
	hosted()
	for _, p := range []*person{there, late} {
		p.err.expect(t, "shell s is back")
		if n := strings.Count(p.err.String(), "is lost"); n != 1 {
			t.Errorf("it was said %d times that the shell is lost", n)
		}
		p.types("\x1cd")
		p.leaves()
	}
}

// TestSignalsLeaveTheKeysAlone: what is typed is looked at while signals are
// taken, and neither minds the other. It is for the race detector.
func TestSignalsLeaveTheKeysAlone(t *testing.T) {
	w := newWorld(t)
	w.shell("s", echo, false)
	p := w.attach("s", true, nil)
	p.out.expect(t, "ready")
	for range 20 {
		p.signals <- syscall.SIGCONT
		p.types("x")
	}
	p.types("\r")
	p.out.expect(t, "got <"+strings.Repeat("x", 20)+">")
	p.types("\x1cd")
	p.leaves()
}
