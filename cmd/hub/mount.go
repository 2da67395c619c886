package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hubfs/client"
	"hubfs/cmd/hub/internal/server"
	"hubfs/internal/daemon"
	"hubfs/mount"
)

func (a *app) mountCmd() *cobra.Command {
	var foreground, ready bool
	cmd := &cobra.Command{
		Use:   "mount [-f] DIR",
		Short: "the server's files in a folder",
		Long: `Show the server's tree in the folder DIR, which must be there: hubs, shells and
/remote are files then, for cat, echo and Python. It needs fusermount3 (Debian's
package fuse3), and no root.

hub goes to the background when the tree is there, as sshfs does. With -f it
stays, and says what the server has against what is tried, of which a program in
the folder sees an errno alone. "hub umount DIR" ends the mount, and so does
the end of the server or of the connection.`,
		Args:              a.exactly(1, "the folder DIR"),
		ValidArgsFunction: completeFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			tell := func(error) {}
			if ready {
				tell = daemon.Ready()
			}
			dir, err := filepath.Abs(args[0])
			if err == nil {
				err = mount.Check(dir)
			}
			if err != nil {
				err = mountError(err)
				tell(hinted(err))
				return err
			}
			if foreground {
				return a.mount(cmd.Context(), dir, ready, tell)
			}
			return a.mountBehind(cmd.Context(), dir)
		},
	}
	cmd.Flags().BoolVarP(&foreground, "foreground", "f", false, "stay in the foreground")
	cmd.Flags().BoolVar(&ready, daemon.ReadyFlag, false, "")
	cmd.Flags().MarkHidden(daemon.ReadyFlag)
	return cmd
}

func (a *app) umountCmd() *cobra.Command {
	return &cobra.Command{
		Use:               "umount DIR",
		Short:             "end the mount on a folder, whoever uses it",
		Args:              a.exactly(1, "the folder DIR"),
		ValidArgsFunction: completeFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			return mountError(mount.Unmount(args[0]))
		},
	}
}

// completeFolder leaves it to the shell.
func completeFolder(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// mountBehind starts a process that mounts the server's tree on dir, and returns
// when it is there. The connection is tried here, where a person can be asked.
func (a *app) mountBehind(ctx context.Context, dir string) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	srv, err := a.connect(ctx, true)
	if err != nil {
		return cause(ctx, err)
	}
	defer srv.Close() // not before the other is there, or the server might be idle
	logs, err := daemon.Dir()
	if err != nil {
		return err
	}
	args := []string{"mount", "-f", "--" + daemon.ReadyFlag, "-s", srv.Addr.String(), "--", dir}
	if err := daemon.Background(ctx, filepath.Join(logs, "mount.log"), args); err != nil {
		text, hint, _ := strings.Cut(err.Error(), hintMark)
		return cause(ctx, &server.Error{Text: text, Hint: cmp.Or(hint, "hub mount -f stays here, and can ask for a password"), Err: err})
	}
	return nil
}

// hintMark stands before the hint in what a process in the background says.
const hintMark = "\nhint: "

// hinted is err as that process says it.
func hinted(err error) error {
	if hint := hintOf(mountError(err)); hint != "" {
		return errors.New(err.Error() + hintMark + hint)
	}
	return err
}

// mount mounts the server's tree on dir until a signal, somebody else, or the end
// of the connection ends that. A process in the background asks nobody anything.
func (a *app) mount(ctx context.Context, dir string, behind bool, tell func(error)) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	connect := a.connect
	if behind {
		connect = a.reconnect
	}
	srv, err := connect(ctx, true)
	if err != nil {
		tell(hinted(err))
		return cause(ctx, err)
	}
	defer srv.Close()
	m, err := mount.New(srv.Conn, dir, mount.Options{
		Source: srv.Addr.String(),
		Log:    slog.New(slog.NewTextHandler(a.stderr, nil)),
	})
	tell(hinted(err))
	if err != nil {
		return mountError(err)
	}
	select {
	case <-ctx.Done(): // a signal is how one ends it
	case <-m.Done():
	case <-srv.Done():
		err = &server.Error{Text: fmt.Sprintf("server %s is gone, and with it the mount on %s", srv.Addr, dir), Err: client.ErrLost}
	}
	return errors.Join(err, m.Close())
}

// mountError is err with what to do about it.
func mountError(err error) error {
	if e := (*mount.Error)(nil); errors.As(err, &e) {
		return &server.Error{Text: e.Text, Hint: e.Hint, Err: err}
	}
	return err
}
