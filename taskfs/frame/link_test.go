package frame

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A wire is a net.Conn as a Stream.
type wire struct{ c net.Conn }

func (w wire) ReadContext(ctx context.Context, p []byte) (int, error) {
	defer during(ctx, w.c.SetReadDeadline)()
	n, err := w.c.Read(p)
	if n > 0 {
		return n, nil
	}
	return 0, err
}

func (w wire) WriteContext(ctx context.Context, p []byte) (int, error) {
	defer during(ctx, w.c.SetWriteDeadline)()
	return w.c.Write(p)
}

// during lets ctx end a call, by a deadline that done takes back.
func during(ctx context.Context, set func(time.Time) error) (done func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { set(time.Unix(1, 0)); close(ended) })
	return func() {
		if !stop() {
			<-ended
			set(time.Time{})
		}
	}
}

func (w wire) Close() error { return w.c.Close() }

// carry moves the bytes of a Passive over a wire, as a server does.
func carry(l *Passive, w wire) {
	go func() { // until the link has nothing more, or the wire fails
		defer w.Close()
		for {
			woken := make(chan struct{})
			p, ready := l.Take(700, func() { close(woken) })
			if !ready {
				<-woken
				continue
			}
			if len(p) == 0 {
				return
			}
			if _, err := w.c.Write(p); err != nil {
				return
			}
		}
	}()
	go func() { // until the wire ends
		defer l.Close()
		buf := make([]byte, 500)
		for {
			n, err := w.c.Read(buf)
			for p := buf[:n]; n > 0; {
				woken := make(chan struct{})
				ready, err := l.Put(p, func() { close(woken) })
				if err != nil {
					return
				}
				if ready {
					break
				}
				<-woken
			}
			if err != nil {
				return
			}
		}
	}()
}

// eachLink runs a test with the two ends of each kind of link.
func eachLink(t *testing.T, f func(t *testing.T, a, b Link)) {
	for name, make := range map[string]func() (a, b Link){
		"pipe": func() (a, b Link) { return Pipe(0) },
		"stream": func() (a, b Link) {
			x, y := net.Pipe()
			return NewStream(wire{x}, "x"), NewStream(wire{y}, "y")
		},
		"passive": func() (a, b Link) {
			x, y := net.Pipe()
			p := NewPassive("p")
			carry(p, wire{x})
			return p, NewStream(wire{y}, "y")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := make()
				defer synctest.Wait()
				defer b.Close()
				defer a.Close()
				f(t, a, b)
			})
		})
	}
}

func mustSend(t *testing.T, l Link, f Frame) {
	t.Helper()
	if err := l.Send(t.Context(), f); err != nil {
		t.Fatalf("send %v of %d: %v", f.Kind, f.Session, err)
	}
}

func mustRecv(t *testing.T, l Link) Frame {
	t.Helper()
	f, err := l.Recv(t.Context())
	if err != nil {
		t.Fatalf("recv: %v", err)
	}
	return f
}

// TestASessionKeepsItsOrder: many senders for many sessions, both ways at once.
func TestASessionKeepsItsOrder(t *testing.T) {
	eachLink(t, func(t *testing.T, a, b Link) {
		const sessions, each = 5, 200
		var wg sync.WaitGroup
		for _, ends := range [][2]Link{{a, b}, {b, a}} {
			for s := range uint64(sessions) {
				wg.Go(func() {
					for i := range each {
						body := append([]byte(fmt.Sprint(i, ":")), make([]byte, i*31)...)
						mustSend(t, ends[0], Frame{Output, s + 1, body})
					}
				})
			}
			wg.Go(func() {
				next := map[uint64]int{}
				for range sessions * each {
					f := mustRecv(t, ends[1])
					i := next[f.Session]
					if want := fmt.Sprint(i, ":"); !bytes.HasPrefix(f.Body, []byte(want)) || len(f.Body) != len(want)+i*31 {
						t.Errorf("session %d: frame %d has %d bytes", f.Session, i, len(f.Body))
						return
					}
					next[f.Session]++
				}
			})
		}
		wg.Wait()
	})
}

func TestTheLongestFrameArrives(t *testing.T) {
	eachLink(t, func(t *testing.T, a, b Link) {
		for _, l := range [][2]Link{{a, b}, {b, a}} {
			mustSend(t, l[0], Frame{Output, 1<<64 - 1, bytes.Repeat([]byte("x"), MaxBody)})
			if f := mustRecv(t, l[1]); len(f.Body) != MaxBody {
				t.Errorf("%d bytes", len(f.Body))
			}
		}
	})
}

// TestABeatOvertakes: a frame of the link goes before those of sessions, however
// many of these wait.
func TestABeatOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(1000)
		for range 100 {
			go a.Send(t.Context(), Frame{Output, 1, make([]byte, 500)}) // until the link is closed
		}
		synctest.Wait()
		mustSend(t, a, Frame{Kind: Beat})
		if f := mustRecv(t, b); f.Kind != Beat {
			t.Errorf("%v came first", f.Kind)
		}
		a.Close()
	})
}

// TestSessionsTakeTurns: a hundred senders of one session do not keep another's
// frame waiting for more than one.
func TestSessionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(1000)
		for range 100 {
			go a.Send(t.Context(), Frame{Output, 1, make([]byte, 500)}) // until the link is closed
		}
		synctest.Wait()
		sent := make(chan error, 1)
		go func() { sent <- a.Send(t.Context(), Frame{Output, 2, make([]byte, 500)}) }() // until it is taken
		synctest.Wait()
		mustRecv(t, b)
		if f := mustRecv(t, b); f.Session != 2 {
			t.Error("session 2 has to wait for more than one frame of session 1")
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		a.Close()
	})
}

func TestSendWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(1000)
		mustSend(t, a, Frame{Output, 1, make([]byte, 2000)}) // alone it fits
		sent := make(chan error, 1)
		go func() { sent <- a.Send(t.Context(), Frame{Output, 1, nil}) }() // until there is room
		synctest.Wait()
		select {
		case err := <-sent:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		mustRecv(t, b)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		mustRecv(t, b)
	})
}

// TestASendThatIsGivenUpHasSentNothing, and who stands behind it goes on.
func TestASendThatIsGivenUpHasSentNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(1000)
		mustSend(t, a, Frame{Output, 1, make([]byte, 800)})
		ctx, cancel := context.WithCancel(t.Context())
		given, behind := make(chan error, 1), make(chan error, 1)
		go func() { given <- a.Send(ctx, Frame{Output, 2, make([]byte, 900)}) }() // until cancel
		synctest.Wait()
		go func() { behind <- a.Send(t.Context(), Frame{Output, 2, []byte("behind")}) }() // until there is room
		synctest.Wait()
		cancel()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
		if err := <-behind; err != nil {
			t.Error(err)
		}
		mustRecv(t, b)
		if f := mustRecv(t, b); string(f.Body) != "behind" {
			t.Errorf("%d bytes came", len(f.Body))
		}
		if err := a.Send(ctx, Frame{Output, 2, nil}); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that is done: %v", err)
		}
	})
}

// TestLeaveIsTheLast: it does not overtake, and nothing follows it.
func TestLeaveIsTheLast(t *testing.T) {
	eachLink(t, func(t *testing.T, a, b Link) {
		for i := range 10 {
			mustSend(t, a, Frame{Output, uint64(i + 1), []byte("x")})
		}
		mustSend(t, a, Frame{Kind: Leave, Body: []byte("bye")})
		if err := a.Send(t.Context(), Frame{Kind: Beat}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Leave: %v", err)
		}
		for range 10 {
			if f := mustRecv(t, b); f.Kind != Output {
				t.Fatalf("%v came before the last output", f.Kind)
			}
		}
		if f := mustRecv(t, b); f.Kind != Leave || string(f.Body) != "bye" {
			t.Errorf("%v %q came last", f.Kind, f.Body)
		}
		mustSend(t, b, Frame{Kind: Beat}) // the other direction lives on
		if f := mustRecv(t, a); f.Kind != Beat {
			t.Errorf("%v", f.Kind)
		}
	})
}

// TestTheEndIsSeenAtBothEnds, by those who wait and those who come later.
func TestTheEndIsSeenAtBothEnds(t *testing.T) {
	eachLink(t, func(t *testing.T, a, b Link) {
		errs := make(chan error, 4)
		recv := func(l Link) { _, err := l.Recv(t.Context()); errs <- err }
		for range 50 { // more than is kept
			go a.Send(t.Context(), Frame{Output, 1, make([]byte, 100_000)}) // until the link ends
		}
		synctest.Wait()
		go recv(a) // until the link ends
		synctest.Wait()
		a.Close()
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Errorf("who waited: %v", err)
		}
		if err := a.Send(t.Context(), Frame{Kind: Beat}); !errors.Is(err, ErrClosed) {
			t.Errorf("send after Close: %v", err)
		}
		for {
			if _, err := b.Recv(t.Context()); err != nil {
				if !errors.Is(err, ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the other end: %v", err)
				}
				break
			}
		}
		for b.Send(t.Context(), Frame{Kind: Beat}) == nil {
			synctest.Wait() // a write finds out
		}
		if err := a.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

func TestARecvThatIsGivenUpLosesNothing(t *testing.T) {
	eachLink(t, func(t *testing.T, a, b Link) {
		for _, l := range [][2]Link{{a, b}, {b, a}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := l[1].Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			cancel()
			mustSend(t, l[0], Frame{Output, 7, []byte("x")})
			if f := mustRecv(t, l[1]); f.Session != 7 {
				t.Errorf("%+v", f)
			}
		}
	})
}

// TestBytesThatAreNoFrameEndALink, with what was wrong, at any place.
func TestBytesThatAreNoFrameEndALink(t *testing.T) {
	good, _ := Append(nil, Frame{Output, 1, []byte("x")})
	t.Run("stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x, y := net.Pipe()
			l := NewStream(wire{x}, "host")
			go y.Write(append(good, 1, 0, 0, 0)) // until it is read
			mustRecv(t, l)
			_, err := l.Recv(t.Context())
			if err == nil || !strings.Contains(err.Error(), "read from host: frame that says it is 1 bytes long") {
				t.Errorf("%v", err)
			}
			if err := l.Send(t.Context(), Frame{Kind: Beat}); err == nil {
				t.Error("it can still be sent")
			}
			l.Close()
		})
	})
	t.Run("stream cut within a frame", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x, y := net.Pipe()
			l := NewStream(wire{x}, "host")
			go func() { y.Write(good[:5]); y.Close() }() // until it is read
			if _, err := l.Recv(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v", err)
			}
			l.Close()
		})
	})
	t.Run("passive", func(t *testing.T) {
		l := NewPassive("host")
		if ready, err := l.Put(append(good, 1, 0, 0, 0), nil); !ready || err != nil {
			t.Fatal(ready, err)
		}
		mustRecv(t, l)
		if _, err := l.Recv(t.Context()); err == nil || !strings.Contains(err.Error(), "read from host: frame that says it is 1 bytes long") {
			t.Errorf("%v", err)
		}
		if _, err := l.Put(good, nil); err == nil {
			t.Error("it takes more")
		}
		if p, ready := l.Take(10, nil); len(p) != 0 || !ready {
			t.Errorf("take: %d bytes, %v", len(p), ready)
		}
	})
}

// TestAPassiveHoldsNoMoreThanAFrameAndAWrite, however much is put.
func TestAPassiveHoldsNoMoreThanAFrameAndAWrite(t *testing.T) {
	l := NewPassive("host")
	p, _ := Append(nil, Frame{Output, 1, make([]byte, 1000)})
	woken, n := 0, 0
	for {
		ready, err := l.Put(p, func() { woken++ })
		if err != nil {
			t.Fatal(err)
		}
		if !ready {
			break
		}
		if n += len(p); n > 2*MaxBody {
			t.Fatal("it takes all")
		}
	}
	mustRecv(t, l)
	if woken != 1 {
		t.Errorf("woken %d times", woken)
	}
	l.CancelPut()
}

// TestALengthEarnsItsRoom: a header that says that much comes is not believed.
func TestALengthEarnsItsRoom(t *testing.T) {
	var b inbox
	p, _ := Append(nil, Frame{Output, 1, make([]byte, MaxBody)})
	for len(p) > 0 {
		n := copy(b.space(header+maxLength), p)
		p = p[n:]
		b.filled(n)
		if room := cap(b.buf); room > 2*b.len()+2*least {
			t.Fatalf("room for %d bytes after %d", room, b.len())
		}
	}
	if f, ok, _, err := b.next(); !ok || err != nil || len(f.Body) != MaxBody {
		t.Errorf("%d bytes, %v, %v", len(f.Body), ok, err)
	}
}

// A stopped is a stream whose other end answers nothing: what has begun to be
// written hangs, and so does Close.
type stopped struct{ gone chan bool }

func (s stopped) ReadContext(ctx context.Context, p []byte) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (s stopped) WriteContext(context.Context, []byte) (int, error) {
	<-s.gone
	return 0, io.ErrClosedPipe
}

func (s stopped) Close() error {
	<-s.gone
	return io.ErrClosedPipe
}

func TestCloseDoesNotWaitForTheOtherEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stopped{make(chan bool)}
		l := NewStream(s, "host")
		mustSend(t, l, Frame{Kind: Beat})
		recv := make(chan error, 1)
		go func() { _, err := l.Recv(t.Context()); recv <- err }() // until Close
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-recv; !errors.Is(err, ErrClosed) {
			t.Errorf("recv: %v", err)
		}
		if err := l.Send(t.Context(), Frame{Kind: Beat}); !errors.Is(err, ErrClosed) {
			t.Errorf("send: %v", err)
		}
		close(s.gone) // with the connection
	})
}

func BenchmarkStream(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Skip(err)
			}
			defer ln.Close()
			x, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			y, err := ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			from, to := NewStream(wire{x}, "x"), NewStream(wire{y}, "y")
			defer from.Close()
			defer to.Close()
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			go func() { // until all is sent or the link ends
				for range b.N {
					from.Send(b.Context(), Frame{Output, 1, body})
				}
			}()
			for range b.N {
				if _, err := to.Recv(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
