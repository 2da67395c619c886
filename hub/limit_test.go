package hub

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// after lets the time of the bubble pass.
func after(d time.Duration) { <-time.After(d) }

func TestLimit(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name   string
		limit  Limit
		gaps   []time.Duration // what the writer does before each write of 500 bytes
		writes []time.Duration // when each is done
	}{
		{"none", Limit{}, []time.Duration{0, 0, 0}, []time.Duration{0, 0, 0}},
		{"rate", Limit{BytesPerSecond: 1000}, []time.Duration{0, 0, 0, 0},
			[]time.Duration{0, 500 * ms, 1000 * ms, 1500 * ms}},
		{"the average counts", Limit{BytesPerSecond: 1000}, []time.Duration{0, 2000 * ms, 0, 0, 0, 0},
			[]time.Duration{0, 2000 * ms, 2000 * ms, 2000 * ms, 2000 * ms, 2500 * ms}},
		{"until reset", Limit{BytesPerSecond: 1000, Reset: time.Second}, []time.Duration{0, 2000 * ms, 0, 0},
			[]time.Duration{0, 2000 * ms, 2500 * ms, 3000 * ms}},
		{"interval", Limit{Interval: 200 * ms}, []time.Duration{0, 0, 300 * ms, 0},
			[]time.Duration{0, 200 * ms, 500 * ms, 700 * ms}},
		{"both", Limit{BytesPerSecond: 1000, Interval: 800 * ms}, []time.Duration{0, 0, 0},
			[]time.Duration{0, 800 * ms, 1600 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(Options{Limit: c.limit})
				w := h.NewWriter(false)
				start := time.Now()
				var got []time.Duration
				for _, gap := range c.gaps {
					after(gap)
					if n, err := w.WriteContext(t.Context(), make([]byte, 500)); n != 500 || err != nil {
						t.Fatalf("write = %d, %v", n, err)
					}
					got = append(got, time.Since(start))
				}
				if !slices.Equal(got, c.writes) {
					t.Errorf("written at %v, want %v", got, c.writes)
				}
			})
		})
	}
}

func TestOnlyTheLimitedWriterWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Limit: Limit{BytesPerSecond: 10}})
		w := h.NewWriter(false)
		addressed := h.NewWriter(true)
		put(t, w, "0123456789")
		r := reader(h, FromOldest)
		if n, ready, err := addressed.TryWrite(Piece{Data: []byte("456")}, 4, nil); n != 3 || !ready || err != nil {
			t.Fatalf("a write of nothing new = %d, %v, %v", n, ready, err)
		}
		wakes := putWaits(t, w, "abc")
		want(t, get(t, r, 0, 100), "0123456789")
		rWakes := getWaits(t, r, 0)
		after(999 * time.Millisecond)
		synctest.Wait()
		wantWakes(t, wakes, 0)
		after(time.Millisecond)
		synctest.Wait()
		wantWakes(t, wakes, 1)
		put(t, w, "abc")
		wantWakes(t, rWakes, 1)
	})
}

func TestNoLimitLetsWritersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Limit: Limit{BytesPerSecond: 1}})
		w := h.NewWriter(false)
		put(t, w, "0123456789")
		wakes := putWaits(t, w, "abc")
		h.SetLimit(Limit{BytesPerSecond: 2})
		wantWakes(t, wakes, 1) // the new average starts now
		h.SetLimit(Limit{})
		put(t, w, "abc")
		put(t, w, "def")
	})
}

func TestLimitEndsWithTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Limit: Limit{Interval: time.Hour}})
		w := h.NewWriter(false)
		put(t, w, "a")
		done := make(chan error)
		go func() {
			_, err := w.WriteContext(context.Background(), []byte("b"))
			done <- err
		}()
		synctest.Wait()
		h.Close()
		if err := <-done; err != ErrClosed {
			t.Fatal(err)
		}
	})
}
