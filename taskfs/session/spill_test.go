package session

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpill: what goes in comes out, in order, however much waits.
func TestSpill(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	rng := rand.New(rand.NewPCG(1, 2))
	q := newSpill()
	next, want := byte(0), byte(0)
	in, out := 0, 0
	buf := make([]byte, 300_000)
	for range 400 {
		p := buf[:rng.IntN(100_000)]
		for i := range p {
			p[i], next = next, next+1
		}
		if err := q.write(p); err != nil {
			t.Fatal(err)
		}
		in += len(p)
		for in > out && rng.IntN(3) == 0 {
			n, err := q.ReadContext(t.Context(), buf[:1+rng.IntN(len(buf)-1)])
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range buf[:n] {
				if c != want {
					t.Fatalf("byte %d is %d, want %d", out, c, want)
				}
				want++
			}
			out += n
		}
	}
	q.end()
	_ = q.write([]byte("late"))
	for {
		n, err := q.ReadContext(t.Context(), buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out += n
	}
	if in != out {
		t.Errorf("%d bytes in, %d out", in, out)
	}
	q.close()
}

func TestSpillWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newSpill()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := q.ReadContext(ctx, make([]byte, 8)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		time.AfterFunc(time.Hour, func() { _ = q.write([]byte("x")) })
		if n, err := q.ReadContext(t.Context(), make([]byte, 8)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		time.AfterFunc(time.Hour, q.end)
		if n, err := q.ReadContext(t.Context(), make([]byte, 8)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d, %v", n, err)
		}
	})
}
