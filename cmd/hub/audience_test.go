package main

import (
	"strings"
	"testing"
	"time"

	"hubfs/cmd/hub/internal/server"
)

func TestAttendance(t *testing.T) {
	h := server.Hub{Name: "build", Mode: "fear", First: 0, Next: 1 << 20, Writers: 1}
	readers := []server.Reader{
		{Hub: "build", User: "rob", Addr: "pid:7", Offset: 1 << 20, ID: "3"},
		{Hub: "other", User: "eve", Addr: "x"},
		{Hub: "build", User: "ann", Addr: "tcp!\x1b[2J", Offset: 1 << 19, Lost: 100, ID: "4", Slowest: true, Stalls: time.Minute},
		{Hub: "build", User: "tom", Addr: "a", Offset: 2 << 20}, // has read on since the hub was looked at
	}
	want := `hub: build: 1.0M so far, read by 3
hub:   ann, tcp!?[2J: 512.0K behind, 100B lost, the slowest (reader 4)
hub:   rob, pid:7: at the end (reader 3)
hub:   tom, a: at the end
`
	if got := attendance(h, readers); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = `{"hub":"build","bytes":1048576,"mode":"fear","writers":1,"readers":[` +
		`{"user":"ann","addr":"tcp!\u001b[2J","behind":524288,"lost":100,"id":"4","slowest":true},` +
		`{"user":"rob","addr":"pid:7","behind":0,"lost":0,"id":"3"},` +
		`{"user":"tom","addr":"a","behind":0,"lost":0}]}` + "\n"
	if got := string(attendanceJSON(h, readers)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = `{"hub":"build","bytes":1048576,"mode":"fear","writers":1,"readers":[]}` + "\n"
	if got := string(attendanceJSON(h, nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestAttendanceSaysThatNobodyWrites: who watches a hub whose tee was killed
// would wait for ever.
func TestAttendanceSaysThatNobodyWrites(t *testing.T) {
	for h, want := range map[server.Hub]string{
		{Name: "a", Mode: "calm"}:                    "hub: a: 0B so far, read by 0, written by nobody\n",
		{Name: "a", Mode: "calm,ended", End: "exit"}: "hub: a: 0B so far, read by 0\n",
	} {
		if got := attendance(h, nil); got != want {
			t.Errorf("%+v: %q, want %q", h, got, want)
		}
	}
}

func TestSince(t *testing.T) {
	zone := time.FixedZone("here", 3600)
	now := time.Date(2026, 3, 4, 12, 30, 0, 0, zone)
	for in, want := range map[string]time.Time{
		"10m":                  now.Add(-10 * time.Minute),
		"1h30m":                now.Add(-90 * time.Minute),
		"2d":                   time.Date(2026, 3, 2, 12, 30, 0, 0, zone),
		"0s":                   now,
		"12:00":                time.Date(2026, 3, 4, 12, 0, 0, 0, zone),
		"12:29:59":             time.Date(2026, 3, 4, 12, 29, 59, 0, zone),
		"13:00":                time.Date(2026, 3, 3, 13, 0, 0, 0, zone), // yesterday's
		"2026-03-01":           time.Date(2026, 3, 1, 0, 0, 0, 0, zone),
		"2026-03-01 10:00":     time.Date(2026, 3, 1, 10, 0, 0, 0, zone),
		"2026-03-01T10:00:05":  time.Date(2026, 3, 1, 10, 0, 5, 0, zone),
		"2026-03-01T10:00:05Z": time.Date(2026, 3, 1, 10, 0, 5, 0, time.UTC),
	} {
		if got, err := parseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "x", "-5m", "-1d", "d", "25:00", "2026-13-01", "10"} {
		if got, err := parseSince(in, now); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
}

func TestLabels(t *testing.T) {
	if got := labelled("größe", 7, 0, false); got != "größe  | " {
		t.Errorf("%q", got)
	}
	if got := labelled("a\x1b", 2, 1, true); !strings.HasPrefix(got, "\x1b[32ma?|\x1b[m ") {
		t.Errorf("%q", got)
	}
}
