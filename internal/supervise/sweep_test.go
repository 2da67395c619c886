//go:build unix

package supervise

import (
	"context"
	"errors"
	"testing"

	"hubfs/taskfs/task"
)

// TestCloseWaitsForWhatCannotBeEndedYet: while it is not known that nothing of a
// killed supervisor is left, nobody is told that.
func TestCloseWaitsForWhatCannotBeEndedYet(t *testing.T) {
	r := newTestRunner(t, Options{})
	tries := make(chan struct{}, 1)
	first := true
	r.sweep = func(mark string, supervisor int, tasks []int) error {
		if first {
			first = false
			tries <- struct{}{}
			return errors.New("too many open files")
		}
		return sweep(mark, supervisor, tasks)
	}
	c := newTestCrew(t, r, task.CrewOptions{})
	exited := make(chan task.Exit, 1)
	tk := sh(0, "exec sleep 1000")
	tk.Exited = func(x task.Exit) { exited <- x }
	if err := c.Start(tk); err != nil {
		t.Fatal(err)
	}
	c.(*crew).cmd.Process.Kill()
	<-tries
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed: %v", err)
	}
	select {
	case x := <-exited:
		t.Errorf("%+v, and nobody knows it", x)
	default:
	}
	closeCrew(t, c)
	<-exited
}
