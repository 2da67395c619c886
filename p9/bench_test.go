package p9

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// A source is a stream that always has the same bytes to read, and takes
// whatever is written to it.
type source struct {
	m    *mem
	data []byte
}

func (h *source) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	return append(dst, tree.Piece{Data: h.data[:min(max, len(h.data))]}), true, nil
}

func (h *source) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	n := len(p.Data)
	p.Free()
	return n, true, nil
}

func (h *source) CancelRead()      {}
func (h *source) CancelWrite() int { return 0 }
func (h *source) Close() error     { return h.m.closed() }

// A bench is a client that does as little as it can.
type bench struct {
	net.Conn
	done chan struct{}
	buf  []byte
}

func newBench(b *testing.B, s *Server, conn func(testing.TB) (net.Conn, net.Conn)) *bench {
	near, far := conn(b)
	c := &bench{Conn: near, done: make(chan struct{}), buf: make([]byte, 2<<20)}
	go func() {
		s.ServeConn(b.Context(), far, Peer{})
		close(c.done)
	}()
	c.rpc(b, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: wire.Version})
	c.rpc(b, wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid})
	return c
}

func (c *bench) rpc(b *testing.B, m wire.Msg) {
	c.Write(encode(b, m))
	if typ := c.reply(b); typ != m.Type+1 {
		b.Fatalf("%v answered by %v", &m, typ)
	}
}

func (c *bench) open(b *testing.B, fid uint32, name string, mode uint8) {
	c.rpc(b, wire.Msg{Type: wire.Twalk, Tag: 1, Fid: 0, Newfid: fid, Wname: []string{name}})
	c.rpc(b, wire.Msg{Type: wire.Topen, Tag: 1, Fid: fid, Mode: mode})
}

// reply reads a reply and returns its type.
func (c *bench) reply(b *testing.B) wire.Type {
	if _, err := io.ReadFull(c, c.buf[:7]); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c, c.buf[7:le32(c.buf)]); err != nil {
		b.Fatal(err)
	}
	return wire.Type(c.buf[4])
}

func (c *bench) close() {
	c.Close()
	<-c.done
}

func pipePair(testing.TB) (near, far net.Conn) { return net.Pipe() }

func newSource() (*mem, *Server) {
	m := newMem()
	m.fn("source", func() tree.Handle { return &source{m, make([]byte, 1<<20)} })
	return m, &Server{Root: m.root}
}

// BenchmarkBothWays does one Tread after the other over a connection that goes
// one way, over one that may go both ways (agreed) and over one on which the
// server waits for an answer meanwhile (asking): that the first two are alike is
// what is to be seen.
func BenchmarkBothWays(b *testing.B) {
	for _, size := range []int{1, 64 << 10} {
		for _, way := range []string{"one", "agreed", "asking"} {
			b.Run(fmt.Sprintf("%s/%d", way, size), func(b *testing.B) {
				_, s := newSource()
				version := wire.Version
				if way != "one" {
					version = wire.VersionBoth
					s.Back = func(ctx context.Context, _ *tree.Caller, rwc io.ReadWriteCloser) {
						if way == "asking" {
							rwc.Write(encode(b, tread(1, 1, 1)))
							rwc.Read(make([]byte, 1)) // until the hang-up
						}
					}
				}
				near, far := socketPair(b)
				c := &bench{Conn: near, done: make(chan struct{}), buf: make([]byte, 2<<20)}
				go func() { // until the hang-up
					s.ServeConn(b.Context(), far, Peer{})
					close(c.done)
				}()
				c.rpc(b, wire.Msg{Type: wire.Tversion, Tag: wire.NoTag, Msize: wire.MaxMsize, Version: version})
				c.rpc(b, wire.Msg{Type: wire.Tattach, Tag: 1, Fid: 0, Afid: wire.NoFid})
				if way == "asking" && c.reply(b) != wire.Tread {
					b.Fatal("the server does not ask")
				}
				c.open(b, 1, "source", tree.OpenRead)
				req := encode(b, tread(1, 1, uint32(size)))
				b.ReportAllocs()
				for b.Loop() {
					c.Write(req)
					c.reply(b)
				}
				c.close()
			})
		}
	}
}

// BenchmarkTread and BenchmarkTwrite do one request after the other over a
// unix socket. B/op must not grow with the size.
func BenchmarkTread(b *testing.B) {
	for _, size := range []int{1, 8 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, s := newSource()
			c := newBench(b, s, socketPair)
			c.open(b, 1, "source", tree.OpenRead)
			req := encode(b, tread(1, 1, uint32(size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.Write(req)
				c.reply(b)
			}
			b.StopTimer()
			c.close()
		})
	}
}

func BenchmarkTwrite(b *testing.B) {
	for _, size := range []int{1, 8 << 10, 64 << 10, 1<<20 - 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, s := newSource()
			c := newBench(b, s, socketPair)
			c.open(b, 1, "source", tree.OpenWrite)
			req := encode(b, twrite(1, 1, string(make([]byte, size))))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.Write(req)
				c.reply(b)
			}
			b.StopTimer()
			c.close()
		})
	}
}

// BenchmarkPipelined keeps eight reads of 64 KiB in flight.
func BenchmarkPipelined(b *testing.B) {
	const size = 64 << 10
	m := newMem()
	m.fn("source", func() tree.Handle { return &source{m, make([]byte, size)} })
	c := newBench(b, &Server{Root: m.root}, socketPair)
	c.open(b, 1, "source", tree.OpenRead)
	var reqs [8][]byte
	for i := range reqs {
		reqs[i] = encode(b, tread(uint16(i), 1, size))
		c.Write(reqs[i])
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.reply(b)
		c.Write(reqs[i%len(reqs)])
	}
	b.StopTimer()
	c.close()
}

// BenchmarkEcho is a keystroke's way: a write of one byte on one connection
// answers the read that waits on another.
func BenchmarkEcho(b *testing.B) {
	m, s := newSource()
	w := newBench(b, s, socketPair)
	r := newBench(b, s, socketPair)
	w.open(b, 1, "stream", tree.OpenWrite)
	r.open(b, 1, "stream", tree.OpenRead)
	read := encode(b, tread(1, 1, 8192))
	write := encode(b, twrite(1, 1, "x"))
	b.ReportAllocs()
	for b.Loop() {
		r.Write(read)
		w.Write(write)
		r.reply(b)
		w.reply(b)
	}
	b.StopTimer()
	w.close()
	r.close()
	_ = m
}

// BenchmarkFanout has one writer of 64 KiB blocks, eight in flight, and 16
// readers with two reads in flight each.
func BenchmarkFanout(b *testing.B) {
	const readers, size = 16, 64 << 10
	m, s := newSource()
	hub := &fanout{m: m, block: make([]byte, size)}
	m.fn("fanout", func() tree.Handle { return hub.open() })
	var wg sync.WaitGroup
	for range readers {
		c := newBench(b, s, socketPair)
		c.open(b, 1, "fanout", tree.OpenRead)
		total := b.N * size
		wg.Go(func() { // ends when all blocks have come
			reqs := [][]byte{encode(b, tread(1, 1, size)), encode(b, tread(2, 1, size))}
			c.Write(reqs[0])
			for i, got := 1, 0; got < total; i++ {
				c.Write(reqs[i%2])
				if typ := c.reply(b); typ != wire.Rread {
					b.Errorf("got %v", typ)
					break
				}
				got += int(le32(c.buf)) - wire.RreadHeaderSize
			}
			c.close()
		})
	}
	w := newBench(b, s, socketPair)
	w.open(b, 1, "fanout", tree.OpenWrite)
	var reqs [8][]byte
	for i := range reqs {
		reqs[i] = encode(b, twrite(uint16(i), 1, string(make([]byte, size))))
	}
	b.SetBytes(size * readers)
	b.ResetTimer()
	for i := range b.N {
		if i >= len(reqs) && w.reply(b) != wire.Rwrite {
			b.Fatal("a write failed")
		}
		w.Write(reqs[i%len(reqs)])
	}
	wg.Wait()
	b.StopTimer()
	w.close()
}

// A fanout is a stream of blocks that all look the same: it counts them.
type fanout struct {
	m     *mem
	block []byte

	mu    sync.Mutex
	next  int             // guarded by mu
	heads []*fanoutHandle // guarded by mu; that wait for a read
	tails []*fanoutHandle // guarded by mu; that wait for a write
	all   []*fanoutHandle // guarded by mu; that read
}

type fanoutHandle struct {
	f    *fanout
	at   int
	wake func()
}

const fanoutLag = 64 // blocks; as fear would have it

func (f *fanout) open() tree.Handle { return &fanoutHandle{f: f} }

func (h *fanoutHandle) ReadStream(dst []tree.Piece, off int64, max int, wake func()) ([]tree.Piece, bool, error) {
	f := h.f
	f.mu.Lock()
	if h.at == 0 && h.wake == nil {
		f.all = append(f.all, h)
	}
	h.wake = wake
	if h.at == f.next {
		f.heads = append(f.heads, h)
		f.mu.Unlock()
		return dst, false, nil
	}
	h.at++
	tails := f.tails
	f.tails = nil
	f.mu.Unlock()
	for _, t := range tails {
		t.wake()
	}
	return append(dst, tree.Piece{Data: f.block}), true, nil
}

func (h *fanoutHandle) WriteStream(p tree.Piece, off int64, wake func()) (int, bool, error) {
	f := h.f
	f.mu.Lock()
	for _, r := range f.all {
		if f.next-r.at >= fanoutLag {
			h.wake = wake
			f.tails = append(f.tails, h)
			f.mu.Unlock()
			return 0, false, nil
		}
	}
	f.next++
	heads := f.heads
	f.heads = nil
	f.mu.Unlock()
	for _, r := range heads {
		r.wake()
	}
	p.Free()
	return len(p.Data), true, nil
}

func (h *fanoutHandle) CancelRead()      {}
func (h *fanoutHandle) CancelWrite() int { return 0 }
func (h *fanoutHandle) Close() error     { return h.f.m.closed() }

// BenchmarkWaitingReaders has 10,000 fids with a read that waits, on one
// connection, and reports what each costs beyond the stream's own record.
func BenchmarkWaitingReaders(b *testing.B) {
	const readers = 10_000
	_, s := newSource()
	c := newBench(b, s, pipePair)
	heap := func() uint64 {
		runtime.GC()
		var ms runtime.MemStats
		runtime.ReadMemStats(&ms)
		return ms.HeapAlloc + ms.StackInuse
	}
	before := heap()
	for i := range readers {
		c.open(b, uint32(i+10), "stream", tree.OpenRead)
	}
	var all bytes.Buffer
	for i := range readers {
		all.Write(encode(b, tread(uint16(i+10), uint32(i+10), 8192)))
	}
	c.Write(all.Bytes())
	c.rpc(b, wire.Msg{Type: wire.Tstat, Tag: 1, Fid: 0})
	each := float64(heap()-before) / readers
	c.open(b, 1, "source", tree.OpenWrite)
	req := encode(b, twrite(1, 1, "x"))
	for b.Loop() { // costs what it costs without them
		c.Write(req)
		c.reply(b)
	}
	b.StopTimer()
	b.ReportMetric(each, "B/reader")
	if n := s.Conns()[0].Waiting; n != readers {
		b.Errorf("%d wait", n)
	}
	c.close()
}
