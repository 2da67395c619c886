package job

import (
	"slices"
	"testing"
	"time"
)

func TestTheTallySaysHowFarAJobIs(t *testing.T) {
	begun := time.Unix(1000, 0)
	ended := func(rank int, node, status string, real time.Duration) Ended {
		return Ended{Rank: rank, Node: node, Status: status, Real: real}
	}
	var ta Tally
	ta.Size(4)
	if got := ta.State(begun); got != "0 of 4 done, 4 waiting" {
		t.Error(got)
	}
	ta.Begin(time.Time{})
	if got := ta.State(begun); got != "0 of 4 done, 4 running" {
		t.Error(got)
	}
	ta.Begin(begun)
	if got := ta.State(begun.Add(time.Second)); got != "0 of 4 done, 4 running, slowest 1.0s" {
		t.Error(got)
	}
	ta.Place([]Task{{Rank: 0, Node: "n1"}, {Rank: 1, Node: "n2"}, {Rank: 2, Node: "n3"}, {Rank: 3, Node: "n3"}})
	ta.Add([]Ended{ended(0, "n1", "exit 3", time.Second)})
	ta.Add([]Ended{ended(0, "n1", "", time.Hour)}) // a line that comes twice counts once
	if got := ta.State(begun.Add(12 * time.Second)); got != "1 of 4 done, 3 running, 1 failed, slowest n[2-3] 12s" {
		t.Error(got)
	}
	ta.Add([]Ended{ended(1, "n2", "", 3*time.Second), ended(2, "n3", "exit 3", 2*time.Second), ended(3, "n3", "lost n3", 0)})
	if got := ta.State(begun.Add(time.Minute)); got != "4 of 4 done, 3 failed, slowest n2 3.0s" {
		t.Error(got)
	}
	if got, want := ta.Failures(), []string{"2 of 4 tasks: exit 3: n[1,3]", "1 of 4 tasks: lost: n3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if ta.Code() != 125 {
		t.Errorf("code %d", ta.Code())
	}
}

// TestOfOneTaskTheStatusSaysEnough, unless it never ran.
func TestOfOneTaskTheStatusSaysEnough(t *testing.T) {
	for status, want := range map[string][]string{
		"": nil, "exit 3": nil, "signal TERM": nil,
		"fail no such file or directory": {"could not be started: no such file or directory: n1"},
		"lost":                           {"lost: n1"},
		"lost n1: no node is free":       {"lost: no node is free: n1"},
	} {
		var ta Tally
		ta.Size(1)
		ta.Add([]Ended{{Node: "n1", Status: status}})
		if got := ta.Failures(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", status, got)
		}
	}
}

func TestElapsed(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0.0s", 1234 * time.Millisecond: "1.2s", 12900 * time.Millisecond: "12s", 125 * time.Second: "2m5s",
	} {
		if got := Elapsed(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
