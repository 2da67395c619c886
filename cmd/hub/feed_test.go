package main

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/client"
)

// A fakeHub is a sink that takes bytes while it is open.
type fakeHub struct {
	open chan struct{} // closed: it takes what comes
	err  error         // what it says instead, once open

	mu  sync.Mutex
	got bytes.Buffer // guarded by mu
}

func (h *fakeHub) WriteContext(ctx context.Context, p []byte) (int, error) {
	select {
	case <-h.open:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if h.err != nil {
		return 0, h.err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got.Write(p)
}

func (h *fakeHub) Flush(ctx context.Context) error { return h.err }

func (h *fakeHub) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got.String()
}

// A said is one call of a feed's say.
type said struct {
	err  error
	over bool
}

// newFeed starts a feed with room for 10 bytes.
func newFeed(h *fakeHub, wait bool) (f *feed, lost chan struct{}, says *[]said) {
	says, lost = new([]said), make(chan struct{})
	f = &feed{
		w: h, limit: 10, patience: time.Minute, lost: lost, wait: wait,
		why:  func() error { return client.ErrLost },
		cut:  func() { panic("the connection was not to be cut") },
		say:  func(err error, over bool) { *says = append(*says, said{err, over}) },
		done: make(chan struct{}),
	}
	go f.run() // until finish, or until the server takes no more
	return f, lost, says
}

func (f *feed) adds(words ...string) {
	for _, w := range words {
		f.add([]byte(w))
	}
}

func TestFeedBringsAllInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{open: make(chan struct{})}
		close(h.open)
		f, _, says := newFeed(h, false)
		f.adds("one ", "two ")
		synctest.Wait()
		f.adds("a write larger than the backlog may be")
		synctest.Wait()
		f.adds(" three")
		if err := f.finish(); err != nil || h.String() != "one two a write larger than the backlog may be three" || len(*says) > 0 {
			t.Errorf("%q, %v, %v", h, err, *says)
		}
	})
}

// TestFeedNeverWaitsForTheServer, and the hub gets a beginning without a gap.
func TestFeedNeverWaitsForTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{open: make(chan struct{})}
		f, _, says := newFeed(h, false)
		f.adds("first ")
		synctest.Wait() // the server has it in hand
		f.adds("12345", "67890", "too much", "x")
		if len(*says) != 1 || (*says)[0] != (said{errBehind, false}) {
			t.Errorf("said %v", *says)
		}
		close(h.open)
		if err := f.finish(); err != errBehind || h.String() != "first 1234567890" || len(*says) != 1 {
			t.Errorf("%q, %v, %v", h, err, *says)
		}
	})
}

func TestFeedWaitsForReadersIfItIsTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{open: make(chan struct{})}
		f, _, says := newFeed(h, true)
		added := make(chan struct{})
		go func() { // ends when the hub takes bytes
			defer close(added)
			f.adds("first ")
			synctest.Wait()
			f.adds("1234567890", "waits")
		}()
		time.Sleep(time.Hour) // as the bubble has it: all wait
		select {
		case <-added:
			t.Error("it did not wait")
		default:
		}
		close(h.open)
		<-added
		if err := f.finish(); err != nil || h.String() != "first 1234567890waits" || len(*says) > 0 {
			t.Errorf("%q, %v, %v", h, err, *says)
		}
	})
}

// TestHurryEndsTheWaitForReaders: of who adds, and of who finishes.
func TestHurryEndsTheWaitForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{open: make(chan struct{})}
		f, _, says := newFeed(h, true)
		finished := make(chan error, 1)
		go func() { // ends after hurry
			f.adds("first ")
			synctest.Wait()
			f.adds("1234567890", "waits")
			finished <- f.finish()
		}()
		time.Sleep(time.Hour)
		f.hurry()
		if err := <-finished; err != errBehind || len(*says) != 1 {
			t.Errorf("%v, %v", err, *says)
		}
	})
}

// TestEndWaitsOnlyForAServerThatTakesSomething
func TestEndWaitsOnlyForAServerThatTakesSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{open: make(chan struct{})}
		f, _, says := newFeed(h, false)
		f.adds("never taken")
		synctest.Wait()
		start := time.Now()
		if err := f.finish(); err != errBehind || time.Since(start) != f.patience {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if len(*says) != 1 || !(*says)[0].over {
			t.Errorf("said %v", *says)
		}
	})
}

func TestLossOfTheServerIsSaidOnceAndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &fakeHub{open: make(chan struct{})}
		close(h.open)
		f, lost, says := newFeed(h, true)
		f.adds("one")
		synctest.Wait()
		close(lost)
		synctest.Wait()
		if len(*says) != 1 || !errors.Is((*says)[0].err, client.ErrLost) {
			t.Errorf("said %v", *says)
		}
		f.adds("more than there is room for", "and more")
		if err := f.finish(); !errors.Is(err, client.ErrLost) || len(*says) != 1 {
			t.Errorf("%v, %v", err, *says)
		}
	})
}

func TestRefusedWriteEndsTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("hub build has ended")
		h := &fakeHub{open: make(chan struct{}), err: refused}
		close(h.open)
		f, _, says := newFeed(h, true)
		f.adds("one")
		synctest.Wait()
		f.adds("two", "and more than there is room for")
		if err := f.finish(); err != refused || len(*says) != 1 {
			t.Errorf("%v, %v", err, *says)
		}
	})
}
