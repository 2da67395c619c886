package daemon

import "testing"

func TestMemTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       16384 kB\nMemFree: 1 kB\n": 16 << 20,
		"": 0, "MemTotal:": 0, "MemTotal: -1 kB": 0, "MemTotal: 99999999999999999999 kB": 0,
	} {
		if n := memTotal(text); n != want {
			t.Errorf("%q: %d", text, n)
		}
	}
}
