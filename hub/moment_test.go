package hub

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// moments returns those of h as OFFSET@SECONDS since start.
func moments(h *Hub, start time.Time) (all []string) {
	for _, m := range h.Moments() {
		all = append(all, fmt.Sprintf("%d@%v", m.Offset, m.Time.Sub(start).Seconds()))
	}
	return all
}

func TestMoments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := New(Options{Size: 20})
		w := h.NewWriter(false)
		check := func(want ...string) {
			t.Helper()
			if got := moments(h, start); !slices.Equal(got, want) {
				t.Fatalf("moments %v, want %v", got, want)
			}
		}
		at := func(seconds float64, s string) {
			t.Helper()
			time.Sleep(time.Until(start.Add(time.Duration(seconds * float64(time.Second)))))
			put(t, w, s)
		}
		check()
		at(10, "ab")
		check("2@10")
		at(10.5, "cd")
		check("4@10.5") // in the same second
		at(60, "ef")    // what came before is older than the pause
		check("4@10.5", "6@60")
		at(60.9, "gh")
		at(61, "ij")
		check("4@10.5", "8@60.9", "10@61")
		at(70, "0123456789")
		check("4@10.5", "8@60.9", "10@61", "20@70")
		at(80, "x") // the stream starts at 1
		check("4@10.5", "8@60.9", "10@61", "20@70", "21@80")
		at(90, "0123456789") // at 11: the age of what is gone is known, not when it came
		check("10@61", "20@70", "21@80", "31@90")
		h.Clear()
		check("31@90")
		at(100, "x")
		check("31@90", "32@100")
	})
}

// A stream of days has about as many moments as one of hours, evenly apart.
func TestMomentsAreThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Size: 1 << 40})
		w := h.NewWriter(false)
		start := time.Now()
		for range 30_000 {
			time.Sleep(time.Second)
			put(t, w, "x")
		}
		all := h.Moments()
		if len(all) < maxMoments/2 || len(all) > maxMoments+1 {
			t.Fatalf("%d moments", len(all))
		}
		longest := time.Duration(0)
		for i, m := range all {
			if want := start.Add(time.Duration(m.Offset) * time.Second); !m.Time.Equal(want) {
				t.Fatalf("%d was there at %v, not %v", m.Offset, want, m.Time)
			}
			if i > 0 {
				longest = max(longest, m.Time.Sub(all[i-1].Time))
			}
		}
		if longest > 16*time.Second {
			t.Errorf("moments are %v apart", longest)
		}
		// When most of it is forgotten, they come as often as at first.
		h.SetSize(10)
		for range 2000 {
			time.Sleep(time.Second)
			put(t, w, "x")
		}
		if n := len(h.Moments()); n < 10 {
			t.Errorf("%d moments of 10 bytes", n)
		}
	})
}
