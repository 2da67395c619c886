package hubfs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hubfs/tree"
)

// A guest who may make hubs and shells has no more of them than its share, and
// its hubs retain no more than that together: what it does leaves room for the
// others. What it removes it may make again.
func TestGuestLeavesRoomForOthers(t *testing.T) {
	bubble(t, Config{MaxHubs: 160, MaxShells: 32, Size: 100, MaxRetained: 3200}, func(t *testing.T, s *server) {
		eve := guest("e", bounds{"e*": lWrite})
		for i := range 10 {
			if err := s.create(eve, fmt.Sprintf("e%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		checkError(t, "one more hub", s.create(eve, "ex"), tree.ErrLimit, "guest:e has no room for 1 more")
		checkError(t, "a directory", s.create(eve, "ex/"), tree.ErrLimit, "10 may be")
		ctl := s.openAs(eve, "ctl", tree.OpenWrite)
		defer ctl.close()
		checkError(t, "a shell", ctl.write("host ex -- x"), tree.ErrLimit, "no room for 3 more")
		for i := range 10 {
			ctl.mustWrite(fmt.Sprintf("size e%d 200", i))
			w := s.openAs(eve, fmt.Sprintf("e%d", i), tree.OpenWrite)
			for range 2 { // takes what room there is, or none
				if err := w.write(strings.Repeat("e", 100)); err != nil && !errors.Is(err, tree.ErrLimit) {
					t.Error(err)
				}
			}
			w.close()
		}
		if used, _ := s.budget.Used(); used > 200 {
			t.Errorf("%d bytes are retained for a guest, 200 may be", used)
		}
		checkError(t, "a large hub", ctl.write("size e0 201"), tree.ErrLimit, "a guest may have a hub retain")

		// Removed but open, a hub retains what it did.
		keep := s.openAs(eve, "e0", tree.OpenRead)
		for i := range 10 {
			ctl.mustWrite(fmt.Sprintf("rm e%d", i))
		}
		if len(s.rooms) != 1 {
			t.Errorf("%d rooms with a hub open", len(s.rooms))
		}
		keep.close()
		if used, _ := s.budget.Used(); used != 0 || len(s.rooms) != 0 {
			t.Errorf("%d bytes and %d rooms of a guest whose hubs have gone", used, len(s.rooms))
		}

		for _, name := range []string{"ea", "eb"} {
			host := s.openAs(eve, "ctl", tree.OpenRDWR)
			defer host.close()
			host.mustWrite("host " + name + " -- x")
		}
		checkError(t, "a third shell", ctl.write("host ec -- x"), tree.ErrLimit, "guest:e has 2 shells")

		s.mustCreate("mine")
		w := s.open("mine", tree.OpenWrite)
		w.mustWrite(strings.Repeat("m", 100))
		w.close()
		s.ctl("size mine 3000")
	})
}

// The command of a hosted shell is in what everybody reads: it has an end.
func TestHostedCommandIsNotEndless(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		ctl := s.openAs(guest("e", bounds{"e*": lWrite}), "ctl", tree.OpenRDWR)
		defer ctl.close()
		checkError(t, "host", ctl.write("host ea -- x "+strings.Repeat("x", 1<<20)), tree.ErrLimit, "16384 may be")
		ctl.mustWrite("host ea -- x " + strings.Repeat("x", 16000))
	})
}
