package e2e

import (
	"runtime"
	"testing"
)

// TestWatchersAreCheap: what 10,000 watchers of a hub cost a server is counted,
// to the byte that the runtime has given out, and must stay within a bound.
func TestWatchersAreCheap(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	for _, c := range []struct {
		name        string
		conns, each int
		most        uint64 // bytes a watcher; our side of the connection is in it
	}{
		{"on few connections", 20, 500, 2 << 10},
		{"each on its own", 2000, 1, 24 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, path := localServer(t)
			newRaw(t, path).create(1, "lines")
			before := inUse()
			for range c.conns {
				newRaw(t, path).waitFor("lines", c.each)
			}
			each := (inUse() - before) / uint64(c.conns*c.each)
			t.Logf("%d bytes a watcher", each)
			if each > c.most {
				t.Errorf("a watcher costs %d bytes, %d may be", each, c.most)
			}
		})
	}
}

// inUse is the memory that the process uses after a garbage collection.
func inUse() uint64 {
	runtime.GC()
	runtime.GC() // what was pooled goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
