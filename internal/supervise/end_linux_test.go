package supervise

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/taskfs/task"
)

// startFamily starts the family and returns a handle on each member.
func startFamily(t *testing.T, c task.Crew, rank int) []member {
	t.Helper()
	tk := sh(rank, family)
	out := newSink()
	tk.Stdout = out
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	var all []member
	for i := range 5 {
		all = append(all, newMember(t, out.line(t, i)))
	}
	return all
}

// A member is a process, held so that its end can be waited for.
type member struct {
	pid int
	fd  int
}

func newMember(t *testing.T, line string) member {
	t.Helper()
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // if the test has failed
		unix.Close(fd)
	})
	return member{pid, fd}
}

// ended reports whether the process has ended, and waits so long for that.
func (m member) ended(t *testing.T, within time.Duration) bool {
	t.Helper()
	for deadline := time.Now().Add(within); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(m.fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline)).Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
}

func allEnded(t *testing.T, all []member, within time.Duration) {
	t.Helper()
	for i, m := range all {
		if !m.ended(t, within) {
			t.Errorf("member %d of the family, process %d, lives", i, m.pid)
		}
	}
}

func TestCloseEndsTheWholeFamily(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		r := newTestRunner(t, o)
		c := newTestCrew(t, r, task.CrewOptions{Lease: time.Minute})
		dir, err := c.Dir()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
			t.Fatal(err)
		}
		os.Chmod(dir+"/a", 0)
		all := startFamily(t, c, 0)
		closeCrew(t, c)
		allEnded(t, all, 0) // at once: Close has waited
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the crew's folder: %v", err)
		}
		if cg := c.(*crew).h.Cgroup; cg != "" {
			if _, err := os.Stat(cg); !os.IsNotExist(err) {
				t.Errorf("the crew's cgroup: %v", err)
			}
		}
		if err := c.Start(sh(1, "true")); !errors.Is(err, errClosed) {
			t.Errorf("start after the end: %v", err)
		}
	})
}

func TestKilledSupervisorTakesTheFamilyAlong(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		lost := make(chan error, 1)
		c := newTestCrew(t, newTestRunner(t, o), task.CrewOptions{Lease: time.Minute, Lost: func(err error) { lost <- err }})
		all := startFamily(t, c, 0)
		exited := make(chan task.Exit, 1)
		tk := sh(1, "exec sleep 1000")
		tk.Exited = func(x task.Exit) { exited <- x }
		out := newSink()
		tk.Stdout = out
		tk.Argv[2] = "echo; exec sleep 1000"
		if err := c.Start(tk); err != nil {
			t.Fatal(err)
		}
		out.line(t, 0)
		run(t, c, sh(2, "true")) // what is said of the first has come before
		c.(*crew).cmd.Process.Kill()
		if err := <-lost; err == nil || !strings.HasSuffix(err.Error(), "has ended: its supervisor was killed") {
			t.Errorf("lost: %v", err)
		}
		allEnded(t, all, 0)
		if x := <-exited; x.Status != "signal KILL" || x.PID == 0 {
			t.Errorf("%+v", x)
		}
	})
}

func TestLeaseEndsTheFamily(t *testing.T) {
	lost := make(chan error, 1)
	const lease = 2 * time.Second // for a machine that is busy with other things
	r := newTestRunner(t, Options{noCgroup: true})
	c := newTestCrew(t, r, task.CrewOptions{Lease: lease, Lost: func(err error) { lost <- err }})
	stop := renew(c, lease/20)
	all := startFamily(t, c, 0)
	exited := make(chan task.Exit, 1)
	tk := sh(1, "exec sleep 1000")
	tk.Exited = func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	// Renewed, it holds for more than its length.
	select {
	case err := <-lost:
		t.Errorf("lost while renewed: %v", err)
	case <-time.After(lease + lease/4):
	}
	stop()
	if err := <-lost; err == nil || !strings.HasSuffix(err.Error(), "has ended: its lease has passed") {
		t.Errorf("lost: %v", err)
	}
	allEnded(t, all, 0)
	if x := <-exited; x.Status != "signal KILL" || x.PID == 0 {
		t.Errorf("%+v", x)
	}
}

// startOwner starts a program that a supervisor works for. It returns the handles of the
// supervisor and of a family, and the crew's folder.
func startOwner(t *testing.T, lease time.Duration) (owner *os.Process, supervisor member, all []member, dir string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"="+lease.String(), "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	next := func() string {
		if !lines.Scan() {
			t.Fatal("the owner has said too little")
		}
		return lines.Text()
	}
	supervisor = newMember(t, next())
	dir = next()
	for range 5 {
		all = append(all, newMember(t, next()))
	}
	return cmd.Process, supervisor, all, dir
}

func TestEndOfTheOwnerEndsTheFamily(t *testing.T) {
	for _, tc := range []struct {
		name       string
		supervisor unix.Signal // sent first; 0: none
		owner      unix.Signal
		lease      time.Duration
	}{
		{"killed", 0, unix.SIGKILL, time.Hour},
		{"killed with its supervisor stopped", unix.SIGSTOP, unix.SIGKILL, time.Hour},
		{"stopped", 0, unix.SIGSTOP, 2 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			owner, supervisor, all, dir := startOwner(t, tc.lease)
			unix.PidfdSendSignal(supervisor.fd, tc.supervisor, nil, 0)
			owner.Signal(tc.owner)
			allEnded(t, append(all, supervisor), 10*time.Second)
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the crew's folder: %v", err)
			}
		})
	}
}

// If nobody is there who could do anything, the kernel ends the task itself.
func TestKernelEndsTheTasksOfAKilledSupervisor(t *testing.T) {
	owner, supervisor, all, _ := startOwner(t, time.Hour)
	owner.Signal(unix.SIGSTOP)
	unix.PidfdSendSignal(supervisor.fd, unix.SIGKILL, nil, 0)
	allEnded(t, all[:1], 10*time.Second)
	// The rest is nobody's. Nobody has waited for the supervisor, so its session is known.
	if err := sweep(markName+"=none", supervisor.pid, nil); err != nil {
		t.Error(err)
	}
}

// An owner that is gone before its supervisor is ready leaves nothing either.
func TestSupervisorOfADeadOwnerCleansUp(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLease()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	h := hello{Dir: filepath.Join(t.TempDir(), "crew"), Cgroup: makeCgroup("hub-test-dead")}
	if err := os.Mkdir(h.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Write(h.frame()); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	cmd := exec.Command(os.Args[0], flag)
	cmd.ExtraFiles = []*os.File{theirs, l.f}
	cmd.Stderr = os.Stderr
	err = cmd.Run()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{h.Dir, h.Cgroup} {
		if _, err := os.Stat(dir); dir != "" && !os.IsNotExist(err) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// Somebody who forks and goes, again and again, each time in a session of its
// own, is caught, too, and so is a crowd.
func TestCloseCatchesWhoWalksAway(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		c := newTestCrew(t, newTestRunner(t, o), task.CrewOptions{})
		walker := filepath.Join(t.TempDir(), "walker")
		if err := os.WriteFile(walker, []byte("#!/bin/sh\nsetsid \"$0\" &\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		out := newSink()
		tk := sh(0, `"$1" & i=0; while [ $i -lt 50 ]; do (setsid sleep 1000 &); i=$((i+1)); done; echo there; sleep 1000`, walker)
		tk.Stdout = out
		if err := c.Start(tk); err != nil {
			t.Fatal(err)
		}
		out.line(t, 0)
		closeCrew(t, c)
		if left := leftovers(c.(*crew).mark, -1); len(left) > 0 {
			t.Errorf("%d processes are left: %v", len(left), left)
		}
	})
}

// A supervisor that was stopped, with starts waiting before it, hears of the end.
func TestCloseContinuesAStoppedSupervisor(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	all := startFamily(t, c, 0)
	c.(*crew).cmd.Process.Signal(unix.SIGSTOP)
	var starters sync.WaitGroup
	for rank := 1; rank < 4; rank++ {
		starters.Go(func() { // ends with the crew; the test waits for it
			tk := sh(rank, "true", strings.Repeat("x", 100<<10)) // soon more than a socket holds
			for i := 0; c.Start(tk) == nil; i++ {
				tk.Rank += 3
			}
		})
	}
	closeCrew(t, c)
	starters.Wait()
	allEnded(t, all, 0)
}

// A crew that is closed at once leaves nothing, for it is ready when its supervisor knows
// what there is to leave.
func TestCrewThatIsClosedAtOnceLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		r := newTestRunner(t, o)
		for range 50 {
			c := newTestCrew(t, r, task.CrewOptions{})
			dir, err := c.Dir()
			if err != nil {
				t.Fatal(err)
			}
			closeCrew(t, c)
			for _, dir := range []string{dir, c.(*crew).h.Cgroup} {
				if _, err := os.Stat(dir); dir != "" && !os.IsNotExist(err) {
					t.Fatalf("%s: %v", dir, err)
				}
			}
		}
	})
}

func TestSupervisorHasANameOfItsOwn(t *testing.T) {
	c := newTestCrew(t, newTestRunner(t, Options{}), task.CrewOptions{})
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.(*crew).cmd.Process.Pid))
	if err != nil || string(comm) != "taskfs\n" {
		t.Errorf("%q, %v", comm, err)
	}
}

// Whenever the supervisor is killed, each task that was started is told its end
// once, and nothing is left.
func TestKillAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := newTestRunner(t, Options{noCgroup: true})
	for range 20 {
		lost := make(chan error, 1)
		c, err := r.Crew(t.Context(), task.CrewOptions{Session: t.Name(), Lost: func(err error) { lost <- err }})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		ends := make(map[int]int)
		var want []int
		const n = 40
		for rank, at := 0, rnd.IntN(n); rank < n; rank++ {
			if rank == at {
				c.(*crew).cmd.Process.Kill()
			}
			tk := sh(rank, "setsid sleep 1000 & exec sleep 1000")
			tk.Stdin, tk.Stdout = text{strings.NewReader("x")}, newSink()
			tk.Exited = func(x task.Exit) {
				mu.Lock()
				defer mu.Unlock()
				ends[x.Rank]++
			}
			if err := c.Start(tk); err == nil {
				want = append(want, rank)
			}
		}
		if err := <-lost; err == nil || !strings.HasSuffix(err.Error(), "its supervisor was killed") {
			t.Errorf("lost: %v", err)
		}
		if left := leftovers(c.(*crew).mark, -1); len(left) > 0 {
			t.Errorf("%d processes are left: %v", len(left), left)
		}
		mu.Lock()
		if len(ends) != len(want) {
			t.Errorf("%d of %d tasks were told their end", len(ends), len(want))
		}
		for _, rank := range want {
			if ends[rank] != 1 {
				t.Errorf("task %d was told %d times", rank, ends[rank])
			}
		}
		mu.Unlock()
	}
}
