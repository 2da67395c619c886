package e2e

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/hubfs"
	"hubfs/p9"
	"hubfs/tree"
)

// A carrier carries blocks from one writer, this process, to one or more
// readers in another. Writer and readers are the same code for all carriers;
// what is between differs.
type carrier struct {
	name  string
	ours  bool
	write func(block []byte) error
	flush func() error // sends what write has put by; nil: it puts nothing by
	rate  samples      // bytes a second, to each reader

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
		if err := c.write(cycle()[at : at+blockSize : at+blockSize]); err != nil {
			b.Fatalf("%s: write: %v", c.name, err)
		}
	}
	if c.flush != nil {
		if err := c.flush(); err != nil {
			b.Fatalf("%s: flush: %v", c.name, err)
		}
	}
	c.wait(b)
	return time.Since(start)
}

// compare runs the carriers in turn, and reports the rates in MB/s, to all
// readers together, and what ours are beside those of others.
func compare(b *testing.B, readers, blocks int, all bool, carriers ...*carrier) {
	b.Helper()
	for _, c := range carriers {
		c.run(b, 32, true)
	}
	for b.Loop() {
		for _, c := range carriers {
			took := c.run(b, blocks, all)
			c.rate = append(c.rate, float64(readers*blocks*blockSize)/took.Seconds())
		}
	}
	noTimes(b)
	for _, c := range carriers {
		b.ReportMetric(c.rate.median()/1e6, c.name+"-MB/s")
		for _, other := range carriers {
			if c.ours && !other.ours {
				ratio(b, c.name, other.name, c.rate.median(), other.rate.median())
			}
		}
	}
}

// BenchmarkStream measures one writer of 64 KiB blocks and one reader, as fast
// as it goes: of most bytes nobody looks whether they are right.
//
// Goal: hub/bare at least 0.5, for the bytes pass two sockets and not one.
func BenchmarkStream(b *testing.B) {
	compare(b, 1, 512, false, bareCarrier(b, 1), hubCarrier(b, 1, "unix"))
}

// BenchmarkFanOut measures one writer of 64 KiB blocks and N readers, each on a
// connection of its own, who look at every byte. Bare is a writer that writes
// each block to N sockets. The hub's writer has a connection of its own, too, or
// (local) is in the server's process: then what is measured is hub and p9 alone.
//
// Goal: local/bare 0.85; ahead of tee and nats.
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{1, 4, 16, 64, 256} {
		b.Run(strconv.Itoa(readers), func(b *testing.B) {
			carriers := []*carrier{
				bareCarrier(b, readers),
				hubCarrier(b, readers, "unix"),
				localCarrier(b, readers),
				hubCarrier(b, readers, "tcp"), // as nats, who knows no other
				natsCarrier(b, readers),
			}
			if peer(b, "tee") {
				carriers = append(carriers, teeCarrier(b, readers))
			}
			compare(b, readers, fanOutBlocks(readers), true, carriers...)
		})
	}
}

// fanOutBlocks is how many blocks go to each reader in a round: 256 MiB, where
// many readers do not make that last for minutes.
func fanOutBlocks(readers int) int {
	const most = 256 << 20 / blockSize
	if quick() {
		return 16
	}
	return min(most, 16*most/readers)
}

// quick reports whether the benchmarks are only to show that they run.
func quick() bool {
	f := flag.Lookup("test.benchtime")
	return f != nil && f.Value.String() == "1x"
}

// socketBuffer is how much a socket or pipe may hold that nobody has read: as
// much as hubfs asks for.
const socketBuffer = 1 << 20

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
		if err := w.(*net.UnixConn).SetWriteBuffer(socketBuffer); err != nil {
			b.Fatal(err)
		}
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
		fifo := w.fifo("tee" + strconv.Itoa(i))
		args = append(args, string(fifo))
		defer fifo.enlarge(b).Close() // when the readers have it open
	}
	c.readers(b, "fifo", filepath.Join(w.dir, "tee"), readers)
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	enlargePipe(out)
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
func hubCarrier(b *testing.B, readers int, network string) *carrier {
	w := newWorld(b)
	c := &carrier{name: "hub", ours: true}
	addr := w.socket("bench")
	if network == "tcp" {
		c.name, addr = "hub-tcp", "127.0.0.1:"+freePort(b)
		w.serve("-s", "bench", "-a", "tcp://"+addr)
	} else {
		w.serve("-s", "bench")
	}
	ctx := b.Context()
	conn, err := net.Dial(network, addr)
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
	if err := wc.WriteFile(ctx, "/ctl", []byte(streamWays)); err != nil {
		b.Fatal(err)
	}
	c.readers(b, "hub", network+" "+addr, readers)
	out := f.Writer(32)
	c.write = func(block []byte) error {
		_, err := out.WriteContext(ctx, block)
		return err
	}
	return c
}

// streamWays are the commands that make a hub a carrier.
const streamWays = "fear stream\nsize stream 8388608\n"

func freePort(b testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// localServer serves a tree in this process, at a socket.
func localServer(tb testing.TB) (fs *hubfs.FS, path string) {
	tb.Helper()
	fs = hubfs.New(hubfs.Config{})
	srv := &p9.Server{Root: fs.Root()}
	path = filepath.Join(shortTempDir(tb), "local")
	l, err := net.Listen("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { // ends with l, and those that it starts with ctx
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				if err := srv.ServeConn(ctx, c, p9.Peer{User: "bench"}); err != nil {
					tb.Error(err)
				}
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		cancel()
		serving.Wait()
	})
	return fs, path
}

// localCarrier is the hub of a server in this process, where the writer is.
// The server keeps the blocks that it is given, and does not copy them.
func localCarrier(b *testing.B, readers int) *carrier {
	fs, path := localServer(b)
	caller := &tree.Caller{User: "bench", Admin: true}
	_, h, err := fs.Root().(tree.Creator).Create(caller, "stream", 0o666, tree.OpenWrite)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	ctl, err := fs.Root().Lookup(caller, "ctl")
	if err != nil {
		b.Fatal(err)
	}
	ways, err := ctl.(tree.File).Open(caller, tree.OpenWrite)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ways.(tree.Writer).WriteAt([]byte(streamWays), 0); err != nil {
		b.Fatal(err)
	}
	ways.Close()

	c := &carrier{name: "local", ours: true}
	c.readers(b, "hub", "unix "+path, readers)
	woken := make(chan struct{}, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	c.write = func(block []byte) error {
		for {
			_, ready, err := h.(tree.StreamWriter).WriteStream(tree.Piece{Data: block, Owner: forever{}}, 0, wake)
			if ready || err != nil {
				return err
			}
			<-woken
		}
	}
	return c
}

// forever is the owner of bytes that stay as they are.
type forever struct{}

func (forever) Free() {}
