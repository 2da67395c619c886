package e2e

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// benchTasks is how many tasks a job of BenchmarkRun has, and runWidth how many of
// the others' run at a time: as many as the nodes have slots.
const (
	benchTasks = 1000
	runWidth   = 8
)

// BenchmarkRun is true(1) a thousand times: by hub run, through a root and four
// leaves on this machine, which starts them with a server and its nodes that run
// already, as they do; by a bare loop of Go, which is the least that anybody can
// do; and by those who run commands on many hosts, each with its way to run them
// here. It is all of it that is timed: the program's start, and its end.
func BenchmarkRun(b *testing.B) {
	n := newNodes(b)
	n.start("root", "")
	const leaves = 4
	for i := range leaves {
		n.start(fmt.Sprint("leaf", i+1), "root", "--slots", fmt.Sprint(runWidth/leaves))
	}
	hosts := fmt.Sprintf("n[1-%d]", benchTasks)
	width := fmt.Sprint(runWidth)
	type contender struct {
		name string
		run  func() *exec.Cmd
	}
	peers := []contender{
		{"pdsh", func() *exec.Cmd { return exec.Command("pdsh", "-R", "exec", "-f", width, "-w", hosts, "true") }},
		{"clush", func() *exec.Cmd { return exec.Command("clush", "-R", "exec", "-f", width, "-w", hosts, "true") }},
		{"parallel", func() *exec.Cmd {
			return exec.Command("sh", "-c", fmt.Sprintf("seq %d | parallel -n0 -j%d true", benchTasks, runWidth))
		}},
	}
	took := map[string]*samples{"hub": {}, "loop": {}}
	for _, p := range peers {
		if peer(b, p.name) {
			took[p.name] = new(samples)
		}
	}
	timed := func(name string, do func() error) {
		start := time.Now()
		if err := do(); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		took[name].add(time.Since(start))
	}
	hub := func() error {
		return n.w.command("hub", "-s", "root", "run", "-n", fmt.Sprint(benchTasks), "--no-input", "true").Run()
	}
	if err := hub(); err != nil { // as the others, it has been run before
		b.Fatal(err)
	}
	// The others take so much longer that a few of theirs say enough.
	const rounds = 3
	for i := range b.N {
		timed("hub", hub)
		timed("loop", bareLoop)
		for _, p := range peers {
			if took[p.name] != nil && i < rounds {
				timed(p.name, func() error { return p.run().Run() })
			}
		}
	}
	noTimes(b)
	b.ReportMetric(took["hub"].us()/1000, "hub-ms")
	ratio(b, "hub", "loop", took["hub"].median(), took["loop"].median())
	for _, p := range peers {
		if s := took[p.name]; s != nil {
			ratio(b, p.name, "hub", s.median(), took["hub"].median())
		}
	}
}

// bareLoop runs the tasks, so many at a time.
func bareLoop() error {
	turn := make(chan struct{})
	errs := make(chan error, benchTasks)
	var work sync.WaitGroup
	for range runWidth {
		work.Go(func() { // ends with the turns
			for range turn {
				if err := exec.Command("true").Run(); err != nil {
					errs <- err
				}
			}
		})
	}
	for range benchTasks {
		turn <- struct{}{}
	}
	close(turn)
	work.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
