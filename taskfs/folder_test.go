package taskfs

import (
	"errors"
	"strings"
	"testing"

	"hubfs/tree"
)

// make makes a file or a folder, and writes it.
func (s *server) make(path string, perm uint32, text string) error {
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	n, err := s.walk(dir)
	if err != nil {
		return err
	}
	_, h, err := n.(tree.Creator).Create(s.as, name, perm, tree.OpenWrite)
	if err != nil || h == nil {
		return err
	}
	f := &file{s: s, path: path, h: h}
	defer f.close()
	_, err = f.tryWrite(text)
	return err
}

func (s *server) change(path string, ch tree.Change) error {
	n, err := s.walk(path)
	if err != nil {
		return err
	}
	return n.(tree.Changer).Change(s.as, ch)
}

// TestFilesReachTheTasks: what is in fs is where they start, on every node.
func TestFilesReachTheTasks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4)
		if err := s.make("fs/all", 0o644, "of all sessions"); err != nil {
			t.Fatal(err)
		}
		ctl := s.clone("0")
		for _, f := range []struct {
			path string
			perm uint32
			text string
		}{{"0/fs/bin", tree.ModeDir | 0o755, ""}, {"0/fs/bin/run", 0o755, "#!/bin/sh\n"}, {"0/fs/data", 0o640, "12345"}} {
			if err := s.make(f.path, f.perm, f.text); err != nil {
				t.Fatalf("%s: %v", f.path, err)
			}
		}
		if got := s.ls("0/fs") + ", " + s.ls("0/fs/bin"); got != "bin data, run" {
			t.Errorf("fs: %s", got)
		}
		s.wantCat("0/fs/data", "12345")
		ctl.write("res 2\nexec ls")
		want := "all -rw-r--r-- 15\nbin/run -rwxr-xr-x 10\ndata -rw-r----- 5\n"
		if got := s.cat("0/0/stdout"); got != want {
			t.Errorf("a task finds:\n%s", got)
		}
		if err := s.make("0/fs/late", 0o644, ""); err == nil || !strings.Contains(err.Error(), "on the nodes already") {
			t.Errorf("a file that comes too late: %v", err)
		}
		ctl.close()
		if _, err := s.walk("0/fs/data"); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("after the release: %v", err)
		}
	})
}

// TestFilesAreFiles: they can be read, written, renamed, changed and removed.
func TestFilesAreFiles(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.node("root", 4, func(c *Config) { c.MaxFiles = 100 })
		ctl := s.clone("0")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		must(s.make("0/fs/d", tree.ModeDir|0o755, ""))
		must(s.make("0/fs/d/a", 0o644, "hello"))
		n, _ := s.walk("0/fs/d/a")
		path := n.Stat().Path
		b, zero, mode := "b", int64(0), uint32(0o755)
		must(s.change("0/fs/d/a", tree.Change{Name: &b, Mode: &mode}))
		must(s.change("0/fs/d", tree.Change{Name: &b}))
		n, err := s.walk("0/fs/b/b")
		if err != nil || n.Stat().Path != path || n.Stat().Mode != 0o755 || n.Stat().Length != 5 {
			t.Errorf("renamed: %v, %v", n, err)
		}
		s.wantCat("0/fs/b/b", "hello")
		must(s.change("0/fs/b/b", tree.Change{Length: &zero}))
		s.wantCat("0/fs/b/b", "")
		f := s.open("0/fs/b/b", tree.OpenRDWR)
		if _, err := f.tryWrite(strings.Repeat("x", 101)); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("more than may be: %v", err)
		}
		f.write(strings.Repeat("x", 100))
		f.close()
		if err := s.make("0/fs/c", 0o644, "y"); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("more than may be: %v", err)
		}
		s.open("0/fs/b/b", tree.OpenWrite|tree.OpenTrunc).close()
		f = s.open("0/fs/c", tree.OpenWrite)
		f.write("y")
		f.close()
		for path, want := range map[string]error{"0/fs/b": tree.ErrNotEmpty, "0/fs": tree.ErrPermission} {
			n, err := s.walk(path)
			must(err)
			if err := n.(tree.Remover).Remove(s.as); !errors.Is(err, want) {
				t.Errorf("rm %s: %v", path, err)
			}
		}
		for _, path := range []string{"0/fs/b/b", "0/fs/b", "0/fs/c"} {
			n, err := s.walk(path)
			must(err)
			must(n.(tree.Remover).Remove(s.as))
		}
		if got := s.ls("0/fs"); got != "" {
			t.Errorf("left: %s", got)
		}
		for _, name := range []string{"", ".", "..", "a/b", "x\n", strings.Repeat("x", 256)} {
			n, _ := s.walk("0/fs")
			if _, _, err := n.(tree.Creator).Create(s.as, name, 0o644, tree.OpenWrite); !errors.Is(err, tree.ErrInvalid) {
				t.Errorf("create %q: %v", name, err)
			}
		}
		must(s.make("0/fs/x", 0o644, ""))
		if err := s.make("0/fs/x", 0o644, ""); !errors.Is(err, tree.ErrExist) {
			t.Errorf("twice: %v", err)
		}
		deep := "0/fs"
		for range maxFileDepth {
			deep += "/d"
			must(s.make(deep, tree.ModeDir|0o755, ""))
		}
		if err := s.make(deep+"/d", tree.ModeDir|0o755, ""); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("deeper: %v", err)
		}
		ctl.close()
	})
}
