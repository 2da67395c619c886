package hubfs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"hubfs/internal/wire"
	"hubfs/tree"
)

// What a right is about.
type about int

const (
	thing  about = iota // what a role has rights to, if it has any
	whole               // the server as a whole
	either              // either of the two, or what may come to be
	holds               // either of the two
	unseen              // what no role has a right to that has not all
)

// A file of the matrix: the levels that it takes to see it, to open it for
// reading and for writing, to remove it and to change its mode.
type fileRow struct {
	path                            string
	about                           about
	see, read, write, remove, chmod tree.Level
	text                            string // what a write says
}

const lNever = nobody

// matrix is the law, written down once more.
var matrix = []fileRow{
	{"ctl", either, lWrite, lWrite, lWrite, lNever, lNever, "\n"},
	{"status", either, lView, lView, lNever, lNever, lNever, ""},
	{"events", either, lView, lView, lNever, lNever, lNever, ""},
	{"stats", whole, lView, lView, lView, lNever, lNever, "snap"},
	{"metrics", whole, lView, lView, lNever, lNever, lNever, ""},
	{"access", either, lOwn, lOwn, lOwn, lNever, lNever, "\n"},
	{"shell", either, lView, lView, lNever, lNever, lNever, ""},
	{"ci", holds, lView, lView, lNever, lNever, lNever, ""},
	{"build", thing, lView, lView, lWrite, lOwn, lOwn, "x"},
	{"build@", thing, lView, lView, lWrite, lNever, lNever, ""},
	{"build@end", thing, lView, lView, lWrite, lNever, lNever, "x"},
	{"build@-3", thing, lView, lView, lWrite, lNever, lNever, "x"},
	{"build@times", thing, lView, lView, lNever, lNever, lNever, ""},
	{"ci/a", thing, lView, lView, lWrite, lOwn, lOwn, "x"},
	{"work0", thing, lWrite, lOwn, lWrite, lNever, lOwn, "x"},
	{"work0@", thing, lWrite, lOwn, lOwn, lNever, lNever, ""},
	{"work0@times", thing, lOwn, lOwn, lNever, lNever, lNever, ""},
	{"work0.note", thing, lWrite, lNever, lWrite, lNever, lNever, "interrupt"},
	{"work1", thing, lView, lView, lOwn, lNever, lOwn, "x"},
	{"work1@", thing, lView, lView, lOwn, lNever, lNever, ""},
	{"work2", thing, lView, lView, lOwn, lNever, lOwn, "x"},
	{"shell/work", thing, lView, lView, lNever, lNever, lNever, ""},
	{"shell/done", thing, lView, lView, lNever, lOwn, lNever, ""},
	{"shell/work/ctl", thing, lView, lView, lView, lNever, lNever, "\n"},
	{"shell/work/status", thing, lView, lView, lNever, lNever, lNever, ""},
	{"shell/work/wait", thing, lView, lView, lNever, lNever, lNever, ""},
	{"shell/work/args", thing, lView, lView, lNever, lNever, lNever, ""},
	{"shell/work/dir", thing, lView, lView, lNever, lNever, lNever, ""},
	{"shell/work/clients", thing, lView, lView, lNever, lNever, lNever, ""},
	{"shell/work/env", thing, lOwn, lNever, lNever, lNever, lNever, ""}, // by its mode, its user's alone
	{"shell/work/stdin", thing, lWrite, lOwn, lWrite, lNever, lNever, "x"},
	{"shell/work/stdout", thing, lView, lView, lOwn, lNever, lNever, "x"},
	{"shell/work/stderr", thing, lView, lView, lOwn, lNever, lNever, "x"},
	{"shell/work/stdout@end", thing, lView, lView, lOwn, lNever, lNever, "x"},
	{"shell/work/input@" + testKey, thing, lWrite, lNever, lWrite, lNever, lNever, "x"},
	{"hidden", unseen, lView, lView, lWrite, lOwn, lOwn, "x"},
	{"hidden@end", unseen, lView, lView, lWrite, lNever, lNever, "x"},
	{"hidden.d", unseen, lView, lView, lNever, lNever, lOwn, ""},
	{"hidden.d/x", unseen, lView, lView, lWrite, lOwn, lOwn, "x"},
	{"ci/hidden", unseen, lView, lView, lWrite, lOwn, lOwn, ""}, // frozen: a write of bytes waits
	{"hidsh0", unseen, lWrite, lOwn, lWrite, lNever, lOwn, "x"},
	{"hidsh1", unseen, lView, lView, lOwn, lNever, lOwn, "x"},
	{"shell/hidsh", unseen, lView, lView, lNever, lNever, lNever, ""},
	{"shell/hidsh/ctl", unseen, lView, lView, lView, lNever, lNever, "\n"},
}

// A role is rights to the things of the world, or to all of it.
type role struct {
	name         string
	words        string // of the invitation
	thing, whole tree.Level
}

var roles = []role{
	{"none", "view nothing", 0, 0},
	{"view", "view build ci/a work done", lView, 0},
	{"ask", "write build ci/a work done ask", lView, 0},
	{"write", "write build ci/a work done new*", lWrite, 0},
	{"owner", "owner build ci/a work done new*", lOwn, 0},
	{"viewall", "view *", lView, lView},
	{"writeall", "write *", lWrite, lWrite},
	{"ownall", "owner *", lOwn, lOwn},
}

// level is what the role may do with a file.
func (r role) level(f fileRow) tree.Level {
	switch f.about {
	case thing:
		return r.thing
	case either:
		return max(r.thing, r.whole, lView) // a grant for what may come is one
	case holds:
		return max(r.thing, r.whole)
	}
	return r.whole
}

// in runs a test in a world of its own, as a guest with the role.
func (r role) in(t *testing.T, test func(t *testing.T, s *server, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newWorld(t, true)
		c, _ := s.comeIn(glenda, r.name, "invite "+r.words)
		p := s.dial(c)
		before := s.digest()
		test(t, s, p)
		p.close()
		if r.thing <= lView && r.whole <= lView {
			if after := s.digest(); after != before {
				t.Errorf("%s has changed something: %s", r.name, differs(before, after))
			}
		}
	})
}

// said turns a reply into what the matrix speaks of.
func said(r wire.Msg, answered bool) string {
	switch {
	case !answered:
		return "waits"
	case r.Type != wire.Rerror:
		return "yes"
	case strings.Contains(r.Ename, "permission denied"):
		return "denied"
	case strings.HasSuffix(r.Ename, "file does not exist"):
		return "not there"
	}
	return r.Ename
}

// TestEveryRoleEveryFileEveryMessage: each of the thirteen messages of 9P, to
// each file, from each role, gets the answer that the matrix says.
func TestEveryRoleEveryFileEveryMessage(t *testing.T) {
	for _, r := range roles {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range matrix {
				r.try(t, f)
			}
		})
	}
}

func (r role) try(t *testing.T, f fileRow) {
	have := r.level(f)
	yes := func(need tree.Level) string {
		switch {
		case have < f.see:
			return "not there"
		case have < need:
			return "denied"
		}
		return "yes"
	}
	isDir := f.path == "shell" || f.path == "ci" || f.path == "hidden.d" || f.path == "shell/work" || f.path == "shell/done" || f.path == "shell/hidsh"
	r.in(t, func(t *testing.T, s *server, p *peer) {
		check := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s, %s of %s: %s, want %s", r.name, what, f.path, got, want)
			}
		}
		wname := strings.Split(f.path, "/")
		walk := func(fid uint32, names []string) string {
			m, ok := p.ask(wire.Msg{Type: wire.Twalk, Fid: 0, Newfid: fid, Wname: names})
			if ok && m.Type == wire.Rwalk && len(m.Wqid) < len(names) {
				return "not there"
			}
			return said(m, ok)
		}
		ask := func(m wire.Msg) string { return said(p.ask(m)) }

		check("Tauth", ask(wire.Msg{Type: wire.Tauth, Afid: 9}), "no authentication required")
		check("Twalk", walk(1, wname), yes(f.see))
		if have < f.see {
			// It is as what does not exist at all, and can be nothing else.
			no := append([]string{}, wname...)
			no[len(no)-1] = "nosuch"
			a, _ := p.ask(wire.Msg{Type: wire.Twalk, Newfid: 1, Wname: wname})
			b, _ := p.ask(wire.Msg{Type: wire.Twalk, Newfid: 1, Wname: no})
			check("Twalk, its words", a.Ename+fmt.Sprint(len(a.Wqid)), b.Ename+fmt.Sprint(len(b.Wqid)))
			for _, m := range []wire.Msg{{Type: wire.Tstat, Fid: 1}, {Type: wire.Topen, Fid: 1}, {Type: wire.Tread, Fid: 1, Count: 9},
				{Type: wire.Twrite, Fid: 1, Data: []byte("x")}, {Type: wire.Tremove, Fid: 1}, {Type: wire.Tclunk, Fid: 1},
				{Type: wire.Twstat, Fid: 1, Stat: wire.NoChange()}, {Type: wire.Tcreate, Fid: 1, Name: "x"}} {
				check(m.Type.String(), ask(m), "fid unknown or out of range")
			}
			return
		}
		if st := p.must(wire.Msg{Type: wire.Tstat, Fid: 1}).Stat; st.Name != wname[len(wname)-1] {
			t.Errorf("%s is called %s", f.path, st.Name)
		}
		check("Tread, not open", ask(wire.Msg{Type: wire.Tread, Fid: 1, Count: 9}), "bad use of fid")
		check("Twrite, not open", ask(wire.Msg{Type: wire.Twrite, Fid: 1, Data: []byte("x")}), "bad use of fid")
		check("Twstat of nothing", ask(wire.Msg{Type: wire.Twstat, Fid: 1, Stat: wire.NoChange()}), "yes")

		// Topen in each way, and what follows.
		for _, o := range []struct {
			mode uint8
			need tree.Level
		}{
			{tree.OpenRead, f.read}, {tree.OpenWrite, f.write}, {tree.OpenRDWR, max(f.read, f.write)},
			{tree.OpenRead | tree.OpenTrunc, max(f.read, f.write)}, {tree.OpenWrite | tree.OpenTrunc, f.write},
			{tree.OpenRead | tree.OpenRClose, max(f.read, f.remove)},
		} {
			want := yes(o.need)
			if o.mode&tree.OpenRClose != 0 && have == lOwn && (strings.Contains(f.path, "work") || strings.HasPrefix(f.path, "hidsh")) {
				continue // a shell's files are removed with it: the remove is refused, not the open
			}
			if isDir && o.mode != tree.OpenRead {
				want = "Is a directory"
			}
			walk(2, wname)
			check(fmt.Sprintf("Topen %#x", o.mode), ask(wire.Msg{Type: wire.Topen, Fid: 2, Mode: o.mode}), want)
			if want == "yes" {
				reads, writes := tree.Readable(o.mode), tree.Writable(o.mode)
				got := ask(wire.Msg{Type: wire.Tread, Fid: 2, Count: 8000})
				tag := p.tag
				if got == "waits" {
					check("Tflush", ask(wire.Msg{Type: wire.Tflush, Oldtag: tag}), "yes")
					got = "yes"
				}
				check("Tread", got, map[bool]string{true: "yes", false: "bad use of fid"}[reads])
				got = ask(wire.Msg{Type: wire.Twrite, Fid: 2, Data: []byte(f.text)})
				check("Twrite", got, map[bool]string{true: "yes", false: "bad use of fid"}[writes])
			}
			if o.mode&tree.OpenRClose != 0 && want == "yes" {
				continue // it may have gone with the clunk
			}
			check("Tclunk", ask(wire.Msg{Type: wire.Tclunk, Fid: 2}), "yes")
		}
		p.ask(wire.Msg{Type: wire.Tclunk, Fid: 2})
		if walk(3, wname) != "yes" { // ORCLOSE was allowed
			return
		}

		// Twstat: mode, name, length.
		st := wire.NoChange()
		st.Mode = p.must(wire.Msg{Type: wire.Tstat, Fid: 3}).Stat.Mode ^ 0o001
		if f.path != "ci" || r.whole < lOwn { // who owns all owns it too
			check("Twstat of the mode", ask(wire.Msg{Type: wire.Twstat, Fid: 3, Stat: st}), yes(f.chmod))
		}
		if have < f.chmod && have < lOwn {
			st = wire.NoChange()
			st.Name = "hidden2"
			check("Twstat of the name", ask(wire.Msg{Type: wire.Twstat, Fid: 3, Stat: st}), "denied")
		}
		if !isDir {
			st = wire.NoChange()
			st.Length = 0
			if got := ask(wire.Msg{Type: wire.Twstat, Fid: 3, Stat: st}); have < f.write && have < lOwn && got != "denied" {
				check("Twstat of the length", got, "denied")
			}
		}

		// Tcreate: in a directory, names that one may write alone.
		create := map[bool]string{true: "denied", false: "not a directory"}[isDir]
		if isDir && r.whole >= lWrite && (f.path == "ci" || f.path == "hidden.d") {
			create = "yes"
		}
		walk(4, wname)
		check("Tcreate", ask(wire.Msg{Type: wire.Tcreate, Fid: 4, Name: "made", Perm: 0o666, Mode: tree.OpenWrite}), create)

		switch {
		case r.whole == lOwn && (f.path == "ci" || f.path == "hidden.d"):
			check("Tremove", ask(wire.Msg{Type: wire.Tremove, Fid: 3}), "directory is not empty")
		case have == lOwn && strings.HasPrefix(f.path, "shell/") && strings.Count(f.path, "/") == 1 && f.remove == lNever:
			if got := ask(wire.Msg{Type: wire.Tremove, Fid: 3}); !strings.HasSuffix(got, "is running, kill it first: file is in use") {
				check("Tremove", got, "that it is running")
			}
		default:
			check("Tremove", ask(wire.Msg{Type: wire.Tremove, Fid: 3}), yes(f.remove))
		}
		check("Tclunk of the removed", ask(wire.Msg{Type: wire.Tclunk, Fid: 3}), "fid unknown or out of range")
		check("Tattach again", ask(wire.Msg{Type: wire.Tattach, Fid: 8, Afid: wire.NoFid, Uname: "glenda"}), "yes")
		check("Tversion again", ask(wire.Msg{Type: wire.Tversion, Msize: 8192, Version: wire.Version}), "yes")
	})
}
