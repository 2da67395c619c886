package fence

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// agent makes the method command with the fake agent in that mode.
func agent(t *testing.T, mode string, more ...string) (m Method, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	params := map[string]string{"": "testdata/fence_fake", "mode": mode, "log": log}
	for _, kv := range more {
		k, v, _ := strings.Cut(kv, "=")
		params[k] = v
	}
	m, err := newCommand(params)
	if err != nil {
		t.Fatal(err)
	}
	return m, log
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAgentIsToldOnStandardInput(t *testing.T) {
	m, log := agent(t, "works", "verify=yes", "ip=10.0.0.1", "password=$(rm -rf ~) `x` a b")
	if err := m.Fence(t.Context(), Target{Name: "node7"}); err != nil {
		t.Fatal(err)
	}
	rest := "nodename=node7\nplug=node7\nip=10.0.0.1\nlog=" + log + "\nmode=works\npassword=$(rm -rf ~) `x` a b\n.\n"
	if got, want := read(t, log), "action=off\n"+rest+"action=status\n"+rest; got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
	m, log = agent(t, "works", "action=reboot", "plug=3")
	if err := m.Fence(t.Context(), Target{Name: "node7"}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, log); !strings.HasPrefix(got, "action=reboot\nnodename=node7\nlog=") || !strings.Contains(got, "\nplug=3\n") {
		t.Errorf("told\n%s", got)
	}
}

func TestAgentThatFailsFencesNobody(t *testing.T) {
	file, err := filepath.Abs("testdata/fence_fake")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		mode, more string
		want       string
	}{
		{"fails", "x=y", `: action off: exit status 1: "no route to power switch"`},
		{"dies", "x=y", ": action off: signal: killed"},
		{"stays", "verify=yes", ": the node is still on"},
		{"stays", "verify=no", ""},
		{"unknown", "verify=yes", ": action status: exit status 1"},
		{"hangs", "timeout=200ms", ": action off: it took longer than 200ms"},
	} {
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		child, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer child.Close()
		m, _ := agent(t, tc.mode, tc.more, "fifo="+fifo)
		err = m.Fence(t.Context(), Target{Name: "n"})
		if got := text(err); got != tc.want && got != file+tc.want {
			t.Errorf("%s %s: %s, want %s", tc.mode, tc.more, got, tc.want)
		}
		if tc.mode != "hangs" {
			continue
		}
		// What the agent has started has the pipe open as long as it lives.
		child.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := child.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the agent's child lives: %v", err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// An agent that leaves a process behind has done its work all the same.
func TestAgentMayLeaveAProcess(t *testing.T) {
	m, log := agent(t, "leaves")
	err := m.Fence(t.Context(), Target{Name: "n"})
	if pid, err := strconv.Atoi(strings.TrimSpace(read(t, log+".pid"))); err == nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestHostileNameIsNoSecondLine(t *testing.T) {
	m, log := agent(t, "works")
	if err := m.Fence(t.Context(), Target{Name: "n\naction=on"}); err == nil {
		t.Error("fenced")
	}
	if _, err := os.Stat(log); !os.IsNotExist(err) {
		t.Errorf("the agent ran: %v", err)
	}
	if _, err := newCommand(map[string]string{"": "testdata/fence_fake", "ip": "1\naction=on"}); err == nil {
		t.Error("a parameter of two lines was taken")
	}
}

// TestDebianAgent speaks to an agent by those who made the interface: it sets a
// file to on or off, and says which it is.
func TestDebianAgent(t *testing.T) {
	if _, err := find("fence_dummy"); err != nil {
		t.Skipf("fence-agents: %v", err)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("on"), 0o600); err != nil {
		t.Fatal(err)
	}
	reg := NewRegistry()
	p, err := ParsePolicy(reg, "* command fence_dummy type=file verify=yes status_file="+file)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if method, err := p.Run(t.Context(), Target{Name: "node1"}, func(string, error) {}); err != nil || method != "command" {
		t.Fatalf("%s, %v", method, err)
	}
	if got := strings.TrimSpace(read(t, file)); got != "off" {
		t.Errorf("the node is %q", got)
	}
}
