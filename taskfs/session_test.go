package taskfs

import (
	"testing"

	"hubfs/tree"
)

// TestOneCommandHere: the canonical client of 2010 on a node alone.
func TestOneCommandHere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		if got := s.cat("0/status"); got != "cmd/0 2 Unreserved /home/root ''\n" {
			t.Errorf("status: %q", got)
		}
		ctl.write("res 4")
		ctl.write("exec cat")
		in := s.open("0/stdio", tree.OpenWrite)
		in.write("one\ntwo\n")
		in.close()
		if got := s.cat("0/stdio"); got != "one\none\none\none\ntwo\ntwo\ntwo\ntwo\n" && len(got) != 32 {
			t.Errorf("output: %q", got)
		}
		if got := s.cat("0/stderr"); got != "" {
			t.Errorf("errors: %q", got)
		}
		t.Log(s.cat("0/status"))
		t.Log(s.cat("0/wait"))
		t.Log(s.cat("0/summary"))
		t.Log(s.ls("0"), s.ls("0/1"), s.ls(""))
		ctl.close()
		t.Log(s.ls("0"))
	})
}
