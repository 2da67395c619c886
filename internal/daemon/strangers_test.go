package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestStrangersCannotFillTheLog: of many lines in a while some are written, and
// the first of the next while says how many were not.
func TestStrangersCannotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &sparing{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 10_000 {
			s.write(slog.LevelWarn, "refused")
		}
		if n := strings.Count(log.String(), "\n"); n != whileLines {
			t.Errorf("%d lines", n)
		}
		time.Sleep(while)
		log.Reset()
		s.write(slog.LevelWarn, "refused", "addr", "x")
		s.write(slog.LevelWarn, "refused")
		if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, "unsaid=9980") != 1 {
			t.Errorf("then: %s", got)
		}
	})
}
