package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hubfs/e2e/internal/dialogue"
	"hubfs/e2e/internal/proxy"
)

// A guest is somebody on another machine: another home, with other keys, and no
// server of the world's own.
type guest struct {
	w    *world
	name string
	env  []string
}

func (w *world) guest(name string) *guest {
	w.tb.Helper()
	home := filepath.Join(w.dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		w.tb.Fatal(err)
	}
	env := slices.DeleteFunc(slices.Clone(w.env), func(v string) bool {
		return strings.HasPrefix(v, "HOME=") || strings.HasPrefix(v, "XDG_RUNTIME_DIR=")
	})
	return &guest{w, name, append(env, "HOME="+home, "XDG_RUNTIME_DIR="+home, "USER="+name)}
}

func (g *guest) command(name string, args ...string) *exec.Cmd {
	cmd := g.w.command(name, args...)
	cmd.Env = slices.Clone(g.env)
	return cmd
}

// terminal runs hub on a terminal of the guest's.
func (g *guest) terminal(args ...string) *dialogue.Terminal {
	g.w.tb.Helper()
	return dialogue.Start(g.w.tb, g.command("hub", args...), dialogue.Options{Timeout: patience})
}

// hub runs hub for the guest, without a terminal.
func (g *guest) hub(args ...string) result {
	g.w.tb.Helper()
	w := *g.w
	w.env = g.env
	return w.hub(args...)
}

// shares starts hub share of shell work, which guests reach on the loopback,
// and returns the terminal and the link.
func (w *world) shares(flags ...string) (host *dialogue.Terminal, link string) {
	w.tb.Helper()
	args := append([]string{"share", "--listen", "127.0.0.1:0"}, flags...)
	host = w.terminal(append(args, "work", "--", "sh", "-i")...)
	link = host.ExpectMatch(`hub attach '(hub://127\.0\.0\.1:\d+/work#[^']+)'`)[1]
	answers(host, "shared", 1001)
	return host, link
}

// invited is the link that hub invite prints.
func (w *world) invited(args ...string) string {
	w.tb.Helper()
	out := w.want(append([]string{"invite"}, args...)...)
	link := regexp.MustCompile(`hub://[^']+`).FindString(out)
	if link == "" {
		w.tb.Fatalf("hub invite %q: %q", args, out)
	}
	return link
}

// secret is the token in a link.
func secret(link string) string { return link[strings.LastIndex(link, ".")+1:] }

// TestShareWithATypistAndAViewer: three terminals of three people on one
// shell, which runs on the first one's side.
func TestShareWithATypistAndAViewer(t *testing.T) {
	w := newWorld(t)
	host, link := w.shares()
	watch := w.invited("--view", "--as", "eve", "work")

	ann := w.guest("ann").terminal("attach", link)
	ann.Expect("shared-1001") // the history
	eve := w.guest("eve").terminal("attach", watch)
	eve.Expect("only watch")
	eve.Expect("shared-1001")

	answers(ann, "ann", 1002)
	host.Expect("ann-1002")
	eve.Expect("ann-1002")
	eve.Type("echo eve-$((1+1))\r")
	answers(host, "host", 1003)
	ann.Expect("host-1003")
	eve.Expect("host-1003")
	if strings.Contains(host.Seen(), "eve-") {
		t.Error("what a viewer types reached the shell")
	}

	// Sizes agree: that of the typist who was active last.
	ann.Resize(31, 91)
	// The size goes its own way, and may come later than what is typed.
	ann.Type("until stty size | grep -x '31 91'; do sleep 0.1; done; echo sized-$((1+1))\r")
	host.Expect("sized-2")

	host.Type("\x1cw")
	host.ExpectMatch(`guest:ann +types`)
	host.ExpectMatch(`guest:eve +watches`)
	host.Type(" ")
	host.Type(detach) // the end of the share
	host.ExpectMatch(`hub: the share has ended: guest:\w+, guest:\w+ were cut\r\nhub: shell work has ended`)
	host.Exits(0)
	ann.ExpectMatch(`hub: `)
	eve.ExpectMatch(`hub: `)
	for _, term := range []*dialogue.Terminal{ann, eve} {
		term.Exits(125)
	}
	if r := w.hub("wait", "work"); r.stdout != "signal HUP\n" {
		t.Errorf("the shell goes on: %+v", r)
	}
	if out := w.want("invite", "--list"); out != "" {
		t.Errorf("invitations are left:\n%s", out)
	}
	if r := w.guest("late").hub("attach", link); r.code != 125 {
		t.Errorf("the link still works: %+v", r)
	}
}

// TestShareAsksBeforeAStrangerTypes: what a guest types before the host has
// said yes goes nowhere, then or later.
func TestShareAsksBeforeAStrangerTypes(t *testing.T) {
	w := newWorld(t)
	host, link := w.shares("--ask", "--uses", "2")

	ann := w.guest("ann").terminal("attach", link)
	ann.Expect("is asked whether you may type")
	host.Expect("guest:ann is here and asks to type")
	ann.Type("echo early-$((1+1))\r")
	answers(host, "unmoved", 1002)
	ann.Expect("unmoved-1002")
	host.Type("\x1cy")
	host.Expect("guest:ann may type now")
	ann.Expect("you may type")
	answers(ann, "yes", 1003)
	host.Expect("yes-1003")
	if strings.Contains(host.Seen(), "early-") {
		t.Error("what was typed before reached the shell")
	}

	// The next one is sent away: he asks, and so it is he.
	bob := w.guest("bob").terminal("attach", link)
	host.Expect("guest:bob is here and asks to type")
	host.Type("\x1cx")
	host.ExpectMatch(`throw out \(number, or Enter for \d\): `)
	host.Type("9\r")
	host.Expect("expected a number from 1 to 2") // and not 29, or so
	host.Type(" \x1cx")
	host.Expect("throw out")
	host.Type("\r")
	host.Expect("guest:bob was thrown out")
	// He may be cut before he has read why.
	bob.ExpectMatch(`hub: (you may not type to shell work: denied|what let us in to shell work has expired)`)
	bob.Exits(125)
	answers(ann, "stays", 1004)

	// With one guest left, one key does, also from the list of who is here:
	// behind the prefix key, as always, and by itself.
	host.Type("\x1cw")
	host.ExpectMatch(`guest:ann +types`)
	host.Expect("-- x throws a guest out")
	host.Type("\x1cy")
	host.Expect("nobody is here whom you could let type")
	host.Type(" ")
	host.Type("\x1cw")
	host.Expect("-- x throws a guest out")
	host.Type("x")
	host.Expect("guest:ann was thrown out")
	ann.Exits(125)
	host.Type("exit 3\r")
	host.Exits(3)
}

// TestSharedShellIsKept: the share ends for the guests, and the shell goes on.
func TestSharedShellIsKept(t *testing.T) {
	w := newWorld(t)
	host, link := w.shares("--keep")
	ann := w.guest("ann")
	term := ann.terminal("attach", link)
	term.Expect("shared-1001")
	host.Type("kept=still-here\r")
	answers(host, "kept", 1002)
	host.Type(detach)
	host.Expect("goes on")
	host.Exits(0)
	term.Exits(125)
	if r := ann.hub("-s", link, "ls"); r.code != 125 {
		t.Errorf("the guest may still come: %+v", r)
	}
	again := w.terminal("attach", "work")
	again.Type("echo $kept-$((1+2))\r")
	again.Expect("still-here-3")
	again.Type("exit 0\r")
	again.Exits(0)
}

// TestSharedShellComesHome: it was shared to a server elsewhere, and is kept on
// the user's own.
func TestSharedShellComesHome(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "far", "-a", "tls!127.0.0.1!0")
	host := w.terminal("-s", "far", "share", "--keep", "work", "--", "sh", "-i")
	link := host.ExpectMatch(`hub attach '([^']+)'`)[1]
	host.Type("kept=still-here\r")
	answers(host, "kept", 1002)
	ann := w.guest("ann").terminal("attach", link)
	ann.Expect("kept-1002")
	host.Type(detach)
	host.Expect("goes on")
	host.Exits(0)
	ann.Exits(125)
	if out := w.want("-s", "far", "ls"); strings.Contains(out, "work") {
		t.Errorf("on the other server: %s", out)
	}
	again := w.terminal("attach", "work")
	again.Type("echo $kept-$((1+2))\r")
	again.Expect("still-here-3")
	again.Type("exit 5\r")
	again.Exits(5)
}

// TestGuestSharesThroughABadNetwork: ann may write shell lap of a server that is
// not hers, runs it on her own machine, and lets bob in; the way from her to the
// server is cut, falls silent, and is gone for a while. What both type, and what
// the shell says, is there once.
func TestGuestSharesThroughABadNetwork(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default", "-a", "tls!127.0.0.1!0")
	at := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(w.want("read", "status"))
	p, err := proxy.Listen("tcp", "127.0.0.1:0", "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	link := w.invited("--host", p.Addr().String(), "lap")

	ann, bob := w.guest("ann"), w.guest("bob")
	ann.env = append(ann.env, "HUB_KEEPALIVE=200ms")
	host := ann.terminal("-s", link, "share", "--host", at, "lap", "--", "sh", "-i")
	forBob := host.ExpectMatch(`hub attach '([^']+)'`)[1]
	answers(host, "shared", 1001)
	guest := bob.terminal("attach", forBob)
	guest.Expect("shared-1001")
	for i, befalls := range []func(){
		func() { p.Cut() },
		func() { p.Reset() },
		func() { p.Silence(proxy.Blackhole) },
		func() { p.Silence(proxy.SilentUp) },
		func() { p.Silence(proxy.SilentDown) },
		func() { p.Refuse(true); p.Cut() },
	} {
		befalls()
		guest.Type(fmt.Sprintf("echo bob-%d-$((1+1))\r", i))
		host.Type(fmt.Sprintf("echo ann-%d-$((1+1))\r", i))
		p.Refuse(false)
		for _, term := range []*dialogue.Terminal{guest, host} {
			// In either order: they were typed at the same time.
			term.ExpectMatch(fmt.Sprintf(`(?s)(bob|ann)-%d-2.*(ann|bob)-%d-2`, i, i))
		}
	}
	answers(host, "done", 1009)
	guest.Expect("done-1009")
	for _, who := range []string{"bob", "ann"} {
		for i := range 6 {
			// Where the prompt is drawn again the line was read once all the same.
			if n := strings.Count(guest.Seen(), fmt.Sprintf("%s-%d-2\r\n", who, i)); n != 1 {
				t.Errorf("%s-%d: %d times", who, i, n)
			}
		}
	}
	host.Type(detach)
	host.Exits(0)
	guest.Exits(125)
}

// TestClosedTerminalDoesNotEndAShare: the lid is shut, or the window. The
// guests work on, and the host comes back.
func TestClosedTerminalDoesNotEndAShare(t *testing.T) {
	w := newWorld(t)
	host, link := w.shares()
	ann := w.guest("ann").terminal("attach", link)
	ann.Expect("shared-1001")
	host.Close()
	answers(ann, "alone", 1002)

	again := w.terminal("attach", "work")
	again.Expect("alone-1002")
	again.Type(detach)
	again.Exits(0)
	answers(ann, "still", 1003)
	processes := worldProcesses(w.dir)
	w.want("kill", "work")
	ann.ExpectMatch("hub: ")
	// The invitation ends with the shell, though nobody is there who would see to
	// it: the process that ran the shell does, before it ends.
	for _, p := range processes {
		if p.names("hub host ") && !p.gone(time.Now().Add(patience)) {
			t.Errorf("runs on: %v", p)
		}
		p.close()
	}
	if out := w.want("invite", "--list"); out != "" {
		t.Errorf("invitations are left:\n%s", out)
	}
}

// TestLinkIsUsedOnce: it is worth nothing to whoever finds it later, and its
// first user needs it no more.
func TestLinkIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	link := w.invited("--listen", "127.0.0.1:0", "work")
	ann, bob := w.guest("ann"), w.guest("bob")
	first := ann.terminal("attach", link)
	answers(first, "first", 1001)
	first.Type(detach)
	first.Exits(0)

	r := bob.hub("attach", link)
	if r.code != 125 || !strings.Contains(r.stderr, "hint") || strings.Contains(r.stderr, secret(link)) {
		t.Errorf("the second user: %+v", r)
	}
	bare, _, _ := strings.Cut(link, "#")
	second := ann.terminal("attach", bare)
	second.Expect("first-1001")
	second.Type(detach)
	second.Exits(0)
	third := ann.terminal("attach", link) // out of the history of her shell
	third.Expect("first-1001")
	third.Type(detach)
	third.Exits(0)
	if r := bob.hub("attach", bare); r.code != 125 {
		t.Errorf("without a token: %+v", r)
	}
	if r := w.want("invite", "--list"); !strings.Contains(r, "guest:ann") || strings.Contains(r, secret(link)) {
		t.Errorf("list: %s", r)
	}
}

func TestExpiredLinkLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	link := w.invited("--listen", "127.0.0.1:0", "--for", "1ms", "work")
	if r := w.guest("ann").hub("attach", link); r.code != 125 || !strings.Contains(r.stderr, "expired") {
		t.Errorf("%+v", r)
	}
}

// TestRevokedLinkCutsAtOnce: who came by it is out before the answer.
func TestRevokedLinkCutsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	link := w.invited("--listen", "127.0.0.1:0", "work")
	ann := w.guest("ann")
	term := ann.terminal("attach", link)
	answers(term, "in", 1001)
	watch := ann.terminal("-s", strings.SplitN(link, "#", 2)[0], "watch", "work")
	watch.Expect("in-1001")
	id := strings.Fields(strings.Split(w.want("invite", "--list"), "\n")[1])[0]
	w.want("invite", "--revoke", id)
	term.Expect("hub: what let us in to shell work has expired, or its owner has ended it\r\n")
	term.Exits(125)
	watch.Expect("hub: the server does not let us in: permission denied") // and does not try again for a minute
	watch.Exits(125)
	if r := ann.hub("attach", link); r.code != 125 {
		t.Errorf("she comes again: %+v", r)
	}
	if r := w.hub("invite", "--revoke", "nosuch"); r.code != 1 {
		t.Errorf("no such invitation: %+v", r)
	}
}

// TestLinkFromStandardInput: it is in no list of processes, and the keys come
// from the terminal all the same.
func TestLinkFromStandardInput(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	link := w.invited("--listen", "127.0.0.1:0", "work")
	ann := w.guest("ann")
	file := filepath.Join(w.dir, "link")
	if err := os.WriteFile(file, []byte("hub attach '"+link+"'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hub := w.command("hub").Path
	term := dialogue.Start(t, ann.command("/bin/sh", "-c", fmt.Sprintf("cat %s | %s attach -", file, hub)), dialogue.Options{Timeout: patience})
	answers(term, "piped", 1001)
	if !term.Raw() {
		t.Error("the terminal does not pass on every key")
	}
	term.Type(detach)
	term.Exits(0)

	// Typed at a prompt it is not shown.
	typed := ann.terminal("attach", "-")
	typed.Expect("link: ")
	typed.Type(link + "\r")
	typed.Expect("piped-1001")
	typed.Type(detach)
	typed.Exits(0)
	if strings.Contains(typed.Seen(), secret(link)) {
		t.Error("the link was shown")
	}
}

// TestServerWithAnotherKeyIsRefused: that of a link that was changed, and that
// of a server that is known.
func TestServerWithAnotherKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	w.shell("work")
	link := w.invited("--listen", "127.0.0.1:0", "work")
	ann := w.guest("ann")
	before, after, _ := strings.Cut(link, "#")
	pin, token, _ := strings.Cut(after, ".")
	other := "A" + pin[1:]
	if other == pin {
		other = "B" + pin[1:]
	}
	r := ann.hub("attach", before+"#"+other+"."+token)
	if r.code != 125 || !strings.Contains(r.stderr, "another key") {
		t.Errorf("another key in the link: %+v", r)
	}
	// The token was not sent: it still works.
	term := ann.terminal("attach", link)
	answers(term, "in", 1001)
	term.Type(detach)
	term.Exits(0)
	// Now the server is known.
	r = ann.hub("attach", before+"#"+other+"."+token)
	if r.code != 125 || !strings.Contains(r.stderr, "known") {
		t.Errorf("a known server: %+v", r)
	}
	// Who has no link knows no server.
	if r := w.guest("bob").hub("attach", before); r.code != 125 || !strings.Contains(r.stderr, "not known") {
		t.Errorf("an unknown server: %+v", r)
	}
}

// TestNoSecretIsLeftLying: in no list of processes but where its user typed it,
// no log, no status, no file but as a hash.
func TestNoSecretIsLeftLying(t *testing.T) {
	w := newWorld(t)
	host, link := w.shares()
	ann := w.guest("ann")
	file := filepath.Join(w.dir, "link")
	if err := os.WriteFile(file, []byte(link+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hub := w.command("hub").Path
	term := dialogue.Start(t, ann.command("/bin/sh", "-c", fmt.Sprintf("%s attach - <%s", hub, file)), dialogue.Options{Timeout: patience})
	term.Expect("shared-1001")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	term.Type("env; set; echo listed-$((1+1))\r")
	term.Expect("listed-2")

	token := secret(link)
	for _, p := range worldProcesses(w.dir) {
		if p.names(token) {
			t.Errorf("in the list of processes: %v", p)
		}
		p.close()
	}
	for _, file := range []string{"status", "access", "ctl"} {
		if out := w.want("read", file); strings.Contains(out, token) {
			t.Errorf("in /%s: %s", file, out)
		}
	}
	if strings.Contains(term.Seen(), token) {
		t.Error("shown to the guest, or in the environment of the shell")
	}
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), token) {
			t.Errorf("in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	host.Type("exit 0\r")
	host.Exits(0)
	term.Exits(0)
}

// TestShareNeedsAWayForGuests: nothing is started, and the hint says what is
// missing.
func TestShareNeedsAWayForGuests(t *testing.T) {
	w := newWorld(t)
	w.serve("-s", "default")
	for _, args := range [][]string{{"share", "work", "--", "sh", "-i"}, {"invite", "work"}} {
		r := w.hub(args...)
		if r.code == 0 || !strings.Contains(r.stderr, "--listen :7777") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if out := w.want("ls"); strings.Contains(out, "work") {
		t.Errorf("a shell was started: %s", out)
	}
}
