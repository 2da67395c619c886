package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"hubfs/client"
)

// A carrier carries blocks from one writer, this process, to one or more
// readers in another. Writer and readers are the same code for all carriers;
// what is between differs.
type carrier struct {
	name  string
	write func(block []byte) error
	rate  samples // bytes a second, to each reader

	ask    io.Writer // to the readers
	answer *bufio.Scanner
}

// readers starts the process that reads: kind and where are openStream's.
func (c *carrier) readers(b *testing.B, kind, where string, n int, sockets ...*os.File) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := &exec.Cmd{
		Path:       self,
		Args:       []string{readerName, kind, where, strconv.Itoa(n)},
		Stderr:     os.Stderr,
		ExtraFiles: sockets,
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close() // its end
		cmd.Wait()
	})
	c.ask, c.answer = in, bufio.NewScanner(out)
	c.wait(b)
}

// wait waits for the readers to say ok.
func (c *carrier) wait(b *testing.B) {
	b.Helper()
	if !c.answer.Scan() || c.answer.Text() != "ok" {
		b.Fatalf("%s: the readers: %q, %v", c.name, c.answer.Text(), c.answer.Err())
	}
}

// run carries some blocks to all readers and returns how long it took. All
// bytes are checked, or the first word of every read and the count, which
// costs next to nothing.
func (c *carrier) run(b *testing.B, blocks int, all bool) time.Duration {
	b.Helper()
	start := time.Now()
	if _, err := fmt.Fprintln(c.ask, blocks*blockSize, all); err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	for i := range blocks {
		at := i * blockSize % cycleSize
		if err := c.write(cycle()[at : at+blockSize]); err != nil {
			b.Fatalf("%s: write: %v", c.name, err)
		}
	}
	c.wait(b)
	return time.Since(start)
}

// compare runs the carriers in turn, and reports the rates in MB/s.
func compare(b *testing.B, blocks int, carriers ...*carrier) {
	b.Helper()
	for _, c := range carriers {
		c.run(b, 32, true)
	}
	for b.Loop() {
		for _, c := range carriers {
			took := c.run(b, blocks, false)
			c.rate = append(c.rate, float64(blocks*blockSize)/took.Seconds())
		}
	}
	noTimes(b)
	rate := map[string]float64{}
	for _, c := range carriers {
		rate[c.name] = c.rate.median()
		b.ReportMetric(rate[c.name]/1e6, c.name+"-MB/s")
	}
	for _, c := range carriers[1:] {
		ratio(b, c.name, carriers[0].name, rate[c.name], rate[carriers[0].name])
	}
	ratio(b, "hub", "tee", rate["hub"], rate["tee"])
}

// BenchmarkStream measures one writer of 64 KiB blocks and one reader.
//
// Goal: hub/bare at least 0.5, for the bytes pass two sockets and not one.
func BenchmarkStream(b *testing.B) {
	compare(b, 512, bareCarrier(b, 1), hubCarrier(b, 1))
}

// BenchmarkFanOut measures one writer of 64 KiB blocks and 16 readers. Bare
// is a writer that writes each block to 16 sockets.
//
// Goal: hub/tee above 1, hub/bare 0.85.
func BenchmarkFanOut(b *testing.B) {
	carriers := []*carrier{bareCarrier(b, 16), hubCarrier(b, 16)}
	if peer(b, "tee") {
		carriers = append(carriers, teeCarrier(b, 16))
	}
	compare(b, 128, carriers...)
}

// bareCarrier is one Unix socket for each reader, and nothing between.
func bareCarrier(b *testing.B, readers int) *carrier {
	l, err := net.Listen("unix", filepath.Join(shortTempDir(b), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c := &carrier{name: "bare"}
	var out []net.Conn
	var theirs []*os.File
	for range readers {
		w, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { w.Close() })
		r, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		f, err := r.(*net.UnixConn).File()
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
		out, theirs = append(out, w), append(theirs, f)
	}
	c.readers(b, "socket", "", readers, theirs...)
	for _, f := range theirs {
		f.Close()
	}
	c.write = func(block []byte) error {
		for _, w := range out {
			if _, err := w.Write(block); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// teeCarrier is tee(1) with one fifo for each reader.
func teeCarrier(b *testing.B, readers int) *carrier {
	w := newPeerWorld(b)
	c := &carrier{name: "tee"}
	args := []string{"-p"}
	for i := range readers {
		args = append(args, string(w.fifo("tee"+strconv.Itoa(i))))
	}
	c.readers(b, "fifo", filepath.Join(w.dir, "tee"), readers)
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	tee := exec.Command("tee", args...)
	tee.Env, tee.Stdin, tee.Stderr = w.env, in, os.Stderr
	if err := tee.Start(); err != nil {
		b.Fatal(err)
	}
	in.Close()
	b.Cleanup(func() {
		out.Close()
		tee.Wait()
	})
	c.write = func(block []byte) error {
		_, err := out.Write(block)
		return err
	}
	return c
}

// hubCarrier is a hub of a server, and a connection for the writer and for
// each reader. The hub is in fear: like a socket and a fifo it makes the
// writer wait for the slowest reader; it retains what the writer may have under
// way and more.
func hubCarrier(b *testing.B, readers int) *carrier {
	w := newWorld(b)
	w.serve("-s", "bench")
	ctx := b.Context()
	conn, err := net.Dial("unix", w.socket("bench"))
	if err != nil {
		b.Fatal(err)
	}
	wc, err := client.New(ctx, conn, streamOptions)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { wc.Close() })
	f, err := wc.Create(ctx, "/stream", 0o666, client.OWRITE)
	if err != nil {
		b.Fatal(err)
	}
	if err := wc.WriteFile(ctx, "/ctl", []byte("fear stream\nsize stream 8388608\n")); err != nil {
		b.Fatal(err)
	}
	c := &carrier{name: "hub"}
	c.readers(b, "hub", w.socket("bench"), readers)
	out := f.Writer(32)
	c.write = func(block []byte) error {
		_, err := out.WriteContext(ctx, block)
		return err
	}
	return c
}
