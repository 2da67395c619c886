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

// TestANodeIsBelowOnce: under a second name its slots would count twice.
func TestANodeIsBelowOnce(t *testing.T) {
	world(t, func(t *testing.T) {
		up, low := start(t, "up"), start(t, "low")
		join(up, low)
		alias := start(t, "alias", func(o *Options) { o.Info.Instance = low.Info().Instance })
		var err error
		select {
		case err = <-join(up, alias).below:
		case <-time.After(time.Second): // it is a child
		}
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "here already, as low, at pipe: remove that first to call it alias") {
			t.Fatalf("a second name: %v", err)
		}
		if c := up.Children(); len(c) != 1 {
			t.Errorf("children: %v", c)
		}
		if err := up.Remove("low"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		join(up, alias)
		if c := up.Children(); len(c) != 1 || c[0].Name() != "alias" {
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
