package taskfs

import (
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/taskfs/gang"
	"hubfs/tree"
)

// TestABorrowedNodeGoesWithItsSession, whoever has borrowed it and however the
// session ends.
func TestABorrowedNodeGoesWithItsSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		far := w.node("far", 1)
		var s *server
		s = w.node("root", 1, func(c *Config) {
			c.Add = func(addr, name string) (func(), error) { return s.below(far), nil }
		})
		names := func() string { return strings.Join(strings.Fields(s.cat("nodes")), " ") }
		ctl := s.clone("0")
		ctl.fails("borrow tcp://far", "expected borrow ADDR NAME")
		ctl.write("borrow tcp://far far\nres 1 nodes=far\nexec hold gate hi")
		s.open("0/0/ctl", tree.OpenWrite).fails("borrow tcp://a b", "unknown")
		if !strings.Contains(names(), " far ") && !strings.Contains(names(), "far ") {
			t.Fatalf("nodes: %s", names())
		}
		ctl.close()
		synctest.Wait()
		if strings.Contains(names(), "far ") {
			t.Errorf("nodes: %s", names())
		}
		ctl.fails("borrow tcp://far far", gang.ErrReleased.Error())
	})
}
