package transport

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// as runs f with the credentials of user uid: those of one thread, which ends
// with f. Package syscall would change all threads.
func as(t *testing.T, uid int, f func(socket func() int)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user: the check of another's connection is not tried")
	}
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread dies with us
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
			t.Error(e)
			return
		}
		f(func() int {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
			}
			return fd
		})
	}()
	<-done
}

func TestAnotherUserIsKnownAndNoAdmin(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(dir+"/s", 0o666); err != nil {
		t.Fatal(err)
	}
	as(t, 12345, func(socket func() int) {
		fd := socket()
		defer syscall.Close(fd)
		if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: dir + "/s"}); err != nil {
			t.Error(err)
		}
	})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := PeerOf(c)
	if err != nil || p.UID != 12345 || p.User != "12345" || p.Admin {
		t.Errorf("peer %+v, %v", p, err)
	}
}

func TestAnotherUsersServerIsRefused(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var fd int
	as(t, 12345, func(socket func() int) {
		fd = socket()
		if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: dir + "/s"}), syscall.Listen(fd, 1)); err != nil {
			t.Error(err)
		}
	})
	defer syscall.Close(fd)
	_, err := Dial(t.Context(), parse(t, "unix:"+dir+"/s"))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "belongs to uid 12345") {
		t.Errorf("Dial: %v", err)
	}
}
