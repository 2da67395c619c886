package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"9fans.net/go/plan9"

	"hubfs/client"
)

// BenchmarkProducer measures how fast a program writes into a hub: alone, with a
// watcher that has asked for all and takes nothing, and with 1,000 that are there
// and ask for nothing.
//
// Goal: both at least 0.95 of alone.
func BenchmarkProducer(b *testing.B) {
	const idlers = 1000
	blocks := 1024 // in a turn
	if quick() {
		blocks = 16
	}
	w := newWorld(b)
	type producer struct {
		name string
		out  *client.PipeWriter
		rate samples
	}
	var all []*producer
	for _, name := range []string{"alone", "stalled", "idle"} {
		w.serve("-s", name)
		c, err := client.New(b.Context(), w.dial(name), streamOptions)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		f, err := c.Create(b.Context(), "/stream", 0o666, client.OWRITE)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, &producer{name: name, out: f.Writer(32)})
	}
	w.stalled("stalled", "stream")
	for range idlers {
		w.raw("idle").open(1, "stream", plan9.OREAD)
	}
	for b.Loop() {
		for _, p := range all {
			start := time.Now()
			for i := range blocks {
				at := i * blockSize % cycleSize
				if _, err := p.out.WriteContext(b.Context(), cycle()[at:at+blockSize]); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.out.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			p.rate = append(p.rate, float64(blocks*blockSize)/time.Since(start).Seconds())
		}
	}
	noTimes(b)
	for _, p := range all {
		b.ReportMetric(p.rate.median()/1e6, p.name+"-MB/s")
	}
	ratio(b, "stalled", "alone", all[1].rate.median(), all[0].rate.median())
	ratio(b, "idle", "alone", all[2].rate.median(), all[0].rate.median())
}

// dial connects to the server called name.
func (w *world) dial(name string) net.Conn {
	w.tb.Helper()
	conn, err := net.Dial("unix", w.socket(name))
	if err != nil {
		w.tb.Fatal(err)
	}
	return conn
}

// stalled makes a watcher of a hub that has asked for more than its connection
// holds, and never looks what comes.
func (w *world) stalled(server, hub string) {
	w.tb.Helper()
	c := w.raw(server)
	c.call(&plan9.Fcall{Type: plan9.Tversion, Tag: plan9.NOTAG, Msize: 1 << 20, Version: "9P2000"})
	c.call(&plan9.Fcall{Type: plan9.Tattach, Fid: 0, Afid: plan9.NOFID, Uname: "tester"})
	c.open(1, hub, plan9.OREAD)
	var reads []*plan9.Fcall
	for tag := range uint16(64) {
		reads = append(reads, tread(tag, 1, 1<<19))
	}
	c.send(reads...)
}

// BenchmarkCrowd has 10,000 watchers on one hub that gets a line now and then,
// each on a connection of its own (conns) or 500 on one (fids). It measures from
// the write to the arrival at the last of them, what a line costs the server, and
// what a watcher costs it in memory.
func BenchmarkCrowd(b *testing.B) {
	for _, c := range []struct {
		name        string
		conns, each int
	}{
		{"fids", 20, 500},
		{"conns", 10_000, 1},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkCrowd(b, c.conns, c.each) })
	}
}

func benchmarkCrowd(b *testing.B, conns, each int) {
	pause := 100 * time.Millisecond
	if quick() {
		conns, pause = max(conns/10, 2), 0
	}
	w := newWorld(b)
	s := w.serve("-s", "crowd")
	writer := w.raw("crowd")
	writer.create(1, "lines")
	before := s.memory()
	line := bytes.Repeat([]byte("0123456789abcde\n"), 4)
	crowd := newCrowd(w, "crowd", "lines", conns, each, line)
	memory := s.memory() - before

	var took samples
	cpu := s.cpuTime()
	for b.Loop() {
		time.Sleep(pause) // all of them wait, and so does the machine
		start := time.Now()
		writer.call(twrite(1, 1, line))
		crowd.wait()
		took.add(time.Since(start))
	}
	cpu = s.cpuTime() - cpu
	noTimes(b)
	b.ReportMetric(float64(memory)/float64(conns*each), "B/watcher")
	b.ReportMetric(took.median()/1e6, "last-ms")
	b.ReportMetric(took.percentile(99)/1e6, "last-p99-ms")
	b.ReportMetric(cpu.Seconds()*1e3/float64(len(took)), "server-ms/line")
	b.ReportMetric(cpu.Seconds()*1e6/float64(len(took)*conns*each), "server-us/watcher")
}

// A crowd is many watchers of one hub, who count the lines that come.
type crowd struct {
	b    testing.TB
	all  int64
	came atomic.Int64
	done chan error // one for each line that all have; or why there is none
}

// newCrowd makes watchers and returns when all of them wait for a line, which
// will always be the same. Their goroutines end with their connections.
func newCrowd(w *world, server, hub string, conns, each int, line []byte) *crowd {
	w.tb.Helper()
	c := &crowd{b: w.tb, all: int64(conns * each), done: make(chan error, 1)}
	size := plan9RreadHeader + len(line)
	var over sync.WaitGroup
	w.tb.Cleanup(over.Wait) // after the connections are closed: their cleanups come later and so go first
	for range conns {
		r := w.waiting(server, hub, each)
		over.Go(func() {
			in := make([]byte, size)
			again, err := tread(0, 0, 4096).Bytes()
			if err != nil {
				c.fail(err)
				return
			}
			for {
				if _, err := io.ReadFull(r.in, in); err != nil {
					return // the end
				}
				if in[4] != plan9.Rread || !bytes.Equal(in[plan9RreadHeader:], line) {
					c.fail(fmt.Errorf("a watcher got %q", in))
					return
				}
				tag := uint32(in[5]) | uint32(in[6])<<8
				again[5], again[6] = in[5], in[6]
				again[7], again[8] = byte(tag+1), byte((tag+1)>>8) // its fid
				if _, err := r.conn.Write(again); err != nil {
					return
				}
				if c.came.Add(1)%c.all == 0 {
					c.done <- nil
				}
			}
		})
	}
	return c
}

// plan9RreadHeader is what stands before the data of an Rread.
const plan9RreadHeader = 4 + 1 + 2 + 4

func (c *crowd) fail(err error) {
	select {
	case c.done <- err:
	default:
	}
}

// wait waits until everybody has one more line.
func (c *crowd) wait() {
	c.b.Helper()
	select {
	case err := <-c.done:
		if err != nil {
			c.b.Fatal(err)
		}
	case <-time.After(patience):
		c.b.Fatalf("%d lines of %d came", c.came.Load()%c.all, c.all)
	}
}

// cpuTime is how long the server has kept processors busy.
func (s *server) cpuTime() time.Duration {
	s.w.tb.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if len(tasks) == 0 {
		s.w.tb.Skip("without schedstat: a server's time cannot be measured")
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			s.w.tb.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// BenchmarkWatchLatency measures from the write of a line into a hub to its
// arrival on the other end of hub watch's standard output. Bare is a pipe to a
// cat(1) and one from it.
func BenchmarkWatchLatency(b *testing.B) {
	const lines = 100 // in a turn
	w := newWorld(b)
	w.serve("-s", "default")
	c, err := client.New(b.Context(), w.dial("default"), streamOptions)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	f, err := c.Create(b.Context(), "/lines", 0o666, client.OWRITE)
	if err != nil {
		b.Fatal(err)
	}
	toCat, cat := piped(b, exec.Command("cat"))
	_, watch := piped(b, w.command("hub", "watch", "lines"))
	line := []byte("a line of some forty bytes, as they go.\n")
	time1 := func(write func([]byte) error, read io.Reader, took *samples) {
		buf := make([]byte, len(line))
		start := time.Now()
		if err := write(line); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(read, buf); err != nil || !bytes.Equal(buf, line) {
			b.Fatalf("%q, %v", buf, err)
		}
		took.add(time.Since(start))
	}
	bare := func(p []byte) error { _, err := toCat.Write(p); return err }
	hub := func(p []byte) error { _, err := f.WriteContext(b.Context(), p); return err }
	var warm, bareTook, hubTook samples
	for range lines {
		time1(bare, cat, &warm)
		time1(hub, watch, &warm)
	}
	for b.Loop() {
		for range lines {
			time1(bare, cat, &bareTook)
		}
		for range lines {
			time1(hub, watch, &hubTook)
		}
	}
	noTimes(b)
	b.ReportMetric(bareTook.us(), "bare-us")
	b.ReportMetric(bareTook.percentile(99)/1e3, "bare-p99-us")
	b.ReportMetric(hubTook.us(), "hub-us")
	b.ReportMetric(hubTook.percentile(99)/1e3, "hub-p99-us")
	ratio(b, "hub", "bare", hubTook.median(), bareTook.median())
}

// piped starts cmd between two pipes. It ends with its input, or is killed.
func piped(b *testing.B, cmd *exec.Cmd) (in io.Writer, out io.Reader) {
	b.Helper()
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		to.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return to, from
}

// BenchmarkTee measures a whole program as a stage between two others: from its
// exec to its exit, with 1 GiB from a pipe, its output thrown away.
//
// Goal: hub/tee at least 0.8.
func BenchmarkTee(b *testing.B) {
	if !peer(b, "tee") {
		b.Skip("without it there is nothing to compare with")
	}
	blocks := 1 << 30 / blockSize
	if quick() {
		blocks = 64
	}
	w := newWorld(b)
	w.serve("-s", "default")
	stage := func(cmd *exec.Cmd) float64 {
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		start := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		for i := range blocks {
			at := i * blockSize % cycleSize
			if _, err := in.Write(cycle()[at : at+blockSize]); err != nil {
				b.Fatal(err)
			}
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		return float64(blocks*blockSize) / time.Since(start).Seconds()
	}
	var tee, hub samples
	for b.Loop() {
		tee = append(tee, stage(w.command("tee")))
		hub = append(hub, stage(w.command("hub", "tee", "job")))
	}
	noTimes(b)
	b.ReportMetric(tee.median()/1e6, "tee-MB/s")
	b.ReportMetric(hub.median()/1e6, "hub-MB/s")
	ratio(b, "hub", "tee", hub.median(), tee.median())
}
