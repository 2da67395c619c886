package filestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hubfs/hub"
)

// The benchmarks compare: the store and the plain thing take turns in one
// process, and what is reported is the ratio of their medians. The time of an
// iteration, which is both, means nothing.

const (
	benchBytes = 256 << 20
	benchPiece = 64 << 10
)

// median returns the middle of the durations.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2])
}

// ratio runs both b.N times and reports how fast ours is beside plain: 1 is as
// fast, less is slower.
func ratio(b *testing.B, name string, plain, ours func() time.Duration) {
	var p, o []time.Duration
	for b.Loop() {
		p = append(p, plain())
		o = append(o, ours())
	}
	b.ReportMetric(median(p)/median(o), name)
	b.ReportMetric(0, "ns/op")
}

// source makes a file to copy, which is in the page cache.
func source(b *testing.B) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "source")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for i := range benchBytes / len(buf) {
		for k := range buf {
			buf[k] = byte(i ^ k ^ k>>8)
		}
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	return name
}

// A frame is the buffer of a write, as p9 has it: it is adopted, and serves
// again when nobody holds it.
type frame struct {
	pool *sync.Pool
	data []byte
}

func (f *frame) Free() { f.pool.Put(f) }

// A copy of a file, as cp makes it, beside the same bytes through the store. A
// writer has as much in flight as a client of the server has.
func BenchmarkWrite(b *testing.B) {
	for _, policy := range []Policy{Never, Second, Always} {
		b.Run(policy.String(), func(b *testing.B) {
			const inFlight = 1 << 20
			from := source(b)
			piece := benchPiece
			ratio(b, "store/copy",
				func() time.Duration { return plainCopy(b, from, piece, policy, inFlight) },
				func() time.Duration { return storeCopy(b, from, piece, policy, inFlight) })
		})
	}
}

// plainCopy copies a file. Under Always it syncs as often as there is nothing
// in flight any more; under Second, each second and at the end.
func plainCopy(b *testing.B, from string, piece int, policy Policy, inFlight int) time.Duration {
	b.Helper()
	dir, err := os.MkdirTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	start := time.Now()
	dst, err := os.Create(filepath.Join(dir, "copy"))
	if err != nil {
		b.Fatal(err)
	}
	defer dst.Close()
	buf := make([]byte, piece)
	synced, last := 0, start
	for n := 0; ; {
		got, err := src.Read(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if _, err := dst.Write(buf[:got]); err != nil {
			b.Fatal(err)
		}
		n += got
		switch {
		case policy == Always && n-synced >= inFlight:
			dst.Sync()
			synced = n
		case policy == Second && time.Since(last) >= time.Second:
			dst.Sync()
			last = time.Now()
		}
	}
	if policy != Never {
		dst.Sync()
	}
	return time.Since(start)
}

func storeCopy(b *testing.B, from string, piece int, policy Policy, inFlight int) time.Duration {
	b.Helper()
	dir, err := os.MkdirTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	start := time.Now()
	s := mustOpen(b, filepath.Join(dir, "spool"), Options{Sync: policy})
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	var pool sync.Pool
	for n := int64(0); ; {
		f, _ := pool.Get().(*frame)
		if f == nil {
			f = &frame{&pool, make([]byte, piece)}
		}
		got, err := src.Read(f.data)
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Append(hub.Piece{Data: f.data[:got], Owner: f}); err != nil {
			b.Fatal(err)
		}
		n += int64(got)
		for n-s.Stable() > int64(inFlight) {
			<-changed
		}
	}
	s.Close()
	if err := s.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// cat of the folder, beside a late reader of the store.
func BenchmarkRead(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "spool")
	s := mustOpen(b, dir, Options{Sync: Never})
	buf := make([]byte, 1<<20)
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	for i := range benchBytes / len(buf) {
		for k := range buf {
			buf[k] = byte(i ^ k ^ k>>8)
		}
		if _, err := s.Append(hub.Piece{Data: buf}); err != nil {
			b.Fatal(err)
		}
	}
	s.Close()
	if err := s.Wait(); err != nil {
		b.Fatal(err)
	}
	for _, max := range []int{64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(max), func(b *testing.B) {
			ratio(b, "store/cat",
				func() time.Duration { return plainRead(b, dir, 128<<10) },
				func() time.Duration { return storeRead(b, dir, max) })
		})
	}
}

// plainRead reads the segments as cat does.
func plainRead(b *testing.B, dir string, size int) time.Duration {
	b.Helper()
	start := time.Now()
	found, err := os.ReadDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	buf := make([]byte, size)
	n := 0
	for _, e := range found {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			b.Fatal(err)
		}
		for {
			got, err := f.Read(buf)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			null.Write(buf[:got])
			n += got
		}
		f.Close()
	}
	if n != benchBytes {
		b.Fatalf("%d bytes of %d", n, benchBytes)
	}
	return time.Since(start)
}

func storeRead(b *testing.B, dir string, max int) time.Duration {
	b.Helper()
	s := mustOpen(b, dir, Options{Sync: Never})
	changed := make(chan struct{}, 1)
	s.Notify(func() { poke(changed) })
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	start := time.Now()
	var pieces []hub.Piece
	off := int64(0)
	for off < benchBytes {
		var err error
		pieces, err = s.Read(pieces[:0], off, max)
		if errors.Is(err, hub.ErrNotLoaded) {
			<-changed
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range pieces {
			null.Write(p.Data)
			off += int64(len(p.Data))
			p.Free()
		}
	}
	d := time.Since(start)
	s.Close()
	s.Wait()
	return d
}
