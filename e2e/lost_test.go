package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hubfs/e2e/internal/dialogue"
	"hubfs/e2e/internal/proxy"
)

// alive is how often a program of these tests looks whether its connection
// lives: nobody wants to wait as long as a person would.
const alive = "HUB_KEEPALIVE=200ms"

// proxyAt makes a proxy before the server called default, at an address of tcp.
func (w *world) proxyAt(at string) *proxy.Proxy {
	w.tb.Helper()
	p, err := proxy.Listen("tcp", at, "unix", w.socket("default"))
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(p.Close)
	return p
}

// remote is hub on a terminal, by way of a server's address.
func (w *world) remote(tb testing.TB, addr string, args ...string) *dialogue.Terminal {
	tb.Helper()
	cmd := w.command("hub", append([]string{"-s", addr}, args...)...)
	cmd.Env = append(cmd.Env, alive)
	return dialogue.Start(tb, cmd, dialogue.Options{Timeout: patience})
}

// A parrot is somebody who types without a pause to a program that says all of it
// again.
type parrot struct {
	t     *testing.T
	name  string
	proxy *proxy.Proxy
	typed bytes.Buffer
	got   int // how much of it has come back
}

// TestAThousandLostConnectionsCostNoByte: connections are cut, reset, silent one
// way or both ways, behind any byte, on ways that take different times. Each
// byte is typed once and shown once, in order.
func TestAThousandLostConnectionsCostNoByte(t *testing.T) {
	const parrots, rounds = 10, 100
	// Silence is found in its time, and so is not the most frequent.
	kinds := []proxy.Kind{proxy.SilentUp, proxy.SilentDown, proxy.Blackhole}
	for range 6 {
		kinds = append(kinds, proxy.Cut, proxy.Reset)
	}
	w := newWorld(t)
	w.serve("-s", "default", "-q", "64M")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var work sync.WaitGroup
	for i := range parrots {
		f := &parrot{t: t, name: fmt.Sprint("parrot", i), proxy: w.proxy("default")}
		f.proxy.Delay(time.Duration(i) * time.Millisecond / 4)
		faults := proxy.Random(seed+uint64(i), 48<<10, kinds...)
		var first sync.Once
		f.proxy.Plan(func(nth int) proxy.Fault {
			fault := faults(nth)
			first.Do(func() { fault = proxy.Fault{Kind: proxy.Cut, After: 32 << 10} }) // when it is attached
			return fault
		})
		w.want("new", f.name, "--", "sh", "-c", "stty raw -echo; echo ready; exec cat")
		work.Go(func() { f.run(w, rand.New(rand.NewPCG(seed, uint64(i))), rounds) })
	}
	work.Wait()
}

func (f *parrot) run(w *world, rnd *rand.Rand, rounds int) {
	cmd := w.command("hub", "-s", "tcp://"+f.proxy.Addr().String(), "attach", f.name)
	cmd.Env = append(cmd.Env, alive)
	var said lockedBuffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		f.t.Error(err)
		return
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		f.t.Error(err)
		return
	}
	deadline := time.AfterFunc(3*patience, func() { cmd.Cancel() })
	defer deadline.Stop()
	fail := func(format string, arg ...any) {
		f.t.Errorf("%s: after %d connections: %s\n%s", f.name, f.proxy.Count(), fmt.Sprintf(format, arg...), &said)
		cmd.Cancel()
		cmd.Wait()
	}
	f.typed.WriteString("ready\n") // before, the terminal itself would answer
	for f.proxy.Count() <= rounds || f.got < f.typed.Len() {
		if f.got > 0 && f.typed.Len()-f.got < 12<<10 && f.proxy.Count() <= rounds {
			if err := f.types(in, rnd); err != nil {
				fail("%v", err)
				return
			}
			continue
		}
		if err := f.sees(out); err != nil {
			fail("%v", err)
			return
		}
	}
	in.Close()
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || len(rest) > 0 {
		f.t.Errorf("%s: %v, %d bytes too many\n%s", f.name, err, len(rest), &said)
	}
}

// types types some letters.
func (f *parrot) types(in io.Writer, rnd *rand.Rand) error {
	p := make([]byte, 1+rnd.IntN(1+rnd.IntN(4<<10)))
	for i := range p {
		p[i] = 'a' + byte(rnd.IntN(26))
	}
	f.typed.Write(p)
	_, err := in.Write(p)
	return err
}

// sees takes what comes back, which must be what was typed.
func (f *parrot) sees(out io.Reader) error {
	p := make([]byte, 32<<10)
	n, err := out.Read(p)
	p = p[:n]
	if want := f.typed.Bytes()[f.got:]; !bytes.HasPrefix(want, p) {
		i := 0
		for i < min(n, len(want)) && p[i] == want[i] {
			i++
		}
		return fmt.Errorf("byte %d is another: %.30q, want %.30q", f.got+i, p[i:], want[i:])
	}
	f.got += n
	if n > 0 {
		return nil
	}
	return err
}

// TestLostConnectionOnATerminal: what is to be seen, what is kept, and the way
// out.
func TestLostConnectionOnATerminal(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	p := w.proxy("default")
	term := w.remote(t, "tcp://"+p.Addr().String(), "attach", "work")
	answers(term, "one", 1001)
	p.Refuse(true)
	p.Cut()
	term.Expect("\x1b[24;1H")
	term.ExpectMatch(`hub: connection lost, \d+ s; Ctrl-\\ d leaves`)
	term.Resize(30, 100)
	asked := "stty size; echo kept-$((1001+1))\r"
	term.Type(asked)
	term.ExpectMatch(`\x1b\[30;1H.*hub: connection lost, \d+ s; Ctrl-\\ d leaves`)
	term.Type("\x1cs")
	term.Expect("typed bytes wait")
	term.Type(" ")
	p.Refuse(false)
	term.Type("\x1cr")      // it is tried at once
	term.Expect("one-1001") // the screen as it was
	term.Expect("30 100")
	term.Expect("kept-1002")

	p.Refuse(true)
	p.Cut()
	term.ExpectMatch(`connection lost, \d+ s`)
	term.Type("echo never\r")
	term.Type(detach)
	// The shell may have answered what it was asked before the server
	// acknowledged that it was typed.
	term.ExpectMatch(fmt.Sprintf("hub: detached from work; (%d|%d) typed bytes were not taken",
		len("echo never\r"), len("echo never\r")+len(asked)))
	term.Exits(0)
}

// TestWaysToLoseAConnection: each of them is come back from, and what was typed
// meanwhile is typed.
func TestWaysToLoseAConnection(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	type place struct {
		*proxy.Proxy
		term *dialogue.Terminal
	}
	for name, lose := range map[string]func(p *place){
		"both ends hear nothing": func(p *place) { p.Silence(proxy.Blackhole) },
		"half open, up":          func(p *place) { p.Silence(proxy.SilentUp) },
		"half open, down":        func(p *place) { p.Silence(proxy.SilentDown) },
		"the other end resets":   func(p *place) { p.Reset() },
		// What was under way comes after all, when it has been typed already
		// through another connection.
		"asleep, and what was held comes late": func(p *place) {
			p.Hold()
			p.term.Type("echo late-$((1+1))\r")
			p.term.Expect("late-2")
			p.Release()
		},
		"our side is stopped": func(p *place) {
			p.term.Signal(syscall.SIGSTOP)
			p.Cut()
			p.term.Signal(syscall.SIGCONT)
		},
		"a proxy that starts anew": func(p *place) {
			at := p.Addr().String()
			p.Close()
			p.Proxy = w.proxyAt(at)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &place{Proxy: w.proxy("default")}
			p.term = w.remote(t, "tcp://"+p.Addr().String(), "attach", "--history", "0", "work")
			p.term.Type("n=0\r")
			answers(p.term, "before", 1001)
			lose(p)
			p.term.Type("n=$((n+1)); echo after-$n-$((1001+1))\r")
			p.term.Expect("after-1-1002") // not twice
			p.term.Type(detach)
			p.term.Expect("detached from work")
			p.term.Exits(0)
		})
	}
}

// TestAGuestComesBackFromAnotherAddress: what a guest may do goes by its key, and
// not by where it is.
func TestAGuestComesBackFromAnotherAddress(t *testing.T) {
	moved := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}
	l, err := net.ListenTCP("tcp", moved)
	if err != nil {
		t.Skipf("the loopback has but one address here: %v", err)
	}
	l.Close()
	w := newWorld(t)
	w.serve("-s", "default", "-a", "tls://127.0.0.1:0")
	w.want("new", "work", "--", "sh", "-i")
	server := regexp.MustCompile(`hub://([^/]+)/`).FindStringSubmatch(w.invited("work"))[1]
	p, err := proxy.Listen("tcp", "127.0.0.1:0", "tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	g := w.guest("ann")
	g.env = append(g.env, alive)
	term := g.terminal("attach", w.invited("--host", p.Addr().String(), "work"))
	answers(term, "before", 1001)
	p.From(moved)
	p.Silence(proxy.Blackhole)
	answers(term, "after", 1002)
	if who := w.want("read", "shell/work/clients"); !strings.Contains(who, "guest:ann 127.0.0.5:") {
		t.Errorf("attached:\n%s", who)
	}
	term.Type(detach)
	term.Exits(0)
}

// TestSilenceIsFoundByEveryCommand: those that go on by themselves do, and the
// others say how far they have come.
func TestSilenceIsFoundByEveryCommand(t *testing.T) {
	w := newWorld(t)
	w.env = append(w.env, alive)
	w.serve("-s", "default")
	p := w.proxy("default")
	addr := "tcp://" + p.Addr().String()
	pipe := func() (io.Reader, *io.PipeWriter) {
		r, pw := io.Pipe()
		t.Cleanup(func() { pw.Close() })
		return r, pw
	}
	say := func(to io.Writer, line string) {
		t.Helper()
		if _, err := io.WriteString(to, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	in, job := pipe()
	tee := w.background(in, "-s", addr, "tee", "--wait", "build")
	say(job, "one")
	tee.line("one")
	watch, read := w.background(nil, "-s", addr, "watch", "build"), w.background(nil, "-s", addr, "read", "build")
	watch.line("one")
	read.line("one")
	in, typist := pipe()
	write := w.background(in, "-s", addr, "write", "other")
	say(typist, "12345")
	w.hubInput("", "write", "other") // perhaps before it
	w.reader("other").line("12345")

	p.Silence(proxy.Blackhole)
	read.exits(125)
	if said := read.said.String(); !strings.Contains(said, "lost at byte 4 of hub build: the server has said nothing for ") ||
		!strings.Contains(said, "hub: hint: hub read build@4 goes on there") {
		t.Errorf("read said: %s", said)
	}
	typist.Close() // for exec's sake, which waits for it
	write.exits(125)
	if said := write.said.String(); !strings.Contains(said, "hub other has taken the first 6 bytes of the input: the server has said nothing for ") {
		t.Errorf("write said: %s", said)
	}
	say(job, "two")
	tee.line("two")
	watch.line("two")
	job.Close()
	tee.exits(0)
	watch.exits(0)
}
