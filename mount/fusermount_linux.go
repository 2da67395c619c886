package mount

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// fsType is the type of our mounts in /proc/mounts.
const fsType = "fuse.hub"

// Check says whether something can be mounted on the folder dir, as far as that
// is known before. What a process that was killed has left mounted there it
// unmounts.
func Check(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ECONNABORTED) {
		if err := unmount(dir); err != nil {
			return fmt.Errorf("clean up what a process that was killed has left at %s: %w", dir, err)
		}
		info, err = os.Stat(dir)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &Error{Text: fmt.Sprintf("no folder %s to mount on", dir), Hint: "mkdir " + dir, Err: err}
	case err != nil:
		return fmt.Errorf("mount: %w", err)
	case !info.IsDir():
		return &Error{Text: fmt.Sprintf("%s is no folder to mount on", dir), Err: syscall.ENOTDIR}
	}
	if mounted(dir) {
		return &Error{
			Text: fmt.Sprintf("a server's tree is mounted on %s already", dir),
			Hint: "hub umount " + dir + " ends that",
			Err:  syscall.EBUSY,
		}
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return &Error{
			Text: "there is no FUSE here: " + err.Error(),
			Hint: "modprobe fuse loads it; a container needs --device /dev/fuse --cap-add SYS_ADMIN",
			Err:  err,
		}
	}
	if helper() == "" && os.Geteuid() != 0 {
		return &Error{
			Text: "mounting without root needs fusermount3, which is not installed",
			Hint: "apt install fuse3, or the package of that name elsewhere",
			Err:  exec.ErrNotFound,
		}
	}
	return nil
}

// Unmount ends the mount of a server's tree on the folder dir, at once, whoever
// uses it.
func Unmount(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if !mounted(dir) {
		return &Error{Text: fmt.Sprintf("no server's tree is mounted on %s", dir), Err: syscall.EINVAL}
	}
	return unmount(dir)
}

// mounted reports whether dir is where a tree of ours is mounted.
func mounted(dir string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	} else if real, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(real, filepath.Base(dir)) // who served it is gone
	}
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return false
	}
	// proc(5): blanks and backslashes are there as octal numbers.
	dir = strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(dir)
	top := ""
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == dir {
			top = f[2] // the last one is on top
		}
	}
	return top == fsType
}

// helpers are the programs that mount for who is not root, the best first.
var helpers = []string{"fusermount3", "fusermount", "/bin/fusermount3", "/bin/fusermount"}

// helper is the one that is installed; "" if there is none.
func helper() string {
	for _, name := range helpers {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// open mounts a new FUSE device on dir, and returns the descriptor through which
// it is served.
func open(dir, source string) (fd int, err error) {
	source = cmp.Or(source, "hub")
	if h := helper(); h != "" {
		return openWith(h, dir, source)
	}
	return openDirect(dir, source)
}

// openDirect mounts as root.
func openDirect(dir, source string) (int, error) {
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=%o,user_id=%d,group_id=%d,max_read=%d",
		fd, syscall.S_IFDIR, os.Geteuid(), os.Getegid(), maxIO)
	if err := syscall.Mount(source, dir, fsType, syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		syscall.Close(fd)
		return -1, &Error{
			Text: fmt.Sprintf("mount on %s: %v", dir, err),
			Hint: "root may mount only where it has CAP_SYS_ADMIN; a container needs --cap-add SYS_ADMIN",
			Err:  err,
		}
	}
	return fd, nil
}

// openWith mounts with fusermount, which opens the device and sends it over the
// connection that it has as $_FUSE_COMMFD. go-fuse does so too, but leaves what
// fusermount says on our standard error.
func openWith(program, dir, source string) (fd int, err error) {
	conn, theirs, err := connection()
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	options := fmt.Sprintf("nosuid,nodev,subtype=hub,max_read=%d,fsname=%s", maxIO, escape(source))
	cmd := exec.Command(program, "-o", options, "--", dir)
	cmd.Args[0] = filepath.Base(program)
	cmd.Env = []string{"_FUSE_COMMFD=3"}
	cmd.ExtraFiles = []*os.File{theirs}
	said, err := cmd.CombinedOutput()
	theirs.Close()
	if err == nil {
		fd, err = receive(conn) // it is there
	}
	if err == nil {
		return fd, nil
	}
	why := strings.TrimPrefix(strings.TrimSpace(string(said)), cmd.Args[0]+": ")
	return -1, &Error{
		Text: fmt.Sprintf("mount on %s: %s", dir, cmp.Or(why, err.Error())),
		Hint: whyNot(why),
		Err:  err,
	}
}

// whyNot is what to do about what fusermount says.
func whyNot(said string) string {
	switch {
	case strings.Contains(said, "/dev/fuse"):
		return "/dev/fuse is for everybody elsewhere: chmod 666 /dev/fuse, as root"
	case strings.Contains(said, "not permitted"):
		return "a container needs --device /dev/fuse --cap-add SYS_ADMIN"
	case strings.Contains(said, "write access"):
		return "without root one mounts on a folder of one's own"
	}
	return ""
}

// escape writes a mount option as fusermount wants it.
func escape(s string) string { return strings.NewReplacer(`\`, `\\`, ",", `\,`).Replace(s) }

// connection is a connection of this process to one that it starts.
func connection() (*net.UnixConn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "fusermount"), os.NewFile(uintptr(fds[1]), "fusermount")
	defer ours.Close()
	c, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}

// receive takes the descriptor that comes over conn.
func receive(conn *net.UnixConn) (int, error) {
	var data [1]byte
	control := make([]byte, syscall.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(data[:], control)
	if err != nil {
		return -1, err
	}
	messages, err := syscall.ParseSocketControlMessage(control[:n])
	if err != nil {
		return -1, err
	}
	if len(messages) == 1 {
		if fds, err := syscall.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, errors.New("it has sent no device")
}

// unmount takes the mount on dir away, at once: what is open in it stays so. If
// there is none the error is EINVAL.
func unmount(dir string) error {
	err := syscall.Unmount(dir, syscall.MNT_DETACH)
	if h := helper(); errors.Is(err, syscall.EPERM) && h != "" {
		out, herr := exec.Command(h, "-u", "-z", "--", dir).CombinedOutput()
		switch said := strings.TrimSpace(string(out)); {
		case herr == nil:
			return nil
		case strings.Contains(said, "not found in"): // in its table of mounts
			err = syscall.EINVAL
		case said != "":
			return &Error{Text: fmt.Sprintf("unmount %s: %s", dir, said), Err: herr}
		default:
			err = herr
		}
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}
