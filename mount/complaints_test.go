//go:build linux

package mount

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestComplaintsAreCounted: a program that tries for ever does not fill the log.
func TestComplaintsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := complaints{log: slog.New(slog.NewTextHandler(&log, nil))}
		complain := func(n int) (lines int) {
			log.Reset()
			for range n {
				c.add("open", "x", errors.New("no"))
			}
			return strings.Count(log.String(), "\n")
		}
		if n := complain(1000); n != complaintsMost {
			t.Errorf("%d lines of 1000", n)
		}
		time.Sleep(complaintsEvery - time.Nanosecond)
		if n := complain(1); n != 0 {
			t.Errorf("%d lines when the time is not over", n)
		}
		time.Sleep(time.Nanosecond)
		if n := complain(1); n != 2 || !strings.Contains(log.String(), "errors=901") {
			t.Errorf("%d lines: %s", n, log.String())
		}
	})
}
