package hub

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// drain reads all that there is and lets go of it.
func drain(b *testing.B, r *Reader, pieces []Piece) []Piece {
	for {
		var ready bool
		var err error
		pieces, ready, err = r.TryRead(pieces[:0], 0, 1<<20, nothing)
		if err != nil {
			b.Fatal(err)
		}
		if !ready {
			return pieces
		}
		freeAll(pieces)
	}
}

func nothing() {}

// One append and one read of it: what a Twrite and a Tread cost in the hub.
func BenchmarkAppendRead(b *testing.B) {
	for _, c := range []struct {
		name  string
		size  int
		adopt bool
	}{
		{"64KiB/adopted", 64 << 10, true},
		{"64KiB/copied", 64 << 10, false},
		{"1B", 1, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := New(Options{})
			w, r := h.NewWriter(false), reader(h, FromOldest)
			var frames sync.Pool
			plain := make([]byte, c.size)
			var pieces []Piece
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				p := Piece{Data: plain}
				if c.adopt {
					f, _ := frames.Get().(*frame)
					if f == nil {
						f = &frame{pool: &frames, data: make([]byte, c.size)}
					}
					p = Piece{Data: f.data, Owner: f}
				}
				if _, ready, err := w.TryWrite(p, 0, nothing); !ready || err != nil {
					b.Fatal(ready, err)
				}
				pieces = drain(b, r, pieces)
			}
		})
	}
}

// The cost of an append and of its reading by all, with readers that wait.
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			h := New(Options{})
			w := h.NewWriter(false)
			var all []*Reader
			for range readers {
				all = append(all, reader(h, FromEnd))
			}
			block := make([]byte, 64<<10)
			var pieces []Piece
			b.SetBytes(int64(len(block) * readers))
			b.ReportAllocs()
			for b.Loop() {
				w.TryWrite(Piece{Data: block}, 0, nothing)
				for _, r := range all {
					pieces = drain(b, r, pieces)
				}
			}
		})
	}
}

// An append beside readers that are open and ask for nothing.
func BenchmarkAppendBesideIdleReaders(b *testing.B) {
	for _, readers := range []int{0, 10_000} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			h := New(Options{})
			w := h.NewWriter(false)
			for range readers {
				reader(h, FromEnd)
			}
			block := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				w.TryWrite(Piece{Data: block}, 0, nothing)
			}
		})
	}
}

// What a reader that waits costs in memory.
func BenchmarkWaitingReaders(b *testing.B) {
	const readers = 10_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		h := New(Options{})
		for range readers {
			reader(h, FromEnd).TryRead(nil, 0, 1, nothing)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/readers, "B/reader")
		runtime.KeepAlive(h)
	}
}
