package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hubfs/taskfs/fence"
	"hubfs/taskfs/frame"
)

// A byHand is a policy whose one method does what the test says.
type byHand struct {
	begun chan fence.Target
	done  chan error
	given atomic.Int32 // times that it was given up
}

func newByHand() *byHand {
	return &byHand{begun: make(chan fence.Target, 10), done: make(chan error)}
}

func (p *byHand) Run(ctx context.Context, t fence.Target, event func(string, error)) (string, error) {
	event("hand", nil)
	p.begun <- t
	select {
	case err := <-p.done:
		if err != nil {
			event("hand", err)
			return "", err
		}
		return "hand", nil
	case <-ctx.Done():
		p.given.Add(1)
		return "", ctx.Err()
	}
}

func TestAFenceThatIsSlow(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		j := join(top, leaf)
		c := top.h.child()
		time.Sleep(31 * time.Second)
		heard := time.Now().Add(-time.Second)
		j.up.Close()
		target := <-hand.begun
		if target.Name != "leaf" || target.Epoch != c.Epoch() || target.Self != 11250*time.Millisecond || target.Addr != "pipe" || !target.Heard.Equal(heard) {
			t.Errorf("target %+v, want heard %v", target, heard)
		}
		time.Sleep(time.Hour)
		if c.State() != Fencing {
			t.Errorf("%s", c.State())
		}
		hand.done <- nil
		synctest.Wait()
		is(t, "handler", top.h.take(), "joined leaf", "lost leaf", "fenced leaf")
		is(t, "events", top.events.take(), "node join leaf E", "node lost leaf E", "node fencing leaf hand", "node fenced leaf E hand")
		if c.State() != Fenced || len(top.Children()) != 1 {
			t.Errorf("%s, %d children", c.State(), len(top.Children()))
		}
	})
}

// TestAFenceThatFails: the node is unfenced until a person says that it runs
// nothing, or has it tried again.
func TestAFenceThatFails(t *testing.T) {
	for _, how := range []string{"ack", "fence"} {
		t.Run(how, func(t *testing.T) {
			world(t, func(t *testing.T) {
				hand := newByHand()
				top, leaf := startWith(t, hand, "top"), start(t, "leaf")
				j := join(top, leaf)
				c := top.h.child()
				j.up.Close()
				<-hand.begun
				top.events.take()
				hand.done <- errors.New("no power switch\nhere")
				synctest.Wait()
				is(t, "events", top.events.take(), "node unfenced leaf no power switch here")
				if c.State() != Unfenced {
					t.Errorf("%s", c.State())
				}
				is(t, "handler", top.h.take(), "joined leaf", "lost leaf")
				if err := top.Remove("leaf"); err == nil || !strings.Contains(err.Error(), "unfenced") {
					t.Errorf("remove: %v", err)
				}
				method := "ack"
				if how == "ack" {
					if err := top.Ack("leaf"); err != nil {
						t.Error(err)
					}
				} else {
					if err := top.Fence("leaf"); err != nil {
						t.Error(err)
					}
					<-hand.begun
					hand.done <- nil
					method = "hand"
				}
				synctest.Wait()
				is(t, "handler", top.h.take(), "fenced leaf")
				lines := top.events.take()
				is(t, "events", lines[len(lines)-1:], "node fenced leaf E "+method)
				if err := top.Ack("leaf"); err != nil {
					t.Errorf("a second ack: %v", err)
				}
				if err := top.Fence("leaf"); err == nil || err.Error() != "node leaf is fenced already" {
					t.Errorf("fence: %v", err)
				}
				if err := top.Remove("leaf"); err != nil || len(top.Children()) != 0 {
					t.Errorf("remove: %v, %d children", err, len(top.Children()))
				}
			})
		})
	}
}

func TestAnAckEndsAFenceThatGoesOn(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		j := join(top, leaf)
		if err := top.Ack("leaf"); err == nil || err.Error() != "node leaf is up: there is nothing to acknowledge" {
			t.Errorf("ack: %v", err)
		}
		if err := top.Ack("other"); !errors.Is(err, ErrUnknown) {
			t.Errorf("ack: %v", err)
		}
		j.up.Close()
		<-hand.begun
		if err := top.Ack("leaf"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if hand.given.Load() != 1 {
			t.Error("the policy goes on")
		}
		is(t, "handler", top.h.take(), "joined leaf", "lost leaf", "fenced leaf")
	})
}

func TestAPersonHasANodeFenced(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		j := join(top, leaf)
		top.events.take()
		if err := top.Fence("leaf"); err != nil {
			t.Error(err)
		}
		<-j.above
		synctest.Wait()
		is(t, "events", top.events.take(), "node lost leaf E a person wants it fenced", "node fencing leaf watchdog")
	})
}

// TestAnotherNodeOfThatNameDuringAFence is a new epoch, and the old one is fenced
// for itself.
func TestAnotherNodeOfThatNameDuringAFence(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf, again := startWith(t, hand, "top"), start(t, "leaf"), start(t, "leaf")
		j := join(top, leaf)
		old := top.h.child()
		j.up.Close()
		<-hand.begun
		join(top, again)
		c := top.h.child()
		if c == old || c.Epoch() <= old.Epoch() || c.State() != Up || old.State() != Fencing {
			t.Errorf("epoch %d is %s, epoch %d is %s", old.Epoch(), old.State(), c.Epoch(), c.State())
		}
		rows := top.Rows(t.Context())
		if len(rows) != 3 || rows[1].State != Fencing || rows[2].State != Up {
			t.Errorf("%+v", rows)
		}
		top.h.take()
		hand.done <- nil
		synctest.Wait()
		is(t, "handler", top.h.take(), "fenced leaf")
		if old.State() != Fenced || c.State() != Up || len(top.Rows(t.Context())) != 2 {
			t.Errorf("%s, %s", old.State(), c.State())
		}
	})
}

// TestAnAckIsForEveryEpochThatIsLost: a person says that nothing of it runs but
// what the living one has.
func TestAnAckIsForEveryEpochThatIsLost(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top := startWith(t, hand, "top")
		for range 2 {
			j := join(top, start(t, "leaf"))
			j.up.Close()
			<-hand.begun
		}
		join(top, start(t, "leaf"))
		top.h.take()
		if err := top.Ack("leaf"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		is(t, "handler", top.h.take(), "fenced leaf", "fenced leaf")
		if s := top.Children()[0].State(); s != Up {
			t.Errorf("%s", s)
		}
	})
}

// TestANodeThatComesBackIsFencedByItsWord: the process itself knows that nothing
// of its last epoch runs.
func TestANodeThatComesBackIsFencedByItsWord(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		j := join(top, leaf)
		old := top.h.child()
		j.up.Close()
		<-j.above // what ran has ended
		<-hand.begun
		top.h.take()
		top.events.take()
		join(top, leaf)
		if old.State() != Fenced || hand.given.Load() != 1 {
			t.Errorf("%s, given up %d times", old.State(), hand.given.Load())
		}
		// Calls about different links come in no order.
		is(t, "handler", slices.Sorted(slices.Values(top.h.take())), "fenced leaf", "joined leaf")
		is(t, "events", top.events.take(), "node fenced leaf E itself", "node join leaf E")
	})
}

// TestANodeThatComesBackWhileItsTasksEnd is fenced when they have.
func TestANodeThatComesBackWhileItsTasksEnd(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		end := make(chan bool)
		leaf.h.ending = func(*Parent) { <-end }
		j := join(top, leaf)
		old := top.h.child()
		j.up.Close()
		<-hand.begun
		again := join(top, leaf)
		time.Sleep(time.Minute)
		if old.State() != Fencing || top.h.child().State() != Up {
			t.Errorf("%s, %s", old.State(), top.h.child().State())
		}
		end <- true
		<-j.above
		synctest.Wait()
		if old.State() != Fenced || hand.given.Load() != 1 {
			t.Errorf("%s, given up %d times", old.State(), hand.given.Load())
		}
		close(end)
		again.up.Close()
		<-again.above
	})
}

// TestALinkThatOnlyTheLowerNodeKnowsToBeDead: the upper one still believes in it
// when the same process comes again.
func TestALinkThatOnlyTheLowerNodeKnowsToBeDead(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		var half *oneSided
		j := joinBy(top, leaf, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			half = newOneSided(b)
			return a, half
		})
		old := top.h.child()
		half.lose()
		<-j.above
		if old.State() != Up {
			t.Fatalf("%s", old.State())
		}
		top.events.take()
		join(top, leaf)
		synctest.Wait()
		if old.State() != Fenced || top.h.child().State() != Up || len(hand.begun) > 0 {
			t.Errorf("%s, %s, %d fences", old.State(), top.h.child().State(), len(hand.begun))
		}
		<-j.below
		is(t, "events", slices.Sorted(slices.Values(top.events.take())),
			"node fenced leaf E itself", "node join leaf E", "node lost leaf E it has come back")
	})
}

func TestTwoNodesOfOneName(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf, other := start(t, "top"), start(t, "leaf"), start(t, "leaf")
		j := join(top, leaf)
		top.events.take()
		for _, again := range []*peer{other, leaf} {
			k := join(top, again)
			err := <-k.above
			want := "another node is called leaf here, at pipe: give this one another name"
			if again == leaf {
				want = "node leaf is here already, at pipe"
			}
			if !errors.Is(err, ErrRefused) || errors.Is(err, ErrRemoved) || !strings.Contains(err.Error(), want) {
				t.Errorf("above: %v", err)
			}
			if err := <-k.below; !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
				t.Errorf("below: %v", err)
			}
		}
		is(t, "events", top.events.take())
		time.Sleep(time.Minute)
		if s := top.Children()[0].State(); s != Up {
			t.Errorf("%s", s)
		}
		j.up.Close()
		<-j.below
	})
}

// TestLateFramesAreDropped: what a link still brings when its epoch is lost does
// not reach the handler, and is counted.
func TestLateFramesAreDropped(t *testing.T) {
	world(t, func(t *testing.T) {
		top, leaf := start(t, "top"), start(t, "leaf")
		var late *stubborn
		j := joinBy(top, leaf, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			late = &stubborn{Link: a}
			return late, b
		})
		c, p := top.h.child(), leaf.h.parent()
		send := func(s string) {
			p.Send(t.Context(), frame.Frame{Kind: frame.Output, Session: 1, Body: []byte(s)})
			synctest.Wait()
		}
		send("in time")
		if err := top.Fence("leaf"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.State() != Fencing {
			t.Fatalf("%s", c.State())
		}
		for range 3 {
			send("late")
		}
		is(t, "handler", top.h.take(), "joined leaf", "below leaf in time", "lost leaf")
		if r := top.Rows(t.Context())[1]; r.Dropped != 3 || r.State != Fencing {
			t.Errorf("%+v", r)
		}
		late.Link.Close()
		<-j.below
		<-j.above
	})
}

// A stubborn is a link that does not end when it is closed.
type stubborn struct{ frame.Link }

func (*stubborn) Close() error { return nil }

// TestANodeThatIsLostIsAskedOverAnotherLink that the same process has.
func TestANodeThatIsLostIsAskedOverAnotherLink(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		var ended atomic.Int32
		leaf.h.ending = func(*Parent) { ended.Add(1) }
		var half *stubborn
		joinBy(top, leaf, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			half = &stubborn{Link: a}
			return half, b
		})
		top.Fence("leaf")
		target := <-hand.begun
		if err := target.Ask(t.Context()); err == nil || err.Error() != "there is no other connection to node leaf" {
			t.Errorf("ask: %v", err)
		}
		a, b := frame.Pipe(0)
		go top.Below(context.Background(), a, "second") // until the test ends
		go leaf.Above(context.Background(), b)          // until the test ends
		synctest.Wait()
		if err := target.Ask(t.Context()); err != nil {
			t.Errorf("ask: %v", err)
		}
		if ended.Load() != 1 {
			t.Errorf("ended %d times", ended.Load())
		}
		if err := target.Ask(t.Context()); err != nil { // it has ended
			t.Errorf("ask again: %v", err)
		}
		hand.done <- nil
		half.Link.Close()
	})
}

// TestHellosOfOneProcess may overtake one another: only what was said later than
// a link began says whether it has ended.
func TestHellosOfOneProcess(t *testing.T) {
	for _, first := range []int{0, 1} {
		world(t, func(t *testing.T) {
			top, leaf := start(t, "top"), start(t, "leaf")
			ups := make([]frame.Link, 2)
			above := make([]chan error, 2)
			for i := range ups {
				var down frame.Link
				ups[i], down = frame.Pipe(0)
				above[i] = make(chan error, 1)
				go func() { above[i] <- leaf.Above(context.Background(), down) }() // until the link ends
				synctest.Wait()                                                    // it has said hello
			}
			below := make(chan error, 1)
			go func() { below <- top.Below(context.Background(), ups[first], "") }() // until the test ends
			synctest.Wait()
			if err := top.Below(t.Context(), ups[1-first], ""); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "node leaf is here already") {
				t.Errorf("hello %d after %d: %v", 1-first, first, err)
			}
			if err := <-above[1-first]; !errors.Is(err, ErrRefused) {
				t.Errorf("hello %d after %d: %v", 1-first, first, err)
			}
			is(t, "handler", top.h.take(), "joined leaf")
			ups[first].Close()
			<-below
		})
	}
}

// TestALinkThatOnlyTheUpperNodeKnowsToBeDead: the lower one ends what runs for it
// when it is welcomed again, and says so.
func TestALinkThatOnlyTheUpperNodeKnowsToBeDead(t *testing.T) {
	world(t, func(t *testing.T) {
		hand := newByHand()
		top, leaf := startWith(t, hand, "top"), start(t, "leaf")
		var half *oneSided
		j := joinBy(top, leaf, func(q int) (frame.Link, frame.Link) {
			a, b := frame.Pipe(q)
			half = newOneSided(a)
			return half, b
		})
		old := top.h.child()
		half.lose()
		<-j.below
		<-hand.begun
		leaf.h.take()
		begun := time.Now()
		join(top, leaf)
		is(t, "below", leaf.h.take(), "parent lost top")
		if old.State() != Fenced || !time.Now().Equal(begun) {
			t.Errorf("%s after %v", old.State(), time.Since(begun))
		}
		half.Link.Close()
		<-j.above
	})
}

// TestWhatIsBelowALostNodeHasItsTime, too: also what that node has lost and not
// fenced itself.
func TestWhatIsBelowALostNodeHasItsTime(t *testing.T) {
	world(t, func(t *testing.T) {
		hand, other := newByHand(), newByHand()
		slower := func(o *Options) { o.Period = 10 * time.Second } // below mid
		top, mid, leaf := startWith(t, hand, "top"), startWith(t, other, "mid", slower), start(t, "leaf")
		j := join(mid, leaf)
		join(top, mid)
		self := func() time.Duration {
			top.Fence("mid")
			target := <-hand.begun
			hand.done <- nil
			synctest.Wait()
			return target.Self
		}
		if d := self(); d != 28750*time.Millisecond {
			t.Errorf("with a node below it has %v", d)
		}
		join(top, mid)
		j.up.Close()
		<-other.begun
		synctest.Wait()
		if d := self(); d != 28750*time.Millisecond {
			t.Errorf("with one below that is not fenced it has %v", d)
		}
		join(top, mid)
		other.done <- nil
		synctest.Wait()
		if d := self(); d != 11250*time.Millisecond {
			t.Errorf("with nothing below it has %v", d)
		}
	})
}
