package stdio

import (
	"context"
	"errors"
	"os"
	"reflect"
	"syscall"
	"testing"

	"hubfs/internal/fdio"
)

type sinkFunc func([]byte)

func (f sinkFunc) WriteContext(_ context.Context, p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// pipeOutlet is an outlet of a process that has ended, with w still open.
func pipeOutlet(t *testing.T, sink sinkFunc) (o *Outlet, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	reaped := make(chan struct{})
	if o, err = NewOutlet(r, sink, reaped); err != nil {
		t.Fatal(err)
	}
	close(reaped)
	return o, w
}

// What comes in one piece goes on in one piece, and what is short goes at once.
func TestOutletGathersWhatIsThere(t *testing.T) {
	var sizes []int
	o, w := pipeOutlet(t, func(p []byte) { sizes = append(sizes, len(p)) })
	for _, n := range []int{4096, 100, 4096} {
		w.Write(make([]byte, n))
	}
	n, err := o.fd.Read(o.first[:])
	if err != nil {
		t.Fatal(err)
	}
	if n = o.pass(n, o.put(t)); n != 8292 {
		t.Errorf("passed on %d bytes", n)
	}
	w.Write(make([]byte, 200))
	if n = o.pass(100, o.put(t)); n != 100 {
		t.Errorf("passed on %d bytes of 100", n)
	}
	w.Close()
	o.Run(nil)
	if !reflect.DeepEqual(sizes, []int{8292, 100, 200}) {
		t.Errorf("writes of %d bytes, want 8292, 100 and 200", sizes)
	}
}

// put gives to the sink as Run does.
func (o *Outlet) put(t *testing.T) func([]byte) {
	return func(p []byte) {
		if _, err := o.sink.WriteContext(t.Context(), p); err != nil {
			t.Error(err)
		}
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
	o.Wake()
	o.Run(nil)
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
	if errors.Is(err, syscall.EAGAIN) {
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
	o.Wake()
	o.Run(nil)
	if got > leftover+outputSize {
		t.Errorf("took %d bytes of a process that nobody waits for", got)
	}
	o.f.Close()
	<-done
}
