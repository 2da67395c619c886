//go:build linux

package mount_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/hubfs"
	"hubfs/mount"
	"hubfs/p9"
)

// patience is how long a test waits for one thing.
const patience = 30 * time.Second

// A world is a server, a client of it that is not the mount's, and its tree,
// mounted.
//
// Nothing but raw system calls may go to the mount from this process, which
// serves it: package os asks epoll about what it opens, with a thread that the
// runtime cannot spare (see the doc of go-fuse's package fs).
type world struct {
	tb  testing.TB
	dir string
	c   *client.Conn // to look at the server
	m   *mount.Mount
	mc  *client.Conn // the mount's
	fs  *hubfs.FS
}

// needFUSE skips the test where nothing can be mounted, and says why.
func needFUSE(tb testing.TB) {
	tb.Helper()
	if err := mount.Check(tb.TempDir()); err != nil {
		tb.Skipf("no FUSE here: %v", err)
	}
}

func newWorld(tb testing.TB) *world { return newWorldOf(tb, hubfs.Config{}) }

func newWorldOf(tb testing.TB, cfg hubfs.Config) *world {
	tb.Helper()
	needFUSE(tb)
	w := &world{tb: tb, dir: tb.TempDir()}
	cfg.Name, cfg.Owner, cfg.Grace = "test", "root", time.Second
	w.fs = hubfs.New(cfg)
	tb.Cleanup(func() {
		if err := w.fs.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	w.c, w.mc = w.connect(), w.connect()
	m, err := mount.New(w.mc, w.dir, mount.Options{Source: "test,with a comma"})
	if err != nil {
		tb.Fatal(err)
	}
	w.m = m
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
		w.mc.Close() // who still waits there gets an error
	})
	return w
}

// connect connects to the server.
func (w *world) connect() *client.Conn {
	w.tb.Helper()
	here, there := net.Pipe()
	srv := &p9.Server{Root: w.fs.Root()}
	ended := make(chan struct{})
	go func() { // ends with the connection
		defer close(ended)
		srv.ServeConn(context.Background(), there, p9.Peer{User: "root", Addr: "here", Admin: true})
	}()
	c, err := client.New(w.tb.Context(), here, client.Options{Uname: "root", Ordered: true})
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { c.Close(); <-ended })
	return c
}

func (w *world) at(name string) string { return filepath.Join(w.dir, name) }

// make makes a hub with these bytes in it.
func (w *world) make(name, data string) {
	w.tb.Helper()
	f, err := w.c.Create(w.tb.Context(), name, 0o666, client.OWRITE)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteContext(w.tb.Context(), []byte(data)); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) ctl(line string) {
	w.tb.Helper()
	if err := w.c.WriteFile(w.tb.Context(), "ctl", []byte(line+"\n")); err != nil {
		w.tb.Fatal(err)
	}
}

// until waits until a line of the server's status is as ok wants it.
func (w *world) until(what string, ok func(status string) bool) {
	w.tb.Helper()
	events, err := w.c.Open(w.tb.Context(), "events", client.OREAD)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer events.Close()
	ctx, cancel := context.WithTimeout(w.tb.Context(), patience)
	defer cancel()
	for {
		status, err := w.c.ReadFile(ctx, "status")
		if err != nil {
			w.tb.Fatalf("waiting until %s: %v", what, err)
		}
		if ok(string(status)) {
			return
		}
		// Not everything is an event: what is not is looked at again soon.
		soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		events.ReadContext(soon, make([]byte, 4096))
		cancel()
		if ctx.Err() != nil {
			w.tb.Fatalf("waited in vain until %s:\n%s", what, status)
		}
	}
}

// readers waits until n readers have the hub open.
func (w *world) readers(hub string, n int) {
	w.tb.Helper()
	w.until("the hub has its readers", func(status string) bool {
		return strings.Count(status, "\nreader "+hub+" ") == n
	})
}

// A file is a descriptor of something in the mount, without package os.
type file int

func (w *world) open(name string, flags int) file {
	w.tb.Helper()
	fd, err := syscall.Open(w.at(name), flags|syscall.O_CLOEXEC, 0o666)
	if err != nil {
		w.tb.Fatalf("open %s: %v", name, err)
	}
	w.tb.Cleanup(func() { syscall.Close(fd) })
	return file(fd)
}

func (f file) read(tb testing.TB, max int) string {
	tb.Helper()
	p := make([]byte, max)
	n, err := syscall.Read(int(f), p)
	if err != nil {
		tb.Fatalf("read: %v", err)
	}
	return string(p[:n])
}

// readAll reads the file to its end.
func (w *world) readAll(name string) string {
	w.tb.Helper()
	f := w.open(name, syscall.O_RDONLY)
	var all strings.Builder
	for {
		s := f.read(w.tb, 64<<10)
		if s == "" {
			return all.String()
		}
		all.WriteString(s)
	}
}

func (w *world) write(name string, flags int, data string) {
	w.tb.Helper()
	f := w.open(name, syscall.O_WRONLY|flags)
	if n, err := syscall.Write(int(f), []byte(data)); err != nil || n != len(data) {
		w.tb.Fatalf("write %s: %d, %v", name, n, err)
	}
}

func (w *world) stat(name string) syscall.Stat_t {
	w.tb.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(w.at(name), &st); err != nil {
		w.tb.Fatalf("stat %s: %v", name, err)
	}
	return st
}

// A program runs in the mount.
type program struct {
	tb     testing.TB
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	ended  chan error
}

// start starts a program that a signal is to end. Its arguments may name files of
// the mount; this process does not touch them.
func (w *world) start(name string, args ...string) *program {
	w.tb.Helper()
	if _, err := exec.LookPath(name); err != nil {
		w.tb.Skipf("no %s: %v", name, err)
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		w.tb.Fatal(err)
	}
	its, in, err := os.Pipe()
	if err != nil {
		w.tb.Fatal(err)
	}
	p := &program{tb: w.tb, cmd: exec.Command(name, args...), stdin: in, stdout: out, ended: make(chan error, 1)}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = its, theirs, os.Stderr
	if err := p.cmd.Start(); err != nil {
		w.tb.Fatal(err)
	}
	its.Close()
	theirs.Close()
	go func() { p.ended <- p.cmd.Wait() }() // ends with the program, which the test kills
	w.tb.Cleanup(func() {
		p.cmd.Process.Kill()
		in.Close()
		out.Close()
	})
	return p
}

// says waits until the program has written this, and no more.
func (p *program) says(want string) {
	p.tb.Helper()
	p.stdout.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.stdout, got); err != nil || string(got) != want {
		p.tb.Fatalf("%v says %q (%v), want %q", p.cmd.Args, got, err, want)
	}
}

// end signals the program and waits for its end.
func (p *program) end(sig syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.tb.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.tb.Fatalf("%v survives %v", p.cmd.Args, sig)
	}
}
