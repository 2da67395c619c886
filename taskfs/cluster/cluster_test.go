package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/frame"
)

func TestANodeJoins(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		before := uint64(time.Now().UnixMilli())
		join(top, leaf)
		is(t, "events", top.events.take(), "node join leaf E")
		is(t, "handler", top.h.take(), "joined leaf")
		c, p := top.h.child(), leaf.h.parent()
		if c.Epoch() < before || c.Epoch() != p.Epoch() {
			t.Errorf("epoch %d above, %d below; the clock said %d", c.Epoch(), p.Epoch(), before)
		}
		if c.Name() != "leaf" || c.Info().Slots != 4 || p.Name() != "top" || c.State() != Up {
			t.Errorf("%s %+v %s, %s", c.Name(), c.Info(), c.State(), p.Name())
		}
		if cs := top.Children(); len(cs) != 1 || cs[0] != c {
			t.Errorf("children %v", cs)
		}
		if c.Load().Slots != 4 {
			t.Errorf("load %+v: want what the first word said", c.Load())
		}
		if s := leaf.Self(); s != 8750*time.Millisecond {
			t.Errorf("self %v", s)
		}
		if leaf.h.hears() == 0 {
			t.Error("leases have not begun")
		}
		time.Sleep(time.Hour)
		if c.State() != Up {
			t.Errorf("after an hour it is %s", c.State())
		}
	})
}

func TestFramesGoBothWaysInOrder(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		join(top, leaf)
		top.h.take()
		c, p := top.h.child(), leaf.h.parent()
		for _, s := range []string{"1", "2", "3"} {
			if err := c.Send(t.Context(), frame.Frame{Kind: frame.Input, Session: 1, Body: []byte(s)}); err != nil {
				t.Fatal(err)
			}
			if err := p.Send(t.Context(), frame.Frame{Kind: frame.Output, Session: 1, Body: []byte(s)}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		is(t, "below", leaf.h.take(), "above top 1", "above top 2", "above top 3")
		is(t, "above", top.h.take(), "below leaf 1", "below leaf 2", "below leaf 3")
		if err := c.Send(t.Context(), frame.Frame{Kind: frame.Leave}); err == nil {
			t.Error("a handler can say Leave")
		}
	})
}

// TestAHandlerThatWaitsHoldsUpNoBeat, however long it does.
func TestAHandlerThatWaitsHoldsUpNoBeat(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		leaf.h.above = func(p *Parent, f frame.Frame) { <-p.Done() }
		j := join(top, leaf)
		c := top.h.child()
		c.Send(t.Context(), frame.Frame{Kind: frame.Input, Session: 1})
		c.Send(t.Context(), frame.Frame{Kind: frame.Input, Session: 1})
		time.Sleep(time.Minute)
		if c.State() != Up {
			t.Errorf("%s", c.State())
		}
		j.up.Close()
		if err := <-j.above; !errors.Is(err, frame.ErrClosed) {
			t.Errorf("above: %v", err)
		}
		is(t, "below", leaf.h.take(), "above top", "parent lost top") // the second Input is dropped
	})
}

// TestALinkThatIsCut: both ends know at once, and the watchdog waits until the
// lower node has surely ended its tasks.
func TestALinkThatIsCut(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		j := join(top, leaf)
		time.Sleep(time.Minute)
		leaf.h.parent().Send(t.Context(), frame.Frame{Kind: frame.Exited, Session: 1, Body: []byte("last")})
		synctest.Wait()
		top.events.take()
		c := top.h.child()
		cut := time.Now()
		j.down.Close()
		synctest.Wait()
		is(t, "above", top.h.take(), "joined leaf", "below leaf last", "lost leaf")
		is(t, "below", leaf.h.take(), "parent lost top")
		is(t, "events", top.events.take(), "node lost leaf E link closed", "node fencing leaf watchdog")
		if err := c.Send(t.Context(), frame.Frame{Kind: frame.Input, Session: 1}); !errors.Is(err, ErrLost) {
			t.Errorf("send: %v", err)
		}
		if s := c.State(); s != Fencing {
			t.Errorf("%s", s)
		}
		for c.State() == Fencing {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		is(t, "above", top.h.take(), "fenced leaf")
		is(t, "events", top.events.take(), "node fenced leaf E watchdog")
		if d := time.Since(cut); d < 2*5*time.Second || d > 13*time.Second {
			t.Errorf("fenced after %v", d)
		}
	})
}

// TestAStoppedNode: the upper node sees it torpid, then lost after two periods;
// what is stopped finds out when it goes on that nobody counts on it, though
// answers to its beats wait for it.
func TestAStoppedNode(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		var s *stall
		j := joinBy(top, leaf, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			s = newStall(b)
			return a, s
		})
		c := top.h.child()
		top.events.take()
		time.Sleep(time.Minute)
		s.stop()
		stopped := time.Now()
		until := func(want State) {
			t.Helper()
			for c.State() != want {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
				if time.Since(stopped) > time.Minute {
					t.Fatalf("it is %s, not %s", c.State(), want)
				}
			}
		}
		until(Torpid)
		if d := time.Since(stopped); d > 1250*5*time.Millisecond {
			t.Errorf("torpid after %v", d)
		}
		until(Fencing)
		if d := time.Since(stopped); d < 7*time.Second || d > 10*time.Second {
			t.Errorf("lost after %v", d)
		}
		is(t, "events", top.events.take(), "node torpid leaf", "node lost leaf E not heard for 10s", "node fencing leaf watchdog")
		lines := leaf.h.take()
		is(t, "below", lines, "parent lost top") // before it goes on: its own clock
		s.goOn()
		<-j.above
		<-j.below
	})
}

func TestATorpidNodeComesBack(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		var s *stall
		joinBy(top, leaf, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			s = newStall(a)
			return s, b
		})
		c := top.h.child()
		top.events.take()
		time.Sleep(61 * time.Second)
		s.stop()
		time.Sleep(6 * time.Second)
		if c.State() != Torpid {
			t.Errorf("%s", c.State())
		}
		s.goOn()
		synctest.Wait()
		if c.State() != Up {
			t.Errorf("%s", c.State())
		}
		is(t, "events", top.events.take(), "node torpid leaf", "node up leaf")
		is(t, "below", leaf.h.take())
	})
}

// TestALeaseIsNotRenewedByOldAnswers: an answer does not count from when it is
// read, but from when the beat was sent that it answers.
func TestALeaseIsNotRenewedByOldAnswers(t *testing.T) {
	world(t, func(t *testing.T) {
		leaf := start(t, "leaf")
		up, down := frame.Pipe(0)
		go leaf.Above(context.Background(), down) // until up is closed
		hand := rawParent{t, up}
		hand.welcome()
		p := leaf.h.parent()
		var first time.Time
		for first.IsZero() {
			if f := hand.recv(); f.Kind == frame.Beat {
				first = time.Now()
			}
		}
		time.Sleep(6 * time.Second)
		heard := leaf.h.hears()
		hand.send(frame.Beat, downBeat{Seq: 1})
		synctest.Wait()
		if leaf.h.hears() != heard {
			t.Error("a lease began with an answer to a beat of 6 seconds ago")
		}
		<-p.Done()
		if d := time.Since(first); d != p.Self() {
			t.Errorf("given up %v after the beat, want %v", d, p.Self())
		}
		up.Close()
	})
}

func TestANodeThatEndsIsFencedByItsWord(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		ended := false
		leaf.h.ending = func(*Parent) {
			time.Sleep(time.Second) // its tasks take their time
			ended = true
		}
		j := join(top, leaf)
		top.events.take()
		if err := leaf.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !ended {
			t.Error("it has not ended its tasks")
		}
		if err := <-j.below; err != nil {
			t.Errorf("below: %v", err)
		}
		synctest.Wait()
		is(t, "events", top.events.take(), "node leave leaf")
		is(t, "handler", top.h.take(), "joined leaf", "lost leaf", "fenced leaf")
		if cs := top.Children(); len(cs) > 0 {
			t.Errorf("%d children", len(cs))
		}
		if err := <-j.above; !strings.Contains(err.Error(), "this node ends") {
			t.Errorf("above: %v", err)
		}
		if err := leaf.Above(context.Background(), j.down); err == nil {
			t.Error("it joins though it has ended")
		}
	})
}

func TestTheUpperNodeEnds(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		j := join(top, leaf)
		if err := top.Close(t.Context()); err != nil {
			t.Error(err)
		}
		err := <-j.above
		if errors.Is(err, ErrRemoved) || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "node above, top: it has left: top: this node ends") {
			t.Errorf("above: %v", err)
		}
		is(t, "below", leaf.h.take(), "parent lost top")
		synctest.Wait()
		is(t, "above", top.h.take(), "joined leaf", "lost leaf", "fenced leaf")
	})
}

// TestCloseWaitsForNoStranger who has said nothing yet.
func TestCloseWaitsForNoStranger(t *testing.T) {
	world(t, func(t *testing.T) {
		n := start(t, "n")
		errs := make(chan error, 2)
		a, _ := frame.Pipe(0)
		b, _ := frame.Pipe(0)
		go func() { errs <- n.Below(context.Background(), a, "") }() // until n closes
		go func() { errs <- n.Above(context.Background(), b) }()     // until n closes
		synctest.Wait()
		begun := time.Now()
		if err := n.Close(t.Context()); err != nil || !time.Now().Equal(begun) {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		for range 2 {
			if err := <-errs; err == nil {
				t.Error("no error")
			}
		}
	})
}

// TestCloseGivesUpOnAHandlerThatHangs, and says so.
func TestCloseGivesUpOnAHandlerThatHangs(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		hang := make(chan bool)
		leaf.h.ending = func(*Parent) { <-hang }
		join(top, leaf)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := leaf.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		close(hang)
	})
}
