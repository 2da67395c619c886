package session

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"hubfs/taskfs/gang"
)

func TestParseWant(t *testing.T) {
	for line, want := range map[string]gang.Want{
		"0":                             {},
		"4":                             {N: 4},
		"5 Linux 386":                   {N: 5, OS: "Linux", Arch: "386"},
		"5 * *":                         {N: 5},
		"5 linux mem=4g":                {N: 5, OS: "linux", Memory: 4 << 30},
		"5 mem=512M label=a label=b":    {N: 5, Memory: 512 << 20, Labels: []string{"a", "b"}},
		"2 nodes=n[1-3],x":              {N: 2, Nodes: []string{"n1", "n2", "n3", "x"}},
		"8 min=3 policy=fill remote":    {N: 8, Min: 3, Policy: "fill", Remote: true},
		"3 * amd64 mem=100 policy=even": {N: 3, Arch: "amd64", Memory: 100, Policy: "even"},
	} {
		got, anywhere, err := parseWant(strings.Fields(line))
		if err != nil || anywhere || !reflect.DeepEqual(got, want) {
			t.Errorf("res %s: %+v, %v, %v", line, got, anywhere, err)
		}
	}
	if w, anywhere, err := parseWant([]string{"2", "linux", "nodes=*"}); err != nil || !anywhere || w.N != 2 || w.Nodes != nil {
		t.Errorf("all nodes: %+v, %v, %v", w, anywhere, err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "4k": 4096, "4K": 4096, "4kb": 4096, "3m": 3 << 20, "2g": 2 << 30, "1t": 1 << 40} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "g", "-1", "0", "1x", "1.5g", "9999999999t", "b", "1 g"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Duration{"90": 90 * time.Second, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond} {
		if got, err := parseTime(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "s", "1 s", "99999999999999999999"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestCodes: what stands for how a task ended, as shells have it.
func TestCodes(t *testing.T) {
	for status, want := range map[string]int{
		"": 0, "exit 0": 0, "exit 3": 3, "signal KILL": 137, "signal TERM": 143, "signal RTMIN": 128,
		"fail command not found: x": 127, "lost n1": 125, "lost n1: insufficient resources": 125,
	} {
		if got := codeOf(status); got != want {
			t.Errorf("%q: %d, want %d", status, got, want)
		}
	}
}
