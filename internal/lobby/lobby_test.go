package lobby

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// A crowd notes who is put out.
type crowd struct {
	Lobby
	mu  sync.Mutex
	out []string // guarded by mu
}

func (c *crowd) enter(origin, name string, lim Limits) *Place {
	return c.Enter(origin, lim, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out = append(c.out, name)
	})
}

func (c *crowd) want(t *testing.T, out ...string) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.out, out) {
		t.Errorf("%v were put out, want %v", c.out, out)
	}
	c.out = nil
}

func TestWhoWaitsLongestGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		lim := Limits{All: 4, Each: 2}
		a1 := c.enter("a", "a1", lim)
		c.enter("b", "b1", lim)
		c.enter("a", "a2", lim)
		c.want(t)
		c.enter("a", "a3", lim) // a has its share
		c.want(t, "a1")
		a1.Leave() // it has gone already
		c.enter("c", "c1", lim)
		c.want(t)
		d := c.enter("d", "d1", lim) // there is no room
		c.want(t, "b1")
		d.Leave()
		d.Leave()
		c.enter("e", "e1", lim)
		c.want(t)
		if n := c.Len(); n != 4 {
			t.Errorf("%d wait", n)
		}
	})
}

// TestCrowdKeepsNobodyAway: a flood from one origin puts out itself alone.
func TestCrowdKeepsNobodyAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		lim := Limits{All: 100, Each: 10}
		c.enter("friend", "friend", lim)
		for i := range 1000 {
			c.enter("flood", fmt.Sprint(i), lim)
		}
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if slices.Contains(c.out, "friend") || len(c.out) != 990 || c.Len() != 11 {
			t.Errorf("%d were put out, %d wait", len(c.out), c.Len())
		}
	})
}

func TestOrigin(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7:1234":       "192.0.2.7",
		"[::ffff:192.0.2.7]:1": "192.0.2.7",
		"[2001:db8::1]:5":      "2001:db8::/64",
		"[2001:db8::2:3]:99":   "2001:db8::/64",
		"[2001:db8:0:1::1]:5":  "2001:db8:0:1::/64",
		"[fe80::1%eth0]:5":     "fe80::/64",
		"pid:77":               "pid:77",
		"":                     "",
	} {
		if got := Origin(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
