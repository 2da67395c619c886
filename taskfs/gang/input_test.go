package gang

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"hubfs/taskfs/ranks"
)

// TestATaskAsksBetweenRecords and not while the rest of one is to come.
func TestATaskAsksBetweenRecords(t *testing.T) {
	asked := 0
	s := &stdin{records: true, ask: func() { asked++ }}
	give := func(text string, more bool) {
		in := &input{p: []byte(text), more: more, taken: func() {}}
		in.left.Store(2)
		s.give(in)
	}
	b := make([]byte, 100)
	read := func(want string, waits bool, asks int) {
		t.Helper()
		n, wake, err := s.tryRead(b)
		if string(b[:n]) != want || (wake != nil) != waits || err != nil || asked != asks {
			t.Errorf("%q, it waits: %v, %v, asked %d times; want %q, %v, %d", b[:n], wake != nil, err, asked, want, waits, asks)
		}
	}
	read("", true, 1)
	read("", true, 1)
	give("the first ", true)
	read("the first ", false, 1)
	read("", true, 1) // the rest is to come
	give("record", false)
	give("another", false)
	read("record", false, 1)
	read("another", false, 1) // it had not to be asked for
	read("", true, 2)
	s.close()
	if _, _, err := s.tryRead(b); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestInputKeepsTheOrderOfEachTask: who waits lets nobody of the same task by.
func TestInputKeepsTheOrderOfEachTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var given []string
		var last *input
		a := newAdmission(3, func(in *input) {
			in.left.Store(1)
			given = append(given, string(in.p[:1]))
			last = in
		})
		admit := func(ctx context.Context, name string, size int, r ...int) chan error {
			err := make(chan error, 1)
			p := make([]byte, size)
			p[0] = name[0]
			go func() { err <- a.admit(ctx, &input{set: ranks.Of(r...), p: p}) }() // ends when it is let in, or with ctx
			synctest.Wait()
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		admit(t.Context(), "a", window-overhead, 0, 1)
		full := last
		b := admit(ctx, "b", 1, 0, 2)
		admit(t.Context(), "c", 1, 2) // has room, and is behind b
		if !slices.Equal(given, []string{"a"}) {
			t.Errorf("let in: %v", given)
		}
		cancel()
		if err := <-b; !errors.Is(err, context.Canceled) {
			t.Errorf("b: %v", err)
		}
		synctest.Wait()
		if !slices.Equal(given, []string{"a", "c"}) {
			t.Errorf("let in: %v", given)
		}
		d := admit(t.Context(), "d", 1, 1)
		full.take(1)
		if err := <-d; err != nil {
			t.Error(err)
		}
		e := admit(t.Context(), "e", window, 0)
		f := admit(t.Context(), "f", window, 0)
		if err := <-e; err != nil {
			t.Error(err) // more than there is room for, but the task has taken all
		}
		a.close()
		if err := <-f; !errors.Is(err, ErrReleased) {
			t.Errorf("f: %v", err)
		}
		if err := a.admit(t.Context(), &input{set: ranks.Of(0), p: []byte("g")}); !errors.Is(err, ErrReleased) {
			t.Errorf("g: %v", err)
		}
	})
}
