package hubfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/hub"
	"hubfs/shellctl"
	"hubfs/tree"
)

// A pipeServer is a server with pipes under test.
type pipeServer struct{ *server }

// piping runs a test in a synctest bubble.
func piping(t *testing.T, cfg Config, test func(t *testing.T, s *pipeServer)) {
	t.Helper()
	bubble(t, cfg, func(t *testing.T, s *server) { test(t, &pipeServer{s}) })
}

// takes reads the input of a program until it has want. "" waits for the end.
func (p *fakeProcess) takes(t *testing.T, want string) {
	t.Helper()
	got, buf := "", make([]byte, 100)
	for want == "" || len(got) < len(want) {
		n, err := p.streams.Stdin.ReadContext(t.Context(), buf)
		if err != nil {
			if want == "" && errors.Is(err, io.EOF) {
				return
			}
			t.Fatalf("input: %q, then %v; want %q", got, err, want)
		}
		got += string(buf[:n])
	}
	if got != want {
		t.Fatalf("input: %q, want %q", got, want)
	}
}

// pipes are the lines of /status that tell of pipes, without the word.
func (s *pipeServer) pipes() string {
	s.t.Helper()
	var lines []string
	for line := range strings.Lines(s.cat("status")) {
		if l, ok := strings.CutPrefix(line, "pipe "); ok {
			lines = append(lines, strings.TrimSuffix(l, "\n"))
		}
	}
	return strings.Join(lines, "; ")
}

func (s *pipeServer) wantPipes(want string) {
	s.t.Helper()
	synctest.Wait()
	if got := s.pipes(); got != want {
		s.t.Errorf("pipes: %s\nwant:  %s", got, want)
	}
}

// ended wants the status with which a hub has ended.
func (s *pipeServer) ended(path, want string) {
	s.t.Helper()
	synctest.Wait()
	status, ok := s.node(path).(*hubFile).hub.Ended()
	if !ok || status != want {
		s.t.Errorf("%s: ended %v, %q; want %q", path, ok, status, want)
	}
}

func TestPipeCarriesWhatIsThereAndWhatComes(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "d/", "d/b")
		in := s.open("a", tree.OpenWrite)
		in.mustWrite("history ")
		events := s.open("events", tree.OpenRead)
		s.ctl("pipe a d/b")
		events.read("pipe new 1 a d/b\n")
		in.mustWrite("news")
		synctest.Wait()
		s.open("d/b", tree.OpenRead).read("history news")
		s.wantPipes("1 a d/b running 12 12 '' 0 ''")
		status := s.cat("status")
		if want := "reader a glenda 'pipe 1' 12 0"; !strings.Contains(status, want) {
			t.Errorf("status %q\nlacks %q", status, want)
		}
		if want := "hub d/b 0 12 1048576 1 1 calm 0\n"; !strings.Contains(status, want) {
			t.Errorf("status %q\nlacks %q", status, want)
		}
		s.ctl("end a exit 3")
		synctest.Wait()
		events.read("hub end a 'exit 3'\npipe end 1 'end exit 3'\n")
		s.wantPipes("1 a d/b ended 12 12 '' 0 '' 'end exit 3'")
		s.open("d/b@end", tree.OpenRead).waits() // TO goes on
		s.ctl("unpipe 1")
		s.wantPipes("")
	})
}

func TestPipeBeginsWhereItIsSaid(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b", "c")
		in := s.open("a", tree.OpenWrite)
		in.mustWrite("0123456789")
		s.ctl("pipe a@end b\npipe a@-3 c")
		in.mustWrite("x")
		synctest.Wait()
		s.open("b", tree.OpenRead).read("x")
		s.open("c", tree.OpenRead).read("789x")
	})
}

func TestPipeEndsItsHubIfItIsTo(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b", "c", "d")
		s.ctl("pipe -e a b\npipe -e a -- cmd -- c\npipe -e a -- cmd -- d")
		events := s.open("events", tree.OpenRead)
		s.ctl("end a exit 3")
		synctest.Wait()
		s.proc("pipe 2").takes(t, "")
		s.proc("pipe 2").exit(shellctl.Status{Code: 4})
		synctest.Wait()
		events.read("hub end a 'exit 3'\nhub end b 'exit 3'\npipe end 1 'end exit 3'\nhub end c 'exit 4'\npipe end 2 'exit 4'\n")
		s.ended("b", "exit 3")
		s.ended("c", "exit 4")
		// One that is taken away ends nothing.
		s.ctl("unpipe 3")
		s.proc("pipe 3").exit(shellctl.Status{})
		synctest.Wait()
		s.open("d", tree.OpenRead).waits()
	})
}

func TestPipeThroughAProgram(t *testing.T) {
	piping(t, Config{Env: []string{"HUB_SERVER=unix!/s"}}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		events := s.open("events", tree.OpenRead)
		s.ctl("pipe a -- tr 'a b' -- --x -- b")
		p := s.proc("pipe 1")
		if got := fmt.Sprintf("%q %v", p.spec.Argv, p.spec.Pipe); got != `["tr" "a b" "--" "--x"] true` {
			t.Error(got)
		}
		for _, kv := range []string{"TERM=dumb", "HUB_PIPE=1", "HUB_SERVER=unix!/s"} {
			if !slices.Contains(p.spec.Env, kv) {
				t.Errorf("environment lacks %s", kv)
			}
		}
		s.open("a", tree.OpenWrite).mustWrite("input")
		p.takes(t, "input")
		if err := p.print("out"); err != nil {
			t.Error(err)
		}
		s.open("b", tree.OpenRead).read("out")
		p.streams.Stderr.WriteContext(t.Context(), []byte("first\nthe 'second'\x1b[2J\nhalf"))
		s.wantPipes("1 a b running 5 3 'tr ''a b'' -- --x' 0 'the ''second''�[2J'")
		// A mark is for people: the program goes on, and TO has none.
		out := s.open("b@end", tree.OpenRead)
		s.ctl("eof a")
		s.open("a", tree.OpenWrite).mustWrite("more")
		p.takes(t, "more")
		out.waits()
		p.exit(shellctl.Status{Signal: "TERM"})
		synctest.Wait()
		events.read("pipe new 1 a b\npipe say 1 first\npipe say 1 'the ''second''�[2J'\npipe say 1 half\npipe end 1 'signal TERM'\n")
		s.wantPipes("1 a b ended 9 3 'tr ''a b'' -- --x' 0 half 'signal TERM'")
	})
}

// TestPipeSaysNotTooMuch: /events is everybody's.
func TestPipeSaysNotTooMuch(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a -- cmd -- b")
		events := s.open("events", tree.OpenRead)
		stderr := s.proc("pipe 1").streams.Stderr
		stderr.WriteContext(t.Context(), []byte(strings.Repeat("x", 100_000)+"\n"+strings.Repeat("y\n", 10_000)+"z\n"))
		all, err := events.next()
		if n := strings.Count(all, "\n"); err != nil || n != sayLimit || len(all) > 1000 {
			t.Errorf("%d lines, %d bytes, %v", n, len(all), err)
		}
		if want := " 0 z"; !strings.HasSuffix(s.pipes(), want) {
			t.Errorf("pipes %s, want %s", s.pipes(), want)
		}
		time.Sleep(time.Second) // the bubble's
		stderr.WriteContext(t.Context(), []byte("again\n"))
		events.read("pipe say 1 again\n")
	})
}

func TestPipePassesMarksOnButNotRound(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b", "c")
		s.ctl("pipe a b\npipe b c")
		out := s.open("c", tree.OpenRead)
		s.open("a", tree.OpenWrite).mustWrite("x")
		s.ctl("eof a")
		synctest.Wait()
		out.read("x")
		out.ends()
		out.waits()
		s.ctl("pipe c@end a\npipe b@end b\neof a")
		synctest.Wait() // returns only when nothing goes round
	})
}

// TestPipeIsPartOfTheBackPressure: who writes FROM in fear waits for TO.
func TestPipeIsPartOfTheBackPressure(t *testing.T) {
	piping(t, Config{Size: 10}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("fear a\npipe a b\nfreeze b")
		in := s.open("a", tree.OpenWrite)
		in.mustWrite("0123456789") // taken from a, and held by the pipe
		synctest.Wait()
		in.mustWrite("0123456789")
		synctest.Wait()
		if err := in.write("x"); err != errWaits {
			t.Errorf("write: %v, want a wait", err)
		}
		s.wantPipes("1 a b running 10 0 '' 0 ''")
		s.ctl("melt b")
		synctest.Wait()
		in.mustWrite("x")
		synctest.Wait()
		s.wantPipes("1 a b running 21 21 '' 0 ''")
	})
}

func TestPipeShowsWhatItMissed(t *testing.T) {
	piping(t, Config{Size: 10}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a b\nfreeze b")
		in := s.open("a", tree.OpenWrite)
		in.mustWrite("0")
		synctest.Wait()
		in.mustWrite("123456789")
		in.mustWrite("abcdefghij")
		s.wantPipes("1 a b running 1 0 '' 9 ''")
		s.ctl("end a")
		s.ctl("melt b")
		s.wantPipes("1 a b ended 11 11 '' 9 '' end")
	})
}

func TestUnpipeLetsTheProgramFinish(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a -- cmd -- b")
		p := s.proc("pipe 1")
		s.ctl("unpipe 1")
		s.wantPipes("1 a b ending 0 0 cmd 0 ''")
		s.open("a", tree.OpenWrite).mustWrite("too late")
		p.takes(t, "")
		p.print("last words")
		p.exit(shellctl.Status{})
		s.wantPipes("")
		s.open("b", tree.OpenRead).read("last words")
		if p.all() != "" {
			t.Errorf("%s was done to the program", p.all())
		}
	})
}

func TestUnpipeKillsWhoDoesNotFinish(t *testing.T) {
	piping(t, Config{Grace: time.Second}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a -- cmd -- b\nfreeze b")
		p := s.proc("pipe 1")
		p.deaf = true
		printed := make(chan error, 1)
		go func() { printed <- p.print("held up by b") }()
		s.ctl("unpipe 1\nunpipe 1")
		time.Sleep(time.Second + time.Millisecond)
		if got := p.all(); got != "kill 1s" {
			t.Errorf("%q was done to the program", got)
		}
		if err := <-printed; !errors.Is(err, context.Canceled) { // it is not held for ever
			t.Error(err)
		}
		p.exit(shellctl.Status{Signal: "KILL"})
		s.wantPipes("")
	})
}

func TestUnpipeOfAPlainPipeIsDoneWhenItIsAnswered(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a b\nfreeze b")
		s.open("a", tree.OpenWrite).mustWrite("x")
		synctest.Wait()
		s.ctl("unpipe 1\nmelt b")
		if got := s.pipes(); got != "" {
			t.Error(got)
		}
		s.open("b", tree.OpenRead).waits()
		s.ctlFails("unpipe 1", tree.ErrNotExist, "no pipe 1")
		s.ctlFails("unpipe x", tree.ErrInvalid, `"x" is not the number of a pipe`)
	})
}

func TestPipeEndsWithItsHubs(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b", "c", "d")
		s.ctl("pipe a b\npipe c -- cmd -- d\npipe d -- cmd -- c\npipe a d")
		reader := s.open("a", tree.OpenRead) // keeps the hub, not the pipe
		s.ctl("rm a")
		s.wantPipes("1 a b ended 0 0 '' 0 '' 'hub a was removed'; 2 c d running 0 0 cmd 0 ''; " +
			"3 d c running 0 0 cmd 0 ''; 4 a d ended 0 0 '' 0 '' 'hub a was removed'")
		reader.ends() // for nobody can write it any more
		s.ctl("rm d")
		for _, name := range []string{"pipe 2", "pipe 3"} {
			if got := s.proc(name).all(); got != "kill 2s" {
				t.Errorf("%q was done to the program", got)
			}
		}
		s.wantPipes("1 a b ended 0 0 '' 0 '' 'hub a was removed'; 2 c d ended 0 0 cmd 0 '' 'hub d was removed'; " +
			"3 d c ended 0 0 cmd 0 '' 'hub d was removed'; 4 a d ended 0 0 '' 0 '' 'hub a was removed'")
	})
}

// TestPipeEndsWhenToEnds: there is nobody to write for.
func TestPipeEndsWhenToEnds(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a b\npipe a -- cmd -- b\nend b")
		s.open("a", tree.OpenWrite).mustWrite("x")
		s.proc("pipe 2").print("y")
		s.wantPipes("1 a b ended 1 0 '' 0 '' 'hub b has ended'; 2 a b ended 0 0 cmd 0 '' 'hub b has ended'")
	})
}

func TestPipeFollowsTheNamesOfItsHubs(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a b")
		name := "it's new"
		if err := s.node("a").(tree.Changer).Change(glenda, tree.Change{Name: &name}); err != nil {
			t.Fatal(err)
		}
		s.wantPipes("1 'it''s new' b running 0 0 '' 0 ''")
	})
}

// TestPipeAnswersWithItsNumber: two who make the same pipe at once know which
// is whose.
func TestPipeAnswersWithItsNumber(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		one, other := s.open("ctl", tree.OpenRDWR), s.open("ctl", tree.OpenRDWR)
		one.mustWrite("pipe a b")
		other.mustWrite("pipe a b\npipe a b")
		one.mustWrite("pipe b a")
		one.read("pipe 1\npipe 4\n")
		one.ends()
		other.off = 99 // as it is on a mounted tree
		other.read("pipe 2\npipe 3\n")
		other.ends()
		other.mustWrite("pipe a b")
		other.read("pipe 5\n")
		if got := s.cat("ctl"); !strings.Contains(got, "Paranoia") {
			t.Error(got)
		}
	})
}

func TestPipeThatCannotBe(t *testing.T) {
	piping(t, Config{MaxPipes: 2}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b", "-c", "d/", "d/e")
		s.ctl("shell sh -p")
		for line, say := range map[string]string{
			"pipe a":                     "1 hubs: expected pipe [-e] FROM",
			"pipe a x b":                 "a command stands between two --",
			"pipe a b c d":               "a command stands between two --",
			"pipe a -- b":                "no command",
			"pipe a -- -- b":             "no command",
			"pipe -x a b":                `unknown option "-x"`,
			"pipe -c b":                  `unknown option "-c"`,
			"pipe a@ b":                  "not where a pipe can begin",
			"pipe a@x b":                 `place "@x" of a`,
			"pipe a -- 'unfinished -- b": "EOF found",
		} {
			s.ctlFails(line, nil, say)
		}
		s.ctlFails("pipe x b", tree.ErrNotExist, `no hub "x"`)
		s.ctlFails("pipe a sh", tree.ErrNotExist, "a shell: its hubs are sh0")
		s.ctlFails("pipe a b@end", tree.ErrNotExist, `no hub "b@end"`)
		s.ctlFails("pipe -e a sh1", tree.ErrBusy, "ends with it")
		fails := errors.New("command not found: x")
		s.starter.err = fails
		events := s.open("events", tree.OpenRead)
		s.ctlFails("pipe a -- x -- b", fails, "pipe: command not found: x")
		events.read("pipe new 1 a b\npipe end 1 'command not found: x'\n")
		s.wantPipes("1 a b ended 0 0 x 0 '' 'command not found: x'")
		if st := s.node("a").(*hubFile).hub.Status(); st.Readers != 0 {
			t.Errorf("%d readers are left", st.Readers)
		}

		// Who may not read or write a hub may not have it piped.
		mode := uint32(0o600)
		if err := s.node("a").(tree.Changer).Change(glenda, tree.Change{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"pipe a b", "pipe b a"} {
			checkError(t, line, s.ctlAs(alice, line), tree.ErrPermission, "hub a")
		}
		mode = 0o700
		if err := s.node("d").(tree.Changer).Change(glenda, tree.Change{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		checkError(t, "pipe d/e b", s.ctlAs(alice, "pipe d/e b"), tree.ErrPermission, "hub d/e")

		s.ctl("pipe /-c b\npipe d/e b")
		s.ctlFails("pipe a b", tree.ErrLimit, "the server has 2 pipes, 2 may be")
		s.ctl("unpipe 2\npipe a b")
	})
}

func TestEndedPipesAreForgottenInTheEnd(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe b a\nend a")
		for range keptPipes + 10 {
			s.ctl("pipe a b")
		}
		synctest.Wait()
		lines := strings.Split(s.pipes(), "; ")
		if len(lines) != keptPipes+1 || !strings.HasPrefix(lines[0], "1 b a running") || !strings.HasPrefix(lines[1], "12 a b ended") {
			t.Errorf("%d pipes, %q, %q", len(lines), lines[0], lines[1])
		}
	})
}

func TestPipeKeepsTheServer(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.ctl("shell sh -p\npipe sh1 sh0")
		s.proc("sh").exit(shellctl.Status{})
		s.waitFor("sh")
		s.wantPipes("1 sh1 sh0 ended 0 0 '' 0 '' 'end exit 0'")
		s.cat("shell/sh/wait")
		if s.InUse() {
			t.Error("in use")
		}
		s.ctl("pipe sh1 -- cmd -- sh1")
		changed := s.Changed()
		if !s.InUse() {
			t.Error("not in use")
		}
		s.proc("pipe 2").exit(shellctl.Status{})
		<-changed
		synctest.Wait()
		if s.InUse() {
			t.Error("in use")
		}
	})
}

func TestShutdownEndsPipesAndWaits(t *testing.T) {
	piping(t, Config{Grace: time.Second}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.ctl("pipe a b\npipe a -- cmd -- b\npipe a -- cmd -- b\nfreeze b")
		s.open("a", tree.OpenWrite).mustWrite("x")
		p := s.proc("pipe 2")
		p.deaf = true
		time.AfterFunc(3*time.Second, func() { p.exit(shellctl.Status{Signal: "KILL"}) })
		start := time.Now()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		if got := s.pipes(); strings.Count(got, "'the server is ending'") != 3 {
			t.Error(got)
		}
		s.ctlFails("pipe a b", errClosing, "the server is ending")
	})
}

// TestPipeStoppedWhileItStarts: whoever ends it does not have to wait for the
// start of a program.
func TestPipeStoppedWhileItStarts(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		s.starter.before = func(*fakeProcess) { s.ctl("rm b") }
		s.ctl("pipe a -- cmd -- b")
		s.wantPipes("1 a b ended 0 0 cmd 0 '' 'hub b was removed'")
		if got := s.proc("pipe 1").all(); got != "kill 2s" {
			t.Errorf("%q was done to the program", got)
		}
	})
}

// TestRealPipe: a real program, its words, and its status.
func TestRealPipe(t *testing.T) {
	s := realServer(t)
	s.mustCreate("a", "b", "c")
	s.ctl("pipe -e a -- /bin/sh -c 'tr a-z A-Z; echo done >&2; exit 5' -- b")
	in := s.open("a", tree.OpenWrite)
	in.mustWrite("some ")
	in.mustWrite("words\n")
	s.ctl("end a")
	if got := s.output("b", ""); got != "SOME WORDS\n" {
		t.Errorf("%q", got)
	}
	if status, _ := s.node("b").(*hubFile).hub.Ended(); status != "exit 5" {
		t.Errorf("status %q", status)
	}
	s.ctlFails("pipe a -- no-such-command-here -- c", nil, "command not found: no-such-command-here")
	// One that ends at once, whatever there is to read.
	s.ctl("pipe -e a -- true -- c")
	s.output("c", "")
}

// TestRealPipeLoop: McIlroy's hose, bent round: what goes in comes out for
// ever, at the hub's rate.
func TestRealPipeLoop(t *testing.T) {
	s := realServer(t)
	s.mustCreate("a")
	s.ctl("limit a 100000\npipe a -- /bin/sh -c 'while read x; do echo $x.; done' -- a")
	s.open("a", tree.OpenWrite).mustWrite("x\n")
	s.output("a", "x.....\n")
	s.ctl("unpipe 1")
}

// waysOf are the lines of a block of /stats that tell of pipes and loops.
func waysOf(f *file) string {
	f.t.Helper()
	synctest.Wait()
	var lines []string
	for line := range strings.Lines(f.await(1 << 20)) {
		if strings.HasPrefix(line, "pipe") || strings.HasPrefix(line, "loop") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.Join(lines, "; ")
}

func TestStatsTellTheGainOfPipesAndLoops(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b", "c", "d")
		s.ctl("pipe a b\npipe b -- cmd -- a\npipe b d\nshell sh -p\npipe sh1 -- cmd -- sh0\npipe c@end c")
		ab, sh := s.proc("pipe 2"), s.proc("pipe 4")
		want := func(f *file, want string) {
			t.Helper()
			if got := waysOf(f); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		f := s.open("stats", tree.OpenRDWR)
		f.mustWrite("log 1s")
		want(f, "pipe 1 0 0 0 1 1; pipe 2 0 0 0 - -; pipe 3 0 0 0 1 1; pipe 4 0 0 0 - -; pipe 5 0 0 0 1 1; "+
			"loop - - 1 2; loop - - 4 shell:sh1; loop 1 1 5")

		s.open("a", tree.OpenWrite).mustWrite("0123456789")
		ab.takes(t, "0123456789")
		ab.print("01234") // of which nothing is read back
		s.open("sh0", tree.OpenWrite).mustWrite("1234")
		s.proc("sh").print("12345678")
		sh.takes(t, "12345678")
		sh.print("12")
		time.Sleep(time.Second)
		want(f, "pipe 1 15 15 0 1 1; pipe 2 10 5 0 0.5 0.5; pipe 3 15 15 0 1 1; pipe 4 8 2 0 0.25 0.25; pipe 5 0 0 0 1 1; "+
			"loop 0.5 0.5 1 2; loop 0.3333 0.3333 4 shell:sh1; loop 1 1 5")

		ab.takes(t, "01234")
		ab.print("0123456789")
		time.Sleep(time.Second)
		got := waysOf(f)
		if !strings.Contains(got, "pipe 2 15 15 0 1 2;") || !strings.Contains(got, "loop 1 2 1 2;") || !strings.Contains(got, "loop 0.3333 - 4 shell:sh1") {
			t.Error(got)
		}
		s.ctl("unpipe 1\nunpipe 5")
		if got := s.cat("stats"); strings.Contains(got, "pipe 1 ") || strings.Count(got, "\nloop ") != 1 {
			t.Error(got)
		}
	})
}

func TestStatsTellOfSoManyLoops(t *testing.T) {
	piping(t, Config{}, func(t *testing.T, s *pipeServer) {
		s.mustCreate("a", "b")
		for range 11 {
			s.ctl("pipe a b\npipe b a")
		}
		got := s.cat("stats")
		if n := strings.Count(got, "\nloop "); n != maxLoops || !strings.HasSuffix(got, "\nloops more than 100\n") {
			t.Errorf("%d loops, %q", n, got)
		}
	})
}

// A heldSpool holds up whoever looks at it, and with that the hub.
type heldSpool struct {
	hub.Spool
	held, release chan struct{}
}

func (s *heldSpool) Bounds() (first, next int64) {
	close(s.held)
	<-s.release
	return 0, 1 // it is not empty, and refused
}

// The tree is not locked while a hub is asked what a pipe has missed: in a loop
// that runs away it is very busy.
func TestWhoCountsPipesHoldsUpNobody(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("a", "b")
	s.ctl("pipe a b")
	held := &heldSpool{held: make(chan struct{}), release: make(chan struct{})}
	refused := make(chan error, 1)
	go func() { refused <- s.node("a").(*hubFile).hub.Spool(held) }() // ends below
	<-held.held
	s.mu.Lock()
	lines, ways := s.pipeLinesLocked(glenda), s.waysLocked()
	s.mu.Unlock()
	close(held.release)
	if err := <-refused; err == nil {
		t.Error("the hub is spooled")
	}
	if got := lines[0](); got != "pipe 1 a b running 0 0 '' 0 ''\n" || len(ways) != 1 {
		t.Errorf("%q, %d ways", got, len(ways))
	}
	s.ctl("unpipe 1")
}
