package hubfs

import (
	"errors"
	"strings"
	"testing"

	"hubfs/tree"
)

// held returns a Hold that allows most bytes, and how many are held.
func held(most int) (hold func(n int) error, used *int) {
	used = new(int)
	return func(n int) error {
		if n > 0 && *used+n > most {
			return tree.ErrLimit
		}
		*used += n
		return nil
	}, used
}

// What an open keeps of a text, from its first read to its end, is held for who
// reads: many opens of a long text do not fill the memory of the server.
func TestTextsAreHeldForTheirReader(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.mustCreate("build")
		s.ctl("shell work -- x")
		view := guest("v", bounds{"build": lView, "work": lView})
		for _, at := range []string{"status", "shell/work/clients", "shell/work/status", "shell/work/ctl", "build@times", "events"} {
			var used *int
			view.Hold, used = held(1 << 20)
			f := s.openAs(view, at, tree.OpenRead)
			if at == "build@times" {
				w := s.open("build", tree.OpenWrite)
				w.mustWrite("x")
				w.close()
			}
			if at == "events" || strings.HasSuffix(at, "clients") {
				c := s.openAs(bob, "shell/work/ctl", tree.OpenRDWR)
				c.mustWrite("attach rw 5 5")
				defer c.close()
			}
			if got, _, err := f.try(0, 1); err != nil || got == "" {
				t.Fatalf("%s: %q, %v", at, got, err)
			}
			if *used < 2 {
				t.Errorf("%s: %d bytes are held", at, *used)
			}
			f.close()
			if *used != 0 {
				t.Errorf("%s: %d bytes are held when it is closed", at, *used)
			}
		}
		all := guest("a", bounds{"*": lWrite})
		var used *int
		all.Hold, used = held(1 << 20)
		st := s.openAs(all, "stats", tree.OpenRDWR)
		woken := make(chan struct{}, 1)
		if _, ready, err := st.h.(tree.StreamReader).ReadStream(nil, 0, 1, func() { woken <- struct{}{} }); ready || err != nil {
			t.Fatal(ready, err)
		}
		<-woken
		if got, _, err := st.try(0, 1); got == "" || err != nil || *used < 2 {
			t.Errorf("stats: %q, %v, %d bytes are held", got, err, *used)
		}
		st.close()
		if *used != 0 {
			t.Errorf("stats: %d bytes are held when it is closed", *used)
		}

		view.Hold, _ = held(3)
		f := s.openAs(view, "status", tree.OpenRead)
		defer f.close()
		if _, err := f.h.(tree.Reader).ReadAt(make([]byte, 10), 0); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("a text that is too much: %v", err)
		}
	})
}
