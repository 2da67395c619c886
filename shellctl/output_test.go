package shellctl

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"

	"hubfs/internal/fdio"
)

type sinkFunc func([]byte)

func (f sinkFunc) WriteContext(_ context.Context, p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// pipeOutlet is an outlet of a process that has ended, with w still open.
func pipeOutlet(t *testing.T, sink sinkFunc) (o *outlet, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	reaped := make(chan struct{})
	if o, err = newOutlet(r, sink, reaped); err != nil {
		t.Fatal(err)
	}
	close(reaped)
	return o, w
}

// What comes in one piece goes on in one piece, and what is short goes at once.
func TestOutletGathersWhatIsThere(t *testing.T) {
	var sizes []int
	o, w := pipeOutlet(t, func(p []byte) { sizes = append(sizes, len(p)) })
	o.buf = o.buf[:8192]
	for _, n := range []int{4096, 100, 4096} {
		w.Write(make([]byte, n))
	}
	w.Close()
	n, err := io.ReadFull(o.f, o.buf[:1024])
	if err != nil {
		t.Fatal(err)
	}
	if m := o.more(n); m != 8192-1024 {
		t.Errorf("gathered %d bytes, want all that there is room for", m)
	}
	if m := o.more(100); m != 0 {
		t.Errorf("looked for %d bytes more after a short read", m)
	}
	o.run(nil)
	if !reflect.DeepEqual(sizes, []int{100}) {
		t.Errorf("writes of %d bytes, want 100", sizes)
	}
}

// A filter that the process has left behind has a moment for its last lines.
func TestFilterMayFinish(t *testing.T) {
	var got string
	o, w := pipeOutlet(t, func(p []byte) { got += string(p) })
	w.WriteString("first ")
	o.fd = &lateWriter{o.fd.(*fdio.File), func() {
		if got == "first " {
			w.WriteString("last") // when all seemed to be over
		}
	}}
	o.wake()
	o.run(nil)
	if got != "first last" {
		t.Errorf("got %q", got)
	}
}

// A lateWriter calls write when there is nothing to read.
type lateWriter struct {
	*fdio.File
	write func()
}

func (l *lateWriter) TryRead(p []byte) (int, error) {
	n, err := l.File.TryRead(p)
	if errors.Is(err, unix.EAGAIN) {
		l.write()
	}
	return n, err
}

// Who never stops to write is not heard for ever.
func TestLeftoverHasABound(t *testing.T) {
	got := 0
	o, w := pipeOutlet(t, func(p []byte) { got += len(p) })
	done := make(chan struct{})
	go func() { // ends when the reader is closed; the test waits for it
		defer close(done)
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}()
	o.wake()
	o.run(nil)
	if got > leftover+outputSize {
		t.Errorf("took %d bytes of a process that nobody waits for", got)
	}
	o.f.Close()
	<-done
}
