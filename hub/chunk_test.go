package hub

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
)

func TestChunkClasses(t *testing.T) {
	for _, c := range []struct{ n, size int }{
		{1, 512}, {512, 512}, {513, 1024}, {1024, 1024}, {1025, 2048}, {32768, 32768},
		{32769, 65536}, {65536, 65536}, {65537, 65536}, {1 << 20, 65536},
	} {
		if got := minChunk << classFor(c.n); got != c.size {
			t.Errorf("%d bytes go into a chunk of %d, want %d", c.n, got, c.size)
		}
	}
}

// capacity returns what the chunks of m cost.
func capacity(m *Memory) (n int) {
	for _, c := range m.chunks[m.head:] {
		n += cap(c.data)
	}
	return n
}

// What a hub costs stays near what it retains.
func TestSmallStreamsStaySmall(t *testing.T) {
	m := NewMemory()
	for m.next < 1<<20 {
		m.Append(Piece{Data: []byte("a line of text\n")})
		if n := capacity(m); int64(n) > 2*m.next+minChunk+maxChunk/4*3 || m.next < 512 && n > 512 {
			t.Fatalf("%d bytes cost %d", m.next, n)
		}
	}
	// Small writes between large ones do not cost a large chunk each.
	m = NewMemory()
	for range 100 {
		m.Append(Piece{Data: make([]byte, adoptMin), Owner: new(countedOwner)})
		m.Append(Piece{Data: []byte("small")})
	}
	if n := capacity(m); int64(n) > 2*m.next {
		t.Fatalf("%d bytes cost %d", m.next, n)
	}
}

// A stream that is read as it comes costs no more than what is on its way.
func TestEmptyStreamStartsSmallAgain(t *testing.T) {
	m := NewMemory()
	for range 100 {
		m.Append(Piece{Data: make([]byte, 600)})
		m.Discard(m.next - 1)
		m.Discard(m.next)
		m.Append(Piece{Data: []byte("x")})
		if n := capacity(m); n != minChunk {
			t.Fatalf("one byte costs %d", n)
		}
	}
}

func TestFreeingTwicePanics(t *testing.T) {
	h := New(Options{})
	put(t, h.NewWriter(false), "x")
	pieces, _, _ := reader(h, FromOldest).TryRead(nil, 0, 1, nil)
	h.Close()
	pieces[0].Free()
	defer func() {
		if got := recover(); got != "hub: a Piece was freed twice" {
			t.Fatalf("recovered %v", got)
		}
	}()
	pieces[0].Free()
}

// Memory serves again only when nobody holds it. The race detector watches
// too: a chunk that is written to while it is read shows.
func TestHeldBytesNeverChange(t *testing.T) {
	const total = 24 << 20
	h := New(Options{Size: 256 << 10})
	w := h.NewWriter(false)

	// Every 8 bytes of the stream are their own offset.
	var reading sync.WaitGroup
	for i := range 4 {
		r := h.NewReader(FromOldest, ReaderOptions{})
		reading.Go(func() {
			var kept []Piece
			at := int64(0)
			for {
				pieces, ready, err := r.TryRead(nil, 0, 40<<10, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if !ready {
					r.CancelRead()
					runtime.Gosched()
					continue
				}
				if len(pieces) == 0 {
					break
				}
				if now := int64(binary.BigEndian.Uint64(pieces[0].Data)); now < at {
					t.Errorf("read at %d after %d", now, at)
					return
				} else {
					at = now // it may have been overtaken
				}
				for _, p := range pieces {
					if !isPattern(p.Data, at) {
						t.Errorf("bytes at %d are wrong", at)
						return
					}
					at += int64(len(p.Data))
				}
				kept = append(kept, pieces...)
				for len(kept) > 10*i { // readers hold on for different times
					p := kept[0]
					if first := binary.BigEndian.Uint64(p.Data); !isPattern(p.Data, int64(first)) {
						t.Errorf("bytes that were held changed")
						return
					}
					p.Free()
					kept = kept[1:]
				}
			}
			freeAll(kept)
		})
	}
	var frames sync.Pool
	for at := int64(0); at < total; {
		n := 8 << (at / 8 % 14) // 8 B to 64 KiB, copied and adopted
		f, _ := frames.Get().(*frame)
		if f == nil {
			f = &frame{pool: &frames, data: make([]byte, 64<<10)}
		}
		data := f.data[:n]
		for i := 0; i < n; i += 8 {
			binary.BigEndian.PutUint64(data[i:], uint64(at)+uint64(i))
		}
		if _, ready, err := w.TryWrite(Piece{Data: data, Owner: f}, 0, nil); !ready || err != nil {
			t.Fatal(ready, err)
		}
		at += int64(n)
	}
	h.End("")
	reading.Wait()
}

// isPattern reports whether b is a run of the pattern, from the offset at on.
func isPattern(b []byte, at int64) bool {
	if at%8 != 0 || len(b)%8 != 0 {
		return false
	}
	for i := 0; i < len(b); i += 8 {
		if binary.BigEndian.Uint64(b[i:]) != uint64(at)+uint64(i) {
			return false
		}
	}
	return true
}

// A frame is a buffer as a server reads it from a connection.
type frame struct {
	pool *sync.Pool
	data []byte
}

func (f *frame) Free() { f.pool.Put(f) }

func TestSteadyStreamAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Log("not measured: with the race detector a sync.Pool drops what it is given at random")
		return
	}
	h := New(Options{})
	w, r := h.NewWriter(false), reader(h, FromOldest)
	ctx := context.Background()
	block, p := make([]byte, 64<<10), make([]byte, 64<<10)
	once := func() {
		if _, err := w.WriteContext(ctx, block); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadContext(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		once()
	}
	if n := testing.AllocsPerRun(1000, once); n != 0 {
		t.Fatalf("%v allocations for 64 KiB written and read", n)
	}
}
