package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hubfs/e2e/internal/proxy"
)

// stubborn is a command that goes on in a session of its own, ignores what can be
// ignored, and has a child that does so too. It prints both their numbers.
const stubborn = `exec 'sh' -c 'trap "" HUP INT TERM; setsid sleep 1000 & echo $! $$; exec sleep 1000'`

// running has tasks run on N nodes, and returns their processes.
func (s *session) running(count int) (all []process) {
	s.n.w.tb.Helper()
	s.do("res %d", count)
	s.do("%s", stubborn)
	for _, line := range s.lines("stdio", count) {
		for _, pid := range strings.Fields(line) {
			p := process{args: []string{line}}
			var err error
			if p.pid, err = strconv.Atoi(pid); err == nil {
				p.fd, err = unix.PidfdOpen(p.pid, 0)
			}
			if err != nil {
				s.n.w.tb.Fatalf("process %q: %v", line, err)
			}
			all = append(all, p)
		}
	}
	if len(all) != 2*count {
		s.n.w.tb.Fatalf("%d processes of %d tasks", len(all), count)
	}
	return all
}

// isBelow reports whether a process runs at a node of a family or below it: it is
// in the folder in which its node was started.
func (n *nodes) isBelow(p process, node string) bool {
	n.w.tb.Helper()
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid))
	if err != nil {
		n.w.tb.Fatal(err)
	}
	leaf := filepath.Base(dir)
	return leaf == node || node == "inner" && leaf != "leaf3"
}

// beat is the period of the heartbeats in these tests: long enough for a machine that
// does other work to be heard in two of them.
func beat() time.Duration {
	if raceEnabled {
		return 4 * time.Second
	}
	return time.Second
}

// noOrphans has something happen, and wants all of the processes to be gone two
// heartbeats later.
func noOrphans(t *testing.T, what string, all []process, happens func()) {
	t.Helper()
	start := time.Now()
	happens()
	for _, p := range all {
		if !p.gone(start.Add(patience)) {
			t.Errorf("%s: runs on: %v", what, p)
			p.kill()
		}
		p.close()
	}
	if took := time.Since(start); took > 2*beat() && !raceEnabled {
		t.Errorf("%s: the last process was gone after %v, want at most %v", what, took, 2*beat())
	}
}

// family starts a root, an inner node and three leaves: two below the inner node.
func family(t *testing.T) *nodes {
	n := newNodes(t, "--heartbeat", beat().String())
	n.start("root", "")
	n.start("inner", "root")
	n.start("leaf1", "inner")
	n.start("leaf2", "inner")
	n.start("leaf3", "root")
	return n
}

// TestNoOrphans: whoever of those between a person and a task is killed or
// stopped, or however the session ends: two heartbeats later nothing of it
// runs that should not.
func TestNoOrphans(t *testing.T) {
	// Its parts wait, mostly, and do so side by side.
	t.Run("the client", func(t *testing.T) {
		t.Parallel()
		n := family(t)
		s := n.session("root")
		noOrphans(t, "the client is gone", s.running(6), func() { s.tree.c.conn.Close() })
	})
	for _, sig := range []string{"KILL", "STOP"} {
		t.Run("the root "+sig, func(t *testing.T) {
			t.Parallel()
			n := family(t)
			all := n.session("root").running(6)
			noOrphans(t, "the root "+sig, all, func() { n.by["root"].signal(sig) })
			if sig == "STOP" {
				n.by["root"].signal("CONT")
			}
		})
	}
	for name, kind := range map[string]proxy.Kind{
		"cut": proxy.Cut, "reset": proxy.Reset, "blackhole": proxy.Blackhole, "silent up": proxy.SilentUp, "silent down": proxy.SilentDown,
	} {
		t.Run("the link "+name, func(t *testing.T) {
			t.Parallel()
			n := newNodes(t, "--heartbeat", beat().String())
			n.start("root", "")
			p, err := proxy.Listen("tcp", "127.0.0.1:0", "unix", n.w.socket("root"))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			n.run("leaf", "--join", "tcp://"+p.Addr().String())
			root := n.by["root"]
			root.await("node join leaf ")
			s := n.session("root")
			noOrphans(t, name, s.running(2), func() {
				switch kind {
				case proxy.Cut:
					p.Cut()
				case proxy.Reset:
					p.Reset()
				default:
					p.Silence(kind)
				}
			})
			if kind == proxy.SilentDown {
				root.await("node leave leaf") // which is heard still, and says itself that nothing runs
			} else {
				root.await("node lost leaf ")
			}
			root.await("node join leaf ") // over another connection
			if got := n.pwd("root", 1); got != "/leaf" {
				t.Errorf("tasks ran in %s", got)
			}
		})
	}
	for _, sig := range []string{"KILL", "STOP"} {
		for _, victim := range []string{"inner", "leaf1"} {
			t.Run(victim+" "+sig, func(t *testing.T) {
				t.Parallel()
				n := family(t)
				s := n.session("root")
				all := s.running(6) // two each
				of := map[string]bool{}
				for _, line := range s.lines("status", 6) {
					of[strings.Fields(line)[3]] = true
				}
				if len(of) != 3 {
					t.Fatalf("not on all leaves: %v", of)
				}
				var lost, others []process
				for _, p := range all {
					if n.isBelow(p, victim) {
						lost = append(lost, p)
					} else {
						others = append(others, p)
					}
				}
				if len(lost) == 0 || len(others) == 0 {
					t.Fatalf("%d of %d processes are at %s", len(lost), len(all), victim)
				}
				noOrphans(t, victim+" "+sig, lost, func() { n.by[victim].signal(sig) })
				for _, p := range others {
					if p.gone(time.Now()) {
						t.Errorf("gone, too: %v", p)
					}
				}
				if sig == "STOP" {
					n.by[victim].signal("CONT")
				}
				noOrphans(t, "released", others, s.ctl.close)
			})
		}
	}
	t.Run("ssh", func(t *testing.T) {
		t.Parallel()
		n := newNodes(t, "--heartbeat", beat().String())
		sshd := n.w.there(true).sshd()
		n.start("root", "")
		if err := n.ctl("root", "add ssh://there far"); err != nil {
			t.Fatal(err)
		}
		root := n.by["root"]
		root.await("node join far ")
		first := n.session("root")
		noOrphans(t, "ssh is hung up", first.running(2), sshd.hangUp)
		root.await("node lost far ")
		root.await("node join far ") // by another ssh
		second := n.session("root")
		second.do("res 1 nodes=far")
		first.ctl.close()
		second.ctl.close()
		if err := n.ctl("root", "rm far"); err != nil {
			t.Fatal(err)
		}
		root.await("node leave far")
		sshd.hangUp() // which ssh keeps for who comes later
	})
	t.Run("release", func(t *testing.T) {
		t.Parallel()
		n := family(t)
		s := n.session("root")
		noOrphans(t, "released", s.running(6), s.ctl.close)
	})
	t.Run("the root ends", func(t *testing.T) {
		t.Parallel()
		n := family(t)
		all := n.session("root").running(6)
		noOrphans(t, "the root ends", all, func() { n.by["root"].signal("TERM") })
	})
}
