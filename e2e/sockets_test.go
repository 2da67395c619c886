package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// handed starts hubfs with a socket that is open already, as descriptor 3, and
// with what else the script sets.
func (w *world) handed(l interface{ File() (*os.File, error) }, script string) *server {
	w.tb.Helper()
	f, err := l.File()
	if err != nil {
		w.tb.Fatal(err)
	}
	defer f.Close()
	s := &server{w: w, cmd: w.command("/bin/sh", "-c", script), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.ExtraFiles = []*os.File{f}
	s.cmd.Cancel = func() error { return nil } // the world stops it in order
	if err := s.cmd.Start(); err != nil {
		w.tb.Fatal(err)
	}
	w.servers = append(w.servers, s)
	go func() { // ends with the server, for which the world waits
		s.cmd.Wait()
		close(s.done)
	}()
	return s
}

// TestSocketActivation: the test is systemd, which keeps the socket of a server
// that is not running.
func TestSocketActivation(t *testing.T) {
	w := newWorld(t)
	path := w.socket("default")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 2 { // who comes while no server runs is served by the next
		s := w.handed(l, "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=hub.socket exec hubfs")
		w.want("new", "work", "--", "sh", "-c", "env")
		if r := w.hub("wait", "work"); r.code != 0 {
			t.Errorf("env: %+v", r)
		}
		if env := w.want("read", "work1"); !strings.Contains(env, "HUB_SHELL=work") || strings.Contains(env, "LISTEN_") {
			t.Errorf("a shell has %q", env)
		}
		if out := w.want("ctl"); !strings.Contains(out, "Hubfs default status") {
			t.Errorf("%q", out)
		}
		w.want("ctl", "quit")
		if code := s.exit(); code != 0 {
			t.Errorf("exit %d: %s", code, s.said())
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestDescriptorsAsAddresses(t *testing.T) {
	w := newWorld(t)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w.handed(l, "exec hubfs -a fd!3")
	l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := w.command("hub", "-s", "fd:3", "ctl")
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Hubfs default status") {
		t.Errorf("%v: %s", err, out)
	}
	addr := strings.Replace(l.Addr().String(), ":", "!", 1)
	r := w.hub("-s", "tcp!"+addr, "ctl")
	if r.code != 0 {
		t.Errorf("%+v", r)
	}
}
