package hubfs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hubfs/access"
	"hubfs/hub"
	"hubfs/tree"
)

// A world is a server on which there is something to be seen, and something
// that guests may not see. The other one has the same past, but what is hidden
// has gone: whoever may not see it cannot tell the two from one another.
func newWorld(t *testing.T, hidden bool) *server {
	t.Helper()
	store, err := access.Open("", access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := newServer(t, Config{Access: store, Metrics: func(Stats) string { return "metrics\n" }})
	s.mustCreate("build", "ci/", "ci/a", "hidden", "hidden.d/", "hidden.d/x", "ci/hidden")
	for _, name := range []string{"build", "ci/a", "hidden"} {
		f := s.open(name, tree.OpenWrite)
		f.mustWrite(name + " says so\n")
		f.close()
	}
	s.ctl("shell work -- x\nshell done -- x\nshell hidsh -- hidden\nsize build 5000\ntrunc ci/a\npipe hidden hidden.d/x\nfreeze ci/hidden")
	s.ctl("kill done")
	s.waitFor("done")
	s.proc("work").print("$ ")
	work := s.open("shell/work/ctl", tree.OpenWrite)
	work.mustWrite("title at work\npolicy smallest\nsize 20 70")
	work.close()
	sh := s.openAs(bob, "shell/hidsh/ctl", tree.OpenRDWR)
	sh.mustWrite("attach rw 5 5\ntitle hidden")
	reads := s.openAs(bob, "hidden", tree.OpenRead)
	if _, err := s.say(glenda, "grant user=hidden view hidden\ninvite view hidden as=hidden"); err != nil {
		t.Fatal(err)
	}
	if !hidden {
		reads.close()
		sh.close()
		s.ctl("unpipe 1\nkill hidsh")
		s.waitFor("hidsh")
		s.ctl("rm hidsh\nrm hidden\nrm hidden.d/x\nrm ci/hidden")
		if err := s.node("hidden.d").(tree.Remover).Remove(glenda); err != nil {
			t.Fatal(err)
		}
		if _, err := s.say(glenda, "revoke 1\nrevoke 2"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// digest is all that there is to a server: names, modes, qids, owners, bytes and
// their offsets, how hubs are set, shells and grants. Not in it is what comes and
// goes with a reader.
func (s *server) digest() string {
	s.t.Helper()
	var b strings.Builder
	s.walkAll(&b, "", s.Root())
	s.mu.Lock()
	fmt.Fprintf(&b, "fear %v frozen %v trunc %v nodes %d loose %d attached %d quit %v\n",
		s.fear, s.frozen, s.trunc, s.nodes, s.loose, s.FS.attached, isClosed(s.quit))
	for _, name := range sortedKeys(s.byName) {
		sh := s.byName[name]
		keys := sortedKeys(sh.inputs)
		fmt.Fprintf(&b, "shell %s seen %v policy %s forced %v title %q key %q inputs %v\n",
			sh.statusLocked(), sh.seen, sh.policy, sh.forced, sh.title, sh.hostKey, keys)
	}
	for _, p := range s.pipes {
		fmt.Fprintf(&b, "pipe %d %v %s %v\n", p.id, p.namesLocked(), p.state, p.argv)
	}
	s.mu.Unlock()
	fmt.Fprintf(&b, "grants %+v\n", s.cfg.Access.List())
	for _, name := range sortedKeys(s.starter.procs) {
		fmt.Fprintf(&b, "process %s: %s\n", name, s.starter.procs[name].all())
	}
	return b.String()
}

func (s *server) walkAll(b *strings.Builder, at string, d tree.Dir) {
	infos, err := d.List(glenda)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, i := range infos {
		n, err := d.Lookup(glenda, i.Name)
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(b, "%s/%+v\n", at, n.Stat())
		switch n := n.(type) {
		case tree.Dir:
			s.walkAll(b, at+"/"+i.Name, n)
		case *hubFile:
			st := n.hub.Status()
			st.Readers, st.WaitingReaders, st.Delivered, st.Reads, st.Lost, st.Slowest = 0, 0, 0, 0, 0, 0
			fmt.Fprintf(b, "%+v\n", st)
			r := n.hub.NewReader(hub.Addressed, hub.ReaderOptions{Lazy: true})
			pieces, _, err := r.TryRead(nil, st.First, 1<<20, nil)
			fmt.Fprintf(b, "%v ", err)
			for _, p := range pieces {
				fmt.Fprintf(b, "%q", p.Data)
				p.Free()
			}
			b.WriteByte('\n')
			r.Close()
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// differs shows the first line in which two texts are not the same.
func differs(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("line %d:\n\t%s\n\t%s", i+1, as[i], bs[i])
		}
	}
	return fmt.Sprintf("%d lines and %d", len(as), len(bs))
}
