package cluster

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/frame"
)

func TestADrainedNodeStaysSoUntilUndrain(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		if err := top.Drain("leaf"); !errors.Is(err, ErrUnknown) || err.Error() != `no such node right below top: "leaf"` {
			t.Errorf("drain: %v", err)
		}
		j := join(top, leaf)
		top.events.take()
		for range 2 {
			if err := top.Drain("leaf"); err != nil {
				t.Error(err)
			}
		}
		if s := top.h.child().State(); s != Drained {
			t.Errorf("%s", s)
		}
		j.up.Close()
		<-j.above
		j = join(top, leaf)
		if s := top.h.child().State(); s != Drained {
			t.Errorf("after it came back: %s", s)
		}
		leaf.Close(t.Context()) // and it leaves in order
		<-j.below
		join(top, start(t, "leaf"))
		if s := top.h.child().State(); s != Drained {
			t.Errorf("after it left: %s", s)
		}
		for range 2 {
			if err := top.Undrain("leaf"); err != nil {
				t.Error(err)
			}
		}
		if s := top.h.child().State(); s != Up {
			t.Errorf("%s", s)
		}
		lines := top.events.take()
		is(t, "events", lines[:1], "node drain leaf")
		is(t, "events", lines[len(lines)-1:], "node undrain leaf")
	})
}

func TestUndrainOfANodeThatHasLeft(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		join(top, leaf)
		top.Drain("leaf")
		leaf.Close(t.Context())
		synctest.Wait()
		if err := top.Undrain("leaf"); err != nil {
			t.Error(err)
		}
		if err := top.Undrain("leaf"); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
}

// TestRemoveWaitsForSessions: a node goes when nothing of a session is there, and
// is told not to come back.
func TestRemoveWaitsForSessions(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		j := join(top, leaf)
		c, p := top.h.child(), leaf.h.parent()
		down := func(k frame.Kind, session uint64) {
			c.Send(t.Context(), frame.Frame{Kind: k, Session: session})
			synctest.Wait()
		}
		up := func(k frame.Kind, session uint64) {
			p.Send(t.Context(), frame.Frame{Kind: k, Session: session})
			synctest.Wait()
		}
		down(frame.Reserve, 1)
		up(frame.Reserved, 1)
		down(frame.Reserve, 2) // which is refused
		down(frame.Reserve, 3)
		up(frame.Reserved, 3)
		up(frame.Failed, 3) // something else failed: it is still reserved
		top.events.take()
		if err := top.Remove("leaf"); err != nil {
			t.Fatal(err)
		}
		if s := c.State(); s != Drained {
			t.Errorf("%s", s)
		}
		if err := top.Undrain("leaf"); err == nil || err.Error() != "node leaf is being removed" {
			t.Errorf("undrain: %v", err)
		}
		up(frame.Released, 1)
		up(frame.Failed, 2)
		time.Sleep(time.Hour)
		if len(top.Children()) != 1 {
			t.Fatal("it went though it has a session")
		}
		if err := top.Remove("leaf"); err != nil { // once more
			t.Error(err)
		}
		up(frame.Released, 3)
		if err := <-j.above; !errors.Is(err, ErrRemoved) || !strings.Contains(err.Error(), "node above, top: removed: top has no place for leaf any more") {
			t.Errorf("above: %v", err)
		}
		if err := <-j.below; !errors.Is(err, ErrRemoved) {
			t.Errorf("below: %v", err)
		}
		synctest.Wait()
		if len(top.Children()) != 0 {
			t.Error("it is still there")
		}
		is(t, "events", top.events.take(), "node leave leaf")
		join(top, leaf) // a person starts it again
		if s := top.h.child().State(); s != Up {
			t.Errorf("%s", s)
		}
	})
}

// TestANodeThatIsLostWhileItIsRemoved is forgotten when it is fenced, and not let
// in before.
func TestANodeThatIsLostWhileItIsRemoved(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf, other := startWith(t, hand, "top"), start(t, "leaf"), start(t, "leaf")
		j := join(top, leaf)
		top.h.child().Send(t.Context(), frame.Frame{Kind: frame.Reserve, Session: 1})
		top.Remove("leaf")
		j.up.Close()
		<-hand.begun
		k := join(top, other)
		if err := <-k.above; !errors.Is(err, ErrRemoved) {
			t.Errorf("above: %v", err)
		}
		if err := <-k.below; !errors.Is(err, ErrRefused) {
			t.Errorf("below: %v", err)
		}
		if err := top.Remove("leaf"); err != nil {
			t.Error(err)
		}
		hand.done <- nil
		synctest.Wait()
		if len(top.Children()) != 0 {
			t.Error("it is not forgotten")
		}
		join(top, other)
		if s := top.h.child().State(); s != Up {
			t.Errorf("%s", s)
		}
	})
}

// TestRemoveOfANodeThatDoesNotGo ends its link, and fences it.
func TestRemoveOfANodeThatDoesNotGo(t *testing.T) {
	world(t, func(t *testing.T) {
		top := start(t, "top")
		up, down := frame.Pipe(0)
		below := make(chan error, 1)
		go func() { below <- top.Below(t.Context(), up, "") }() // until the link ends
		hand := rawChild{t, down}
		hand.hello()
		stop := make(chan bool)
		go func() { // beats on, whatever it is told; until the link ends
			defer close(stop)
			for i := 1; down.Send(t.Context(), frame.Frame{Kind: frame.Beat, Body: encode(upBeat{Seq: uint64(i)})}) == nil; i++ {
				down.Send(t.Context(), frame.Frame{Kind: frame.Released, Session: 9}) // it is told to go once
				time.Sleep(time.Second)
			}
		}()
		top.events.take()
		if err := top.Remove("leaf"); err != nil {
			t.Fatal(err)
		}
		if err := <-below; err == nil || !strings.Contains(err.Error(), "it was told to leave, and did not") {
			t.Errorf("below: %v", err)
		}
		<-stop
		is(t, "events", top.events.take(), "node lost leaf E it was told to leave, and did not", "node fencing leaf watchdog")
	})
}

// TestChangesByPath are made by the node between.
func TestChangesByPath(t *testing.T) {
	world(t, func(t *testing.T) {
		top, mid, low, leaf := start(t, "top"), start(t, "mid"), start(t, "low"), start(t, "leaf")
		join(low, leaf)
		join(mid, low)
		join(top, mid)
		state := func() State { return low.Children()[0].State() }
		if err := top.Drain("mid/low/leaf"); err != nil || state() != Drained {
			t.Errorf("drain: %v, %s", err, state())
		}
		if err := mid.Undrain("low/leaf"); err != nil || state() != Up {
			t.Errorf("undrain: %v, %s", err, state())
		}
		for path, want := range map[string]string{
			"mid/low/none":  `no such node right below low: "none"`,
			"mid/none/leaf": `no such node right below mid: "none"`,
			"none/low/leaf": `no such node right below top: "none"`,
			"mid//leaf":     `no such node right below mid: ""`,
			"mid/low/":      `no such node right below low: ""`,
			"":              `no such node right below top: ""`,
		} {
			if err := top.Drain(path); err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", path, err, want)
			}
		}
		if err := top.Ack("mid/low/leaf"); err == nil || !strings.Contains(err.Error(), "nothing to acknowledge") {
			t.Errorf("ack: %v", err)
		}
		if err := top.Fence("mid/low/leaf"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if s := state(); s != Fencing {
			t.Errorf("%s", s)
		}
		if err := top.Ack("mid/low/leaf"); err != nil || state() != Fenced {
			t.Errorf("ack: %v, %s", err, state())
		}
		if err := top.Remove("mid/low/leaf"); err != nil || len(low.Children()) != 0 {
			t.Errorf("remove: %v", err)
		}
		if err := mid.change(t.Context(), "format", "low"); err == nil || err.Error() != `nodes know no "format"` {
			t.Errorf("%v", err)
		}
	})
}

// TestANodeBetweenThatDoesNotAnswer has a period's time.
func TestANodeBetweenThatDoesNotAnswer(t *testing.T) {
	world(t, func(t *testing.T) {
		top, mid, leaf := start(t, "top"), start(t, "mid"), start(t, "leaf")
		join(mid, leaf)
		var s *stall
		joinBy(top, mid, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			s = newStall(b)
			return a, s
		})
		s.stop()
		begun := time.Now()
		if err := top.Drain("mid/leaf"); err == nil || !strings.Contains(err.Error(), "mid does not answer") {
			t.Errorf("%v", err)
		}
		if d := time.Since(begun); d != 5*time.Second {
			t.Errorf("it took %v", d)
		}
		s.Close()
		synctest.Wait()
		if err := top.Drain("mid/leaf"); err == nil || err.Error() != "node mid is fencing: nobody can ask it" {
			t.Errorf("%v", err)
		}
	})
}
