package hubfs

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"hubfs/hub"
	"hubfs/tree"
)

// realServer is a server whose shells are real processes.
func realServer(t *testing.T) *server {
	t.Helper()
	fs := New(Config{Name: "real", Owner: "glenda", Shell: "/bin/sh", Grace: time.Second})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := fs.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return &server{FS: fs, t: t}
}

// output reads a hub until its text holds want, or to its end.
func (s *server) output(path, want string) string {
	s.t.Helper()
	f := s.node(path).(*hubFile)
	r := f.hub.NewReader(hub.FromOldest, hub.ReaderOptions{})
	defer r.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	all, buf := "", make([]byte, 4096)
	for want == "" || !strings.Contains(all, want) {
		n, err := r.ReadContext(ctx, buf)
		if err != nil {
			if want == "" && err == hub.ErrEnded {
				return all
			}
			s.t.Fatalf("%s: %q, then %v; want %q", path, all, err, want)
		}
		all += string(buf[:n])
	}
	return all
}

// TestRealShell: a session from start to end through files alone.
func TestRealShell(t *testing.T) {
	s := realServer(t)
	s.ctl("shell w -d / -e GREET=hello -s 33x101 -- /bin/sh -c 'stty -echo; echo ready; exec /bin/sh'")
	s.output("w1", "ready")
	in := s.open("w0", tree.OpenWrite)
	in.mustWrite("echo $GREET-$HUB_SHELL-$TERM-$PWD; stty size\n")
	out := s.output("w1", "33 101")
	if !strings.Contains(out, "hello-w-xterm-256color-/") {
		t.Errorf("output %q", out)
	}
	s.open("shell/w/ctl", tree.OpenWrite).mustWrite("size 44 102")
	in.mustWrite("stty size\n")
	s.output("w1", "44 102")
	in.mustWrite("echo last; exit 3\n")
	s.waitFor("w")
	if got := s.cat("shell/w/wait"); got != "exit 3\n" {
		t.Errorf("wait %q", got)
	}
	if out := s.output("w1", ""); !strings.Contains(out, "last") {
		t.Errorf("output %q", out)
	}
}

// TestRealPipes: three streams apart, and the end of stdin.
func TestRealPipes(t *testing.T) {
	s := realServer(t)
	s.ctl("shell c -p -- /bin/sh -c 'cat; echo done >&2'")
	in := s.open("c0", tree.OpenWrite)
	in.mustWrite("one\n")
	in.mustWrite("two\n")
	s.ctl("eof c0")
	s.waitFor("c")
	if out, errs := s.output("c1", ""), s.output("c2", ""); out != "one\ntwo\n" || errs != "done\n" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

// TestRealNote: an interrupt reaches the program, not the shell.
func TestRealNote(t *testing.T) {
	s := realServer(t)
	s.ctl("shell w -- /bin/sh -c 'trap \"echo caught; exit 7\" INT; echo ready; while :; do read x; done'")
	s.output("w1", "ready")
	s.open("w0.note", tree.OpenWrite).mustWrite("interrupt")
	s.waitFor("w")
	if got := s.cat("shell/w/wait"); got != "exit 7\n" {
		t.Errorf("wait %q", got)
	}
}

// TestRealKillOfAFrozenShell: what it still has to say is lost, and it ends.
func TestRealKillOfAFrozenShell(t *testing.T) {
	s := realServer(t)
	s.ctl("shell w -- /bin/sh -c 'trap \"\" HUP; echo ready; while :; do echo y; done'")
	s.output("w1", "ready")
	s.ctl("freeze w1\nkill w")
	s.waitFor("w")
	if got := s.cat("shell/w/wait"); got != "signal KILL\n" {
		t.Errorf("wait %q", got)
	}
}

// TestRealStartFails with the reason.
func TestRealStartFails(t *testing.T) {
	s := realServer(t)
	s.ctlFails("shell w -- no-such-command-here", nil, "no-such-command-here")
	s.ctlFails("shell w -d /no/such/dir", nil, "/no/such/dir")
	s.ctl("shell w -- /bin/sh -c 'exit 0'")
	s.waitFor("w")
	if _, err := s.open("w1", tree.OpenRead).next(); err != io.EOF {
		t.Errorf("read: %v", err)
	}
}
