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

// TestANodeIsNotItsOwnDescendant, however many nodes are between.
func TestANodeIsNotItsOwnDescendant(t *testing.T) {
	world(t, func(t *testing.T) {
		a, b, c := start(t, "a"), start(t, "b"), start(t, "c")
		join(a, b)
		join(b, c)
		for _, tt := range []struct {
			up, low *peer
			want    string
		}{
			{a, a, "loop: a is this very node"},
			{b, a, "loop: a is above already: b, a"},
			{c, a, "loop: a is above already: c, b, a"},
			{c, b, "loop: b is above already: c, b"},
		} {
			j := join(tt.up, tt.low)
			if err := <-j.below; !errors.Is(err, ErrLoop) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("below: %v, want %q", err, tt.want)
			}
			if err := <-j.above; !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("above: %v, want %q", err, tt.want)
			}
		}
		// A diamond is no loop.
		j := join(a, c)
		if len(a.Children()) != 2 {
			t.Error("c may not be below a and below b")
		}
		j.up.Close()
		<-j.below
	})
}

// TestALoopThatClosesAtOnce: each node takes the other before it has heard who is
// above that one. What is said about those above opens the loop again.
func TestALoopThatClosesAtOnce(t *testing.T) {
	for _, count := range []int{2, 3, 7} {
		world(t, func(t *testing.T) {
			var nodes []*peer
			for i := range count {
				nodes = append(nodes, start(t, string(rune('a'+i))))
			}
			var joints []*joint
			for i, up := range nodes {
				low := nodes[(i+1)%count]
				j := &joint{below: make(chan error, 1), above: make(chan error, 1)}
				j.up, j.down = frame.Pipe(0)
				go func() { j.below <- up.Below(context.Background(), j.up, "") }() // until the link ends
				go func() { j.above <- low.Above(context.Background(), j.down) }()  // until the link ends
				joints = append(joints, j)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			open := 0
			for _, j := range joints {
				select {
				case err := <-j.above:
					if !errors.Is(err, ErrLoop) && !strings.Contains(err.Error(), "loop") {
						t.Errorf("%d nodes: %v", count, err)
					}
					open++
				default:
				}
			}
			if open == 0 {
				t.Errorf("%d nodes: the loop is closed", count)
			}
			for _, n := range nodes {
				n.mu.Lock()
				for _, a := range n.ancestorsLocked() {
					if a.Instance == n.Info().Instance {
						t.Errorf("%d nodes: %s is above itself", count, a.Name)
					}
				}
				n.mu.Unlock()
			}
		})
	}
}

// TestWhatIsAboveIsToldAllTheWayDown, when it comes and when it goes.
func TestWhatIsAboveIsToldAllTheWayDown(t *testing.T) {
	world(t, func(t *testing.T) {
		a, b, c, d := start(t, "a"), start(t, "b"), start(t, "c"), start(t, "d")
		join(c, d)
		join(b, c)
		j := join(a, b)
		above := func() string {
			d.mu.Lock()
			defer d.mu.Unlock()
			var names []string
			for _, x := range d.ancestorsLocked() {
				names = append(names, x.Name)
			}
			return strings.Join(names, " ")
		}
		if got := above(); got != "c b a" {
			t.Errorf("above d: %s", got)
		}
		j.up.Close()
		<-j.above
		synctest.Wait()
		if got := above(); got != "c b" {
			t.Errorf("above d: %s", got)
		}
	})
}
