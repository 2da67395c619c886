package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeSSH is a program in ssh's place: it notes its arguments and runs the
// command here, in a shell of the test's choice and with a PATH of its own.
type fakeSSH struct {
	t   *testing.T
	dir string
}

func newFakeSSH(t *testing.T) *fakeSSH {
	t.Helper()
	f := &fakeSSH{t, shortDir(t)}
	t.Setenv("XDG_RUNTIME_DIR", f.dir)
	f.program("ssh", `printf '%s\n' "$@" >$DIR/args
while [ "$1" != -- ]; do shift; done
shift 2
HOME=$DIR/home PATH=$DIR:/usr/bin:/bin
export HOME PATH
exec /bin/sh -c "exec $1"`)
	return f
}

// program makes a program of the machine over there.
func (f *fakeSSH) program(name, script string) {
	f.t.Helper()
	script = "#!/bin/sh\nDIR=" + f.dir + "\n" + script + "\n"
	if err := os.MkdirAll(filepath.Dir(filepath.Join(f.dir, name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(script), 0o700); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeSSH) dialer() Dialer {
	return Dialer{SSH: []string{filepath.Join(f.dir, "ssh"), "-F", "file"}}
}

// note is what programs over there have written to a file.
func (f *fakeSSH) note(name string) string {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// echo notes its arguments, greets, and says what it hears.
const echo = `printf '%s' "$*" >$DIR/hubfs.args
printf '\nhub9p: here\n'
exec cat`

func TestSSHIsAskedForHubfs(t *testing.T) {
	f := newFakeSSH(t)
	for name, prog := range map[string]string{
		"hubfs":                 "-stdio --alive -s büro 2;$(id)",
		"home/.local/bin/hubfs": "-stdio --alive -s büro 2;$(id)",
		"hub":                   "serve --stdio --alive -s büro 2;$(id)",
	} {
		t.Run(name, func(t *testing.T) {
			f.program(name, echo)
			defer os.Remove(filepath.Join(f.dir, name))
			c, err := f.dialer().Dial(t.Context(), parse(t, "ssh://ann@host:2222/büro 2;$(id)"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := f.note("hubfs.args"); got != prog {
				t.Errorf("run with %q, want %q", got, prog)
			}
			args := strings.Split(f.note("args"), "\n")
			if want := []string{"-F", "file", "-T", "-p", "2222", "-l", "ann", "--", "host"}; !slices.Equal(args[:len(want)], want) {
				t.Errorf("ssh %q, want %q first", args, want)
			}
			io.WriteString(c, "ping")
			buf := make([]byte, 4)
			if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "ping" {
				t.Errorf("%q, %v", buf, err)
			}
		})
	}
}

// TestSSHIsAskedForANode: --node goes to whichever program is there.
func TestSSHIsAskedForANode(t *testing.T) {
	for _, prog := range []string{"hubfs", "hub"} {
		f := newFakeSSH(t)
		f.program(prog, `printf '%s' "$*" >$DIR/asked; `+echo)
		d := f.dialer()
		d.Node = true
		c, err := d.Dial(t.Context(), parse(t, "ssh://host/work"))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := f.note("asked"); !strings.HasSuffix(got, "stdio --alive --node -s work") {
			t.Errorf("%s %q", prog, got)
		}
	}
}

// Login scripts that talk do not get into the way.
func TestSSHMayTalkBefore(t *testing.T) {
	f := newFakeSSH(t)
	f.program("hubfs", `printf 'Welcome!\nYou have mail: hub9p: not here'; `+echo)
	c, err := f.dialer().Dial(t.Context(), parse(t, "ssh!host"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "x")
	buf := make([]byte, 1)
	if _, err := io.ReadFull(c, buf); err != nil || buf[0] != 'x' {
		t.Errorf("%q, %v", buf, err)
	}
}

func TestErrorsOfSSHAreOurs(t *testing.T) {
	f := newFakeSSH(t)
	a := parse(t, "ssh://ann@host/work")
	fails := func(what, want string) error {
		t.Helper()
		c, err := f.dialer().Dial(t.Context(), a)
		if err == nil {
			c.Close()
			t.Fatalf("%s: connected", what)
		}
		if !strings.HasPrefix(err.Error(), "ssh://ann@host/work: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		return err
	}
	err := fails("no hubfs", "there is no hubfs")
	if !errors.Is(err, ErrNoProgram) || !strings.Contains(Hint(err), "hub install ssh://ann@host copies") {
		t.Errorf("hint %q of %v", Hint(err), err)
	}
	f.program("hubfs", `echo "hubfs: start server work: no space" >&2; exit 1`)
	fails("hubfs fails", ": hubfs: start server work: no space")
	f.program("hubfs", `exit 3`)
	fails("hubfs says nothing", "exit status 3")
	f.program("hubfs", `exec yes`)
	fails("hubfs is something else", "expected hubfs there")
	f.program("hubfs", `printf '\nhub9p: here\nand more'; exec cat`)
	fails("a server that talks first", "expected hubfs there")
	f.program("ssh", `echo "ann@host: Permission denied (publickey)." >&2; exit 255`)
	fails("ssh fails", ": ann@host: Permission denied (publickey).")
	f.program("ssh", `exit 127`)
	if err := fails("not found, but not by our script", "exit status 127"); errors.Is(err, ErrNoProgram) {
		t.Error(err)
	}
	os.Remove(filepath.Join(f.dir, "ssh"))
	fails("no ssh", "$HUB_SSH names another")
}

// What ssh says while it connects is for people to see, and nothing later: the
// terminal is in use then.
func TestSSHIsHeardWhileItConnects(t *testing.T) {
	f := newFakeSSH(t)
	if err := syscall.Mkfifo(filepath.Join(f.dir, "touched"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.program("hubfs", `echo "touch your key" >&2
read touch <$DIR/touched
printf '\nhub9p: here\n'
read line; echo "later" >&2; echo "$line"; exec cat`)
	d := f.dialer()
	heard := make(chan string, 10)
	d.Stderr = writerFunc(func(p []byte) {
		heard <- string(p)
		os.WriteFile(filepath.Join(f.dir, "touched"), []byte("x\n"), 0)
	})
	c, err := d.Dial(t.Context(), parse(t, "ssh!host"))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "x\n")
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-c.(*sshConn).ended
	close(heard)
	if said := <-heard; said != "touch your key\n" {
		t.Errorf("heard %q", said)
	}
	if said, ok := <-heard; ok {
		t.Errorf("heard %q, when the terminal was in use", said)
	}
	if line := c.(*sshConn).said.last(); line != "later" {
		t.Errorf("kept %q", line)
	}
}

// Who asks for a password has set up the terminal for that, and puts it back.
func TestSSHThatIsGivenUpPutsTheTerminalBack(t *testing.T) {
	f := newFakeSSH(t)
	f.program("ssh", `trap 'kill $!; echo yes >$DIR/back; exit 1' TERM
sleep 1000 >/dev/null 2>&1 &
echo "password: " >&2
wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := f.dialer()
	d.Stderr = writerFunc(func([]byte) { cancel() })
	if c, err := d.Dial(ctx, parse(t, "ssh!host")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", c, err)
	}
	if got := f.note("back"); got != "yes\n" {
		t.Errorf("%q", got)
	}

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	os.Remove(filepath.Join(f.dir, "back"))
	cmd, err := d.SSHCommand(ctx, parse(t, "ssh!host"), "exit")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = writerFunc(func([]byte) { cancel() })
	if err := cmd.Run(); err == nil {
		t.Error("it has ended well")
	}
	if got := f.note("back"); got != "yes\n" {
		t.Errorf("%q", got)
	}
}

// What ssh says last is the error, and not said twice.
func TestLastWordsAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard bytes.Buffer
		s := &said{w: &heard}
		io.WriteString(s, "touch your key\n")
		time.Sleep(sayDelay)
		synctest.Wait()
		if heard.String() != "touch your key\n" {
			t.Errorf("heard %q while ssh waits", &heard)
		}
		io.WriteString(s, "@@@ WARNING @@@\nHost key verification failed.\r\n")
		if line := s.last(); line != "Host key verification failed." || heard.String() != "touch your key\n@@@ WARNING @@@\n" {
			t.Errorf("the error is %q; heard %q", line, &heard)
		}
		io.WriteString(s, "more\n")
		time.Sleep(sayDelay)
		synctest.Wait()
		if strings.Contains(heard.String(), "more") {
			t.Errorf("heard %q at the end", &heard)
		}
	})
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestCloseEndsSSH(t *testing.T) {
	f := newFakeSSH(t)
	f.program("hubfs", echo)
	c, err := f.dialer().Dial(t.Context(), parse(t, "ssh!host"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-c.(*sshConn).ended // by the end of its input
	f.program("hubfs", `printf '\nhub9p: here\n'; exec sleep 1000`)
	if c, err = f.dialer().Dial(t.Context(), parse(t, "ssh!host")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-c.(*sshConn).ended // by a signal
}

func TestContextEndsSSH(t *testing.T) {
	f := newFakeSSH(t)
	if err := syscall.Mkfifo(filepath.Join(f.dir, "started"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.program("hubfs", `echo $$ >$DIR/started; exec sleep 1000`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends when hubfs has been started
		os.ReadFile(filepath.Join(f.dir, "started"))
		cancel()
	}()
	if _, err := f.dialer().Dial(ctx, parse(t, "ssh!host")); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
}

// TestTypedSignalsAreNotForSSH: Ctrl-C means hub, which has something to say to
// the server before it ends.
func TestTypedSignalsAreNotForSSH(t *testing.T) {
	f := newFakeSSH(t)
	f.program("hubfs", echo)
	c, err := f.dialer().Dial(t.Context(), parse(t, "ssh!host"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTSTP} {
		if err := c.(*sshConn).ssh.Signal(s); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "x")
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatalf("after %v: %v", s, err)
		}
	}
}

func TestSSHDefaultsYieldToConfiguration(t *testing.T) {
	dir := shortDir(t)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	own := []string{"-S", dir + "/hub/ssh-%C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", "ClearAllForwardings=yes"}
	alive := []string{"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2"}
	for _, tc := range []struct {
		conf map[string]string
		want []string
	}{
		{nil, append(slices.Clone(alive), own...)},
		{map[string]string{"serveraliveinterval": "0", "controlpath": "none"}, append(slices.Clone(alive), own...)},
		{map[string]string{"serveraliveinterval": "30"}, own},
		{map[string]string{"controlpath": "/x/%C"}, alive},
		{map[string]string{"controlpath": "/x/%C", "serveraliveinterval": "30", "remotecommand": "tmux"}, []string{"-o", "RemoteCommand=none"}},
	} {
		if got := sshDefaults(tc.conf); !slices.Equal(got, tc.want) {
			t.Errorf("%v: %q, want %q", tc.conf, got, tc.want)
		}
	}
	if m := mode(t, dir+"/hub"); m != 0o700 {
		t.Errorf("the folder has mode %04o", m)
	}
	// What others can write is not used, nor what is too long for a socket.
	if err := os.Chmod(dir+"/hub", 0o777); err != nil {
		t.Fatal(err)
	}
	if got := sshDefaults(nil); !slices.Equal(got, alive) {
		t.Errorf("in a folder that is open: %q", got)
	}
	long := filepath.Join(dir, strings.Repeat("l", 60))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", long)
	if got := sshDefaults(nil); !slices.Equal(got, alive) {
		t.Errorf("in a folder with a long path: %q", got)
	}
}

func TestHubSSHNamesTheProgram(t *testing.T) {
	f := newFakeSSH(t)
	f.program("hubfs", echo)
	t.Setenv("HUB_SSH", " "+filepath.Join(f.dir, "ssh")+"  -v ")
	c, err := Dialer{Batch: true}.Dial(t.Context(), parse(t, "ssh!host"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := f.note("args"); !strings.HasPrefix(got, "-v\n-T\n-o\nBatchMode=yes\n--\nhost\n") {
		t.Errorf("ssh %q", got)
	}
}
