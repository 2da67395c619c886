package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/taskfs/frame"
)

// TestWhoMayNotJoinHearsWhy, and is nobody's child.
func TestWhoMayNotJoinHearsWhy(t *testing.T) {
	world(t, func(t *testing.T) {
		up, low := start(t, "up"), start(t, "low")
		a, b := frame.Pipe(0)
		refused := make(chan error, 1)
		go func() { refused <- up.Refuse(context.Background(), a, "bob may not") }() // until the link ends
		err := low.Above(context.Background(), b)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "up: bob may not") {
			t.Errorf("the lower node heard %v", err)
		}
		if err := <-refused; !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "bob may not") {
			t.Errorf("Refuse: %v", err)
		}
		if c := up.Children(); len(c) != 0 {
			t.Errorf("children: %v", c)
		}
	})
}

// TestWhoDialedKnowsThatANodeWasRemoved, and dials no more.
func TestWhoDialedKnowsThatANodeWasRemoved(t *testing.T) {
	world(t, func(t *testing.T) {
		up, low := start(t, "up"), start(t, "low")
		j := join(up, low)
		if err := up.Remove("low"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := <-j.below; !errors.Is(err, ErrRemoved) {
			t.Errorf("Below: %v", err)
		}
		if err := <-j.above; !errors.Is(err, ErrRemoved) {
			t.Errorf("Above: %v", err)
		}
	})
}
