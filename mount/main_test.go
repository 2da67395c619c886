//go:build linux

package mount_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/client"
	"hubfs/hubfs"
	"hubfs/mount"
	"hubfs/p9"
)

// mounterVar makes this program one that mounts a tree on the folder it names,
// says so with a byte, and waits to be killed. With directVar it knows no
// fusermount.
const (
	mounterVar = "HUB_TEST_MOUNTER"
	directVar  = "HUB_TEST_DIRECT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(mounterVar); dir != "" {
		fmt.Fprintln(os.Stderr, mounter(dir)) // does not return without an error
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func mounter(dir string) error {
	if os.Getenv(directVar) != "" {
		mount.WithoutHelper()
	}
	here, there := net.Pipe()
	srv := &p9.Server{Root: hubfs.New(hubfs.Config{Name: "test", Owner: "root"}).Root()}
	go srv.ServeConn(context.Background(), there, p9.Peer{User: "root", Admin: true}) // as long as the process
	c, err := client.New(context.Background(), here, client.Options{Ordered: true})
	if err != nil {
		return err
	}
	m, err := mount.New(c, dir, mount.Options{Source: "test"})
	if err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString("!"); err != nil {
		return err
	}
	<-m.Done()
	return fmt.Errorf("%s was unmounted", dir)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func readFull(p *program, b []byte) (int, error) {
	p.stdout.SetReadDeadline(time.Now().Add(patience))
	return io.ReadFull(p.stdout, b)
}

// empty fails the test unless the folder is there, with nothing in it.
func (w *world) empty() {
	w.tb.Helper()
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) > 0 {
		w.tb.Errorf("where the tree was: %v, %v", entries, err)
	}
}

// waitUnmounted waits until nothing is mounted on dir.
func waitUnmounted(t *testing.T, dir string) {
	t.Helper()
	f := must(os.Open("/proc/self/mounts"))
	defer f.Close()
	for deadline := time.Now().Add(patience); ; {
		if !strings.Contains(string(must(os.ReadFile("/proc/self/mounts"))), " "+dir+" ") {
			return
		}
		// proc(5): a change of the table is an exceptional condition.
		fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
		unix.Poll(fds, 1000)
		if time.Now().After(deadline) {
			t.Fatalf("%s is still mounted", dir)
		}
	}
}
