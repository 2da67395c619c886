package pipes

import (
	"context"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// A script is a Source that gives what it holds, one a read: a string, or an
// error. At its end it waits for the context.
type script []any

func (s *script) ReadContext(ctx context.Context, p []byte) (int, error) {
	if len(*s) == 0 {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	next := (*s)[0]
	*s = (*s)[1:]
	if err, ok := next.(error); ok {
		return 0, err
	}
	return copy(p, next.(string)), nil
}

// errEnded is the end of a script: unlike an eof mark, it is final.
type errEnded struct{}

func (errEnded) Error() string        { return "end of stream" }
func (errEnded) Ended() bool          { return true }
func (errEnded) Is(target error) bool { return target == io.EOF }

// A record is a Sink that remembers its writes, and the error it gives.
type record struct {
	got []string
	err error
}

func (r *record) WriteContext(ctx context.Context, p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.got = append(r.got, string(p))
	return len(p), nil
}

func TestCopyEndsWithTheStreamAndNotAtAMark(t *testing.T) {
	src := &script{"a", "b", io.EOF, io.EOF, "c", errEnded{}, "never"}
	dst := &record{}
	err := Copy(t.Context(), dst, src, make([]byte, 8), func() error {
		dst.got = append(dst.got, "mark")
		return nil
	})
	if want := []string{"a", "b", "mark", "mark", "c"}; err != nil || !reflect.DeepEqual(dst.got, want) {
		t.Errorf("%q, %v; want %q", dst.got, err, want)
	}
}

func TestCopyWithoutMark(t *testing.T) {
	dst := &record{}
	err := Copy(t.Context(), dst, &script{io.EOF, "a", errEnded{}}, make([]byte, 8), nil)
	if err != nil || !reflect.DeepEqual(dst.got, []string{"a"}) {
		t.Errorf("%q, %v", dst.got, err)
	}
}

func TestCopyStopsAtAnError(t *testing.T) {
	lost := errors.New("lost")
	for _, tc := range []struct {
		src  script
		dst  record
		want string
	}{
		{src: script{"a", lost}, want: "read: lost"},
		{src: script{"a"}, dst: record{err: lost}, want: "write: lost"},
		{src: script{"a", io.EOF}, want: "lost"},
	} {
		err := Copy(t.Context(), &tc.dst, &tc.src, make([]byte, 8), func() error { return lost })
		if !errors.Is(err, lost) || err.Error() != tc.want {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
}

func TestCopyStopsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		dst := &record{}
		err := Copy(ctx, dst, &script{"a"}, make([]byte, 8), nil)
		if !errors.Is(err, context.DeadlineExceeded) || len(dst.got) != 1 {
			t.Errorf("%q, %v", dst.got, err)
		}
	})
}

func TestDelayHoldsEachWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dst := &record{}
		d := NewDelay(dst)
		start := time.Now()
		write := func(want time.Duration) {
			t.Helper()
			if n, err := d.WriteContext(t.Context(), []byte("ab")); n != 2 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("after %v, want %v", took, want)
			}
			start = time.Now()
		}
		write(0)
		d.Set(time.Second)
		write(time.Second)
		write(time.Second)
		d.Set(0)
		write(0)
	})
}

func TestDelayObeysWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dst := &record{}
		d := NewDelay(dst)
		d.Set(time.Hour)
		start := time.Now()
		time.AfterFunc(time.Second, func() { d.Set(3 * time.Second) })
		if _, err := d.WriteContext(t.Context(), []byte("a")); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		d.Set(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if n, err := d.WriteContext(ctx, []byte("b")); n != 0 || err != context.DeadlineExceeded {
			t.Errorf("%d, %v", n, err)
		}
		if len(dst.got) != 1 {
			t.Errorf("written %q", dst.got)
		}
	})
}
