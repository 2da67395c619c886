package hubfscli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"syscall"

	"hubfs/client"
	"hubfs/internal/daemon"
	"hubfs/mount"
	"hubfs/transport"
)

// mounterFlag makes a process the mounter of a server.
const mounterFlag = "mounter"

// ServeMounted is daemon.Run, with the server's tree on the folder dir for as
// long as it serves.
//
// The mount is a process of its own. Were it in the server, a shell that starts
// in dir would stop the server: who forks waits, with a thread that nothing can
// stop, for a child that waits for us; and the collector waits for that thread.
func ServeMounted(ctx context.Context, c daemon.Config, dir string, stderr io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = mount.Check(dir)
	}
	if err != nil {
		if c.Ready != nil {
			c.Ready(err)
		}
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var m mounter
	var failed error
	ready := c.Ready
	c.Ready = func(err error) {
		if err == nil {
			if err = m.start(ctx, c.Addr, dir, stderr); err != nil {
				failed = err
				cancel()
			}
		}
		if ready != nil {
			ready(err)
		}
	}
	err = daemon.Run(ctx, c)
	m.wait() // it goes with its connection
	return errors.Join(failed, err)
}

// A mounter is the process that mounts a server's tree.
type mounter struct{ cmd *exec.Cmd }

// start starts the process and returns when the tree is there.
func (m *mounter) start(ctx context.Context, addr transport.Addr, dir string, stderr io.Writer) error {
	exe, err := daemon.Executable()
	if err != nil {
		return err
	}
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	cmd := exec.Command(exe, "-s", addr.String(), "-m", dir, "--"+mounterFlag, "--"+daemon.ReadyFlag)
	cmd.Args[0] = "hubfs" // hub is that too, under this name
	cmd.Dir = "/"
	cmd.Stderr = stderr
	cmd.ExtraFiles = []*os.File{theirs}                  // where daemon.Ready looks for it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what a terminal does is the server's to judge
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	m.cmd = cmd
	defer context.AfterFunc(ctx, func() { ready.Close() })()
	answer, err := io.ReadAll(io.LimitReader(ready, 4096))
	switch text := string(answer); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case text == "":
		return fmt.Errorf("mount on %s: the process that does it has ended at once", dir)
	case text != "ready":
		return errors.New(text)
	}
	return nil
}

// wait waits for the process, if there is one.
func (m *mounter) wait() {
	if m.cmd != nil {
		m.cmd.Wait()
	}
}

// runMounter is the process: it mounts the tree of the server at addr on dir
// until either ends.
func runMounter(ctx context.Context, addr transport.Addr, dir string, stderr io.Writer, tell func(error)) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	c, err := connect(ctx, addr)
	if err != nil {
		tell(err)
		return err
	}
	defer c.Close()
	m, err := mount.New(c, dir, mount.Options{Source: addr.String(), Log: slog.New(slog.NewTextHandler(stderr, nil))})
	tell(err)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-m.Done():
	case <-c.Done():
	}
	return m.Close()
}

func connect(ctx context.Context, addr transport.Addr) (*client.Conn, error) {
	conn, err := transport.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	o := client.Options{Ordered: true}
	if u, err := user.Current(); err == nil {
		o.Uname = u.Username
	}
	return client.New(ctx, conn, o)
}

// mountHint is what to do about an error of package mount.
func mountHint(err error) string {
	if e := (*mount.Error)(nil); errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
