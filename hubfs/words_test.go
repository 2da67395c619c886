package hubfs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hubfs/access"
	"hubfs/hub"
	"hubfs/shellctl"
	"hubfs/tree"
)

func statusCode(n int) shellctl.Status { return shellctl.Status{Code: n} }

// TestReadingCtlPrintsWhatTheOriginalDid, to the letter.
func TestReadingCtlPrintsWhatTheOriginalDid(t *testing.T) {
	s := newServer(t, Config{Name: "pool", Size: 777777})
	const want = "\tHubfs pool status (1 is active, 0 is inactive):\n" +
		" Paranoia == 0  Freeze == 0  Trunc == 0  Applylimits == 0\n" +
		" Buffersize == 777777 \n"
	if got := s.cat("ctl"); got != want {
		t.Errorf("ctl:\n%q\nwant:\n%q", got, want)
	}
	s.ctl("fear\nfreeze\ntrunc")
	if got := s.cat("ctl"); !strings.Contains(got, " Paranoia == 1  Freeze == 1  Trunc == 1  Applylimits == 0\n") {
		t.Errorf("ctl: %q", got)
	}
	s = newServer(t, Config{Trunc: true, Limit: hub.Limit{BytesPerSecond: 1}})
	if got := s.cat("ctl"); !strings.Contains(got, " Paranoia == 0  Freeze == 0  Trunc == 1  Applylimits == 1\n") {
		t.Errorf("ctl: %q", got)
	}
}

// TestAMalformedCommandSaysWhatWasExpected, and nothing of it is done.
func TestAMalformedCommandSaysWhatWasExpected(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("h")
	s.ctl("shell sh")
	for _, c := range []struct {
		line string
		want error
		say  string
	}{
		{"fee", nil, `unknown command "fee": expected fear, calm, freeze, melt, trunc, notrunc, eof, end, reopen, size, limit, nolimit, spool, nospool, patience, nopatience, drop, shell, host, kill, pipe, unpipe, rm, quit`},
		{"fearsome", nil, `unknown command "fearsome"`}, // no prefixes
		{"FEAR", nil, "unknown command"},
		{"spool h", tree.ErrInvalid, "no folder of its own"}, // more in TestSpoolWords
		{"pid 4", nil, "unknown command"},                    // of a host
		{"exit 0", nil, "unknown command"},
		{"fear h h", nil, "fear: 2 arguments: expected fear [HUB]"},
		{"fear nosuch", tree.ErrNotExist, `no hub "nosuch"`},
		{"fear h@", tree.ErrNotExist, `no hub "h@"`},
		{"fear sh", tree.ErrNotExist, "but a shell: its hubs are sh0, sh1 and sh2"},
		{"fear ctl", tree.ErrNotExist, "no hub"},
		{"end", nil, "expected end HUB [STATUS]"},
		{"end h 'a\nhub new x'", tree.ErrInvalid, "control characters"},
		{"end h " + strings.Repeat("x", maxText+1), tree.ErrInvalid, "512 bytes"},
		{"end sh1", tree.ErrBusy, "output of shell sh"},
		{"reopen", nil, "expected reopen HUB"},
		{"size h", nil, "expected size HUB BYTES"},
		{"size h many", nil, `"many" is not a number of bytes of 1 or more, as 65536, 64K or 1G: expected size HUB BYTES`},
		{"size h 0", nil, "1 or more"},
		{"size h -5", nil, "1 or more"},
		{"size h 99999999999999999999", nil, "1 or more"},
		{"size nosuch 5", tree.ErrNotExist, "no hub"},
		{"limit h fast", nil, "expected limit HUB BYTES/S"},
		{"limit h 0", nil, "1 or more"},
		{"nolimit", nil, "expected nolimit HUB"},
		{"patience h", nil, "expected patience HUB SECONDS"},
		{"patience h 0", nil, "1 or more"},
		{"patience nosuch 3", tree.ErrNotExist, "no hub"},
		{"nopatience", nil, "expected nopatience HUB"},
		{"drop h", nil, `"h" is not a number of 1 or more: expected drop READER`},
		{"drop 999", tree.ErrNotExist, "no reader 999"},
		{"drop 0", nil, "1 or more"}, // the shell's own
		{"shell", nil, "expected shell NAME [-d DIR] [-e K=V]... [-s ROWSxCOLS] [-p] [--] [CMD ARG...]"},
		{"shell -p", nil, "no name: expected shell NAME"},
		{"shell -- x", nil, "unknown option"},
		{"shell x -q", nil, `unknown option "-q"`},
		{"shell x -d", nil, "-d wants an argument"},
		{"shell x -e FOO", nil, `-e "FOO" is not K=V`},
		{"shell x -e =v", nil, "not K=V"},
		{"shell x -s 24", nil, `"24" is not ROWSxCOLS`},
		{"shell x -s 0x80", nil, "not a number of rows from 1 to 9999"},
		{"shell x -s 24x10000", nil, "not a number of columns from 1 to 9999"},
		{"shell x -s 24x-1", nil, "columns"},
		{"shell x -d rel", tree.ErrInvalid, "not absolute"},
		{"host x -p", nil, "unknown option"},
		{"host", nil, "expected host NAME"},
		{"kill", nil, "expected kill NAME"},
		{"kill h", tree.ErrNotExist, `no shell "h"`},
		{"rm nosuch", tree.ErrNotExist, `no shell and no hub "nosuch"`},
		{"rm sh", tree.ErrBusy, "kill it first"},
		{"rm sh1", tree.ErrPermission, "belongs to shell sh"},
		{"quit now", nil, "expected quit"},
		{"fear 'h", nil, "closing quote"},
	} {
		before := s.cat("status") + s.cat("ctl")
		s.ctlFails(c.line, c.want, c.say)
		if after := s.cat("status") + s.cat("ctl"); after != before {
			t.Errorf("%q was refused and did something:\n%s", c.line, after)
		}
	}
	select {
	case <-s.Quit():
		t.Error("quit")
	default:
	}
	s.ctl("quit")
	s.ctl("quit\x00")
	<-s.Quit()
}

// TestEveryWordIsInTheManual, which scripts are written by.
func TestEveryWordIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../doc/hubfs.4")
	if err != nil {
		t.Fatal(err)
	}
	listen := func(string) error { return nil }
	store, err := access.Open("", access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Config{Listen: listen, Unlisten: listen, Access: store})
	s.ctl("shell a")
	ctl := s.open("ctl", tree.OpenRDWR).h.(*ctlHandle)
	attached := s.open("shell/a/ctl", tree.OpenRDWR).h.(*shellCtlHandle)
	stats := s.open("stats", tree.OpenRDWR).h.(*statsHandle)
	grants := s.open("access", tree.OpenRDWR).h.(*accessHandle)
	words := slices.Concat(ctlWords(ctl), hostWords(ctl, nil), attached.words(), stats.words(), grants.words(), s.FS.listenWords(ctl.c))
	if len(words) < 20 {
		t.Errorf("only %d words", len(words))
	}
	for _, w := range words {
		if !regexp.MustCompile(`(?m)Cm ` + w.Name + `\b`).Match(manual) {
			t.Errorf("%s is not in doc/hubfs.4", w.Name)
		}
		if w.Help == "" {
			t.Errorf("%s has no help", w.Name)
		}
	}
}

// TestShellOptions reach the process.
func TestShellOptions(t *testing.T) {
	t.Setenv("SHELL", "/bin/zsh")
	s := newServer(t, Config{Env: []string{"HUB_SERVER=pool"}})
	s.ctl("shell x -d /tmp -e 'A=b c' -e TERM=vt100 -s 30x100 -p -- cmd -x 'it''s' \"two\nlines\"")
	spec := s.proc("x").spec
	if spec.Dir != "/tmp" || spec.Rows != 30 || spec.Cols != 100 || !spec.Pipe {
		t.Errorf("spec %+v", spec)
	}
	if got := strings.Join(spec.Argv, "|"); got != "cmd|-x|its|two\nlines" {
		t.Errorf("argv %q", got)
	}
	for name, want := range map[string]string{
		"args": "cmd -x its 'two\nlines'\n",
		"env":  "TERM=dumb\nHUB_SHELL=x\nHUB_SERVER=pool\n'A=b c'\nTERM=vt100\n",
		"dir":  "/tmp\n",
		// One line whatever the arguments hold.
		"status": "x running 101 0 0 0 'cmd -x its ''two\ufffdlines'''\n",
	} {
		if got := s.cat("shell/x/" + name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	last := map[string]string{}
	for _, kv := range spec.Env {
		k, v, _ := strings.Cut(kv, "=")
		last[k] = v
	}
	if last["TERM"] != "vt100" || last["HUB_SERVER"] != "pool" || last["A"] != "b c" || last["SHELL"] != "/bin/zsh" {
		t.Errorf("environment %q", spec.Env)
	}

	s.ctl("shell y echo -p")
	if spec := s.proc("y").spec; spec.Pipe || strings.Join(spec.Argv, " ") != "echo -p" || spec.Rows != 24 || spec.Cols != 80 {
		t.Errorf("spec %+v", spec)
	}
	s.ctl("shell -p z")
	if spec := s.proc("z").spec; !spec.Pipe || strings.Join(spec.Argv, " ") != "/bin/sh" || !strings.HasPrefix(spec.Dir, "/") {
		t.Errorf("spec %+v", spec)
	}
	s.cfg.Shell = ""
	s.ctl("shell v")
	if spec := s.proc("v").spec; strings.Join(spec.Argv, " ") != "/bin/zsh" {
		t.Errorf("argv %q", spec.Argv)
	}
}

func TestPasswdShell(t *testing.T) {
	for uid, want := range map[int]string{1: "/bin/rc", 2: "", 3: ""} {
		if got := passwdShell("testdata/passwd", uid); got != want {
			t.Errorf("shell of %d: %q, want %q", uid, got, want)
		}
	}
	if got := passwdShell("testdata/none", 1); got != "" {
		t.Errorf("shell of nobody: %q", got)
	}
}
