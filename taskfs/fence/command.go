package fence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A command runs a fence agent: a program that reads its parameters, a line
// NAME=VALUE each, from standard input (FenceAgentAPI). No shell sees them,
// nor does who lists the processes. It succeeds if the agent does, and with
// verify only if that says of the node afterwards that it is off.
type command struct {
	prog    string // its file
	action  string
	verify  bool
	timeout time.Duration
	params  map[string]string // the agent's own
}

const commandParams = "PROG [timeout=TIME] [verify=yes] [action=off|reboot], and the agent's own"

func newCommand(m map[string]string) (Method, error) {
	p := newParams(m)
	prog, ok := p.take("")
	if !ok {
		return nil, fmt.Errorf("no program: expected %s", commandParams)
	}
	c := &command{
		action:  p.oneOf("action", "off", "reboot"),
		verify:  p.yes("verify", false),
		timeout: p.duration("timeout", time.Minute),
		params:  p.left,
	}
	if p.err != nil {
		return nil, p.err
	}
	if c.verify && c.action != "off" {
		return nil, errors.New("verify=yes needs action=off: who was rebooted is on")
	}
	for k, v := range c.params {
		if err := oneLine(k, v); err != nil {
			return nil, err
		}
	}
	var err error
	c.prog, err = find(prog)
	return c, err
}

// find looks for an agent also where Debian has them, which is not in
// everybody's PATH. It is looked for at once: a program that is not there should
// not first be missed when it is needed.
func find(prog string) (string, error) {
	file, err := exec.LookPath(prog)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil && !strings.Contains(prog, "/") {
			file, err = exec.LookPath(filepath.Join(dir, prog))
		}
	}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("no program %s", prog)
	case err != nil:
		return "", fmt.Errorf("program %s: %w", prog, errors.Unwrap(err))
	}
	return filepath.Abs(file)
}

// oneLine refuses what would be more than one line, or another one.
func oneLine(key, value string) error {
	if strings.ContainsAny(key, "\n\x00=") || strings.ContainsAny(value, "\n\x00") {
		return fmt.Errorf("%q=%q: expected one line", key, value)
	}
	return nil
}

// Fence implements Method.
func (c *command) Fence(ctx context.Context, t Target) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("it took longer than %v", c.timeout))
	defer cancel()
	if err := oneLine("nodename", t.Name); err != nil {
		return err
	}
	status, said, err := c.call(ctx, c.action, t)
	if err != nil {
		return err
	}
	if status != 0 {
		return fmt.Errorf("%s: action %s: exit status %d%s", c.prog, c.action, status, said)
	}
	if !c.verify {
		return nil
	}
	switch status, said, err = c.call(ctx, "status", t); {
	case err != nil:
		return err
	case status == 2: // FenceAgentAPI: 0 is on, 1 that it is not known, 2 off
		return nil
	case status == 0:
		return fmt.Errorf("%s: the node is still on", c.prog)
	}
	return fmt.Errorf("%s: action status: exit status %d%s", c.prog, status, said)
}

// call runs the agent once. said is the end of what it has to say, for an error.
func (c *command) call(ctx context.Context, action string, t Target) (status int, said string, err error) {
	var in strings.Builder
	fmt.Fprintf(&in, "action=%s\n", action)
	for _, key := range []string{"nodename", "plug"} {
		if _, given := c.params[key]; !given {
			fmt.Fprintf(&in, "%s=%s\n", key, t.Name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.params)) {
		fmt.Fprintf(&in, "%s=%s\n", key, c.params[key])
	}
	out := new(tail)
	cmd := exec.CommandContext(ctx, c.prog)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in.String()), out, out
	// It ends with all that it has started, and what is meant for us is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for who has left the group with our pipes open
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, "", fmt.Errorf("%s: action %s: %w", c.prog, action, context.Cause(ctx))
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), out.last(), nil
	case errors.Is(err, exec.ErrWaitDelay):
		return cmd.ProcessState.ExitCode(), out.last(), nil
	case err != nil:
		return 0, "", fmt.Errorf("%s: action %s: %w%s", c.prog, action, errOf(err), out.last())
	}
	return 0, "", nil
}

// errOf takes off what names the program once more.
func errOf(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// A tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailSize = 1 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// last returns the last line in a form for an error: quoted, for it may be
// anything.
func (t *tail) last() string {
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	line := bytes.TrimSpace(lines[len(lines)-1])
	if len(line) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", line)
}
