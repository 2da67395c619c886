package client_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"

	"hubfs/client"
	"hubfs/internal/wire"
)

// sockets returns the two ends of a unix connection.
func sockets(b *testing.B) (ours, theirs net.Conn) {
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if ours, err = net.Dial("unix", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// serve is the least a server can do: it takes every write and answers every
// read in full, with as few copies as a frame allows.
func serve(conn net.Conn, msize uint32) {
	var d wire.Decoder
	var m wire.Msg
	in := make([]byte, msize)
	out := make([]byte, msize)
	for {
		if _, err := io.ReadFull(conn, in[:4]); err != nil {
			return
		}
		size, err := wire.FrameSize(in, msize)
		if err != nil {
			return
		}
		if _, err := io.ReadFull(conn, in[4:size]); err != nil {
			return
		}
		if err := d.Decode(in[:size], &m); err != nil {
			return
		}
		var reply []byte
		if m.Type == wire.Tread {
			wire.AppendRreadHeader(out[:0], m.Tag, int(m.Count))
			reply = out[:wire.RreadHeaderSize+m.Count]
		} else {
			r := truth(&m)
			if reply, err = wire.Append(out[:0], &r); err != nil {
				return
			}
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

func benchFile(b *testing.B) *client.File {
	ours, theirs := sockets(b)
	go serve(theirs, client.MaxMsize) // until the connection ends
	c, err := client.New(context.Background(), ours, client.Options{Ordered: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	f, err := c.Open(context.Background(), "x", client.ORDWR)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// A round trip through the client beside one of a bare socket.
func BenchmarkRoundTrip(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		ours, theirs := sockets(b)
		go io.Copy(struct{ io.Writer }{theirs}, struct{ io.Reader }{theirs}) // until it is closed
		p := make([]byte, 24)
		for b.Loop() {
			if _, err := ours.Write(p); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(ours, p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		f := benchFile(b)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p := []byte("x")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.WriteContext(ctx, p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// 64 KiB at a time, through the client and through a bare socket.
func BenchmarkRead(b *testing.B) {
	const size = 64 << 10
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := make([]byte, size)
	loop := func(b *testing.B, read func(p []byte) (int, error)) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			for n := 0; n < size; {
				m, err := read(p[n:])
				if err != nil {
					b.Fatal(err)
				}
				n += m
			}
		}
	}
	b.Run("bare", func(b *testing.B) {
		ours, theirs := sockets(b)
		go func() { // until the connection ends
			p := make([]byte, size)
			for {
				if _, err := theirs.Write(p); err != nil {
					return
				}
			}
		}()
		loop(b, ours.Read)
	})
	b.Run("one", func(b *testing.B) {
		f := benchFile(b)
		loop(b, func(p []byte) (int, error) { return f.ReadContext(ctx, p) })
	})
	b.Run("pipe", func(b *testing.B) {
		r := benchFile(b).Reader(4)
		loop(b, func(p []byte) (int, error) { return r.ReadContext(ctx, p) })
	})
}

func BenchmarkWrite(b *testing.B) {
	const size = 64 << 10
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := make([]byte, size)
	loop := func(b *testing.B, write func(p []byte) (int, error)) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := write(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("bare", func(b *testing.B) {
		ours, theirs := sockets(b)
		go func() { // until the connection ends
			p := make([]byte, size)
			for {
				if _, err := theirs.Read(p); err != nil {
					return
				}
			}
		}()
		loop(b, ours.Write)
	})
	b.Run("one", func(b *testing.B) {
		f := benchFile(b)
		loop(b, func(p []byte) (int, error) { return f.WriteContext(ctx, p) })
	})
	b.Run("pipe", func(b *testing.B) {
		w := benchFile(b).Writer(4)
		loop(b, func(p []byte) (int, error) { return w.WriteContext(ctx, p) })
		if err := w.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	})
}
