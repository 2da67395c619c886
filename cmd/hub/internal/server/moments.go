package server

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Moment is a coarse time of a hub: the bytes before Offset came at or before
// Time.
type Moment struct {
	Offset int64
	Time   time.Time
}

// Moments reads what a server knows of the times of a hub's bytes, the oldest
// first.
func (s *Server) Moments(ctx context.Context, name string) ([]Moment, error) {
	data, err := s.ReadFile(ctx, "/"+name+"@times")
	if err != nil {
		return nil, fmt.Errorf("times of hub %s: %w", name, err)
	}
	return parseMoments(data)
}

// parseMoments reads lines of OFFSET UNIX.mmm. More fields may come.
func parseMoments(data []byte) ([]Moment, error) {
	var ms []Moment
	for line := range bytes.Lines(data) {
		f := strings.Fields(string(line))
		if len(f) < 2 {
			return nil, fmt.Errorf("a time of a hub: expected OFFSET TIME, not %q", line)
		}
		off, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("a time of a hub: %q is no offset", f[0])
		}
		t, err := parseUnix(f[1])
		if err != nil {
			return nil, err
		}
		ms = append(ms, Moment{off, t})
	}
	return ms, nil
}

// parseUnix reads seconds since 1970 and at most nine digits behind the point.
func parseUnix(s string) (time.Time, error) {
	whole, part, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || len(part) > 9 {
		return time.Time{}, fmt.Errorf("%q is no time", s)
	}
	var nsec uint64
	if part != "" {
		if nsec, err = strconv.ParseUint((part + "000000000")[:9], 10, 32); err != nil {
			return time.Time{}, fmt.Errorf("%q is no time", s)
		}
	}
	return time.Unix(sec, int64(nsec)), nil
}
