package e2e

import (
	"strings"
	"testing"

	"9fans.net/go/plan9"

	"hubfs/e2e/internal/dialogue"
)

// percent is the prefix key and a % command at its prompt.
func percent(t *dialogue.Terminal, command string) {
	t.Type("\x1c%" + command + "\r")
}

// modeOf reads the modes of a hub from /status.
func (w *world) modeOf(hub string) string {
	w.tb.Helper()
	fid, err := w.mount().Open("status", plan9.OREAD)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer fid.Close()
	status := make([]byte, 64<<10)
	n, err := fid.Read(status)
	if err != nil {
		w.tb.Fatal(err)
	}
	for line := range strings.Lines(string(status[:n])) {
		if f := strings.Fields(line); len(f) >= 9 && f[0] == "hub" && f[1] == hub {
			return f[7]
		}
	}
	w.tb.Fatalf("no hub %s in\n%s", hub, status[:n])
	return ""
}

func TestPercentRemoteAttachList(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	term := w.terminal("attach", "work")
	answers(term, "here", 1001)

	percent(term, "remote far")
	answers(term, "there", 1002)
	term.Type("echo in-$HUB_SHELL\r")
	term.Expect("in-far")

	percent(term, "attach work")
	term.Expect("here-1001") // the history
	term.Type("echo in-${HUB_SHELL}-$((1+1))\r")
	term.Expect("in-work-2")

	percent(term, "list")
	term.ExpectMatch(`far[^\n]*?running`)
	term.ExpectMatch(`work[^\n]*?running`)
	term.Type(" ")
	percent(term, "attach nosuch")
	term.Expect(`no shell "nosuch"`)
	term.Type(" ")
	answers(term, "back", 1003)
	term.Type("\x1cn") // the next shell
	answers(term, "next", 1004)
	term.Type("echo in-${HUB_SHELL}-$((1+2))\r")
	term.Expect("in-far-3")
	percent(term, "detach")
	term.Exits(0)
	if got := w.want("ls"); !strings.Contains(got, "far") || !strings.Contains(got, "work") {
		t.Errorf("ls: %s", got)
	}
}

// TestPercentLocalLendsAShell: a second client types into a shell that runs
// on the first one's side, where the server runs nothing.
func TestPercentLocalLendsAShell(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.shell("work")
	cmd := w.command("hub", "attach", "work")
	cmd.Env = append(cmd.Env, "SIDE=lender")
	lender := dialogue.Start(t, cmd, dialogue.Options{Timeout: patience})
	answers(lender, "ready", 1001)
	lender.Type("echo side-${SIDE-server}\r")
	lender.Expect("side-server")

	percent(lender, "local mine")
	answers(lender, "mine", 1002)
	guest := w.terminal("attach", "mine")
	guest.Expect("mine-1002")
	guest.Type("echo side-${SIDE-server}-$((1+1))\r")
	guest.Expect("side-lender-2")
	lender.Expect("side-lender-2")
	guest.Resize(31, 91)
	guest.Type("echo size-$((1+1))\r") // the size is on its way
	guest.Expect("size-2")

	guest.Type("exit 6\r")
	guest.Exits(6)
	lender.Exits(6)
	if r := w.hub("wait", "mine"); r.code != 6 {
		t.Errorf("hub wait: %+v", r)
	}
}

// TestPercentAtALineOfItsOwn: in front of a shell on pipes a % command is a
// line, and % means nothing elsewhere.
func TestPercentAtALineOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.want("new", "--pipe", "p", "--", "sh", "-c", `echo err-$((1+1)) >&2; while read line; do echo "got $line"; done; echo after-$((1+1)); exit 9`)
	term := w.terminal("attach", "p")
	term.Expect("err-2")
	if term.Raw() {
		t.Error("raw mode in front of a shell on pipes")
	}
	term.Type("hello\n")
	term.Expect("got hello")
	term.Type("50 %detach\n")
	term.Expect("got 50 %detach")
	term.Type("%nosuch thing\n") // is passed on, with a line of help
	term.Expect("%detach")
	term.Expect("got %nosuch thing")
	term.Type("%list\n")
	term.ExpectMatch(`p\b.*running`)
	term.Type("%status\n")
	term.ExpectMatch(`\bp\b.*default`)
	term.Type("%help\n")
	term.Expect("%notrunc")
	term.Type("%detach\n")
	term.Exits(0)

	again := w.terminal("attach", "p")
	again.Expect("got %nosuch thing") // the history
	again.Type("%eof\n")
	again.Expect("after-2")
	again.Exits(9)
}

func TestPercentModes(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.shell("work")
	term := w.terminal("attach", "work")
	answers(term, "one", 1001)

	for _, tt := range []struct{ command, word string }{
		{"fear", "fear"}, {"calm", "calm"}, {"trunc", "trunc"},
	} {
		percent(term, tt.command)
		answers(term, tt.command, 1001) // what is typed behind a command comes after it
		if got := w.modeOf("work1"); !strings.Contains(got, tt.word) {
			t.Errorf("after %%%s: mode %q", tt.command, got)
		}
	}
	percent(term, "notrunc")
	answers(term, "notrunc", 1001)
	if got := w.modeOf("work1"); strings.Contains(got, "trunc") {
		t.Errorf("after %%notrunc: mode %q", got)
	}

	// Frozen, the hub is a plain file, with an end.
	percent(term, "freeze")
	percent(term, "list") // is done after it, and says so
	term.ExpectMatch(`work1\s+\S*frozen`)
	term.Type(" ")
	frozen := w.reader("work1")
	frozen.until("one-1001")
	frozen.exits(0)
	term.Type("echo cold-$((1000+1))\r") // waits
	percent(term, "melt")
	term.Expect("cold-1001")
	percent(term, "detach")
	term.Exits(0)
}

func TestPercentQuitStopsTheServer(t *testing.T) {
	w := newWorld(t)
	s := w.serve("-s", "default")
	w.shell("work")
	term := w.terminal("attach", "work")
	answers(term, "one", 1001)
	percent(term, "quit")
	if code := s.exit(); code != 0 {
		t.Errorf("the server: exit %d", code)
	}
	term.ExpectMatch(`hub: `)
	term.Restored()
}

// TestPrefixTwiceSendsItself: and without a prefix every key is the shell's.
func TestPrefixTwiceSendsItself(t *testing.T) {
	w := newWorld(t)
	w.want("new", "keys", "--", "sh", "-c", "stty raw -echo; echo ready-$((1+1)); exec cat -uv")
	term := w.terminal("-e", "^A", "attach", "keys")
	term.Expect("ready-2")
	term.Type("\x01\x01")
	term.Expect("^A")
	term.Type("\x1cd") // not the prefix here
	term.Expect(`^\d`)
	term.Type("\x01d")
	term.Exits(0)
	all := w.terminal("-e", "none", "attach", "keys")
	all.Expect(`^\d`)
	all.Type("\x01\x1c")
	all.Expect(`^A^\`)
	all.Kill()
}
