package hub

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReadContextBlocksUntilThereIsSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		w, r := h.NewWriter(false), reader(h, FromOldest)
		type answer struct {
			text string
			err  error
		}
		answers := make(chan answer)
		var reading sync.WaitGroup
		reading.Go(func() {
			p := make([]byte, 4)
			for {
				n, err := r.ReadContext(t.Context(), p)
				answers <- answer{string(p[:n]), err}
				if err == ErrEnded {
					return
				}
			}
		})
		expect := func(text string, err error) {
			t.Helper()
			if a := <-answers; a.text != text || a.err != err {
				t.Fatalf("got %q, %v; want %q, %v", a.text, a.err, text, err)
			}
		}
		synctest.Wait()
		put(t, w, "abcdef")
		expect("abcd", nil)
		expect("ef", nil)
		synctest.Wait()
		h.EOF()
		expect("", io.EOF)
		put(t, w, "g")
		expect("g", nil)
		h.End("")
		expect("", ErrEnded)
		reading.Wait()
	})
}

func TestDoneContextTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Size: 4, Fear: true})
		w, r := h.NewWriter(false), reader(h, FromOldest)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := r.ReadContext(ctx, make([]byte, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("read = %d, %v", n, err)
		}
		if s := h.Status(); s.WaitingReaders != 0 {
			t.Fatal("the reader still waits")
		}
		put(t, w, "0123")
		if n, err := r.ReadContext(ctx, make([]byte, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("read with a context that is done = %d, %v", n, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := w.WriteContext(ctx, []byte("x")); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("write = %d, %v", n, err)
		}
		if s := h.Status(); s.WaitingReaders != 0 || s.WaitingWriters != 0 {
			t.Fatalf("somebody still waits: %+v", s)
		}
		want(t, get(t, r, 0, 100), "0123")
		getWaits(t, r, 0)
	})
}

func TestClosingWakesWhoBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Size: 1, Fear: true})
		r, stuck := reader(h, FromEnd), reader(h, FromOldest)
		w := h.NewWriter(false)
		put(t, w, "x")
		get(t, r, 0, 1)
		errs := make(chan error)
		go func() {
			_, err := r.ReadContext(context.Background(), make([]byte, 1))
			errs <- err
		}()
		synctest.Wait()
		r.Close()
		if err := <-errs; err != ErrClosed {
			t.Fatalf("read: %v", err)
		}
		go func() {
			_, err := w.WriteContext(context.Background(), []byte("y"))
			errs <- err
		}()
		synctest.Wait()
		w.Close()
		if err := <-errs; err != ErrClosed {
			t.Fatalf("write: %v", err)
		}
		stuck.Close()
	})
}

// What feeds a shell must not take the end of a frozen file for an end.
func TestReadContextWaitsOutAFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{})
		w, r := h.NewWriter(false), reader(h, FromOldest)
		put(t, w, "ab")
		h.Freeze()
		p := make([]byte, 2)
		if n, err := r.ReadContext(t.Context(), p); n != 2 || err != nil {
			t.Fatalf("read = %d, %v", n, err)
		}
		done := make(chan string)
		go func() {
			n, err := r.ReadContext(context.Background(), p)
			done <- fmt.Sprint(string(p[:n]), err)
		}()
		synctest.Wait()
		h.Melt()
		synctest.Wait()
		put(t, w, "c")
		want(t, <-done, "c<nil>")
	})
}

func TestFearLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers, readers, each = 3, 5, 100 << 10
		h := New(Options{Size: 5000, Fear: true})
		sums := make(chan [sha256.Size]byte)
		for i := range readers {
			r := reader(h, FromOldest)
			rnd := rand.New(rand.NewPCG(uint64(i), 0))
			go func() {
				var all []byte
				p := make([]byte, 3000)
				for {
					n, err := r.ReadContext(context.Background(), p[:1+rnd.IntN(len(p))])
					if err != nil {
						break
					}
					all = append(all, p[:n]...)
					after(time.Duration(rnd.IntN(i + 1)))
				}
				sums <- sha256.Sum256(all)
			}()
		}
		var writing sync.WaitGroup
		for i := range writers {
			w := h.NewWriter(false)
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			writing.Go(func() {
				for left := each; left > 0; {
					p := make([]byte, min(left, 1+rnd.IntN(9000)))
					for j := range p {
						p[j] = byte(rnd.Uint32())
					}
					if _, err := w.WriteContext(context.Background(), p); err != nil {
						t.Error(err)
					}
					left -= len(p)
				}
			})
		}
		writing.Wait()
		h.End("")
		first := <-sums
		for range readers - 1 {
			if <-sums != first {
				t.Error("two readers got different bytes")
			}
		}
		if s := h.Status(); s.Next != writers*each || s.Lost != 0 {
			t.Errorf("%d bytes went, %d were lost", s.Next, s.Lost)
		}
	})
}
