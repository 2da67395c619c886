package uplink

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPausesGrow, begin anew after a link, and end with ctx.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		lost := errors.New("lost")
		var slept []time.Duration
		tries := 0
		err := Keep(ctx, func(_ context.Context, up func()) error {
			if tries++; tries == 12 {
				up()
			}
			if tries == 14 {
				cancel()
			}
			return lost
		}, func(err error, pause time.Duration) {
			if err != lost {
				t.Errorf("failed with %v", err)
			}
			slept = append(slept, pause)
		})
		if err != context.Canceled || len(slept) != 13 {
			t.Fatalf("%v after %d pauses", err, len(slept))
		}
		want := firstPause
		for i, d := range slept {
			if i == 11 {
				want = firstPause
			}
			if d > want || d < want*3/4 {
				t.Errorf("pause %d: %v, want about %v", i, d, want)
			}
			want = min(2*want, lastPause)
		}
	})
}

// TestAFinalErrorEndsTheTrying, also one that was wrapped since.
func TestAFinalErrorEndsTheTrying(t *testing.T) {
	refused := errors.New("refused")
	tries := 0
	err := Keep(t.Context(), func(context.Context, func()) error {
		tries++
		return errors.Join(errors.New("said"), Final(refused))
	}, func(error, time.Duration) { t.Error("tries again") })
	if tries != 1 || !errors.Is(err, refused) {
		t.Errorf("%v after %d tries", err, tries)
	}
}
