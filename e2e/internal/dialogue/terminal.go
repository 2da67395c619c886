// Package dialogue is a person at a terminal, for tests: it starts a program
// on a PTY, types, waits for what appears, resizes, kills, and looks whether
// the terminal was put back as it was.
//
// The program runs as it would under a shell with job control: a leader
// (this same test binary, see Leader) owns the terminal's session and puts
// the program in the foreground. So the terminal outlives the program, and
// what the program did to it can be seen. With the program itself as session
// leader the kernel would reset the terminal at its end, and the test would
// pass whatever the program had left behind.
//
// # Blocking
//
// Everything that waits has a deadline, and ends the test when it passes,
// with a transcript of the whole dialogue. One goroutine reads the terminal
// all the time, unless the test asked for it to be stalled.
//
// # Ownership
//
// A Terminal belongs to the goroutine of its test. When the test ends, the
// program is killed if it still runs, and the terminal is closed.
package dialogue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// raceEnv spares a race-enabled program the second that it waits at its end.
const raceEnv = "GORACE=atexit_sleep_ms=0"

// Options say what the terminal is like.
type Options struct {
	Rows, Cols int           // 0: 24 and 80
	Timeout    time.Duration // for each wait; 0: 30 s
	Stalled    bool          // nobody reads the terminal until Unstall
}

// A Terminal is one program on one terminal.
type Terminal struct {
	tb      testing.TB
	name    string // the program and its arguments, for messages
	timeout time.Duration
	tty     *os.File       // master side: what the person sees and types
	line    *os.File       // slave side, kept open to look at its settings
	cooked  term.State     // the settings before the program ran
	leader  *exec.Cmd      // owns the session
	hold    *os.File       // the leader stays until this is closed
	readers sync.WaitGroup // the goroutines below

	pos int // test's goroutine: where the next Expect looks from

	mu      sync.Mutex
	out     []byte        // guarded by mu: everything seen
	changed chan struct{} // guarded by mu: closed and replaced at every change
	pid     int           // guarded by mu: of the program, 0: not started yet
	reading bool          // guarded by mu: the terminal is being read
	status  *string       // guarded by mu: "exit N" or "signal NAME", nil: runs
	broken  error         // guarded by mu: the leader could not do its work
}

// Start runs cmd on a new terminal. Of cmd, Path, Args, Env and Dir count.
func Start(tb testing.TB, cmd *exec.Cmd, o Options) *Terminal {
	tb.Helper()
	if o.Rows == 0 {
		o.Rows, o.Cols = 24, 80
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	t := &Terminal{
		tb:      tb,
		name:    strings.Join(cmd.Args, " "),
		timeout: o.Timeout,
		changed: make(chan struct{}),
	}
	if err := t.start(cmd, o); err != nil {
		tb.Fatalf("%s: %v", t.name, err)
	}
	tb.Cleanup(t.end)
	t.waitFor("the program to start", func() bool { return t.pid != 0 || t.broken != nil })
	return t
}

func (t *Terminal) start(cmd *exec.Cmd, o Options) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	master, slave, err := pty.Open()
	if err != nil {
		return err
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: uint16(o.Rows), Cols: uint16(o.Cols)}); err != nil {
		return err
	}
	saved, err := term.GetState(int(slave.Fd()))
	if err != nil {
		return err
	}
	t.cooked, t.line = *saved, slave
	// pty uses File.Fd, which leaves the file in blocking mode, and then a
	// Close would wait for the reader. A second descriptor can be polled.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	master.Close()
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return err
	}
	t.tty = os.NewFile(uintptr(fd), "terminal")

	report, reportW, err := os.Pipe()
	if err != nil {
		return err
	}
	holdR, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	t.hold = hold
	self, err := os.Executable()
	if err != nil {
		return err
	}
	t.leader = &exec.Cmd{
		Path:        self,
		Args:        append([]string{leaderName, cmd.Path}, cmd.Args...),
		Env:         append(cmd.Environ(), raceEnv),
		Dir:         cmd.Dir,
		Stdin:       slave,
		Stdout:      slave,
		Stderr:      slave,
		ExtraFiles:  []*os.File{reportW, holdR},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Setctty: true},
	}
	if err := t.leader.Start(); err != nil {
		return err
	}
	reportW.Close()
	holdR.Close()
	t.readers.Go(func() { t.readReport(report) }) // ends with the leader
	if !o.Stalled {
		t.Unstall()
	}
	return nil
}

// Unstall begins to read a terminal that was started Stalled.
func (t *Terminal) Unstall() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.reading {
		t.reading = true
		t.readers.Go(t.readTerminal) // ends when the terminal is closed
	}
}

func (t *Terminal) readTerminal() {
	buf := make([]byte, 64<<10)
	for {
		n, err := t.tty.Read(buf)
		if err != nil {
			return
		}
		t.mu.Lock()
		t.out = append(t.out, buf[:n]...)
		t.changeLocked()
		t.mu.Unlock()
	}
}

func (t *Terminal) readReport(r *os.File) {
	defer r.Close()
	buf := make([]byte, 256)
	var all string
	for {
		n, err := r.Read(buf)
		all += string(buf[:n])
		for {
			line, rest, ok := strings.Cut(all, "\n")
			if !ok {
				break
			}
			all = rest
			t.reported(line)
		}
		if err != nil {
			t.mu.Lock()
			if t.status == nil && t.broken == nil {
				t.broken = errors.New("the session's leader ended before the program")
			}
			t.changeLocked()
			t.mu.Unlock()
			return
		}
	}
}

func (t *Terminal) reported(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	word, arg, _ := strings.Cut(line, " ")
	switch word {
	case "pid":
		t.pid, _ = strconv.Atoi(arg)
	case "exit", "signal":
		t.status = &line
	default:
		t.broken = errors.New(line)
	}
	t.changeLocked()
}

func (t *Terminal) changeLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// waitFor waits until ok, called with mu held, reports true.
func (t *Terminal) waitFor(what string, ok func() bool) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.tb.Context(), t.timeout)
	defer cancel()
	for {
		t.mu.Lock()
		done, broken, changed := ok(), t.broken, t.changed
		over := t.status != nil && bytes.Contains(t.out, []byte(endMark))
		t.mu.Unlock()
		switch {
		case broken != nil:
			t.tb.Fatalf("%s: waiting for %s: %v", t.name, what, broken)
		case done:
			return
		case over:
			t.tb.Fatalf("%s: waiting for %s: the program has ended: %s", t.name, what, *t.status)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.tb.Fatalf("%s: waiting for %s: nothing within %v", t.name, what, t.timeout)
		}
	}
}

// Type types s, and waits until the terminal has taken it.
func (t *Terminal) Type(s string) {
	t.tb.Helper()
	t.tty.SetWriteDeadline(time.Now().Add(t.timeout))
	if _, err := t.tty.WriteString(s); err != nil {
		t.tb.Fatalf("%s: type %.40q: %v", t.name, s, err)
	}
}

// Expect waits until text has appeared after what the last Expect found.
func (t *Terminal) Expect(text string) {
	t.tb.Helper()
	t.waitFor(fmt.Sprintf("%.200q", text), func() bool {
		i := bytes.Index(t.out[t.pos:], []byte(text))
		if i < 0 {
			return false
		}
		t.pos += i + len(text)
		return true
	})
}

// ExpectMatch is Expect for a regular expression; it returns what matched,
// and the parenthesized parts.
func (t *Terminal) ExpectMatch(expr string) []string {
	t.tb.Helper()
	re := regexp.MustCompile(expr)
	var found []string
	t.waitFor("a match of "+expr, func() bool {
		m := re.FindSubmatchIndex(t.out[t.pos:])
		if m == nil {
			return false
		}
		for i := 0; i < len(m); i += 2 {
			part := ""
			if m[i] >= 0 {
				part = string(t.out[t.pos+m[i] : t.pos+m[i+1]])
			}
			found = append(found, part)
		}
		t.pos += m[1]
		return true
	})
	return found
}

// Seen returns everything that has appeared so far.
func (t *Terminal) Seen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.out)
}

// Resize makes the terminal this large; the kernel tells the program.
func (t *Terminal) Resize(rows, cols int) {
	t.tb.Helper()
	if err := pty.Setsize(t.line, &pty.Winsize{Rows: uint16(rows), Cols: uint16(cols)}); err != nil {
		t.tb.Fatalf("%s: resize: %v", t.name, err)
	}
}

// PID is the program's process.
func (t *Terminal) PID() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pid
}

// Signal sends the program a signal.
func (t *Terminal) Signal(sig syscall.Signal) {
	t.tb.Helper()
	if err := t.signal(sig); err != nil {
		t.tb.Fatalf("%s: %v: %v", t.name, sig, err)
	}
}

func (t *Terminal) signal(sig syscall.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status != nil || t.pid == 0 {
		return os.ErrProcessDone
	}
	return syscall.Kill(t.pid, sig)
}

// Kill ends the program as kill -9 does, and waits until it is gone.
func (t *Terminal) Kill() {
	t.tb.Helper()
	t.Signal(syscall.SIGKILL)
	t.waitFor("the end of a killed program", func() bool { return t.status != nil })
}

// Close closes the terminal as a closed window does: the program gets a
// hangup. It returns when the program is gone.
func (t *Terminal) Close() {
	t.tb.Helper()
	t.line.Close()
	t.tty.Close()
	t.waitFor("the end after a hangup", func() bool { return t.status != nil })
}

// Exits waits for the end of the program and checks its exit status, which is
// 128+N for signal N, and that the terminal is as it was before.
func (t *Terminal) Exits(code int) {
	t.tb.Helper()
	t.waitFor("the end of the program", func() bool { return t.status != nil })
	if want := fmt.Sprintf("exit %d", code); *t.status != want {
		t.tb.Errorf("%s: ended with %q, want %q", t.name, *t.status, want)
	}
	t.Restored()
}

// Restored checks that the terminal's settings are as they were before.
func (t *Terminal) Restored() {
	t.tb.Helper()
	if now := t.settings(); now != t.cooked {
		t.tb.Errorf("%s: the terminal was not put back:\nbefore %+v\nafter  %+v", t.name, t.cooked, now)
	}
}

// Raw reports whether the program has the terminal in another mode than the
// one it found.
func (t *Terminal) Raw() bool {
	t.tb.Helper()
	return t.settings() != t.cooked
}

func (t *Terminal) settings() term.State {
	t.tb.Helper()
	now, err := term.GetState(int(t.line.Fd()))
	if err != nil {
		t.tb.Fatalf("%s: settings of the terminal: %v", t.name, err)
	}
	return *now
}

// end frees everything, and tells the dialogue if the test failed.
func (t *Terminal) end() {
	t.signal(syscall.SIGKILL)
	t.hold.Close()
	t.line.Close()
	t.tty.Close()
	err := t.leader.Wait()
	t.readers.Wait()
	if t.tb.Failed() {
		t.tb.Logf("%s: the whole dialogue (leader: %v):\n%s", t.name, err, t.transcript())
	}
}

// transcript is what was seen, readable: one line a line, the rest quoted.
func (t *Terminal) transcript() string {
	const most = 16 << 10
	seen := t.Seen()
	var b strings.Builder
	if len(seen) > most {
		fmt.Fprintf(&b, "    … %d bytes before …\n", len(seen)-most)
		seen = seen[len(seen)-most:]
	}
	for line := range strings.Lines(seen) {
		q := strconv.Quote(line)
		fmt.Fprintf(&b, "    %s\n", q[1:len(q)-1])
	}
	return b.String()
}
