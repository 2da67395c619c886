package taskfs

import (
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/tree"
)

// TestPartsWorkOnTheirOwn: many-to-many. What is done in the folder of a part is done
// to its tasks alone.
func TestPartsWorkOnTheirOwn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 3")
		part := s.open("0/1/ctl", tree.OpenRDWR)
		if got := part.all(); got != "1" {
			t.Errorf("ctl of part 1: %q", got)
		}
		part.fails("res 2", "a part of it")
		part.fails("persist", "a part of it")
		part.write("exec cat")
		part.fails("exec cat", "Resources already in use")
		ctl.fails("exec cat", "Resources already in use")
		if got := fieldsOf(s.cat("0/status"), 0, 2); got != "cmd/1 Reserved\ncmd/2 Execute\ncmd/3 Reserved\n" {
			t.Errorf("status: %s", got)
		}
		if got := fieldsOf(s.cat("0/1/status"), 0, 1, 2); got != "cmd/2 3 Execute\n" {
			t.Errorf("status of part 1: %s", got)
		}
		io := s.open("0/1/stdio", tree.OpenRDWR)
		io.write("only you\n")
		io.want("only you\n")
		whole := s.open("0/stdio", tree.OpenRead)
		whole.want("only you\n")
		part.write("close stdin")
		if got := io.all(); got != "" {
			t.Errorf("after the end: %q", got)
		}
		if !whole.waits() {
			t.Error("the session's output has ended, and two tasks may come yet")
		}
		for _, n := range []string{"0", "2"} {
			if err := s.echo("0/"+n+"/ctl", "exec echo task "+n); err != nil {
				t.Error(err)
			}
			s.wantCat("0/"+n+"/stdout", "task "+n+"\n")
			s.wantCat("0/out/bynode/"+n, "task "+n+"\n")
		}
		if got := sorted(whole.all()); got != "task 0\ntask 2\n" {
			t.Errorf("whole: %q", got)
		}
		io.close()
		part.write("again echo once more")
		s.wantCat("0/1/stdout", "once more\n")
		for _, f := range []*file{part, whole} {
			f.close()
		}
	})
}

// TestAgainOfAPart: the others go on, and what it reads of theirs is what comes.
func TestAgainOfAPart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\nexec cat")
		in := s.open("0/stdin", tree.OpenWrite)
		in.write("a")
		synctest.Wait()
		part := s.open("0/1/ctl", tree.OpenWrite)
		part.fails("again", "Resources already in use")
		part.write("kill")
		s.wantCat("0/1/stdout", "a")
		in.write("b")
		synctest.Wait()
		part.write("again cat")
		in.write("c")
		if err := s.echo("0/1/stdin@", "own"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := fieldsOf(s.cat("0/1/status"), 2); got != "Execute\n" {
			t.Errorf("the close of stdin@ was the end: %q", got)
		}
		in.close()
		if got := s.cat("0/1/stdout"); got != "cown" && got != "ownc" {
			t.Errorf("part 1: %q", got)
		}
		s.wantCat("0/0/stdout", "abc")
		// What has ended is no input for one that has its own.
		part.write("again\nexec cat")
		if err := s.echo("0/1/stdin", "mine"); err != nil {
			t.Error(err)
		}
		s.wantCat("0/1/stdout", "mine")
		part.close()
	})
}

// TestPartsPull: a part that is run alone pulls as the session does.
func TestPartsPull(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		ctl := s.clone("0")
		ctl.write("res 2\npull")
		for _, n := range []string{"0", "1"} {
			if err := s.echo("0/"+n+"/ctl", "exec records 1s"); err != nil {
				t.Error(err)
			}
		}
		if err := s.echo("0/stdin", "a\nb\n"); err != nil {
			t.Error(err)
		}
		if got := sorted(s.cat("0/stdout")); !strings.Contains("0: a\n1: b\n;0: b\n1: a\n", got) {
			t.Errorf("output: %q", got)
		}
	})
}

// TestSettingsOfParts: what a part has no word on is as the session has it.
func TestSettingsOfParts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		s.open("env", tree.OpenWrite).write("A=top\nB=top\n")
		if err := s.echo("env", "C"); err == nil || !strings.Contains(err.Error(), `"C" is not K=V`) {
			t.Errorf("env: %v", err)
		}
		s.wantCat("env", "A=top\nB=top\n")
		ctl := s.clone("0")
		ctl.write("res 2")
		for path, text := range map[string]string{
			"0/env": "'B=of session'\nC=1 D=2\n", "0/args": "env A B C D E\n", "0/1/env": "E=part\nC=3",
		} {
			if err := s.echo(path, text); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		s.wantCat("0/env", "A=top\nB=top\n'B=of session'\nC=1\nD=2\n")
		s.wantCat("0/1/env", "E=part\nC=3\n")
		s.wantCat("0/args", "env A B C D E\n")
		s.wantCat("0/1/args", "")
		ctl.write("exec")
		s.wantCat("0/0/stdout", "A=top\nB=of session\nC=1\nD=2\nE=\n")
		s.wantCat("0/1/stdout", "A=top\nB=of session\nC=1\nD=2\nE=\n") // the session's exec
		ctl.close()

		ctl = s.clone("0")
		ctl.write("res 2\nenv A=1\nargs env A E\nnice\ndir '/tmp/a b'")
		if err := s.echo("0/1/env", "E=part"); err != nil {
			t.Error(err)
		}
		s.wantCat("0/ns", "cd '/tmp/a b'\n")
		if err := s.echo("0/ns", "umask 077\ncd /tmp\n"); err != nil {
			t.Error(err)
		}
		s.wantCat("0/ns", "cd /tmp\numask 0077\n")
		for text, say := range map[string]string{
			"bind a b":    `unknown command "bind": expected cd, umask`,
			"umask 9":     "expected umask MASK",
			"umask 1777":  "expected umask MASK",
			"cd":          "expected cd PATH",
			"umask -1":    "expected umask MASK",
			"mount x /y ": "expected cd, umask",
		} {
			if err := s.echo("0/ns", text); err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("ns %q: %v", text, err)
			}
		}
		// The fake world knows no nice: that it is asked shows.
		if err := s.echo("0/1/ctl", "exec"); err != nil {
			t.Error(err)
		}
		if got := s.cat("0/1/wait"); !strings.Contains(got, "nice") {
			t.Errorf("wait: %q", got)
		}
		if got := s.cat("0/status"); !strings.Contains(got, "'env A E' 1 root") {
			t.Errorf("status: %q", got)
		}
	})
}

// TestHierarchy: each node shows its immediate children, and those theirs.
func TestHierarchy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		root, inner, other, leaf := w.node("root", 1), w.node("inner", 4), w.node("other", 4), w.node("leaf", 8)
		root.below(inner)
		root.below(other)
		inner.below(leaf)
		ctl := root.clone("0")
		ctl.write("res 4 policy=legacy")
		if got := root.ls("0"); !strings.HasSuffix(got, " out 0 1") {
			t.Errorf("0: %s", got)
		}
		for path, want := range map[string]string{"0/0": "0", "0/0/0": "0 1", "0/1": "0 1", "0/0/0/1": ""} {
			if got := strings.TrimPrefix(root.ls(path), "args ctl env ns status stderr stdin stdio stdout wait"); strings.TrimSpace(got) != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
		if got := fieldsOf(root.cat("0/status"), 0, 2, 3, 5, 6); got != "cmd/1 Reserved /home/leaf 0 inner/leaf\ncmd/2 Reserved /home/leaf 1 inner/leaf\ncmd/1 Reserved /home/other 2 other\ncmd/2 Reserved /home/other 3 other\n" {
			t.Errorf("status:\n%s", got)
		}
		// What runs at the others for us is in their folders.
		if got := leaf.ls(""); !strings.HasSuffix(got, " uplink 0 1 2") {
			t.Errorf("leaf: %s", got)
		}
		if got := fieldsOf(leaf.cat("1/status"), 0, 2); got != "cmd/1 Reserved\n" {
			t.Errorf("leaf: 1/status: %q", got)
		}
		ctl.write("exec echo %n %r")
		if got := sorted(root.cat("0/stdout")); got != "leaf 0\nleaf 1\nother 2\nother 3\n" {
			t.Errorf("output: %q", got)
		}
		if got := sorted(root.cat("0/0/stdout")); got != "leaf 0\nleaf 1\n" {
			t.Errorf("output of inner: %q", got)
		}
		root.wantCat("0/0/0/1/stdio", "leaf 1\n")
		if got := sorted(root.cat("0/out/bynode/other")); got != "other 2\nother 3\n" {
			t.Errorf("output of other: %q", got)
		}
		if got := sorted(root.cat("0/out/labelled")); got != "inner/leaf: leaf 0\ninner/leaf: leaf 1\nother: other 2\nother: other 3\n" {
			t.Errorf("labelled: %q", got)
		}
		root.wantCat("0/out/merged", root.cat("0/stdout"))
		ctl.close()
		synctest.Wait()
		if got := leaf.ls(""); !strings.HasSuffix(got, " uplink") {
			t.Errorf("leaf afterwards: %s", got)
		}
		// A task of a guest can be ended where it runs.
		ctl = root.clone("0")
		ctl.write("res 2 nodes=other\nexec hold gate")
		synctest.Wait()
		other.open("1/ctl", tree.OpenWrite).write("kill")
		if got := fieldsOf(root.cat("0/0/0/wait"), 0, 6, 7); got != "0 'signal KILL'\n" {
			t.Errorf("wait: %q", got)
		}
	})
}

// TestFolded: equal output once, with its nodes.
func TestFolded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		root := w.node("root", 1)
		for _, name := range []string{"n1", "n2", "n3"} {
			root.below(w.node(name, 1))
		}
		ctl := root.clone("0")
		root.catFails("0/out/folded", "No remote reservation done")
		ctl.write("res 1 nodes=n[1-3]\nlabel '%h(%n)'")
		if err := root.echo("0/0/ctl", "exec echo other"); err != nil {
			t.Error(err)
		}
		for _, n := range []string{"1", "2"} {
			if err := root.echo("0/"+n+"/ctl", "exec echo same"); err != nil {
				t.Error(err)
			}
		}
		root.cat("0/wait")
		root.wantCat("0/out/folded", "---------------\nn[2-3] (2)\n---------------\nsame\n---------------\nn1\n---------------\nother\n")
		root.wantCat("0/out/folded.err", "")
		if got := sorted(root.cat("0/out/labelled")); got != "n1(0): other\nn2(1): same\nn3(2): same\n" {
			t.Errorf("labelled: %q", got)
		}
	})
}
