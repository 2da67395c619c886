package mount

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

// A watcher is a process that unmounts when ours is gone, however that comes.
// fusermount3 has an option for it (auto_unmount), which fails for everybody but
// root: it looks whether the mount is dead, as root, and that only its owner may.
type watcher struct {
	cmd   *exec.Cmd
	alive io.WriteCloser // its standard input
}

// watch starts the watcher of what is mounted on dir. Where there is none, what
// is left there is cleaned up by the next mount.
func watch(dir string) (*watcher, error) {
	// The end of its input without a line is the end of a process that has not
	// unmounted. It has to outlive what ends that.
	args := []string{"-c", `trap "" HUP INT QUIT TERM; read -r line || exec "$@"`, "hub-unmount"}
	if h := helper(); h != "" {
		args = append(args, h, "-u", "-z", "-q", "--", dir)
	} else {
		args = append(args, "umount", "-l", "--", dir)
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &watcher{cmd, alive}, nil
}

// dismiss ends the watcher and waits for it: there is nothing left to unmount.
// Should somebody have killed it, that is all the same now.
func (w *watcher) dismiss() {
	io.WriteString(w.alive, "\n")
	w.cmd.Wait()
}
