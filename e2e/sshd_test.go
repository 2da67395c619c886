package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A there is an account on another machine, which is this one: it has a home, a
// runtime directory and a PATH of its own, and is reached over ssh alone.
type there struct {
	w    *world
	dir  string
	home string
	env  []string // of who logs in
	bin  string   // first in its PATH
}

// there makes the account, with our programs in its PATH or without.
func (w *world) there(programs bool) *there {
	w.tb.Helper()
	h := &there{w: w, dir: filepath.Join(w.dir, "there")}
	h.home, h.bin = filepath.Join(h.dir, "a home"), filepath.Join(h.dir, "bin")
	for _, dir := range []string{h.dir, h.home, h.bin} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			w.tb.Fatal(err)
		}
	}
	path := h.bin
	if programs {
		path += ":" + filepath.Dir(w.command("hub").Path)
	}
	h.env = worldEnv(w.dir, h.home, h.dir, path+":/usr/bin:/bin")
	return h
}

// hub runs hub there.
func (h *there) hub(args ...string) result {
	h.w.tb.Helper()
	w := *h.w
	w.env = h.env
	return w.hub(args...)
}

// script makes a program.
func script(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		tb.Fatal(err)
	}
}

// wrapper makes a program that does as ssh does, without a network: it runs the
// command there. It is what $HUB_SSH is to be.
func (h *there) wrapper() string {
	h.w.tb.Helper()
	path := filepath.Join(h.dir, "ssh")
	var env strings.Builder
	for _, v := range h.env {
		fmt.Fprintf(&env, " '%s'", v)
	}
	script(h.w.tb, path, `echo "$@" >>`+h.dir+`/calls
while [ "$1" != -- ]; do shift; done
[ "$2" = there ] || { echo "ssh: Could not resolve hostname $2: Name or service not known" >&2; exit 255; }
cd '`+h.home+`' && exec env -i`+env.String()+` /bin/sh -c "exec $3"`)
	return path
}

// An sshd is a real server of ssh for the account there.
type sshd struct {
	*there
	port   string
	log    lockedBuffer
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended
	config string        // of the client
}

// sshd starts a server of ssh on the loopback, and has it that ssh in the
// world's PATH knows it, and nothing of the tester's own.
func (h *there) sshd() *sshd {
	tb := h.w.tb
	tb.Helper()
	program, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		tb.Skip("no /usr/sbin/sshd, which Debian has in openssh-server: ssh is not tried for real")
	}
	client, err := exec.LookPath("ssh")
	if err != nil {
		tb.Skip("no ssh: it is not tried for real")
	}
	for _, key := range []string{"host", "id"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(h.dir, key)).CombinedOutput()
		if err != nil {
			tb.Skipf("ssh-keygen: %v: %s", err, out)
		}
	}
	if os.Geteuid() == 0 { // as the package's own scripts do at boot
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	s := &sshd{there: h, port: freePort(tb), done: make(chan struct{}), config: filepath.Join(h.dir, "ssh_config")}
	s.write("sshd_config", `Port `+s.port+`
ListenAddress 127.0.0.1
HostKey `+h.dir+`/host
AuthorizedKeysFile `+h.dir+`/id.pub
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
MaxStartups 100
SetEnv "`+strings.Join(h.env, `" "`)+`"
`)
	known, err := os.ReadFile(filepath.Join(h.dir, "host.pub"))
	if err != nil {
		tb.Fatal(err)
	}
	s.write("known_hosts", "* "+string(known))
	s.write("ssh_config", `Host there
HostName 127.0.0.1
Port `+s.port+`
Host *
IdentityFile `+h.dir+`/id
IdentitiesOnly yes
UserKnownHostsFile `+h.dir+`/known_hosts
GlobalKnownHostsFile none
StrictHostKeyChecking yes
`)
	bin := filepath.Join(h.w.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		tb.Fatal(err)
	}
	script(tb, filepath.Join(bin, "ssh"), `exec `+client+` -F `+s.config+` "$@"`)
	h.w.env = slices.Clone(h.w.env)
	for i, v := range h.w.env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			h.w.env[i] = "PATH=" + bin + ":" + path
		}
	}
	s.start(program)
	return s
}

func (s *sshd) write(name, text string) {
	s.w.tb.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.w.tb.Fatal(err)
	}
}

func (s *sshd) start(program string) {
	tb := s.w.tb
	tb.Helper()
	s.cmd = exec.Command(program, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"))
	s.cmd.Env = append(slices.Clone(s.env), "PATH=/usr/sbin:/usr/bin:/bin")
	s.cmd.Stderr = &s.log
	s.cmd.WaitDelay = time.Second
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { // ends with sshd, for which end waits
		s.cmd.Wait()
		close(s.done)
	}()
	tb.Cleanup(s.end)
	deadline := time.Now().Add(patience)
	for { // it tells nobody but its log, and that is not ours to wait on
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-s.done:
			tb.Skipf("sshd does not run as this user: %s", s.log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("sshd does not listen: %s", s.log.String())
		}
	}
}

// end hangs up, and ends what keeps connections of ssh open.
func (s *sshd) end() {
	s.hangUp()
	s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
	if s.w.tb.Failed() {
		s.w.tb.Logf("sshd said:\n%s", s.log.String())
	}
}

// hangUp ends the connection that hub's own options have ssh keep.
func (s *sshd) hangUp() {
	sockets, _ := filepath.Glob(filepath.Join(s.w.run, "hub", "ssh-*"))
	for _, socket := range sockets {
		cmd := s.w.command("ssh", "-F", s.config, "-O", "exit", "-S", socket, "there")
		cmd.Run() // in vain if it has ended
	}
}

// logins is how many connections were let in.
func (s *sshd) logins() int { return strings.Count(s.log.String(), "Accepted publickey") }
