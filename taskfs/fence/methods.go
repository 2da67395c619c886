package fence

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// none makes sure of nothing.
type none struct{ trust bool }

func newNone(m map[string]string) (Method, error) {
	p := newParams(m)
	n := none{trust: p.yes("trust", false)}
	return n, p.end("trust=yes or nothing")
}

func (n none) Fence(context.Context, Target) error {
	if n.trust {
		return nil
	}
	return errors.New("there is no method: see to it that the node runs nothing, and acknowledge that")
}

// defaultSlack is how much longer than a node has to end its tasks watchdog waits.
const defaultSlack = time.Second

// watchdog waits until the node has ended its tasks by itself.
type watchdog struct{ slack time.Duration }

func newWatchdog(m map[string]string) (Method, error) {
	p := newParams(m)
	w := watchdog{p.duration("slack", defaultSlack)}
	return w, p.end("slack=TIME or nothing")
}

// Fence counts from the node's last word on this machine's monotonic clock: the
// node counted from something earlier, our word that it answered, on its own.
func (w watchdog) Fence(ctx context.Context, t Target) error {
	wait := t.Self + w.slack
	if !t.Heard.IsZero() {
		wait -= time.Since(t.Heard)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill asks the node over another connection.
type kill struct{ timeout time.Duration }

func newKill(m map[string]string) (Method, error) {
	p := newParams(m)
	k := kill{p.duration("timeout", 10*time.Second)}
	return k, p.end("timeout=TIME or nothing")
}

func (k kill) Fence(ctx context.Context, t Target) error {
	if t.Ask == nil {
		return fmt.Errorf("there is no other connection to node %s", t.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	return t.Ask(ctx)
}

// manual waits for a person's word: whoever takes it ends the context, and knows
// by what. Its own error is that nobody came.
type manual struct{ timeout time.Duration }

func newManual(m map[string]string) (Method, error) {
	p := newParams(m)
	w := manual{p.duration("timeout", 0)}
	return w, p.end("timeout=TIME or nothing")
}

func (w manual) Fence(ctx context.Context, _ Target) error {
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.timeout, fmt.Errorf("nobody has acknowledged within %v", w.timeout))
		defer cancel()
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
