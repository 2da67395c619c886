package hubfs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hubfs/hub"
	"hubfs/taskfs"
	"hubfs/tree"
)

// A fakeRemote stands for what runs commands: one session, 0, with hubs for
// stdin and stdout and a file that changes things.
type fakeRemote struct {
	streams     taskfs.Streams
	stdin, rout taskfs.Stream // of session 0; nil: there is none
}

func (r *fakeRemote) Root() tree.Dir     { return fakeDir{r, ""} }
func (r *fakeRemote) Sessions() []string { return []string{"0 glenda Reserved"} }

// clone makes session 0 for c.
func (r *fakeRemote) clone(t *testing.T, c *tree.Caller) {
	t.Helper()
	var err error
	if r.stdin, err = r.streams.New(c, "0/stdin", 0o222, hub.Options{Input: true}); err != nil {
		t.Fatal(err)
	}
	if r.rout, err = r.streams.New(c, "0/stdout", 0o444, hub.Options{}); err != nil {
		t.Fatal(err)
	}
}

// print writes output as the session does.
func (r *fakeRemote) print(t *testing.T, s string) {
	t.Helper()
	w := r.rout.Hub().NewWriter(false)
	defer w.Close()
	if _, _, err := w.TryWrite(hub.Piece{Data: []byte(s)}, 0, func() {}); err != nil {
		t.Fatal(err)
	}
}

// A fakeDir is the folder, or that of session 0.
type fakeDir struct {
	r  *fakeRemote
	at string
}

func (d fakeDir) Stat() tree.Info {
	return tree.Info{Name: "dir", Path: 1 << 63, Mode: tree.ModeDir | 0o555, Mtime: time.Unix(1, 0)}
}

func (d fakeDir) List(*tree.Caller) ([]tree.Info, error) {
	return []tree.Info{{Name: "clone"}, {Name: "0"}}, nil
}

func (d fakeDir) Lookup(c *tree.Caller, name string) (tree.Node, error) {
	switch base, _, _ := strings.Cut(name, "@"); {
	case d.at == "" && name == "clone":
		return fakeClone{}, nil
	case d.at == "" && name == "0":
		return fakeDir{d.r, "0"}, nil
	case d.at == "0" && base == "stdin" && d.r.stdin != nil:
		return d.r.stdin.Node(name)
	case d.at == "0" && base == "stdout" && d.r.rout != nil:
		return d.r.rout.Node(name)
	}
	return nil, tree.ErrNotExist
}

// A fakeClone is a file that takes anything.
type fakeClone struct{}

func (fakeClone) Stat() tree.Info { return tree.Info{Name: "clone", Path: 1<<63 + 1, Mode: 0o666} }

func (fakeClone) Open(*tree.Caller, uint8) (tree.Handle, error) { return fakeCloneHandle{}, nil }

type fakeCloneHandle struct{}

func (fakeCloneHandle) Close() error                               { return nil }
func (fakeCloneHandle) ReadAt([]byte, int64) (int, error)          { return 0, nil }
func (fakeCloneHandle) WriteAt(p []byte, _ int64) (n int, _ error) { return len(p), nil }

// remote runs a test with a folder /remote and session 0 in it.
func remote(t *testing.T, cfg Config, test func(t *testing.T, s *server, r *fakeRemote)) {
	t.Helper()
	r := new(fakeRemote)
	cfg.Remote = func(s taskfs.Streams) Remote { r.streams = s; return r }
	bubble(t, cfg, func(t *testing.T, s *server) {
		r.clone(t, glenda)
		test(t, s, r)
	})
}

// TestASessionsHubsAreHubs: they are opened in all ways, listed, counted and set
// as others are.
func TestASessionsHubsAreHubs(t *testing.T) {
	remote(t, Config{}, func(t *testing.T, s *server, r *fakeRemote) {
		early := s.open("remote/0/stdout", tree.OpenRead)
		defer early.close()
		early.waits()
		r.print(t, "0123456789")
		early.read("0123456789")
		for at, want := range map[string]string{"stdout": "0123456789", "stdout@-3": "789", "stdout@": "0123456789"} {
			f := s.open("remote/0/"+at, tree.OpenRead)
			f.read(want)
			f.close()
		}
		end := s.open("remote/0/stdout@end", tree.OpenRead)
		defer end.close()
		end.waits()
		if times := s.cat("remote/0/stdout@times"); times == "" {
			t.Error("no times of stdout")
		}
		if info := s.node("remote/0/stdout@end").Stat(); info.Name != "stdout@end" || info.Mode != 0o444 || info.UID != "glenda" {
			t.Errorf("%+v", info)
		}

		status := s.cat("status")
		for _, line := range []string{
			"hub remote/0/stdout 0 10 1048576 2 0 calm 0\n",
			"reader remote/0/stdout glenda 'unix 1' 10 0 ",
			"hub remote/0/stdin 0 0 1048576 0 0 fear 0\n",
			"session 0 glenda Reserved\n",
		} {
			if !strings.Contains(status, line) {
				t.Errorf("/status without %q:\n%s", line, status)
			}
		}
		s.ctl("size remote/0/stdout 8\nfear remote/0/stdout\nlimit remote/0/stdout 1000")
		if status = s.cat("status"); !strings.Contains(status, "hub remote/0/stdout 2 10 8 2 0 fear,limit 0\n") {
			t.Errorf("/status:\n%s", status)
		}
		s.ctl("calm") // which leaves what is typed alone
		if status = s.cat("status"); !strings.Contains(status, "1048576 0 0 fear 0\n") || !strings.Contains(status, "8 2 0 calm,limit 0\n") {
			t.Errorf("/status:\n%s", status)
		}
		if stats := s.FS.Stats(); len(stats.Hubs) != 2 || stats.Hubs[1].Name != "remote/0/stdout" {
			t.Errorf("stats: %+v", stats.Hubs)
		}
	})
}

// TestASessionsHubsAreItsOwn: nobody ends, removes or renames them.
func TestASessionsHubsAreItsOwn(t *testing.T) {
	remote(t, Config{}, func(t *testing.T, s *server, r *fakeRemote) {
		s.ctlFails("end remote/0/stdout", tree.ErrBusy, "output of a session")
		s.ctlFails("reopen remote/0/stdout", tree.ErrInvalid, "belongs to a session")
		s.ctlFails("rm remote/0/stdout", tree.ErrPermission, "remote/0/stdout belongs to a session")
		s.ctlFails("rm remote", tree.ErrNotExist, "no hub")
		s.ctlFails("fear remote/0", tree.ErrNotExist, "no hub")
		s.ctlFails("fear remote/1/stdout", tree.ErrNotExist, "no hub")
		out := s.node("remote/0/stdout").(tree.Changer)
		name, mode := "other", uint32(0o400)
		if err := out.Change(glenda, tree.Change{Name: &name}); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("renamed: %v", err)
		}
		if err := out.Change(alice, tree.Change{Mode: &mode}); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("a stranger changes the mode: %v", err)
		}
		if err := out.Change(glenda, tree.Change{Mode: &mode}); err != nil || s.node("remote/0/stdout").Stat().Mode != mode {
			t.Errorf("the mode: %v", err)
		}
		if _, ok := s.node("remote").(tree.Creator); ok {
			t.Error("files can be made in /remote")
		}
		if err := s.create(glenda, "remote"); !errors.Is(err, tree.ErrExist) {
			t.Errorf("create remote: %v", err)
		}
		s.ctl("end remote/0/stdin") // who types may say that this was all
	})
}

// TestASessionsHubGoes: its name, at once; who has it open reads to its end.
func TestASessionsHubGoes(t *testing.T) {
	remote(t, Config{MaxHubs: 3}, func(t *testing.T, s *server, r *fakeRemote) {
		if _, err := r.streams.New(glenda, "0/stdout", 0o444, hub.Options{}); !errors.Is(err, tree.ErrExist) {
			t.Errorf("made twice: %v", err)
		}
		events := s.open("events", tree.OpenRead)
		defer events.close()
		out := s.open("remote/0/stdout", tree.OpenRead)
		node := s.node("remote/0/stdout").(tree.File)
		r.print(t, "last words")
		r.rout.Hub().End("")
		r.rout.Close()
		r.rout.Close()
		events.read("hub rm remote/0/stdout\n")
		out.read("last words")
		out.ends()
		out.close()
		if _, err := node.Open(glenda, tree.OpenRead); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("opened: %v", err)
		}
		for _, path := range []string{"1/stdout", "2/stdout"} { // and stdin is one
			if _, err := r.streams.New(glenda, path, 0o444, hub.Options{}); err != nil {
				t.Errorf("no room: %v", err)
			}
		}
		if _, err := r.streams.New(glenda, "3/stdout", 0o444, hub.Options{}); !errors.Is(err, tree.ErrLimit) {
			t.Errorf("a fourth of three: %v", err)
		}
		if s.InUse() {
			t.Error("hubs of sessions alone keep the server: sessions are who says that")
		}
	})
}

// TestTheAliasOfRemote: the folder has its old name too, unless a hub has it.
func TestTheAliasOfRemote(t *testing.T) {
	remote(t, Config{}, func(t *testing.T, s *server, r *fakeRemote) {
		if s.node("local") != s.node("remote") {
			t.Error("local is another")
		}
		s.want("/", s.ls(glenda, "/"), "ctl events remote shell stats status")
		s.mustCreate("local")
		if _, ok := s.node("local").(*hubFile); !ok {
			t.Error("the hub local is not found")
		}
	})
	s := newServer(t, Config{})
	if _, err := s.walk(glenda, "local"); !errors.Is(err, tree.ErrNotExist) {
		t.Errorf("local, without remote: %v", err)
	}
}

// TestRightsToRemote: one level for all of it.
func TestRightsToRemote(t *testing.T) {
	remote(t, Config{}, func(t *testing.T, s *server, r *fakeRemote) {
		r.print(t, "out")
		none, view := guest("n", bounds{"work": lOwn, "remote/*": lOwn}), guest("v", bounds{"remote": lView})
		write, own := guest("w", bounds{"remote": lWrite}), guest("o", bounds{"remote": lOwn})
		for _, at := range []string{"remote", "local", "remote/clone", "remote/0/stdout", "remote/0/stdin"} {
			if _, err := s.walk(none, at); !errors.Is(err, tree.ErrNotExist) {
				t.Errorf("who has no right finds %s: %v", at, err)
			}
		}
		opens := func(c *tree.Caller, at string, mode uint8) bool {
			n, err := s.walk(c, at)
			if err != nil {
				return false
			}
			h, err := n.(tree.File).Open(c, mode)
			if err == nil {
				h.Close()
			}
			return err == nil
		}
		for _, test := range []struct {
			at string
			c  *tree.Caller
			rd bool
			wr bool
		}{
			{"remote/clone", view, true, false},
			{"remote/clone", write, true, false},
			{"remote/clone", own, true, true},
			{"remote/0/stdout", view, true, false},
			{"remote/0/stdout@end", view, true, false},
			{"remote/0/stdin", view, false, false},
			{"remote/0/stdin", write, false, false},
			{"remote/0/stdin", own, true, true},
		} {
			if rd := opens(test.c, test.at, tree.OpenRead); rd != test.rd {
				t.Errorf("%s reads %s: %v", test.c.User, test.at, rd)
			}
			if wr := opens(test.c, test.at, tree.OpenWrite); wr != test.wr {
				t.Errorf("%s writes %s: %v", test.c.User, test.at, wr)
			}
		}
		if st := s.catAs(view, "status"); !strings.Contains(st, "session 0") || !strings.Contains(st, "hub remote/0/stdout") || strings.Contains(st, "stdin") {
			t.Errorf("/status of a viewer:\n%s", st)
		}
		if st := s.catAs(none, "status"); strings.Contains(st, "session") || strings.Contains(st, "remote") {
			t.Errorf("/status of who sees none of it:\n%s", st)
		}
		// Rights that end while one has the node at hand.
		n, err := s.walk(view, "remote/clone")
		if err != nil {
			t.Fatal(err)
		}
		delete(view.Rights.(bounds), "remote")
		if _, err := n.(tree.File).Open(view, tree.OpenRead); !errors.Is(err, tree.ErrNotExist) {
			t.Errorf("opened without a right: %v", err)
		}
	})
}

// TestNodesAreEvents, of those who may see where they are.
func TestNodesAreEvents(t *testing.T) {
	remote(t, Config{}, func(t *testing.T, s *server, r *fakeRemote) {
		sees, all := s.openAs(guest("v", bounds{"remote": lView}), "events", tree.OpenRead), s.open("events", tree.OpenRead)
		not := s.openAs(guest("n", bounds{"work": lOwn}), "events", tree.OpenRead)
		s.Node("node join leaf1 7")
		sees.read("node join leaf1 7\n")
		all.read("node join leaf1 7\n")
		not.waits()
		sees.close()
		all.close()
		not.close()
	})
}
