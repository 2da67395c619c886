package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkTaskFirstByte measures from the word that starts a command on a session
// that is warm to its first byte of output: through a server and a node below it,
// with a client of 9P, beside a bare fork and exec.
//
// Goal: task/bare at most 3, of medians.
func BenchmarkTaskFirstByte(b *testing.B) {
	n := newNodes(b)
	n.start("root", "")
	n.start("leaf", "root")
	s := n.session("root")
	s.do("res 1")
	s.do("exec /bin/echo x")
	out, err := s.tree.open(s.dir+"/stdout", openRead)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := out.readAll(); err != nil {
		b.Fatal(err)
	}
	took := map[string]*samples{"task": {}, "bare": {}}
	const warm = 20
	for i := range b.N + warm {
		start := time.Now()
		s.do("again /bin/echo x")
		got, err := out.read()
		task := time.Since(start)
		if err != nil || got != "x\n" {
			b.Fatalf("%q, %v", got, err)
		}
		if got, err := out.read(); err != nil || got != "" { // its end
			b.Fatalf("%q, %v", got, err)
		}
		bare := firstByte(b)
		if i >= warm {
			took["task"].add(task)
			took["bare"].add(bare)
		}
	}
	noTimes(b)
	b.ReportMetric(took["task"].us(), "task-us")
	b.ReportMetric(took["bare"].us(), "bare-us")
	ratio(b, "task", "bare", took["task"].median(), took["bare"].median())
}

// firstByte is how long a process takes to say something.
func firstByte(b *testing.B) time.Duration {
	b.Helper()
	cmd := exec.Command("/bin/echo", "x")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkTaskInput measures 64 MiB of input to eight tasks, which are cat(1) into
// nothing, beside tee(1) to eight of them: with hub run, on the server itself and on
// two nodes below it, where the bytes go through three servers.
//
// Goal: tasks/tee at most 1.5 on the server itself, of medians.
func BenchmarkTaskInput(b *testing.B) {
	const size, tasks = 64 << 20, 8
	const sink = "exec cat >/dev/null"
	bash, err := exec.LookPath("bash")
	if err != nil {
		b.Skip("no bash, in which tee(1) writes to processes")
	}
	tee := "tee" + strings.Repeat(fmt.Sprintf(" >(%s)", sink), tasks-1) + " | (" + sink + "); wait"
	for _, leaves := range []int{0, 2} {
		b.Run(fmt.Sprintf("%d-leaves", leaves), func(b *testing.B) {
			n := newNodes(b)
			n.start("root", "")
			for i := range leaves {
				n.start(fmt.Sprint("leaf", i), "root")
			}
			file := filepath.Join(n.dir, "input")
			if err := os.WriteFile(file, []byte(strings.Repeat("0123456789abcde\n", size/16)), 0o600); err != nil {
				b.Fatal(err)
			}
			timed := func(cmd *exec.Cmd) time.Duration {
				f, err := os.Open(file)
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				cmd.Stdin = f
				start := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v: %v: %s", cmd, err, out)
				}
				return time.Since(start)
			}
			took := map[string]*samples{"tasks": {}, "tee": {}}
			for range b.N {
				took["tasks"].add(timed(n.w.command("hub", "-s", "root", "run", "-n", fmt.Sprint(tasks), "--", "sh", "-c", sink)))
				took["tee"].add(timed(exec.Command(bash, "-c", tee)))
			}
			noTimes(b)
			b.ReportMetric(took["tasks"].us()/1000, "tasks-ms")
			b.ReportMetric(took["tee"].us()/1000, "tee-ms")
			ratio(b, "tasks", "tee", took["tasks"].median(), took["tee"].median())
		})
	}
}
