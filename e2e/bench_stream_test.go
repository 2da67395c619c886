package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"hubfs/client"
)

const (
	blockSize = 64 << 10
	cycleSize = 16 * blockSize // the stream repeats after this many bytes
)

// cycle holds the bytes of which every stream is made: each word of eight
// bytes is its own place, so that a byte lost, doubled or moved shows.
var cycle = sync.OnceValue(func() []byte {
	c := make([]byte, cycleSize)
	for i := 0; i < len(c); i += 8 {
		binary.LittleEndian.PutUint64(c[i:], uint64(i)|0xa5<<56)
	}
	return c
})

// A carrier carries blocks from one writer to one or more readers. The
// writer and the readers are the same code in this process for all carriers;
// what is between differs.
type carrier struct {
	name    string
	write   func(block []byte) error
	readers []func(p []byte) (int, error)
	rate    samples // bytes a second, to each reader
	round   int
}

// run carries some blocks to all readers and returns how long it took. Every
// byte of the first round is checked; after it the first word of every read
// and the count are, which costs next to nothing.
func (c *carrier) run(b *testing.B, blocks int) {
	b.Helper()
	total := blocks * blockSize
	var wg sync.WaitGroup
	errs := make([]error, len(c.readers))
	start := time.Now()
	for i, read := range c.readers {
		wg.Go(func() { errs[i] = receive(read, total, c.round == 0) }) // ends with the round's last byte
	}
	for i := range blocks {
		at := i * blockSize % cycleSize
		if err := c.write(cycle()[at : at+blockSize]); err != nil {
			b.Fatalf("%s: write: %v", c.name, err)
		}
	}
	wg.Wait()
	took := time.Since(start)
	for _, err := range errs {
		if err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
	}
	if c.round++; c.round > 1 {
		c.rate = append(c.rate, float64(total)/took.Seconds())
	}
}

// receive reads and checks the bytes of one round, which begins at the
// beginning of the cycle.
func receive(read func([]byte) (int, error), total int, all bool) error {
	buf := make([]byte, blockSize)
	for pos := 0; pos < total; {
		n, err := read(buf[:min(len(buf), total-pos)])
		if err != nil {
			return fmt.Errorf("read at %d of %d: %w", pos, total, err)
		}
		if n == 0 {
			return fmt.Errorf("read at %d of %d: the stream ended", pos, total)
		}
		if at, ok := check(buf[:n], pos, all); !ok {
			return fmt.Errorf("read of %d bytes at %d: wrong byte at %d", n, pos, at)
		}
		pos += n
	}
	return nil
}

// check compares p with the stream at pos, all of it or the beginning.
func check(p []byte, pos int, all bool) (wrong int, ok bool) {
	if !all {
		p = p[:min(8, len(p))]
	}
	for len(p) > 0 {
		want := cycle()[pos%cycleSize:]
		n := min(len(p), len(want))
		if !bytes.Equal(p[:n], want[:n]) {
			return pos, false
		}
		p, pos = p[n:], pos+n
	}
	return 0, true
}

// compare runs the carriers in turn, and reports the rates in MB/s.
func compare(b *testing.B, blocks int, carriers ...*carrier) {
	b.Helper()
	for _, c := range carriers {
		c.run(b, 32) // the round in which every byte is checked
	}
	for b.Loop() {
		for _, c := range carriers {
			c.run(b, blocks)
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
	for range readers {
		w, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		r, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { w.Close(); r.Close() })
		out = append(out, w)
		c.readers = append(c.readers, r.Read)
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
	var fifos []string
	for i := range readers {
		f := string(w.fifo(fmt.Sprintf("tee%d", i)))
		fifos = append(fifos, f)
		r, err := os.OpenFile(f, os.O_RDWR, 0) // not to wait for tee here
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { r.Close() })
		c.readers = append(c.readers, r.Read)
	}
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	tee := exec.Command("tee", slices.Concat([]string{"-p"}, fifos)...)
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

// hubCarrier is a hub of a server in a process of its own, and a connection
// for the writer and each reader. The hub is in fear: like a socket and a
// fifo it makes the writer wait for the slowest reader.
func hubCarrier(b *testing.B, readers int) *carrier {
	w := newWorld(b)
	w.serve("-s", "bench")
	ctx := b.Context()
	connect := func() *client.Conn {
		conn, err := net.Dial("unix", w.socket("bench"))
		if err != nil {
			b.Fatal(err)
		}
		c, err := client.New(ctx, conn, client.Options{Uname: "bench", Ordered: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		return c
	}
	wc := connect()
	f, err := wc.Create(ctx, "/stream", 0o666, 1)
	if err != nil {
		b.Fatal(err)
	}
	if err := wc.WriteFile(ctx, "/ctl", []byte("fear stream\n")); err != nil {
		b.Fatal(err)
	}
	out := f.Writer(8)
	c := &carrier{name: "hub", write: func(block []byte) error {
		_, err := out.WriteContext(ctx, block)
		return err
	}}
	for range readers {
		f, err := connect().Open(ctx, "/stream", 0)
		if err != nil {
			b.Fatal(err)
		}
		in := f.Reader(4)
		c.readers = append(c.readers, func(p []byte) (int, error) { return in.ReadContext(ctx, p) })
	}
	return c
}
