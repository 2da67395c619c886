package transport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// shortDir is a directory with a path short enough for sockets: that of
// t.TempDir holds the test's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// local makes a runtime directory for the test, and a NAME in it.
func local(t *testing.T, name string) Addr {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", shortDir(t))
	return parse(t, name)
}

func parse(t *testing.T, s string) Addr {
	t.Helper()
	a, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func listen(t *testing.T, a Addr) net.Listener {
	t.Helper()
	l, err := Listen(t.Context(), a, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// meet connects to l's address a, and returns both ends.
func meet(t *testing.T, l net.Listener, a Addr) (client, server net.Conn) {
	t.Helper()
	client, err := Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Mode().Perm()
}

func TestNameIsPrivate(t *testing.T) {
	a := local(t, "default")
	l := listen(t, a)
	if m := mode(t, filepath.Dir(a.Address)); m != 0o700 {
		t.Errorf("directory has mode %04o", m)
	}
	if m := mode(t, a.Address); m != 0o600 {
		t.Errorf("socket has mode %04o", m)
	}
	client, server := meet(t, l, a)
	p, err := PeerOf(server)
	if err != nil {
		t.Fatal(err)
	}
	want := Peer{UID: os.Geteuid(), PID: os.Getpid(), User: userName(os.Geteuid()),
		Addr: fmt.Sprintf("pid:%d", os.Getpid()), Admin: true}
	if p.PID == 0 { // a system that does not tell
		want.PID, want.Addr = 0, "local"
	}
	if p != want {
		t.Errorf("peer %+v, want %+v", p, want)
	}
	if _, err := io.WriteString(client, "x"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	a := local(t, "default")
	l := listen(t, a)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(a.Address))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestCloseKeepsAnothersSocket(t *testing.T) {
	a := local(t, "default")
	l := listen(t, a)
	os.Remove(a.Address)
	if err := os.WriteFile(a.Address, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(a.Address); err != nil {
		t.Error(err)
	}
}

func TestDialNobody(t *testing.T) {
	a := local(t, "default")
	check := func(when string, a Addr) {
		t.Helper()
		_, err := Dial(t.Context(), a)
		if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), a.String()+" is not running") {
			t.Errorf("%s: %v", when, err)
		}
	}
	check("no directory", a)
	listen(t, a).Close()
	check("no socket", a)
	stale(t, a)
	check("stale socket", a)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp := parse(t, "tcp://"+l.Addr().String())
	l.Close()
	check("tcp", tcp)
}

// stale leaves a socket on which nobody listens, as a killed server does.
func stale(t *testing.T, a Addr) {
	t.Helper()
	l, err := net.Listen("unix", a.Address)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}

func TestStaleSocketIsReplaced(t *testing.T) {
	a := local(t, "default")
	listen(t, a).Close()
	stale(t, a)
	if err := os.WriteFile(a.Address+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := listen(t, a)
	meet(t, l, a)
}

func TestLiveServerIsInUse(t *testing.T) {
	a := local(t, "work")
	l := listen(t, a)
	inUse := func(when string) {
		t.Helper()
		_, err := Listen(t.Context(), a, ListenOptions{})
		if !errors.Is(err, ErrInUse) || err.Error() != "server work is already running" {
			t.Errorf("%s: %v", when, err)
		}
	}
	inUse("locked")
	// Somebody cleans /tmp: the lock is gone from the directory, its holder
	// lives.
	os.Remove(a.Address + ".lock")
	inUse("without its lock file")
	meet2, err := l.Accept() // the look that found it alive
	if err != nil {
		t.Fatal(err)
	}
	meet2.Close()
	meet(t, l, a) // and it still has its clients
}

func TestOneOfManyListens(t *testing.T) {
	a := local(t, "default")
	for range 20 {
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			won []net.Listener
		)
		for range 8 {
			wg.Go(func() {
				l, err := Listen(t.Context(), a, ListenOptions{})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, l)
				} else if !errors.Is(err, ErrInUse) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d servers listen", len(won))
		}
		meet(t, won[0], a)
		won[0].Close()
	}
}

// A server that starts while another ends never locks a file that the other
// then removes.
func TestLockHandsOver(t *testing.T) {
	path := filepath.Join(shortDir(t), "lock")
	var (
		wg   sync.WaitGroup
		held sync.Mutex
	)
	for range 4 {
		wg.Go(func() {
			for n := 0; n < 200; {
				f, err := lockFile(path)
				if errors.Is(err, syscall.EWOULDBLOCK) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !held.TryLock() {
					t.Error("two hold the lock")
					return
				}
				for range 10 {
					runtime.Gosched() // let another find the file that we remove
				}
				n++
				held.Unlock()
				unlockFile(f)
			}
		})
	}
	wg.Wait()
}

func TestDirectoryOpenToOthersIsRefused(t *testing.T) {
	a := local(t, "default")
	dir := filepath.Dir(a.Address)
	refused := func(want string) {
		t.Helper()
		_, err := Listen(t.Context(), a, ListenOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Listen: %v, want %q", err, want)
		}
		if _, err := Dial(t.Context(), a); err == nil || errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), want) {
			t.Errorf("Dial: %v, want %q", err, want)
		}
	}
	elsewhere := shortDir(t)
	if err := os.Symlink(elsewhere, dir); err != nil {
		t.Fatal(err)
	}
	refused("symbolic link")
	os.Remove(dir)
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("not a directory")
	os.Remove(dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	refused("chmod 700")
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away: a directory of another user is not tried")
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 12345, -1)); err != nil {
		t.Fatal(err)
	}
	refused("belongs to uid 12345")
}

func TestMissingRuntimeDirIsNamed(t *testing.T) {
	dir := filepath.Join(shortDir(t), "gone")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	a := parse(t, "io")
	if _, err := Listen(t.Context(), a, ListenOptions{}); err == nil || !strings.Contains(err.Error(), dir+" of $XDG_RUNTIME_DIR does not exist") {
		t.Errorf("Listen: %v", err)
	}
	if _, err := Dial(t.Context(), a); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Dial: %v", err)
	}
}

func TestSocketInTheOpen(t *testing.T) {
	dir := shortDir(t)
	a := parse(t, "unix:"+dir+"/made/s")
	l := listen(t, a)
	meet(t, l, a)
	if m := mode(t, dir+"/made"); m != 0o700 {
		t.Errorf("directory has mode %04o", m)
	}
	if m := mode(t, a.Address); m != 0o600 {
		t.Errorf("socket has mode %04o", m)
	}
	l.Close()
	for mode, ok := range map[fs.FileMode]bool{
		0o755:                 true,
		0o777 | fs.ModeSticky: true,
		0o777:                 false,
		0o770:                 false,
	} {
		if err := os.Chmod(dir+"/made", mode); err != nil {
			t.Fatal(err)
		}
		l, err := Listen(t.Context(), a, ListenOptions{})
		if (err == nil) != ok {
			t.Errorf("mode %v: %v", mode, err)
		}
		if err == nil {
			l.Close()
		}
	}
	if err := os.WriteFile(dir+"/precious", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), parse(t, "unix:"+dir+"/precious"), ListenOptions{}); err == nil ||
		!strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in the way: %v", err)
	}
}

func TestPlainTCPStaysHome(t *testing.T) {
	for _, s := range []string{"tcp!*!0", "tcp://0.0.0.0:0", "tcp!::!0", "tcp!192.0.2.1!5640", "tcp!::ffff:192.0.2.1!0"} {
		a := parse(t, s)
		if _, err := Listen(t.Context(), a, ListenOptions{}); !errors.Is(err, ErrRefused) {
			t.Errorf("listen at %s: %v", s, err)
		}
		if _, err := Dial(t.Context(), a); !errors.Is(err, ErrRefused) {
			t.Errorf("dial %s: %v", s, err)
		}
	}
	l, err := Listen(t.Context(), parse(t, "tcp!*!0"), ListenOptions{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestLoopbackTCP(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost"} {
		l, err := Listen(t.Context(), parse(t, "tcp!"+host+"!0"), ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		a := parse(t, "tcp!"+host+"!"+port)
		client, server := meet(t, l, a)
		p, err := PeerOf(server)
		want := Peer{UID: -1, Addr: client.LocalAddr().String()}
		if runtime.GOOS == "linux" { // which says whose the other end is
			want.UID, want.User, want.Admin = os.Geteuid(), userName(os.Geteuid()), true
		}
		if err != nil || p != want {
			t.Errorf("%s: peer %+v, %v; want %+v", host, p, err, want)
		}
		if _, err := Listen(t.Context(), a, ListenOptions{}); !errors.Is(err, ErrInUse) {
			t.Errorf("%s again: %v", host, err)
		}
	}
}

func TestTrusted(t *testing.T) {
	for _, tc := range []struct {
		uid, self int
		want      bool
	}{
		{1000, 1000, true}, {0, 1000, true}, {0, 0, true}, {1001, 1000, false}, {1000, 0, false},
	} {
		if got := trusted(tc.uid, tc.self); got != tc.want {
			t.Errorf("user %d, server of %d: %v", tc.uid, tc.self, got)
		}
	}
}
