package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// The benchmarks compare. Each runs all its contenders in one process, a
// short while each in turn, so that whatever else the machine does falls on
// all of them; what is reported is medians, and ratios of medians.

// samples are measurements of one thing.
type samples []float64

func (s *samples) add(d time.Duration) { *s = append(*s, float64(d)) }

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	t := s.sorted()
	return (t[(len(t)-1)/2] + t[len(t)/2]) / 2
}

func (s samples) sorted() []float64 { return slices.Sorted(slices.Values(s)) }

// percentile is the smallest that p in a hundred do not exceed.
func (s samples) percentile(p int) float64 {
	if len(s) == 0 {
		return 0
	}
	t := s.sorted()
	return t[(len(t)*p+99)/100-1]
}

// us is the median of durations in microseconds.
func (s samples) us() float64 { return s.median() / float64(time.Microsecond) }

// noTimes drops the time for each iteration, which means nothing where an
// iteration is a round of everybody.
func noTimes(b *testing.B) { b.ReportMetric(0, "ns/op") }

// peer returns whether a program of somebody else is there, and says so if
// it is not: its part of the benchmark is left out.
func peer(b *testing.B, name string) bool {
	if _, err := exec.LookPath(name); err != nil {
		b.Logf("without %s: %v", name, err)
		return false
	}
	return true
}

// A screenful is a program on a terminal, read and written without a
// goroutine between, for measuring.
type screenful struct {
	b    *testing.B
	name string
	cmd  *exec.Cmd
	tty  *os.File // master side, in blocking mode
	fd   int
	buf  []byte
}

// onTerminal starts cmd as the leader of a session on a new terminal.
func onTerminal(b *testing.B, cmd *exec.Cmd) *screenful {
	b.Helper()
	s := &screenful{b: b, name: filepath.Base(cmd.Path), cmd: cmd, buf: make([]byte, 64<<10)}
	var err error
	if s.tty, err = pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		b.Fatal(err)
	}
	s.fd = int(s.tty.Fd())
	b.Cleanup(s.end)
	return s
}

// end hangs up, and ends a program that does not mind.
func (s *screenful) end() {
	if s.tty == nil {
		return
	}
	s.tty.Close()
	s.tty = nil
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// read waits for output, and returns what there is.
func (s *screenful) read() []byte {
	for {
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(patience/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			s.b.Fatalf("%s: no output within %v (%v)", s.name, patience, err)
		}
		n, err = unix.Read(s.fd, s.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			s.b.Fatalf("%s: read of its terminal: %v", s.name, err)
		}
		return s.buf[:n]
	}
}

// await reads until some text has come.
func (s *screenful) await(text string) {
	var seen []byte
	for !bytes.Contains(seen, []byte(text)) {
		seen = append(seen, s.read()...)
	}
}

func (s *screenful) write(p []byte) {
	if _, err := unix.Write(s.fd, p); err != nil {
		s.b.Fatalf("%s: write to its terminal: %v", s.name, err)
	}
}

// must runs a command that must succeed.
func (w *world) must(name string, args ...string) {
	w.tb.Helper()
	cmd := w.command(name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.tb.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// file makes a file in the world and returns its path.
func (w *world) file(name, text string) string {
	w.tb.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.tb.Fatal(err)
	}
	return path
}

// A fifo is how a program in a shell says that it has come to some place: it
// writes a line.
type fifo string

func (w *world) fifo(name string) fifo {
	w.tb.Helper()
	path := filepath.Join(w.dir, name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		w.tb.Fatal(err)
	}
	return fifo(path)
}

// wait waits for a line.
func (f fifo) wait(tb testing.TB) {
	tb.Helper()
	if err := f.await(); err != nil {
		tb.Fatal(err)
	}
}

// await is wait for a goroutine that is not the test's. The fifo is opened
// for writing too: without a writer it would be at its end, and a read would
// not wait.
func (f fifo) await() error {
	r, err := os.OpenFile(string(f), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	r.SetReadDeadline(time.Now().Add(patience))
	if _, err := r.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("waiting for %s: %w", f, err)
	}
	return nil
}

// starter opens the fifo the other way: what is returned writes a line to it,
// for a program that waits there.
func (f fifo) starter(tb testing.TB) func() {
	tb.Helper()
	w, err := os.OpenFile(string(f), os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	return func() {
		if _, err := w.WriteString("go\n"); err != nil {
			tb.Fatal(err)
		}
	}
}

// enlarge makes the fifo hold as much as our sockets do, for as long as
// somebody has it open.
func (f fifo) enlarge(tb testing.TB) *os.File {
	tb.Helper()
	file, err := os.OpenFile(string(f), os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		tb.Fatal(err)
	}
	enlargePipe(file)
	return file
}

// A multiplexer keeps a program running on a terminal of its own, and shows
// it on the terminal from which somebody attaches.
type multiplexer struct {
	name   string
	world  *world
	start  func(script string) // starts sh -c script, detached
	attach func() *exec.Cmd    // attaches to it
	shows  bool                // an attach shows what was there before
}

// plexers are ours and those of the named peers that are on this machine.
func plexers(b *testing.B, peers ...string) []multiplexer {
	made := map[string]func(*testing.B) multiplexer{
		"dtach":  dtachPlexer,
		"tmux":   tmuxPlexer,
		"screen": screenPlexer,
	}
	all := []multiplexer{hubPlexer(b)}
	for _, name := range peers {
		if peer(b, name) {
			all = append(all, made[name](b))
		}
	}
	return all
}

func hubPlexer(b *testing.B) multiplexer {
	w := newWorld(b)
	return multiplexer{
		name:   "hub",
		world:  w,
		start:  func(script string) { w.want("new", "--size", "24x80", "bench", "--", "sh", "-c", script) },
		attach: func() *exec.Cmd { return w.command("hub", "attach", "bench") },
		shows:  true,
	}
}

func dtachPlexer(b *testing.B) multiplexer {
	w := newPeerWorld(b)
	sock := filepath.Join(w.dir, "dtach")
	return multiplexer{
		name:   "dtach",
		world:  w,
		start:  func(script string) { w.must("dtach", "-n", sock, "-Ez", "-r", "none", "sh", "-c", script) },
		attach: func() *exec.Cmd { return w.command("dtach", "-a", sock, "-Ez", "-r", "none") },
	}
}

func tmuxPlexer(b *testing.B) multiplexer {
	w := newPeerWorld(b)
	conf := w.file("tmux.conf", "set -g status off\nset -s escape-time 0\n")
	tmux := []string{"-S", filepath.Join(w.dir, "tmux"), "-f", conf}
	return multiplexer{
		name:  "tmux",
		world: w,
		start: func(script string) {
			w.must("tmux", append(tmux, "new-session", "-d", "-x", "80", "-y", "24", script)...)
		},
		attach: func() *exec.Cmd { return w.command("tmux", append(tmux, "attach")...) },
		shows:  true,
	}
}

func screenPlexer(b *testing.B) multiplexer {
	w := newPeerWorld(b)
	sockets := filepath.Join(w.dir, "screen")
	if err := os.Mkdir(sockets, 0o700); err != nil {
		b.Fatal(err)
	}
	w.env = append(w.env, "SCREENDIR="+sockets)
	conf := w.file("screenrc", "startup_message off\nvbell off\n")
	return multiplexer{
		name:   "screen",
		world:  w,
		start:  func(script string) { w.must("screen", "-c", conf, "-dmS", "bench", "sh", "-c", script) },
		attach: func() *exec.Cmd { return w.command("screen", "-c", conf, "-x", "bench") },
		shows:  true,
	}
}

// ratio reports a/b under the unit "x/y".
func ratio(b *testing.B, x, y string, a, c float64) {
	if a > 0 && c > 0 {
		b.ReportMetric(a/c, fmt.Sprintf("%s/%s", x, y))
	}
}
