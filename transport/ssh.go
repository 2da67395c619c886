package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Greeting is what hubfs -stdio --alive says when it has found its server, and
// before it passes anything on. What comes before it is the talk of somebody's
// login script.
const Greeting = "\nhub9p: here\n"

// noProgram is what findServer says when it finds nothing.
const noProgram = "\nhub9p: none\n"

// maxNoise is how much may come before the Greeting.
const maxNoise = 64 << 10

// lastWords is how long ssh may take to end when its connection was closed: as
// long as what was written to it needs to get there.
const lastWords = 2 * time.Second

// An sshConn is a socket whose other end is standard input and output of ssh.
type sshConn struct {
	*net.UnixConn
	ssh   *os.Process
	ended chan struct{} // closed when ssh has ended, and its words are all there
	said  *said
	err   error // of ssh; set before ended is closed
}

// Socket is where the bytes go to, for who knows how to do that faster than
// with Read and Write.
func (c *sshConn) Socket() *net.UnixConn { return c.UnixConn }

// Close closes the connection, and ends ssh if that does not.
func (c *sshConn) Close() error {
	err := c.UnixConn.Close()
	time.AfterFunc(lastWords, func() { c.ssh.Kill() }) // in vain if it has ended
	return err
}

// terminate ends ssh, and waits for that. It is asked to first: it may be asking
// for a password, and has to put the terminal back as it was.
func (c *sshConn) terminate() {
	c.ssh.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(lastWords, func() { c.ssh.Kill() })
	defer kill.Stop()
	<-c.ended
}

// dialSSH starts ssh, and waits until it has come to a server.
func (d Dialer) dialSSH(ctx context.Context, a Addr) (net.Conn, error) {
	args := []string{a.target().name}
	if d.Node {
		args = append(args, "--node")
	}
	argv, err := d.sshLine(ctx, a, findServer, args...)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...) // the connection outlives ctx
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", a.server(), err)
	}
	c := &sshConn{UnixConn: ours, ended: make(chan struct{}), said: &said{w: d.Stderr}}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, c.said
	// The process that keeps the connection for those who come later may have
	// our end of standard error too.
	cmd.WaitDelay = time.Second
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("dial %s: %w", a.server(), err)
	}
	c.ssh = cmd.Process
	go func() { // ends with ssh
		c.err = cmd.Wait()
		close(c.ended)
	}()
	if err := c.greeting(ctx); err != nil {
		c.UnixConn.Close()
		if errors.Is(err, errHungUp) && ctx.Err() == nil {
			select {
			case <-c.ended:
			case <-time.After(lastWords):
			}
		}
		c.terminate()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, c.explain(a, err)
	}
	c.said.quiet()
	return c, nil
}

// errHungUp is the end of what ssh passes on.
var errHungUp = errors.New("ssh hung up")

// greeting reads up to the end of the Greeting. The server says nothing until
// it is asked, so nothing can come behind it.
func (c *sshConn) greeting(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var noise []byte
	buf := make([]byte, 4096)
	for !bytes.HasSuffix(noise, []byte(Greeting)) {
		switch {
		case bytes.HasSuffix(noise, []byte(noProgram)):
			return ErrNoProgram
		case len(noise) > maxNoise, bytes.Contains(noise, []byte(Greeting)):
			return fmt.Errorf("expected hubfs there, which says %q, and got %.100q", strings.TrimSpace(Greeting), noise)
		}
		n, err := c.Read(buf)
		noise = append(noise, buf[:n]...)
		if err != nil && n == 0 {
			return errHungUp
		}
	}
	if !stop() { // the deadline is set, or about to be
		return ctx.Err()
	}
	return nil
}

// explain makes of the end of ssh, before there was a server, an error.
func (c *sshConn) explain(a Addr, err error) error {
	text := c.said.last()
	switch {
	case errors.Is(err, ErrNoProgram):
		return &opError{
			text: fmt.Sprintf("%s: there is no hubfs", a),
			kind: ErrNoProgram,
			hint: fmt.Sprintf("hub install %s copies this hub there", installAddr(a)),
		}
	case !errors.Is(err, errHungUp):
	case text != "":
		err = errors.New(text)
	case c.err != nil:
		err = fmt.Errorf("ssh ended with %w", c.err)
	}
	return fmt.Errorf("%s: %w", a, err)
}

// installAddr is a, with no NAME: a program is for all servers of an account.
func installAddr(a Addr) Addr {
	t := a.target()
	t.name = defaultName
	return Addr{Network: "ssh", Address: t.String()}
}

// socketpair makes a connected pair of sockets: a connection of ours, and a
// file for a process that we start.
func socketpair() (*net.UnixConn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	// What comes from there is on its way long enough as it is.
	syscall.SetsockoptInt(fds[1], syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1<<20)
	here, there := os.NewFile(uintptr(fds[0]), "ssh"), os.NewFile(uintptr(fds[1]), "ssh")
	c, err := net.FileConn(here)
	here.Close()
	if err != nil {
		there.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), there, nil
}

// findServer runs over there, in a plain shell: $1 is the NAME, $2 one more flag or
// nothing.
const findServer = `PATH=$PATH:$HOME/.local/bin
if command -v hubfs >/dev/null 2>&1; then exec hubfs -stdio --alive $2 -s "$1"; fi
if command -v hub >/dev/null 2>&1; then exec hub serve --stdio --alive $2 -s "$1"; fi
echo; echo "hub9p: none"
exit 127`

// SSHCommand returns ssh as it is run for a, to run a script of sh with these
// arguments over there; it is terminated when ctx is done. Neither may hold a single
// quote, a backslash or an exclamation mark: the login shell over there may be
// of any kind.
func (d Dialer) SSHCommand(ctx context.Context, a Addr, script string, args ...string) (*exec.Cmd, error) {
	argv, err := d.sshLine(ctx, a, script, args...)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // see terminate
	cmd.WaitDelay = lastWords
	return cmd, nil
}

func (d Dialer) sshLine(ctx context.Context, a Addr, script string, args ...string) ([]string, error) {
	if a.Network != "ssh" {
		return nil, fmt.Errorf("%s: expected ssh://[USER@]HOST[:PORT]", a)
	}
	argv, err := d.sshArgv(ctx, a.target())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a, err)
	}
	// One line, for csh(1) takes no other in quotes.
	line := "/bin/sh -c " + quote(strings.ReplaceAll(script, "\n", "; ")) + " hub"
	for _, arg := range args {
		line += " " + quote(arg)
	}
	argv = append(argv, "--", a.target().host, line)
	// Keys that are typed in a terminal mean hub, which knows what to do with
	// them, and not ssh: it ignores what it was started to ignore. It stays in
	// the foreground, though, where it may ask for a password.
	return append([]string{"/bin/sh", "-c", `trap "" HUP INT QUIT TSTP; exec "$@"`, "sh"}, argv...), nil
}

// quote puts s, which holds none of badInName, into quotes of any shell.
func quote(s string) string { return "'" + s + "'" }
