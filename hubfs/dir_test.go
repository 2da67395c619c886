package hubfs

import (
	"errors"
	"strings"
	"testing"

	"hubfs/tree"
)

// TestOnlyTheOwnerRemovesAndRenames, or the server's own user.
func TestOnlyTheOwnerRemovesAndRenames(t *testing.T) {
	s := newServer(t, Config{})
	for _, path := range []string{"h", "d/"} {
		if err := s.create(alice, path); err != nil {
			t.Fatal(err)
		}
	}
	name, mode := "new", uint32(0o600)
	for _, path := range []string{"h", "d"} {
		n := s.node(path)
		checkError(t, "chmod", n.(tree.Changer).Change(bob, tree.Change{Mode: &mode}), tree.ErrPermission, "only alice")
		checkError(t, "rename", n.(tree.Changer).Change(bob, tree.Change{Name: &name}), tree.ErrPermission, "only alice")
		checkError(t, "remove", n.(tree.Remover).Remove(bob), tree.ErrPermission, "only alice")
		if err := n.(tree.Changer).Change(alice, tree.Change{Mode: &mode}); err != nil {
			t.Error(err)
		}
		if got := n.Stat().Mode &^ tree.ModeDir; got != 0o600 {
			t.Errorf("%s: mode %o", path, got)
		}
	}
	checkError(t, "rm", s.ctlAs(bob, "rm h"), tree.ErrPermission, "only alice")
	if err := s.node("h").(tree.Remover).Remove(alice); err != nil {
		t.Error(err)
	}
	if err := s.node("d").(tree.Remover).Remove(glenda); err != nil {
		t.Error(err)
	}
}

// TestRenameWithinADirectory, all that is asked or nothing.
func TestRenameWithinADirectory(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("d/", "d/a", "d/b", "top")
	s.ctl("shell sh")
	change := func(path, name string) error {
		mode := uint32(0o640)
		return s.node(path).(tree.Changer).Change(glenda, tree.Change{Name: &name, Mode: &mode})
	}
	for _, c := range []struct {
		path, to string
		want     error
	}{
		{"d/a", "b", tree.ErrExist},
		{"d/a", "x/y", tree.ErrInvalid},
		{"top", "ctl", tree.ErrExist},
		{"top", "sh0", tree.ErrExist},
		{"top", "d", tree.ErrExist},
		{"sh0", "free", tree.ErrPermission},
		{"sh0.note", "free", tree.ErrPermission},
		{"ctl", "free", tree.ErrPermission},
		{"d/a@", "free", tree.ErrPermission},
	} {
		before := s.node(c.path).Stat()
		checkError(t, c.path+" to "+c.to, change(c.path, c.to), c.want, "")
		if after := s.node(c.path).Stat(); after != before {
			t.Errorf("%s: a refused change left %+v", c.path, after)
		}
	}
	w := s.open("d/a", tree.OpenWrite)
	for path, to := range map[string]string{"d/a": "c", "top": "tip"} {
		if err := change(path, to); err != nil {
			t.Error(err)
		}
		if _, err := s.walk(glenda, path); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("%s is there still: %v", path, err)
		}
	}
	if err := change("d", "e"); err != nil {
		t.Error(err)
	}
	w.mustWrite("x")
	s.open("e/c", tree.OpenRead).read("x")
	s.ctl("fear e/c")
	if got := s.node("e/c").Stat(); got.Name != "c" || got.Mode != 0o640 {
		t.Errorf("stat %+v", got)
	}
}

func TestDirectories(t *testing.T) {
	s := newServer(t, Config{})
	s.mustCreate("ci/", "ci/sub/", "ci/sub/build-17")
	if got := list(t, s.node("ci")); got != "sub" {
		t.Errorf("ci holds %s", got)
	}
	if got := list(t, s.Root()); got != "ci ctl events shell stats status" {
		t.Errorf("the root holds %s", got)
	}
	d := s.node("ci/sub").(tree.Dir)
	checkError(t, "remove", d.(tree.Remover).Remove(glenda), tree.ErrNotEmpty, "")
	checkError(t, "remove /", s.Root().(tree.Remover).Remove(glenda), tree.ErrPermission, "")
	s.ctl("freeze ci/sub/build-17\nfear /ci/sub/build-17")
	s.ctlFails("fear build-17", tree.ErrNotExist, `no hub "build-17"`)
	s.ctlFails("fear ci/sub", tree.ErrNotExist, `no hub "ci/sub"`)
	s.ctl("rm ci/sub/build-17")
	if err := d.(tree.Remover).Remove(glenda); err != nil {
		t.Fatal(err)
	}
	_, _, err := d.(tree.Creator).Create(glenda, "x", 0o666, 0)
	checkError(t, "create in a removed directory", err, tree.ErrNotExist, "removed")
	path := "ci"
	for range maxDepth {
		if err = s.create(glenda, path+"/d/"); err != nil {
			break
		}
		path += "/d"
	}
	checkError(t, "depth", err, tree.ErrLimit, "deep")
	checkError(t, "exclusive", func() error {
		_, _, err := s.Root().(tree.Creator).Create(glenda, "x", 0o666|tree.ModeExclusive, 0)
		return err
	}(), tree.ErrInvalid, "exclusive")
}

func list(t *testing.T, n tree.Node) string {
	t.Helper()
	infos, err := n.(tree.Dir).List(glenda)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name
	}
	return strings.Join(names, " ")
}
