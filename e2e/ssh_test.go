package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSSHInItsPlace: with a program in ssh's place everything works that works
// over ssh.
func TestSSHInItsPlace(t *testing.T) {
	w := newWorld(t)
	h := w.there(true)
	w.env = append(w.env, "HUB_SSH="+h.wrapper()+" -F none")

	// The server there is started by who comes first.
	w.want("-s", "ssh://ann@there:22/box", "new", "work", "--", "sh", "-i")
	if out := h.hub("-s", "box", "ls").stdout; !strings.Contains(out, "work") {
		t.Errorf("there: %q", out)
	}
	calls, err := os.ReadFile(filepath.Join(h.dir, "calls"))
	if want := "-F none -T -p 22 -l ann -- there /bin/sh -c "; err != nil || !strings.HasPrefix(string(calls), want) {
		t.Errorf("called with %q, %v; want %q first", calls, err, want)
	}
	term := w.terminal("-s", "ssh://there/box", "attach", "work")
	answers(term, "here", 41)
	term.Type("exit 7\r")
	term.Exits(7)

	r := w.hubInput("one\ntwo\n", "-s", "ssh!there", "tee", "log")
	if r.code != 0 || r.stdout != "one\ntwo\n" {
		t.Errorf("tee: %+v", r)
	}
	if out := h.hub("read", "log").stdout; out != "one\ntwo\n" {
		t.Errorf("there: %q", out)
	}

	r = w.hub("-s", "ssh://nowhere", "ls")
	if want := "hub: ssh://nowhere: ssh: Could not resolve hostname nowhere: Name or service not known\n"; r.code != 125 || r.stderr != want {
		t.Errorf("%+v, want %q", r, want)
	}
	w.env = append(w.env, "HUB_SSH=/nonexistent/ssh")
	if r = w.hub("-s", "ssh://there", "ls"); r.code != 125 || !strings.Contains(r.stderr, "$HUB_SSH") {
		t.Errorf("no such program: %+v", r)
	}
}

// TestTypedInterruptIsNotForSSH: Ctrl-C goes to all of a terminal's foreground.
// hub says to the server how its command has ended, and so ssh must live.
func TestTypedInterruptIsNotForSSH(t *testing.T) {
	w := newWorld(t)
	h := w.there(true)
	w.env = append(w.env, "HUB_SSH="+h.wrapper())
	term := w.terminal("-s", "ssh://there", "tee", "job", "--", "sh", "-c", "echo up-$((1+1)); exec sleep 1000")
	term.Expect("up-2")
	term.Type("\x03")
	term.Exits(130)
	r := h.hub("watch", "job")
	if r.code != 130 || !strings.Contains(r.stdout, "up-2") {
		t.Errorf("there: %+v", r)
	}
}

// TestPasswordsAreTypedOnceAndNotInASession: ssh asks on the terminal, while it
// is nobody else's. When the connection is lost hub has it, and ssh may not ask.
func TestPasswordsAreTypedOnceAndNotInASession(t *testing.T) {
	w := newWorld(t)
	h := w.there(true)
	asks := filepath.Join(h.dir, "asks")
	script(t, asks, `case "$*" in *BatchMode=yes*) echo "ann@there: Permission denied (password)." >&2; exit 255;; esac
stty -echo </dev/tty; printf 'password: ' >/dev/tty; read password </dev/tty; stty echo </dev/tty; echo >/dev/tty
[ "$password" = sesame ] || { echo "ann@there: Permission denied (password)." >&2; exit 255; }
echo $$ >`+h.dir+`/pid
exec `+h.wrapper()+` "$@"`)
	w.env = append(w.env, "HUB_SSH="+asks)

	term := w.terminal("-s", "ssh://ann@there", "work")
	term.Expect("password: ")
	term.Type("wrong\r")
	term.Expect("hub: ssh://ann@there: ann@there: Permission denied (password).")
	term.Exits(125)

	term = w.terminal("-s", "ssh://ann@there", "work")
	term.Expect("password: ")
	term.Type("sesame\r")
	answers(term, "let-in", 41)
	if strings.Contains(term.Seen(), "sesame") {
		t.Error("the password is on the screen")
	}
	pid, err := os.ReadFile(filepath.Join(h.dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", strings.TrimSpace(string(pid))).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	term.Expect("connection lost")
	term.Type(detach)
	term.Exits(0)
	if n := strings.Count(term.Seen(), "password: "); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestSSHForReal is with sshd.
func TestSSHForReal(t *testing.T) {
	w := newWorld(t)
	h := w.there(true).sshd()

	w.want("-s", "ssh://there", "new", "work", "--", "sh", "-i")
	term := w.terminal("-s", "ssh://there", "attach", "work")
	answers(term, "first", 41)
	second := w.terminal("-s", "ssh://127.0.0.1:"+h.port, "attach", "work")
	answers(second, "second", 42)
	term.Expect("second-42")
	second.Type(detach)
	second.Exits(0)
	if out := h.hub("ls").stdout; !strings.Contains(out, "work") {
		t.Errorf("there: %q", out)
	}
	if r := w.hub("-s", "ssh://there/other", "ls"); r.code != 0 || r.stdout != "" {
		t.Errorf("another server there: %+v", r)
	}
	// One connection for the host by each of its two names.
	if n := h.logins(); n < 1 || n > 2 {
		t.Errorf("%d logins for 5 connections", n)
	}

	// It is gone, and the terminal goes on when there is another.
	h.hangUp()
	answers(term, "third", 43)
	term.Type("exit 5\r")
	term.Exits(5)
}

func TestErrorsOfSSHForReal(t *testing.T) {
	w := newWorld(t)
	h := w.there(true).sshd()
	for _, tc := range []struct{ addr, want string }{
		{"ssh://127.0.0.1:" + freePort(t), "Connection refused\n"},
		{"ssh://nobody-we-know@there", "Permission denied (publickey).\n"},
	} {
		r := w.hub("-s", tc.addr, "ls")
		if r.code != 125 || !strings.HasPrefix(r.stderr, "hub: "+tc.addr+": ") || !strings.HasSuffix(r.stderr, tc.want) ||
			strings.Count(r.stderr, tc.want) != 1 {
			t.Errorf("%s: %+v, want %q once", tc.addr, r, tc.want)
		}
	}
	// A host with another key than it had.
	other, err := os.ReadFile(filepath.Join(h.dir, "id.pub"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("known_hosts", "* "+string(other))
	r := w.hub("-s", "ssh://there", "ls")
	if r.code != 125 || !strings.Contains(r.stderr, "REMOTE HOST IDENTIFICATION HAS CHANGED") ||
		!strings.HasSuffix(r.stderr, "hub: ssh://there: Host key verification failed.\n") {
		t.Errorf("%+v", r)
	}
}

func TestInstallOverSSH(t *testing.T) {
	w := newWorld(t)
	h := w.there(false).sshd()
	r := w.hub("-s", "ssh://there", "ls")
	if want := "hub: ssh://there: there is no hubfs\nhub: hint: hub install ssh://there copies this hub there\n"; r.code != 125 || r.stderr != want {
		t.Errorf("%+v, want %q", r, want)
	}

	if r = w.hub("install", "ssh://there"); r.code != 0 || r.stdout != "" {
		t.Errorf("install: %+v", r)
	}
	bin := filepath.Join(h.home, ".local", "bin")
	same := func() {
		t.Helper()
		if out, err := exec.Command("cmp", w.command("hub").Path, filepath.Join(bin, "hub")).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		left, err := filepath.Glob(filepath.Join(bin, "*"))
		hidden, _ := filepath.Glob(filepath.Join(bin, ".hub*"))
		if len(left) != 2 || len(hidden) != 0 {
			t.Errorf("in its folder: %q %q, %v", left, hidden, err)
		}
	}
	same()
	w.want("-s", "ssh://there", "new", "work", "--", "sh", "-i") // though it is not in PATH there
	term := w.terminal("-s", "ssh://there", "attach", "work")
	answers(term, "installed", 11)

	if r = w.hub("install", "ssh://there"); r.code != 1 || !strings.Contains(r.stderr, "already") || !strings.Contains(r.stderr, "--force") {
		t.Errorf("again: %+v", r)
	}
	// What runs there stays, and so does who is there.
	if r = w.hub("install", "--force", "ssh://there"); r.code != 0 {
		t.Errorf("--force: %+v", r)
	}
	same()
	answers(term, "still", 12)
	term.Type("exit\r")
	term.Exits(0)

	// Another kind of machine.
	script(t, filepath.Join(h.bin, "uname"), "echo Plan9 mips")
	r = w.hub("install", "--force", "ssh://there")
	if r.code != 1 || !strings.Contains(r.stderr, "is plan9/mips, and this hub is for") {
		t.Errorf("another machine: %+v", r)
	}
	os.Remove(filepath.Join(h.bin, "uname"))
	// A disk that is full.
	script(t, filepath.Join(h.bin, "cat"), "head -c 1000; echo no space left >&2; exit 1")
	if r = w.hub("install", "--force", "ssh://there"); r.code == 0 || !strings.Contains(r.stderr, "no space left") {
		t.Errorf("a full disk: %+v", r)
	}
	same()
	w.want("-s", "ssh://there", "ctl", "quit") // its file is not there any more: nobody else would know it
}
