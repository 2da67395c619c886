package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"9fans.net/go/plan9"
)

// BenchmarkStalledClient measures how fast a program in a shell writes, and
// how fast somebody attached sees it all, without and with another client
// attached whose terminal nobody reads.
//
// Goal: both ratios at least 0.95.
func BenchmarkStalledClient(b *testing.B) {
	const size = 4 << 20
	w := newWorld(b)
	line := strings.Repeat("0123456789abcde\n", 64)
	data := w.file("data", strings.Repeat(line, size/len(line)))
	ready, goOn, done := w.fifo("ready"), w.fifo("go"), w.fifo("done")
	start := goOn.starter(b)
	w.want("new", "--size", "24x80", "bench", "--", "sh", "-c", fmt.Sprintf(
		"stty raw -echo; echo >%s; while read x <%s; do cat %s; echo END; echo >%s; done",
		ready, goOn, data, done))
	ready.wait(b)
	watcher := onTerminal(b, w.command("hub", "attach", "bench"))

	// round lets the program write everything once, and returns how long the
	// program and the watcher took.
	round := func() (wrote, saw time.Duration) {
		begin := time.Now()
		start()
		written := make(chan error, 1)
		go func() { // ends with the round
			err := done.await()
			wrote = time.Since(begin)
			written <- err
		}()
		for tail := ""; !strings.Contains(tail, "END"); {
			tail = last(tail, 2) + string(watcher.read())
		}
		saw = time.Since(begin)
		if err := <-written; err != nil {
			b.Fatal(err)
		}
		return wrote, saw
	}
	type times struct{ wrote, saw samples }
	rounds := func(t *times) {
		round() // does not count: after it, who stalls stalls
		for range 4 {
			wrote, saw := round()
			t.wrote.add(wrote)
			t.saw.add(saw)
		}
	}
	var alone, beside times
	for b.Loop() {
		rounds(&alone)
		stalled := onTerminal(b, w.command("hub", "attach", "bench"))
		stalled.read() // it is attached: this is the last that is read of it
		rounds(&beside)
		stalled.end()
	}
	noTimes(b)
	b.ReportMetric(size/alone.wrote.us(), "alone-MB/s")
	b.ReportMetric(size/beside.wrote.us(), "beside-MB/s")
	ratio(b, "producer-beside", "alone", alone.wrote.median(), beside.wrote.median())
	ratio(b, "watcher-beside", "alone", alone.saw.median(), beside.saw.median())
}

// last is the end of s, at most n bytes.
func last(s string, n int) string { return s[max(0, len(s)-n):] }

// BenchmarkWaitingReaders has 10,000 reads wait on one hub of a server, and
// measures what each costs in memory, and what a write to another hub of that
// server costs, beside a server on which nobody waits.
//
// Goal: at most 4096 B/reader; crowded/idle 1.0.
func BenchmarkWaitingReaders(b *testing.B) {
	const (
		conns   = 20
		each    = 500 // waiting reads a connection
		readers = conns * each
		writes  = 100 // in their turn
	)
	w := newWorld(b)
	crowded := w.serve("-s", "crowded")
	w.serve("-s", "idle")
	writers := map[string]*raw{}
	took := map[string]*samples{"crowded": {}, "idle": {}}
	for name := range took {
		c := w.raw(name)
		c.create(1, "other")
		c.create(2, "quiet")
		writers[name] = c
	}
	before := crowded.memory()
	var all []*raw
	for range conns {
		all = append(all, w.waiting("crowded", "quiet", each))
	}
	memory := float64(crowded.memory()-before) / readers

	block := bytes.Repeat([]byte("x"), 64)
	for b.Loop() {
		for _, name := range []string{"crowded", "idle"} {
			c := writers[name]
			for range writes {
				start := time.Now()
				c.call(twrite(1, 1, block))
				took[name].add(time.Since(start))
			}
		}
	}
	noTimes(b)
	b.ReportMetric(memory, "B/reader")
	b.ReportMetric(took["crowded"].us(), "crowded-us")
	b.ReportMetric(took["idle"].us(), "idle-us")
	ratio(b, "crowded", "idle", took["crowded"].median(), took["idle"].median())

	// They did wait, all of them.
	start := time.Now()
	writers["crowded"].call(twrite(1, 2, block))
	for _, c := range all {
		for range each {
			if rx := c.receive(); rx.Type != plan9.Rread || !bytes.Equal(rx.Data, block) {
				b.Fatalf("a reader got %v", rx)
			}
		}
	}
	b.ReportMetric(float64(time.Since(start).Milliseconds()), "wake-all-ms")
}

// waiting makes a connection on which n reads of a hub wait.
func (w *world) waiting(server, hub string, n int) *raw {
	w.tb.Helper()
	c := w.raw(server)
	c.waitFor(hub, n)
	return c
}

// waitFor has n reads of a hub wait, with fids and tags that begin at 1 and 0.
func (c *raw) waitFor(hub string, n int) {
	c.tb.Helper()
	var open, read []*plan9.Fcall
	for i := range uint32(n) {
		tag, fid := uint16(i), 1+i
		open = append(open,
			&plan9.Fcall{Type: plan9.Twalk, Tag: tag, Fid: 0, Newfid: fid, Wname: []string{hub}},
			&plan9.Fcall{Type: plan9.Topen, Tag: tag, Fid: fid, Mode: plan9.OREAD})
		read = append(read, tread(tag, fid, 4096))
	}
	for len(open) > 0 { // by twos: they have the same tag
		c.call(open[0])
		c.call(open[1])
		open = open[2:]
	}
	// When this is answered the server has all the reads before it.
	c.send(append(read, &plan9.Fcall{Type: plan9.Tstat, Tag: uint16(n), Fid: 0})...)
	if rx := c.receive(); rx.Type != plan9.Rstat {
		c.tb.Fatalf("a read did not wait: %v", rx)
	}
}

// memory is what the server has of it, in bytes.
func (s *server) memory() int {
	s.w.tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if os.IsNotExist(err) {
		s.w.tb.Skip("without /proc: a server's memory cannot be measured")
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				s.w.tb.Fatal(err)
			}
			return kb << 10
		}
	}
	s.w.tb.Fatalf("no VmRSS: %v, %s", err, status)
	return 0
}
