package supervise

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/taskfs/task"
)

// BenchmarkFirstByte is the time from Start on a warm crew to the first byte of
// output, beside that of a bare fork and exec: at most three times.
func BenchmarkFirstByte(b *testing.B) {
	r, err := New(Options{Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	c, err := r.Crew(b.Context(), task.CrewOptions{Session: "bench", Lease: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(b.Context())
	echo, err := exec.LookPath("echo")
	if err != nil {
		b.Fatal(err)
	}
	env := os.Environ()
	first := make(firstByte, 1)
	exited := make(chan task.Exit, 1)
	var ours, bare []time.Duration
	for b.Loop() {
		start := time.Now()
		err := c.Start(task.Task{Argv: []string{"echo", "x"}, Env: env, Umask: -1, Stdout: first, Stderr: first,
			Exited: func(x task.Exit) { exited <- x }})
		if err != nil {
			b.Fatal(err)
		}
		<-first
		ours = append(ours, time.Since(start))
		<-exited

		start = time.Now()
		cmd := exec.Command(echo, "x")
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 10)); err != nil {
			b.Fatal(err)
		}
		bare = append(bare, time.Since(start))
		cmd.Wait()
	}
	report(b, median(ours), "ours-us")
	report(b, median(bare), "bare-us")
	b.ReportMetric(float64(median(ours))/float64(median(bare)), "x-bare")
}

func report(b *testing.B, d time.Duration, name string) {
	b.ReportMetric(float64(d.Microseconds()), name)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkTrue runs true a thousand times over four crews, beside a bare loop of
// os/exec of the same width, and the programs that people use for that.
func BenchmarkTrue(b *testing.B) {
	const n, width = 1000, 4
	path, err := exec.LookPath("true")
	if err != nil {
		b.Fatal(err)
	}
	r, err := New(Options{Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	var crews []task.Crew
	for range width {
		c, err := r.Crew(b.Context(), task.CrewOptions{Session: "bench", Lease: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close(b.Context())
		crews = append(crews, c)
	}
	env := os.Environ()
	var ours, bare time.Duration
	for b.Loop() {
		// All at once, as a session does.
		start := time.Now()
		var ended sync.WaitGroup
		ended.Add(n)
		var starters sync.WaitGroup
		for i, c := range crews {
			starters.Go(func() {
				for rank := i; rank < n; rank += width {
					err := c.Start(task.Task{Rank: rank, Argv: []string{"true"}, Env: env, Umask: -1,
						Stdout: firstByte(nil), Stderr: firstByte(nil),
						Exited: func(x task.Exit) {
							if x.Status != "exit 0" {
								b.Errorf("%+v", x)
							}
							ended.Done()
						}})
					if err != nil {
						b.Error(err)
						ended.Done()
					}
				}
			})
		}
		starters.Wait()
		ended.Wait()
		ours += time.Since(start)

		start = time.Now()
		var loops sync.WaitGroup
		for range width {
			loops.Go(func() {
				for range n / width {
					if err := exec.Command(path).Run(); err != nil {
						b.Error(err)
					}
				}
			})
		}
		loops.Wait()
		bare += time.Since(start)
	}
	report(b, ours/time.Duration(b.N), "ours-us")
	report(b, bare/time.Duration(b.N), "bare-us")
	b.ReportMetric(float64(ours)/float64(bare), "x-bare")
	for _, peer := range []struct{ name, script string }{
		{"pdsh", "exec pdsh -R exec -f 4 -w 'n[1-1000]' true"},
		{"clush", "exec clush -R exec -f 4 -w 'n[1-1000]' true"},
		{"parallel", "seq 1000 | parallel -j 4 -n 0 true"},
	} {
		if _, err := exec.LookPath(peer.name); err != nil {
			b.Logf("%s: skipped: %v", peer.name, err)
			continue
		}
		start := time.Now()
		cmd := exec.Command("sh", "-c", peer.script)
		cmd.Stderr = io.Discard
		out, err := cmd.Output()
		if err != nil || strings.TrimSpace(string(out)) != "" {
			b.Errorf("%s: %v: %s", peer.name, err, out)
		}
		b.ReportMetric(float64(time.Since(start))/float64(ours/time.Duration(b.N)), peer.name+"/ours")
	}
}
