package hub

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// A fakeSpool is a Spool that does what a test says: it makes bytes stable,
// forgets them until they are loaded, drops the oldest and fails, each when it
// is told to, and tells the hub then.
type fakeSpool struct {
	mu       sync.Mutex
	changed  func()
	started  bool   // Start was called, or it has a history
	all      []byte // of the stream, from offset 0; what is before first is zero
	first    int64
	stable   int64
	resident int64 // bytes before it have to be loaded
	asked    int64 // the least offset that Read has to fetch; resident: none
	err      error
	broken   error // of Append, before Err is set
	closed   bool
	moments  []Moment
}

func newFakeSpool() *fakeSpool { return &fakeSpool{asked: everybody} }

// fakeHistory returns a store that was left by an earlier run.
func fakeHistory(first int64, text string) *fakeSpool {
	f := newFakeSpool()
	f.Start(first)
	f.all = append(f.all, text...)
	f.stable = int64(len(f.all))
	return f
}

func (f *fakeSpool) Append(p Piece) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.use()
	if err := errors.Join(f.err, f.broken); err != nil {
		return 0, err
	}
	off := int64(len(f.all))
	f.all = append(f.all, p.Data...)
	p.Free()
	return off, nil
}

func (f *fakeSpool) Read(dst []Piece, off int64, max int) ([]Piece, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.use()
	switch {
	case off < f.first || off >= int64(len(f.all)):
		return dst, fmt.Errorf("nothing at %d", off)
	case off < f.resident:
		f.asked = min(f.asked, off)
		return dst, ErrNotLoaded
	}
	end := min(int64(len(f.all)), off+int64(max))
	return append(dst, Piece{Data: f.all[off:end:end]}), nil
}

func (f *fakeSpool) Discard(off int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.use()
	f.first = max(f.first, off)
}

func (f *fakeSpool) Bounds() (first, next int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first, int64(len(f.all))
}

func (f *fakeSpool) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.use()
	f.closed = true
	return nil
}

func (f *fakeSpool) Notify(changed func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed = changed
}

func (f *fakeSpool) Stable() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.use()
	return f.stable
}

func (f *fakeSpool) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeSpool) Start(first int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.started { // it does not listen
		return
	}
	f.started = true
	f.all = make([]byte, first)
	f.first, f.stable = first, first
}

func (f *fakeSpool) Moments() []Moment { return f.moments }

// use checks that a call is one that the contract allows.
func (f *fakeSpool) use() {
	if f.closed {
		panic("used after Close")
	}
}

// do changes the store, and tells the hub.
func (f *fakeSpool) do(change func()) {
	f.mu.Lock()
	change()
	f.mu.Unlock()
	f.changed()
}

func (f *fakeSpool) settle() { f.settleUpTo(everybody) }
func (f *fakeSpool) settleUpTo(n int64) {
	f.do(func() { f.stable = max(f.stable, min(n, int64(len(f.all)))) })
}
func (f *fakeSpool) fail(err error)     { f.do(func() { f.err = err }) }
func (f *fakeSpool) retire(first int64) { f.do(func() { f.first = first }) }
func (f *fakeSpool) load()              { f.do(func() { f.resident, f.asked = 0, everybody }) }

func (f *fakeSpool) evict(before int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resident, f.asked = before, everybody
}

func (f *fakeSpool) wantClosed(t testing.TB, want bool) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != want {
		t.Fatalf("store is closed: %v", f.closed)
	}
}

// spooled returns a hub that goes to a fakeSpool.
func spooled(t testing.TB, o Options) (*Hub, *fakeSpool) {
	t.Helper()
	f := newFakeSpool()
	o.Store = f
	h := New(o)
	t.Cleanup(func() { h.Close() })
	return h, f
}
