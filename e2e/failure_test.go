package e2e

import (
	"testing"

	"hubfs/e2e/internal/dialogue"
)

func TestKilledClientHarmsNobody(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.shell("work")
	events := w.events()

	victim, survivor := w.terminal("attach", "work"), w.terminal("attach", "work")
	answers(victim, "one", 1001)
	survivor.Expect("one-1001")
	victim.Kill()
	events.expect("client detach work")
	answers(survivor, "two", 1002)

	// One more with a read that waits on a hub, and nothing else to do.
	w.hubInput("begin\n", "write", "quiet")
	reader, other := w.reader("quiet"), w.reader("quiet")
	reader.line("begin")
	other.line("begin")
	reader.kill()
	w.hubInput("end\n", "write", "quiet")
	other.line("end")
	w.want("ctl", "end", "quiet")
	other.exits(0)

	answers(survivor, "three", 1003)
	survivor.Type(detach)
	survivor.Exits(0)
}

// TestClosedWindowLeavesTheShell: the client gets a hangup, and the shell
// knows nothing of it.
func TestClosedWindowLeavesTheShell(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	w.shell("work")
	events := w.events()
	term := w.terminal("attach", "work")
	term.Type("kept=still-here\r")
	answers(term, "one", 1001)
	term.Close()
	events.expect("client detach work")
	again := w.terminal("attach", "work")
	again.Expect("one-1001")
	again.Type("echo $kept-$((1+1))\r")
	again.Expect("still-here-2")
}

// TestStoppedServer: who is attached when the server is stopped, in order or
// not, says so, leaves the terminal as it was, and exits with 125.
func TestStoppedServer(t *testing.T) {
	for _, sig := range []string{"TERM", "KILL"} {
		t.Run(sig, func(t *testing.T) {
			w := newWorld(t)
			s := w.serve("-s", "default")
			w.shell("work")
			w.hubInput("begin\n", "write", "quiet")
			a, b := w.terminal("attach", "work"), w.terminal("attach", "-r", "work")
			answers(a, "one", 1001)
			b.Expect("one-1001")
			reader := w.reader("quiet")
			reader.line("begin")
			s.signal(sig)
			for _, term := range []*dialogue.Terminal{a, b} {
				term.ExpectMatch(`hub: .*(server|connection)`)
				term.Exits(125)
			}
			reader.exits(125)
			if want := map[string]int{"TERM": 0, "KILL": 137}[sig]; s.exit() != want {
				t.Errorf("the server: exit %d, want %d", s.exit(), want)
			}
		})
	}
}
