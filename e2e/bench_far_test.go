package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/e2e/internal/proxy"
)

// far is how long each byte takes in each direction in the benchmarks of a long
// way.
const far = 50 * time.Millisecond

// BenchmarkFarEcho measures from a key typed to the key seen, with 50 ms each way
// between the client and its server; rtt is a byte that a socket sends back, over
// the same way.
//
// Goal: hub/rtt at most 1.1.
func BenchmarkFarEcho(b *testing.B) {
	strokes := 5 // each in its turn
	if quick() {
		strokes = 1
	}
	m := hubPlexer(b)
	f := m.world.fifo("ready")
	m.start("echo READY; " + echoScript(f))
	f.wait(b)
	p := m.world.proxy("default")
	p.Delay(far)
	hub := &typist{screenful: onTerminal(b, m.world.command("hub", "-s", tcpAddr(p), "attach", "bench")), name: "hub"}
	hub.await("READY") // before, the terminal itself would answer a key
	hub.stroke(mark)
	hub.took = nil
	rtt := farSocket(b)
	var bare samples
	for b.Loop() {
		for range strokes {
			hub.stroke(key)
			bare.add(roundTrip(b, rtt))
		}
	}
	noTimes(b)
	b.ReportMetric(hub.took.us()/1e3, "hub-ms")
	b.ReportMetric(bare.us()/1e3, "rtt-ms")
	ratio(b, "hub", "rtt", hub.took.us(), bare.us())
}

// tcpAddr is a proxy as hub -s takes it.
func tcpAddr(p *proxy.Proxy) string {
	return fmt.Sprintf("tcp!127.0.0.1!%d", p.Addr().(*net.TCPAddr).Port)
}

// farSocket is a socket far away that sends back what it gets.
func farSocket(b *testing.B) net.Conn {
	return farPeer(b, func(c net.Conn) { io.Copy(c, c) })
}

// farPeer connects to serve through a proxy with the delay of far.
func farPeer(b *testing.B, serve func(net.Conn)) net.Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() { // ends with the listener and the connection
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		serve(c)
	}()
	p, err := proxy.Listen("tcp", "127.0.0.1:0", "tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	p.Delay(far)
	c, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

func roundTrip(b *testing.B, c net.Conn) time.Duration {
	b.Helper()
	one := []byte{1}
	start := time.Now()
	if _, err := c.Write(one); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, one); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkFarLog measures a log that grows as fast as it is read, over 50 ms
// each way, by hub watch; bare is a TCP connection over the same way. Each is
// timed when it flows, behind its first bytes. The way carries 4 MiB in each
// direction at a time, as much as a TCP connection's window, so that bare comes to
// 80 MB/s.
//
// Goal: watch/bare at least 0.9.
func BenchmarkFarLog(b *testing.B) {
	warm, blocks := 1024, 4096
	if quick() {
		warm, blocks = 16, 64
	}
	w := newWorld(b)
	w.serve("-s", "default")
	p := w.proxy("default")
	p.Delay(far)
	flows := []*torrent{
		{name: "bare", open: func() (io.Reader, func()) {
			c := farPeer(b, func(c net.Conn) { endless(c.Write) })
			return c, func() { c.Close() }
		}},
		{name: "watch", open: func() (io.Reader, func()) { return w.watchFar(b, p) }},
	}
	for b.Loop() {
		for _, f := range flows {
			f.run(b, warm, blocks)
		}
	}
	noTimes(b)
	for _, f := range flows {
		b.ReportMetric(f.rate.median()/1e6, f.name+"-MB/s")
	}
	ratio(b, "watch", "bare", flows[1].rate.median(), flows[0].rate.median())
}

// A torrent is a stream without end that comes from far away.
type torrent struct {
	name string
	open func() (r io.Reader, done func())
	rate samples // bytes a second
}

// run reads so many blocks, and times those behind the first.
func (f *torrent) run(b *testing.B, warm, blocks int) {
	b.Helper()
	r, done := f.open()
	defer done()
	if err := receive(sourceOf(r.Read), warm*blockSize, false); err != nil {
		b.Fatalf("%s: %v", f.name, err)
	}
	start := time.Now()
	if err := receive(sourceOf(r.Read), blocks*blockSize, false); err != nil {
		b.Fatalf("%s: %v", f.name, err)
	}
	f.rate = append(f.rate, float64(blocks*blockSize)/time.Since(start).Seconds())
}

// endless writes the cycle until it cannot.
func endless(write func([]byte) (int, error)) {
	for at := 0; ; at = (at + blockSize) % cycleSize {
		if _, err := write(cycle()[at : at+blockSize]); err != nil {
			return
		}
	}
}

// watchFar has hub watch read, through p, a hub that this process writes as fast
// as it is read.
func (w *world) watchFar(b *testing.B, p *proxy.Proxy) (io.Reader, func()) {
	b.Helper()
	ctx := b.Context()
	c, err := client.New(ctx, w.dial("default"), streamOptions)
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.Create(ctx, "/stream", 0o666, client.OWRITE)
	if err != nil {
		b.Fatal(err)
	}
	if err := c.WriteFile(ctx, "/ctl", []byte("fear stream\nsize stream 67108864\n")); err != nil {
		b.Fatal(err)
	}
	pipe := out.Writer(32)
	write := func(p []byte) (int, error) { return pipe.WriteContext(ctx, p) }
	if _, err := write(cycle()); err != nil {
		b.Fatal(err)
	}
	cmd := w.command("hub", "-s", tcpAddr(p), "watch", "stream")
	r := started(b, cmd)
	there := &firstRead{r: r, came: make(chan struct{})}
	written := make(chan struct{})
	go func() { // ends with the connection
		defer close(written)
		select {
		case <-there.came: // from now on nothing is skipped
			endless(write)
		case <-ctx.Done():
		}
	}()
	return there, func() {
		cmd.Process.Kill()
		cmd.Wait()
		c.Remove(ctx, "/stream")
		c.Close()
		<-written
	}
}

// A firstRead says when the first bytes have come.
type firstRead struct {
	r    io.Reader
	came chan struct{}
	said bool
}

func (f *firstRead) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 && !f.said {
		f.said = true
		close(f.came)
	}
	return n, err
}

// started starts a command and returns its output, of which much may wait.
func started(b *testing.B, cmd *exec.Cmd) io.Reader {
	b.Helper()
	r, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return r
}
