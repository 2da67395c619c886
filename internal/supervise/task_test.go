package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/taskfs/task"
)

func TestFailureSaysWhatIsWrong(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	dir := t.TempDir()
	plain, junk := filepath.Join(dir, "plain"), filepath.Join(dir, "junk")
	for path, mode := range map[string]os.FileMode{plain: 0o644, junk: 0o755} {
		if err := os.WriteFile(path, []byte{1, 2, 3}, mode); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{testPath}
	for _, tc := range []struct {
		tk   task.Task
		want string
	}{
		{task.Task{Argv: []string{"no-such-cmd"}, Env: env}, "fail command not found: no-such-cmd"},
		{task.Task{Argv: []string{"true"}}, "fail command not found: true"},
		{task.Task{Argv: []string{"true"}, Env: []string{"PATH=relative"}}, "fail command not found: true"},
		{task.Task{Argv: []string{"./no-such"}, Env: env, Dir: dir}, "fail command not found: ./no-such"},
		{task.Task{Argv: []string{plain}, Env: env}, "fail cannot run " + plain + ": permission denied"},
		{task.Task{Argv: []string{junk}, Env: env}, "fail cannot run " + junk + ": exec format error"},
		{task.Task{Argv: []string{"true"}, Env: env, Dir: dir + "/x"}, "fail no such directory: " + dir + "/x"},
		{task.Task{Argv: []string{"true"}, Env: env, Dir: plain}, "fail not a directory: " + plain},
		{task.Task{Argv: []string{"true", "a\x00b"}, Env: env}, "fail cannot run true: invalid argument"},
		{task.Task{Argv: []string{"true", strings.Repeat("x", 3<<20)}, Env: env}, "fail cannot run true: argument list too long"},
		{task.Task{Argv: []string{"true"}, Env: env}, "exit 0"},
	} {
		tc.tk.Umask = -1
		tc.tk.Stdin, tc.tk.Stdout = text{strings.NewReader("x")}, newSink()
		x := run(t, c, tc.tk)
		if x.Status != tc.want || (x.PID == 0) != strings.HasPrefix(tc.want, "fail ") {
			t.Errorf("%.40q: %+v, want %s", tc.tk.Argv, x, tc.want)
		}
	}
	// What is known at once is an error at once.
	big := task.Task{Argv: []string{"true", strings.Repeat("x", maxFrame)}}
	for _, tc := range []struct {
		tk   task.Task
		want string
	}{
		{task.Task{}, "no command to run"},
		{task.Task{Argv: []string{""}}, "no command to run"},
		{big, "arguments and environment of "},
	} {
		tc.tk.Exited = func(x task.Exit) { t.Errorf("it has ended: %+v", x) }
		if err := c.Start(tc.tk); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
	// A command that has come since, and one that has gone, are seen.
	tool := filepath.Join(dir, "tool")
	tk := task.Task{Argv: []string{"tool"}, Env: []string{testPath + ":" + dir}, Umask: -1}
	for _, want := range []string{"fail command not found: tool", "exit 0", "fail command not found: tool"} {
		if x := run(t, c, tk); x.Status != want {
			t.Errorf("%+v, want %s", x, want)
		}
		if want != "exit 0" {
			os.Symlink("/bin/true", tool)
		} else {
			os.Remove(tool)
		}
	}
}

func TestProcessHasWhatWeGiveIt(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := newTestCrew(t, newTestRunner(t, o), task.CrewOptions{})
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		tk := sh(0, `echo $A $B; pwd; umask; echo $TASKFS_CREW; echo $$ $(ps -o pgid= $$); ls /dev/fd/ | tr '\n' ' '; cat; readlink /dev/fd/0 || :`)
		tk.Env = append(tk.Env, "A=1", "B=2", "A=3")
		tk.Dir, tk.Umask = link, 0o027
		out := newSink()
		tk.Stdout = out
		x := run(t, c, tk)
		pid := fmt.Sprint(x.PID)
		_, mark, _ := strings.Cut(c.(*crew).mark, "=")
		want := "3 2\n" + link + "\n0027\n" + mark + "\n" + pid + " " + pid + "\n0 1 2 3 /dev/null\n"
		if runtime.GOOS != "linux" {
			return // what follows is as Linux lists it
		}
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
		// Then the supervisor's own is as it was.
		tk = sh(1, "umask")
		out = newSink()
		tk.Stdout = out
		run(t, c, tk)
		if out.String() == "0027\n" {
			t.Error("the umask of one task is another's")
		}
	})
}

func TestTasksStartInTheCrewsFolder(t *testing.T) {
	r := newTestRunner(t, Options{})
	c := newTestCrew(t, r, task.CrewOptions{})
	pwd := func(dir string) string {
		out := newSink()
		tk := sh(0, "pwd")
		tk.Stdout, tk.Dir = out, dir
		run(t, c, tk)
		return strings.TrimSpace(out.String())
	}
	if got := pwd(""); got != r.o.Dir {
		t.Errorf("in %s, want the runner's %s", got, r.o.Dir)
	}
	os.Mkdir(filepath.Join(r.o.Dir, "sub"), 0o755)
	if got := pwd("sub"); got != r.o.Dir+"/sub" {
		t.Errorf("in %s, want sub in the runner's %s", got, r.o.Dir)
	}
	dir, err := c.Dir()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Dir(); again != dir || err != nil {
		t.Errorf("asked again: %s, %v", again, err)
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", fi, err)
	}
	if got := pwd(""); got != dir {
		t.Errorf("in %s, want the crew's %s", got, dir)
	}
}

// Exited comes when the sink has taken the last byte, however slow it is.
func TestExitFollowsTheLastByte(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	gate := make(chan struct{})
	out := &slow{sink: newSink(), gate: gate}
	tk := sh(0, `printf %03000d 7; exit 3`)
	tk.Stdout = out
	exited := make(chan task.Exit, 1)
	tk.Exited = func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	gate <- struct{}{} // it is in a write
	other := run(t, c, sh(1, "exit 4"))
	if other.Status != "exit 4" {
		t.Errorf("another task: %+v", other)
	}
	select {
	case <-exited:
		t.Error("its end came before its last byte")
	default:
	}
	close(gate)
	if x := <-exited; x.Status != "exit 3" || len(out.String()) != 3000 {
		t.Errorf("%+v, %d bytes", x, len(out.String()))
	}
}

// slow is a sink that takes nothing before the gate lets it.
type slow struct {
	*sink
	gate chan struct{}
}

func (s *slow) WriteContext(ctx context.Context, p []byte) (int, error) {
	<-s.gate
	<-s.gate
	return s.sink.WriteContext(ctx, p)
}

// What a task leaves in the background does not hold up its end, and lives until
// the crew's.
func TestBackgroundDoesNotHoldTheEnd(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	tk := sh(0, `sleep 1000 & echo there; exit 5`)
	out := newSink()
	tk.Stdout = out
	if x := run(t, c, tk); x.Status != "exit 5" || out.String() != "there\n" {
		t.Errorf("%+v, %q", x, out)
	}
}

// A task whose output nobody takes is told as a pipe tells it.
func TestFailedSinkBreaksThePipe(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	tk := task.Task{Argv: []string{"yes"}, Env: os.Environ(), Umask: -1, Stdout: broken{}}
	if x := run(t, c, tk); x.Status != "signal PIPE" {
		t.Errorf("%+v", x)
	}
}

type broken struct{}

func (broken) WriteContext(context.Context, []byte) (int, error) { return 0, errors.New("gone") }

func TestSignalsReachTheGroup(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	out := newSink()
	tk := sh(7, `trap 'echo usr1' USR1; (trap 'echo child; exit' USR1; echo ready; while :; do sleep 0.01; done) & echo ready; wait; wait; exit 9`)
	tk.Stdout = out
	exited := make(chan task.Exit, 1)
	tk.Exited = func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	out.line(t, 1)
	if err := c.Start(tk); err == nil || err.Error() != "the task is running" {
		t.Errorf("started twice: %v", err)
	}
	if err := c.Signal(7, "SIGUSR1"); err != nil {
		t.Error(err)
	}
	if x := <-exited; x.Status != "exit 9" || !strings.Contains(out.String(), "usr1") || !strings.Contains(out.String(), "child") {
		t.Errorf("%+v, %q", x, out)
	}
	for _, rank := range []int{7, 8} {
		if err := c.Signal(rank, "TERM"); err != nil {
			t.Errorf("signal for who has ended, or never ran: %v", err)
		}
	}
	if err := c.Signal(7, "NONSENSE"); err == nil {
		t.Error("a signal of no name was sent")
	}
	// The same rank may run again.
	if x := run(t, c, sh(7, "exit 1")); x.Status != "exit 1" {
		t.Errorf("%+v", x)
	}
}

func TestManyAtOnce(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := newTestCrew(t, newTestRunner(t, o), task.CrewOptions{Lease: time.Minute})
		const n = 300
		var ended, starters sync.WaitGroup
		ended.Add(n)
		for g := range 4 {
			starters.Go(func() {
				for rank := g; rank < n; rank += 4 {
					out, errs := newSink(), newSink()
					tk := sh(rank, fmt.Sprintf("cat; echo %d >&2; exit %d", rank, rank%200))
					tk.Stdin, tk.Stdout, tk.Stderr = text{strings.NewReader(fmt.Sprint("in ", rank))}, out, errs
					tk.Exited = func(x task.Exit) {
						defer ended.Done()
						if x.Rank != rank || x.Status != fmt.Sprint("exit ", rank%200) || out.String() != fmt.Sprint("in ", rank) || errs.String() != fmt.Sprintln(rank) {
							t.Errorf("%d: %+v, %q, %q", rank, x, out, errs)
						}
					}
					if err := c.Start(tk); err != nil {
						t.Errorf("%d: %v", rank, err)
						ended.Done()
					}
				}
			})
		}
		starters.Wait()
		ended.Wait()
	})
}

func TestNothingIsLeftHere(t *testing.T) {
	r := newTestRunner(t, Options{})
	round := func(kill bool) {
		lost := make(chan struct{})
		c, err := r.Crew(t.Context(), task.CrewOptions{Session: "s", Lease: time.Minute, Lost: func(error) { close(lost) }})
		if err != nil {
			t.Fatal(err)
		}
		c.Dir()
		tk := sh(0, "cat; exit 1")
		tk.Stdin, tk.Stdout, tk.Stderr = text{strings.NewReader("x")}, newSink(), newSink()
		run(t, c, tk)
		exited := make(chan struct{})
		tk = sh(1, "sleep 1000")
		tk.Stdin, tk.Stdout, tk.Stderr = &counted{left: 1 << 60}, newSink(), newSink()
		tk.Exited = func(task.Exit) { close(exited) }
		if err := c.Start(tk); err != nil {
			t.Fatal(err)
		}
		if kill {
			c.(*crew).cmd.Process.Kill()
			<-lost
		}
		closeCrew(t, c)
		closeCrew(t, c)
		<-exited
		c.Renew()
		if err := c.Signal(1, "TERM"); err != nil {
			t.Error(err)
		}
		if _, err := c.Dir(); !errors.Is(err, errClosed) {
			t.Errorf("folder after the end: %v", err)
		}
	}
	round(false)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for i := range 10 {
		round(i%2 == 0)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), goroutines)
		}
	}
	if n := openFiles(t); n > files {
		t.Errorf("%d files open, before %d", n, files)
	}
	if left, err := os.ReadDir(r.o.Folder); err != nil || len(left) > 0 {
		t.Errorf("left %v (%v)", left, err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(names)
}

func TestCrewEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newTestRunner(t, Options{}).Crew(ctx, task.CrewOptions{Session: "s"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
