package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pwd runs pwd on as many tasks as there are nodes that run them, and returns
// where they were.
func (n *nodes) pwd(at string, count int) string {
	n.w.tb.Helper()
	s := n.session(at)
	defer s.tree.c.conn.Close()
	s.do("res %d", count)
	s.do("exec pwd")
	lines := s.lines("stdio", count)
	slices.Sort(lines)
	return strings.ReplaceAll(strings.Join(lines, " "), n.dir, "")
}

// ctl writes to /remote/ctl of a node.
func (n *nodes) ctl(at, line string) error {
	n.w.tb.Helper()
	t := newRawTree(n.w.raw(at))
	defer t.c.conn.Close()
	f, err := t.open("/remote/ctl", openWrite)
	if err != nil {
		return err
	}
	return f.write(line)
}

// TestNodesJoinOverAnyTransport: a name, a socket, TCP on the loopback, TLS with a
// link, and ssh, whichever side dials.
func TestNodesJoinOverAnyTransport(t *testing.T) {
	n := newNodes(t)
	socket, port := n.dir+"/s", freePort(t)
	n.start("root", "", "-a", "unix!"+socket, "-a", "tcp!127.0.0.1!"+port, "-a", "tls!127.0.0.1!0")
	n.start("name", "root")
	n.start("unix", "", "--join", "unix!"+socket)
	n.by["root"].await("node join unix ")
	n.start("tcp", "", "--join", "tcp!127.0.0.1!"+port)
	n.by["root"].await("node join tcp ")

	out := n.w.want("-s", "root", "invite", "remote")
	link := regexp.MustCompile(`^hubfs --join '(hub://[^']+)'\n$`).FindStringSubmatch(out)
	if link == nil {
		t.Fatalf("hub invite remote: %q", out)
	}
	own := n.w.env
	n.w.env = n.w.guest("elsewhere").env
	n.w.run = n.w.dir + "/elsewhere"
	n.start("tls", "", "--join", link[1])
	n.w.env, n.w.run = own, n.w.dir+"/run"
	n.by["root"].await("node join tls ")

	n.start("added", "")
	if err := n.ctl("root", "add unix!"+n.w.socket("added")+" other"); err != nil {
		t.Fatal(err)
	}
	n.by["root"].await("node join other ")
	if got := n.pwd("root", 5); got != "/added /name /tcp /tls /unix" {
		t.Errorf("tasks ran in %s", got)
	}

	// A link is for one: who has it now is the key.
	again := n.start("late", "", "--join", link[1])
	again.logs("permission denied")
}

// TestANodeOverSSHGoesWithItsConnection: nothing of ours is there before, nor after.
func TestANodeOverSSHGoesWithItsConnection(t *testing.T) {
	n := newNodes(t)
	there := n.w.there(true)
	n.w.env = append(n.w.env, "HUB_SSH="+there.wrapper())
	n.start("root", "")
	if err := n.ctl("root", "add ssh://there far"); err != nil {
		t.Fatal(err)
	}
	n.by["root"].await("node join far ")
	if got := n.pwd("root", 2); got != strings.Repeat(there.home+" ", 1)+there.home {
		t.Errorf("tasks ran in %s", got)
	}
	if err := n.ctl("root", "rm far"); err != nil {
		t.Fatal(err)
	}
	n.by["root"].await("node leave far")
	if err := n.ctl("root", "add ssh://nowhere"); err == nil || !strings.Contains(err.Error(), "Could not resolve hostname") {
		t.Errorf("nowhere: %v", err)
	}
	// If a server of the user runs there, that one is the node.
	if r := there.hub("new", "sh", "--", "sleep", "1000"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if err := n.ctl("root", "add ssh://there far"); err != nil {
		t.Fatal(err)
	}
	n.by["root"].await("node join far ")
	if st := there.hub("ls"); !strings.Contains(st.stdout, "sh") {
		t.Errorf("%+v", st)
	}
}

// TestASecondNodeOfANameIsRefused, and says why; the first stays.
func TestASecondNodeOfANameIsRefused(t *testing.T) {
	n := newNodes(t)
	n.start("root", "")
	n.start("leaf", "root")
	twin := n.run("twin", "--node-name", "leaf", "--join", "root")
	twin.logs("another node is called leaf")
	if got := n.pwd("root", 1); got != "/leaf" {
		t.Errorf("tasks run in %s", got)
	}
}

// TestALoopIsRefused: nobody is below itself.
func TestALoopIsRefused(t *testing.T) {
	n := newNodes(t)
	n.start("root", "")
	n.start("inner", "root")
	n.start("leaf", "inner")
	if got := n.pwd("root", 1); got != "/leaf" { // now all have heard who is above them
		t.Fatalf("a task ran in %s", got)
	}
	if err := n.ctl("leaf", "add unix!"+n.w.socket("root")); err == nil || !strings.Contains(err.Error(), "loop") {
		t.Errorf("the root below a leaf: %v", err)
	}
	if err := n.ctl("root", "add unix!"+n.w.socket("root")); err == nil || !strings.Contains(err.Error(), "loop") {
		t.Errorf("the root below itself: %v", err)
	}
}

// TestANodeDialsAgain when the one above was restarted, and comes back as itself
// when it was killed; a node that was removed does not.
func TestANodeDialsAgain(t *testing.T) {
	n := newNodes(t, "--heartbeat", "2s")
	n.start("root", "")
	n.start("leaf", "root")
	n.by["root"].signal("KILL")
	n.by["root"].exit()
	n.start("root", "")
	n.by["root"].await("node join leaf ")
	if got := n.pwd("root", 1); got != "/leaf" {
		t.Errorf("tasks run in %s", got)
	}
	first := n.by["leaf"]
	first.signal("KILL")
	first.exit()
	n.by["root"].await("node lost leaf ")
	n.start("leaf", "root")
	if got := n.pwd("root", 1); got != "/leaf" {
		t.Errorf("tasks run in %s", got)
	}
	if err := n.ctl("root", "rm leaf"); err != nil {
		t.Fatal(err)
	}
	n.by["root"].await("node leave leaf")
	n.by["leaf"].logs("is not below this node any more")
}

// TestTheRightToJoin: a guest needs the role write for remote, not more and not less.
func TestTheRightToJoin(t *testing.T) {
	n := newNodes(t)
	n.start("root", "", "-a", "tls!127.0.0.1!0")
	for _, role := range []string{"--view", ""} {
		args := slices.DeleteFunc([]string{"-s", "root", "invite", role, "remote"}, func(s string) bool { return s == "" })
		link := regexp.MustCompile(`hub://[^']+`).FindString(n.w.want(args...))
		name := "leaf" + role
		own := n.w.env
		n.w.env = n.w.guest("of" + role).env
		n.w.run = n.w.dir + "/of" + role
		n.start(name, "", "--join", link)
		n.w.env, n.w.run = own, n.w.dir+"/run"
		if role == "" {
			n.by["root"].await("node join leaf ")
		} else {
			n.by[name].logs("expected the role write for remote")
		}
	}
}
