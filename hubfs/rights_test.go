package hubfs

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// bounds are rights by pattern of a path, as package access has them: "*" alone
// is everything and the server as a whole.
type bounds map[string]tree.Level

func (b bounds) Level(at string) (l tree.Level) {
	for pattern, level := range b {
		if ok, _ := path.Match(pattern, at); pattern == "*" || ok && at != "" {
			l = max(l, level)
		}
	}
	return l
}

func (b bounds) Within(at string) tree.Level {
	l := b.Level(at)
	for pattern, level := range b {
		n := strings.Count(at, "/") + 1
		if p := strings.Split(pattern, "/"); at == "" {
			l = max(l, level)
		} else if len(p) > n {
			if ok, _ := path.Match(strings.Join(p[:n], "/"), at); ok {
				l = max(l, level)
			}
		}
	}
	return l
}

// guest returns a caller with bounds.
func guest(name string, b bounds) *tree.Caller {
	return &tree.Caller{User: "guest:" + name, Addr: "tls " + name, Conn: 100 + uint64(name[0]), Rights: b}
}

const (
	lView, lWrite, lOwn = tree.LevelView, tree.LevelWrite, tree.LevelOwn
)

// ls lists a directory: its names, joined by blanks.
func (s *server) ls(c *tree.Caller, at string) string {
	s.t.Helper()
	n, err := s.walk(c, at)
	if err != nil {
		return err.Error()
	}
	infos, err := n.(tree.Dir).List(c)
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return strings.Join(names, " ")
}

// catAs reads a text file as c does.
func (s *server) catAs(c *tree.Caller, at string) string {
	s.t.Helper()
	f := s.openAs(c, at, tree.OpenRead)
	defer f.close()
	return f.text()
}

// want compares what there is for a caller with what is to be.
func (s *server) want(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s:\n\t%q\nwant\n\t%q", what, got, want)
	}
}

func TestWhatOneMayNotSeeIsNotThere(t *testing.T) {
	conns := func() []ConnInfo {
		return []ConnInfo{{ID: 1, User: "glenda", Addr: "unix 1"}, {ID: 100 + 'v', User: "guest:v", Addr: "tls v"}}
	}
	bubble(t, Config{Conns: conns, Metrics: func(Stats) string { return "" }}, func(t *testing.T, s *server) {
		s.mustCreate("build", "secret", "ci/", "ci/a", "ci/b", "deep/", "deep/er/", "deep/er/x", "empty/")
		s.ctl("shell work -- x\nshell other -- x\npipe build ci/a\npipe build secret")
		view := guest("v", bounds{"work": lView, "ci/a": lView, "build": lView})
		write := guest("w", bounds{"work": lWrite, "deep/*/x": lWrite})
		all := guest("a", bounds{"*": lView})

		s.want("/ of a viewer", s.ls(view, "/"), "build ci events shell status work1 work2")
		s.want("/ci of a viewer", s.ls(view, "ci"), "a")
		s.want("/shell of a viewer", s.ls(view, "shell"), "work")
		s.want("/shell/work of a viewer", s.ls(view, "shell/work"), "ctl status wait args dir clients stdout stderr")
		s.want("/ of a writer", s.ls(write, "/"), "ctl deep events shell status work0 work0.note work1 work2")
		s.want("/deep/er of a writer", s.ls(write, "deep/er"), "x")
		s.want("/shell/work of a writer", s.ls(write, "shell/work"), "ctl status wait args dir clients stdin stdout stderr")
		s.want("/ of who sees all", s.ls(all, "/"),
			"build ci deep empty events metrics other1 other2 secret shell stats status work1 work2")
		s.want("/ of nobody", s.ls(guest("n", bounds{}), "/"), "")

		for _, c := range []*tree.Caller{view, write, guest("n", bounds{})} {
			for _, at := range []string{"secret", "other1", "other0", "other0.note", "shell/other", "ci/b", "stats", "metrics",
				"secret@", "secret@end", "secret@times", "other1@", "shell/other/ctl", "empty", "ci/nosuch"} {
				if _, err := s.walk(c, at); !errors.Is(err, tree.ErrNotExist) || err.Error() != at+": file does not exist" {
					t.Errorf("%s finds %s: %v", c.User, at, err)
				}
			}
		}

		status := func(c *tree.Caller, without ...string) {
			t.Helper()
			got := s.catAs(c, "status")
			for _, word := range without {
				if strings.Contains(got, word) {
					t.Errorf("the status of %s tells of %s:\n%s", c.User, word, got)
				}
			}
		}
		s.openAs(bob, "shell/work/ctl", tree.OpenRDWR).mustWrite("attach rw 5 5")
		for _, c := range []*tree.Caller{view, write, all} {
			if got := s.catAs(c, "shell/work/clients"); strings.Contains(got, "tcp b") || !strings.HasPrefix(got, "1 bob - rw 5 5 ") {
				t.Errorf("%s sees the clients %q", c.User, got)
			}
		}
		if _, err := s.walk(view, "shell/work/input@x"); err == nil || err.Error() != "shell/work/input@x: file does not exist" {
			t.Errorf("a viewer looks for an input: %v", err)
		}
		r := s.openAs(bob, "build", tree.OpenRead)
		status(view, "secret", "other", "ci/b", "work0", "unix 1", "tcp b", "deep", "conn 1 ", "pipe 2")
		status(write, "secret", "other", "ci/", "build", "unix", "tcp", "guest:v", "pipe")
		status(all, "work0", "tcp b", "conn")
		if got := s.catAs(view, "status"); !strings.Contains(got, "conn 218 guest:v 'tls v'") ||
			!strings.Contains(got, "reader build bob - 0 0 ") || !strings.Contains(got, "\npipe 1 build ci/a running") {
			t.Errorf("the status of a viewer lacks what it may see:\n%s", got)
		}
		r.close()
	})
}

func TestEventsAreForThoseWhoSeeWhatTheyAreAbout(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		view := guest("v", bounds{"work": lView, "a*": lView})
		write := guest("w", bounds{"work": lWrite})
		owner := guest("o", bounds{"*": lOwn})
		var events []*file
		for _, c := range []*tree.Caller{view, write, owner} {
			events = append(events, s.openAs(c, "events", tree.OpenRead))
		}
		s.mustCreate("a1", "b1")
		s.ctl("shell work -- x\nshell other -- x")
		s.Conn(ConnInfo{ID: view.Conn, User: "guest:v", Addr: "tls v"}, true)
		s.Conn(ConnInfo{ID: 9, User: "bob", Addr: "tcp b"}, false)
		name := "b2"
		if err := s.node("a1").(tree.Changer).Change(glenda, tree.Change{Name: &name}); err != nil {
			t.Fatal(err)
		}
		s.ctl("pipe b1 b2\nfreeze b1\nmelt b1")
		c := s.openAs(bob, "shell/work/ctl", tree.OpenRDWR)
		c.mustWrite("attach rw 5 5")
		for i, want := range []string{
			"hub new a1\nhub new work1\nhub new work2\nshell new work 101\nconn new 218 guest:v 'tls v'\nhub rm a1\nclient attach work bob\n",
			"hub new work1\nhub new work2\nhub new work0\nshell new work 101\nclient attach work bob\n",
			"hub new a1\nhub new b1\nhub new work1\nhub new work2\nhub new work0\nshell new work 101\n" +
				"hub new other1\nhub new other2\nhub new other0\nshell new other 102\n" +
				"conn new 218 guest:v 'tls v'\nconn end 9\nhub rm a1\nhub new b2\npipe new 1 b1 b2\nhub freeze b1\nhub melt b1\nclient attach work bob\n",
		} {
			events[i].read(want)
			events[i].waits()
		}
		// A reader that was overtaken gets whole lines, and none of others.
		for range 4000 {
			s.ctl("freeze b1\nmelt b1")
		}
		c.close()
		events[0].read("client detach work bob\n")
		events[0].waits()
		got, err := events[2].next()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(got) {
			if !slices.Contains([]string{"hub freeze b1\n", "hub melt b1\n", "client detach work bob\n"}, line) {
				t.Fatalf("event %q", line)
			}
		}
	})
}

// A thing that was renamed away is not described to who still holds it.
func TestRenamedAwayIsNotThere(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.mustCreate("pub")
		view := guest("v", bounds{"pub": lView})
		n, err := s.walk(view, "pub")
		if err != nil {
			t.Fatal(err)
		}
		name := "plan"
		if err := s.node("pub").(tree.Changer).Change(glenda, tree.Change{Name: &name}); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(n.Stat()); strings.Contains(got, "plan") {
			t.Errorf("it is described: %s", got)
		}
		if _, err := n.(tree.File).Open(view, tree.OpenRead); err != tree.ErrNotExist {
			t.Errorf("open: %v", err)
		}
		if err := n.(tree.Remover).Remove(view); err != tree.ErrNotExist {
			t.Errorf("remove: %v", err)
		}
		if err := n.(tree.Changer).Change(view, tree.Change{Name: &name}); err != tree.ErrNotExist {
			t.Errorf("rename: %v", err)
		}
	})
}

// A word about what is not there for somebody says what it says of what is not
// there at all.
func TestErrorsTellNothingOfWhatOneMayNotSee(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.mustCreate("hid", "h1", "in/", "in/hid")
		s.ctl("shell sec -- x")
		c := guest("w", bounds{"mine*": lWrite, "sec0": lOwn, "sec0.note": lOwn, "h": lOwn, "top": lOwn, "in/my": lWrite})
		reader := s.openAs(bob, "hid", tree.OpenRead)
		if err := s.create(c, "mine"); err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(s.cat("status"), "\nreader hid ")
		line, _, _ = strings.Cut(line, "\n")
		id := unquote(line)[4]
		replace := strings.NewReplacer("hid", "gap", "sec", "gap")
		for _, words := range []string{
			"fear hid", "calm hid", "freeze hid", "melt hid", "trunc hid", "notrunc hid", "eof hid", "end hid x", "reopen hid",
			"size hid 5", "limit hid 5", "nolimit hid", "spool hid", "nospool hid", "patience hid 5", "nopatience hid",
			"drop READER", "kill sec", "rm hid", "rm sec", "rm in/hid", "eof in/hid", "eof sec1", "eof sec", "end sec0", "host sec", "host hid",
			"shell sec", "shell hid", "pipe hid mine", "pipe mine sec0", "unpipe 1", "quit", "fear",
		} {
			there, not := s.ctlAs(c, strings.Replace(words, "READER", id, 1)), s.ctlAs(c, replace.Replace(strings.Replace(words, "READER", "77", 1)))
			if there == nil || not == nil {
				t.Errorf("%s: %v; %v", words, there, not)
				continue
			}
			if got := strings.ReplaceAll(replace.Replace(there.Error()), "reader "+id+":", "reader 77:"); got != not.Error() {
				t.Errorf("%s: %q of what is there, %q of what is not", words, got, not)
			}
		}
		for at, not := range map[string]string{"hid": "gap", "sec1": "gap1", "in/hid": "in/gap", "sec0": "no", "h1": "no"} {
			err, none := s.create(c, at), s.create(c, not)
			if !errors.Is(err, tree.ErrPermission) || !errors.Is(none, tree.ErrPermission) || err.Error() != none.Error() {
				t.Errorf("create %s: %v; %s: %v", at, err, not, none)
			}
			rename := func(to string) error {
				n, err := s.walk(c, "mine")
				if err != nil {
					t.Fatal(err)
				}
				return n.(tree.Changer).Change(c, tree.Change{Name: &to})
			}
			if strings.Contains(at, "/") {
				continue
			}
			err, none = rename(at), rename(not)
			if err == nil || none == nil || err.Error() != none.Error() {
				t.Errorf("rename to %s: %v; %s: %v", at, err, not, none)
			}
		}
		// A shell whose files would be in the way of one that is not there for c.
		if err := s.ctlAs(c, "host h"); !errors.Is(err, tree.ErrPermission) || strings.Contains(err.Error(), "h1") {
			t.Errorf("host h: %v", err)
		}
		reader.close()
	})
}

// A directory goes nowhere with others' hubs in it: rights go by names, and what
// was for some would be for others.
func TestADirectoryOfOthersIsNotMoved(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		c := guest("w", bounds{"mine": lWrite, "mine/*": lWrite, "yours": lWrite})
		if err := s.create(c, "mine/"); err != nil {
			t.Fatal(err)
		}
		rename := func(from, to string) error {
			n, err := s.walk(c, from)
			if err != nil {
				t.Fatal(err)
			}
			return n.(tree.Changer).Change(c, tree.Change{Name: &to})
		}
		if err := s.create(c, "mine/a"); err != nil {
			t.Fatal(err)
		}
		if err := rename("mine", "else"); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("to a name without rights: %v", err)
		}
		s.mustCreate("mine/b")
		if err := rename("mine", "yours"); !errors.Is(err, tree.ErrPermission) {
			t.Errorf("with a hub of another's: %v", err)
		}
		s.ctl("rm mine/b")
		if err := rename("mine", "yours"); err != nil {
			t.Errorf("its own: %v", err)
		}
		// One that holds what is not there for c is not empty, and does not say so.
		n, err := s.walk(c, "yours")
		if err != nil {
			t.Fatal(err)
		}
		if err := n.(tree.Remover).Remove(c); err != tree.ErrPermission {
			t.Errorf("remove: %v", err)
		}
	})
}

// Mode bits count besides rights, for opens and for what words do to the bytes.
func TestModeBitsCountBesidesRights(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.mustCreate("build")
		c := guest("w", bounds{"build": lWrite})
		p := s.dial(c)
		open := func(mode uint8) string {
			defer p.ask(wire.Msg{Type: wire.Tclunk, Fid: 1})
			p.must(wire.Msg{Type: wire.Twalk, Newfid: 1, Wname: []string{"build"}})
			return said(p.ask(wire.Msg{Type: wire.Topen, Fid: 1, Mode: mode}))
		}
		for _, test := range []struct {
			mode        uint32
			read, write string
		}{{0o666, "yes", "yes"}, {0o664, "yes", "denied"}, {0o662, "denied", "yes"}, {0o600, "denied", "denied"}} {
			if err := s.node("build").(tree.Changer).Change(glenda, tree.Change{Mode: &test.mode}); err != nil {
				t.Fatal(err)
			}
			err := s.ctlAs(c, "size build 7")
			if r, w := open(tree.OpenRead), open(tree.OpenWrite); r != test.read || w != test.write || (err == nil) != (w == "yes") {
				t.Errorf("mode %#o: read %s, write %s, the word size: %v", test.mode, r, w, err)
			}
		}
		p.close()
	})
}

// Who only looks on does not count as one who knows how a shell ended.
func TestAViewerDoesNotTakeTheExitStatus(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, s *server) {
		s.ctl("shell w -- x\nkill w")
		s.waitFor("w")
		view := guest("v", bounds{"w": lView})
		s.want("wait", s.catAs(view, "shell/w/wait"), "signal HUP\n")
		s.openAs(view, "shell/w/ctl", tree.OpenRDWR).mustWrite("attach ro 5 5")
		if !s.InUse() {
			t.Error("the server may end, and nobody has learnt how the shell did")
		}
		s.catAs(guest("w", bounds{"w": lWrite}), "shell/w/wait")
		if s.InUse() {
			t.Error("the server is in use for a shell of which somebody knows")
		}
	})
}

// A viewer who does not read holds nobody up, in a hub in fear or not; one who
// may write does, as everybody.
func TestNoWriterWaitsForAViewer(t *testing.T) {
	bubble(t, Config{Size: 10}, func(t *testing.T, s *server) {
		s.mustCreate("h")
		s.ctl("fear h")
		w := s.open("h", tree.OpenWrite)
		defer w.close()
		for _, at := range []string{"h", "h@", "h@end", "h@-3"} {
			defer s.openAs(guest("v", bounds{"h": lView}), at, tree.OpenRead).close()
		}
		w.mustWrite("0123456789")
		w.mustWrite("0123456789")
		r := s.openAs(guest("w", bounds{"h": lWrite}), "h", tree.OpenRead)
		if err := w.write("x"); !errors.Is(err, errWaits) {
			t.Errorf("write: %v", err)
		}
		r.close()
	})
}
