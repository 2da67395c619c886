package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"hubfs/e2e/internal/dialogue"
)

// detach is the prefix key and d.
const detach = "\x1cd"

// shell starts a shell called name that reads commands, on the world's server.
func (w *world) shell(name string) {
	w.tb.Helper()
	w.want("new", name, "--", "sh", "-i")
}

// answers types a command that prints a sum, and waits for the sum. The echo
// of the command cannot be taken for it.
func answers(t *dialogue.Terminal, word string, n int) {
	t.Type(fmt.Sprintf("echo %s-$((%d+1))\r", word, n-1))
	t.Expect(fmt.Sprintf("%s-%d", word, n))
}

func TestDetachedShellGoesOn(t *testing.T) {
	w := newWorld(t)
	w.shell("work")

	term := w.terminal("attach", "work")
	answers(term, "first", 1001)
	if !term.Raw() {
		t.Error("the terminal does not pass on every key")
	}
	term.Type("kept=still-here\r")
	answers(term, "second", 1002)
	term.Type(detach)
	term.Expect("work") // hub says what it detached from
	term.Exits(0)

	w.want("send", "work", `echo away-$((1002+1))\n`)
	w.follow("work1", "away-1003")

	again := w.terminal("attach", "work")
	for _, history := range []string{"first-1001", "second-1002", "away-1003"} {
		again.Expect(history)
	}
	again.Type("echo $kept-$((1+2))\r")
	again.Expect("still-here-3")
	again.Type(detach)
	again.Exits(0)
}

func TestTwoTerminalsShareAShell(t *testing.T) {
	w := newWorld(t)
	a := w.terminal("work") // which starts it
	answers(a, "ready", 7)
	b := w.terminal("work")
	answers(b, "joined", 8)
	a.Expect("joined-8")

	for i, pair := range [][2]*dialogue.Terminal{{a, b}, {b, a}} {
		typing, seeing := pair[0], pair[1]
		typing.Type(fmt.Sprintf("echo typed-%d-$((%d+1))", i, i+40))
		seeing.Expect(fmt.Sprintf("echo typed-%d-$((%d+1))", i, i+40)) // the echo, before the line is sent
		typing.Type("\r")
		for _, term := range pair {
			term.Expect(fmt.Sprintf("typed-%d-%d", i, i+41))
		}
	}
	a.Type(detach)
	a.Exits(0)
	answers(b, "alone", 9)
	b.Type(detach)
	b.Exits(0)
}

func TestWatcherCannotType(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	watcher := w.terminal("attach", "-r", "work")
	typist := w.terminal("attach", "work")
	answers(typist, "one", 1001)
	watcher.Expect("one-1001")
	watcher.Type("echo watcher-$((1+1))\r" + detach) // keys are taken in order
	watcher.Exits(0)
	answers(typist, "two", 1002)
	if strings.Contains(typist.Seen(), "watcher-") {
		t.Error("a watcher's keys reached the shell")
	}
}

func TestExclusiveAttachDetachesTheOthers(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	first := w.terminal("attach", "work")
	answers(first, "one", 1001)
	second := w.terminal("attach", "-x", "work")
	first.Expect("detached")
	first.Exits(0)
	answers(second, "two", 1002)
}

func TestSizeFollowsTheTerminal(t *testing.T) {
	w := newWorld(t)
	// A shell runs a trap at once only while it waits.
	w.want("new", "work", "--", "sh", "-c",
		"trap 'stty size' WINCH; echo set-$((1+1)); while :; do sleep 1000 & wait; done")
	large := w.terminal("attach", "work")
	large.Expect("set-2")
	large.Resize(33, 101)
	large.Expect("33 101")
	small := dialogue.Start(t, w.command("hub", "attach", "work"), dialogue.Options{Rows: 20, Cols: 60, Timeout: patience})
	large.Expect("20 60") // the one who came last counts
	small.Expect("20 60")
	small.Type(detach)
	small.Exits(0)
	large.Expect("33 101") // and takes its vote along
}

// TestTerminalIsRestoredOnSignals: whatever ends hub, the terminal is as it
// was before.
func TestTerminalIsRestoredOnSignals(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		term := w.terminal("attach", "work")
		answers(term, "ready", 1001)
		// A program of the shell has the alternate screen and hides the cursor.
		term.Type("printf '\\033[?1049h\\033[?25l'; echo full-$((1+1))\r")
		term.Expect("full-2")
		term.Signal(sig)
		term.Expect("\x1b[?25h")
		term.Expect("\x1b[?1049l")
		term.Exits(map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGINT: 130}[sig])
	}
}

func TestExitStatusReachesEverybody(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	typist, watcher := w.terminal("attach", "work"), w.terminal("attach", "-r", "work")
	answers(typist, "old", 1001)
	watcher.Expect("old-1001")
	waiter := w.terminal("wait", "work")
	typist.Type("exit 3\r")
	for _, term := range []*dialogue.Terminal{typist, watcher} {
		term.ExpectMatch(`hub: .*\b3\b`)
		term.Exits(3)
	}
	waiter.Expect("exit 3")
	waiter.Exits(3)
	if r := w.hub("wait", "work"); r.code != 3 || r.stdout != "exit 3\n" {
		t.Errorf("hub wait: %+v", r)
	}

	// The next one is a new shell, and has nothing of the dead one's hubs.
	term := w.terminal("work")
	answers(term, "new", 1002)
	if strings.Contains(term.Seen(), "old-1001") {
		t.Error("the new shell has the output of the dead one")
	}
	term.Type("exit 0\r")
	term.Exits(0)
}
