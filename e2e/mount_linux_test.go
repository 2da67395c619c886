package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/e2e/internal/dialogue"
	"hubfs/mount"
)

// mountpoint is a folder of the world to mount on. The test is skipped where
// nothing can be.
func (w *world) mountpoint() string {
	w.tb.Helper()
	dir := filepath.Join(w.dir, "mnt")
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.tb.Fatal(err)
	}
	if err := mount.Check(dir); err != nil {
		w.tb.Skipf("no FUSE here: %v", err)
	}
	w.tb.Cleanup(func() {
		if mount.Unmount(dir) == nil {
			w.tb.Errorf("%s was still mounted", dir)
		}
	})
	return dir
}

// sh runs a line of sh, which must succeed, and returns what it says.
func (w *world) sh(line string) string {
	w.tb.Helper()
	cmd := w.command("sh", "-c", line)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.tb.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// unmounted waits until nothing is mounted on dir.
func (w *world) unmounted(dir string) {
	w.tb.Helper()
	w.untilMounted(dir, false)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		w.tb.Errorf("where the tree was: %v, %v", entries, err)
	}
}

// untilMounted waits until something is mounted on dir, or nothing is.
func (w *world) untilMounted(dir string, want bool) {
	w.tb.Helper()
	table, err := os.Open("/proc/self/mounts")
	if err != nil {
		w.tb.Fatal(err)
	}
	defer table.Close()
	for deadline := time.Now().Add(patience); mounted(w.tb, dir) != want; {
		if time.Now().After(deadline) {
			w.tb.Fatalf("%s: mounted %t, want %t", dir, !want, want)
		}
		// proc(5): that the table has changed is an exceptional condition.
		unix.Poll([]unix.PollFd{{Fd: int32(table.Fd()), Events: unix.POLLPRI}}, 1000)
	}
}

func mounted(tb testing.TB, dir string) bool {
	tb.Helper()
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Contains(string(table), " "+dir+" ")
}

func TestMount(t *testing.T) {
	w := newWorld(t)
	dir := w.mountpoint()
	if out := w.want("mount", dir); out != "" {
		t.Errorf("hub mount says %q", out)
	}
	w.sh("echo hello >mnt/build; echo again >>mnt/build; touch mnt/build mnt/new")
	w.want("ctl", "end", "build")
	if got := w.sh("cat mnt/build; ls -l mnt/build; ls mnt"); !strings.HasPrefix(got, "hello\nagain\n-rw-r--r-- 1 ") ||
		!strings.Contains(got, " 12 ") || !strings.Contains(got, "\nnew\n") {
		t.Errorf("the shell sees\n%s", got)
	}
	if got := w.want("read", "build"); got != "hello\nagain\n" {
		t.Errorf("hub sees %q", got)
	}
	again := w.hub("mount", dir)
	if again.code != 1 || !strings.Contains(again.stderr, "already") || !strings.Contains(again.stderr, "hub umount") {
		t.Errorf("a second mount: %+v", again)
	}
	w.want("umount", dir)
	w.unmounted(dir)
	if r := w.hub("umount", dir); r.code != 1 || !strings.Contains(r.stderr, "no server's tree") {
		t.Errorf("hub umount of nothing: %+v", r)
	}
}

// TestMountGoesWithItsProgram: however that ends.
func TestMountGoesWithItsProgram(t *testing.T) {
	for _, how := range []string{"SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "quit"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			dir := w.mountpoint()
			w.want("mount", dir)
			w.sh("echo hello >mnt/h")
			cat := w.command("cat", "mnt/h")
			cat.Dir = w.dir
			if out, err := cat.StdoutPipe(); err != nil || cat.Start() != nil {
				t.Fatal(err)
			} else if n, err := out.Read(make([]byte, 10)); n != 6 {
				t.Fatal(n, err)
			}
			if how == "quit" {
				w.want("ctl", "quit")
			} else {
				for _, p := range worldProcesses(w.dir) {
					if p.names(" --ready ") && p.names("mount") {
						unix.PidfdSendSignal(p.fd, unix.SignalNum(how), nil, 0)
					}
					p.close()
				}
			}
			w.unmounted(dir)
			if err := cat.Wait(); err == nil {
				t.Error("who was reading has met the end of the file")
			}
			// And it comes again.
			w.want("mount", dir)
			w.want("umount", dir)
			w.unmounted(dir)
		})
	}
}

// TestMountOnATerminal: what is typed ends what waits.
func TestMountOnATerminal(t *testing.T) {
	w := newWorld(t)
	dir := w.mountpoint()
	w.want("mount", dir)
	w.sh("echo hello >mnt/h")
	cmd := w.command("sh", "-i")
	cmd.Env = append(cmd.Env, "PS1=ready> ")
	term := dialogue.Start(t, cmd, dialogue.Options{Timeout: patience})
	for range 2 {
		term.Expect("ready> ")
		term.Type("cat " + dir + "/h\r")
		term.Expect("\nhello\r\n")
		term.Type("\x03")
	}
	term.Expect("ready> ")
	term.Type("cat " + dir + "/h\r")
	term.Expect("\nhello\r\n")
	term.Type("\x1a") // stopped, and gone on
	term.Expect("ready> ")
	term.Type("fg\r")
	term.Expect("cat ")
	w.sh("echo more >>mnt/h")
	term.Expect("\nmore\r\n")
	term.Type("\x03")
	term.Expect("ready> ")
	term.Type("exit 0\r")
	term.Exits(0)
	w.want("umount", dir)

	// In the foreground Ctrl-C ends the mount, and what the server says is seen.
	term = w.terminal("mount", "-f", dir)
	w.untilMounted(dir, true)
	if exec.Command("sh", "-c", "echo nonsense >"+dir+"/ctl").Run() == nil {
		t.Error("nonsense is fine?")
	}
	term.Expect("unknown command")
	term.Type("\x03")
	term.Exits(0)
	w.unmounted(dir)
}

// TestServerMounts: hubfs -m, and how it ends.
func TestServerMounts(t *testing.T) {
	for _, sig := range []string{"TERM", "KILL"} {
		t.Run(sig, func(t *testing.T) {
			w := newWorld(t)
			dir := w.mountpoint()
			s := w.serve("-s", "default", "-m", dir)
			w.sh("echo hello >mnt/h && ls mnt")
			if got := w.sh("timeout 30 head -n 1 mnt/h"); got != "hello\n" {
				t.Errorf("h holds %q", got)
			}
			// A shell that works in there, as one that the server itself starts does.
			w.want("new", "-d", dir, "inside", "--", "sh", "-c", "pwd; sleep 1000")
			w.follow("inside1", dir)
			s.signal(sig)
			s.exit()
			if sig == "TERM" && mounted(t, dir) {
				t.Error("the server has ended before its mount")
			}
			w.unmounted(dir)
		})
	}
	w := newWorld(t)
	if s, answer := w.tryServe("-s", "default", "-m", filepath.Join(w.dir, "nosuch")); !strings.Contains(answer, "no folder") || s.exit() != 1 {
		t.Errorf("a server that cannot mount says %q", answer)
	}
}

// TestTaskfsIsFiles: a session from Python, as the log of 2010 has it, and one
// from the shell, with a program that it brings along.
func TestTaskfsIsFiles(t *testing.T) {
	w := newWorld(t)
	dir := w.mountpoint()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skipf("no Python: %v", err)
	}
	w.want("mount", dir)

	const session = `
import os, sys
remote = sys.argv[1] + "/remote/"
ctl = open(remote + "clone", "r+")
n = ctl.read()
print("session", n)
ctl.write("res 3"); ctl.flush()
ctl.write("exec cat"); ctl.flush()
stdio = open(remote + n + "/stdio", "w")
stdio.write("hello\n")
stdio.close()
print(open(remote + n + "/stdio").read(), end="")
print(len(open(remote + n + "/wait").readlines()), "have ended")
print([line.split()[2] for line in open(remote + n + "/status")])
print(sorted(f for f in os.listdir(remote + n) if f.isdigit()))
try:
    ctl.write("nonsense"); ctl.flush()
except OSError as e:
    print(e.strerror)
`
	script := filepath.Join(w.dir, "session.py")
	if err := os.WriteFile(script, []byte(session), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `session 0
hello
hello
hello
3 have ended
['Done', 'Done', 'Done']
['0', '1', '2']
Invalid argument
`
	if got := w.sh("python3 session.py mnt"); got != want {
		t.Errorf("Python sees\n%s, want\n%s", got, want)
	}

	got := w.sh(`cd mnt/remote
exec 3<>clone
n=$(cat <&3)
printf '#!/bin/sh\necho $TASKFS_RANK of $TASKFS_SIZE\ncat\n' >$n/fs/prog
chmod +x $n/fs/prog
mkdir $n/fs/data && cp $n/fs/prog $n/fs/data/copy && cmp $n/fs/prog $n/fs/data/copy || exit
echo res 2 >&3
echo exec ./prog >&3
echo for all >$n/stdin
sort $n/stdout
cat $n/1/stdout`)
	if want := "0 of 2\n1 of 2\nfor all\nfor all\n1 of 2\nfor all\n"; got != want {
		t.Errorf("the shell sees\n%s, want\n%s", got, want)
	}

	// Who waits for what a task has not said yet is interrupted all the same.
	term := dialogue.Start(t, w.command("sh", "-i"), dialogue.Options{Timeout: patience})
	term.Type("exec 3<>" + dir + "/remote/clone; n=$(cat <&3); echo res 2 >&3; echo exec sleep 1000 >&3; echo run''ning\r")
	term.Expect("running")
	term.Type("cat " + dir + "/remote/nodes " + dir + "/remote/$n/stdout\r")
	term.Expect(" dropped=0")
	term.Type("\x03")
	term.Type("echo go''es on; exec 3>&-; exit 0\r")
	term.Expect("goes on")
	term.Exits(0)
	w.want("umount", dir)
}
